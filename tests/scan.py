"""How the running city speaks TLS, by sslyze: `python -m tests.scan <sslyze>` (or `make scan`).

sslyze runs as a program of its own and is judged by what it writes down. Every listener is looked at: the
people's and the machines', and each part's gRPC.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.config import PARTS
from deploy.local.settings import Settings, read_settings

Json = dict[str, Any]

OLD = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
SEALED = ("GCM", "CHACHA20", "CCM")
SECONDS = 120


@dataclass(frozen=True)
class Listener:
    """What is looked at, and with whose certificate."""

    name: str
    port: int
    client: str


def listeners(settings: Settings) -> list[Listener]:
    """Every TLS listener of a city."""
    ports = settings.ports
    return [
        Listener("machines", ports["machines"], "approval-platform"),
        Listener("people", ports["people"], ""),
        *(Listener(part, ports[part], "supervisor") for part in PARTS),
    ]


def faults(result: Json) -> Iterator[str]:
    """What is wrong with a listener, by sslyze's result for it."""
    attempts: Json = result["scan_result"]
    for name in OLD:
        if _found(attempts, f"{name}_cipher_suites")["accepted_cipher_suites"]:
            yield f"speaks {name}"
    spoken = 0
    for name in ("tls_1_2", "tls_1_3"):
        suites = [
            one["cipher_suite"]["name"]
            for one in _found(attempts, f"{name}_cipher_suites")["accepted_cipher_suites"]
        ]
        spoken += len(suites)
        for suite in suites:
            if not any(mark in suite for mark in SEALED) or (name == "tls_1_2" and "ECDHE" not in suite):
                yield f"takes {suite}"
    if not spoken:
        yield "speaks neither TLS 1.2 nor TLS 1.3"
    if _found(attempts, "tls_compression")["supports_compression"]:
        yield "compresses"
    if _found(attempts, "session_renegotiation")["is_vulnerable_to_client_renegotiation_dos"]:
        yield "lets clients renegotiate"
    if _found(attempts, "heartbleed")["is_vulnerable_to_heartbleed"]:
        yield "bleeds (Heartbleed)"
    if _found(attempts, "openssl_ccs_injection")["is_vulnerable_to_ccs_injection"]:
        yield "takes an early ChangeCipherSpec"
    if not str(_found(attempts, "robot")["robot_result"]).startswith("NOT_VULNERABLE"):
        yield "is an oracle for RSA (ROBOT)"
    for deployment in _found(attempts, "certificate_info")["certificate_deployments"]:
        if not any(one["was_validation_successful"] for one in deployment["path_validation_results"]):
            yield "shows a certificate that the city's authority does not vouch for"


def _found(attempts: Json, name: str) -> Json:
    """The result of one attempt. Raises RuntimeError where it could not be made: nothing was seen then."""
    attempt = attempts[name]
    if attempt["status"] != "COMPLETED":
        raise RuntimeError(f"{name}: {attempt['error_reason']} {attempt['error_trace'] or ''}")
    return dict(attempt["result"])


def scanned(sslyze: str, settings: Settings, listener: Listener) -> Json:
    """sslyze's result for one listener."""
    pki = settings.pki
    proof = [f"--cert={pki / listener.client}.crt", f"--key={pki / listener.client}.key"]
    with TemporaryDirectory() as folder:
        told = Path(folder) / "result.json"
        done = subprocess.run(
            [
                sslyze,
                *(proof if listener.client else []),
                *("--quiet", f"--json_out={told}", f"--certinfo_ca_file={pki / 'ca.crt'}"),
                *("--mozilla_config=disable", "--certinfo", "--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1"),
                *(
                    "--tlsv1_2",
                    "--tlsv1_3",
                    "--compression",
                    "--reneg",
                    "--heartbleed",
                    "--openssl_ccs",
                    "--robot",
                ),
                f"localhost:{listener.port}",
            ],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if not told.exists():
            raise RuntimeError(f"sslyze ended with code {done.returncode}: {done.stderr or done.stdout}")
        document = json.loads(told.read_text(encoding="utf-8"))
    (result,) = document["server_scan_results"]
    if result["scan_status"] != "COMPLETED":
        raise RuntimeError(f"{listener.name} at port {listener.port} cannot be reached; start the city first")
    return dict(result)


def main() -> int:
    """0 when every listener is as it should be; 1 with what is wrong; 2 where nothing could be seen."""
    settings = read_settings(os.environ)
    found = 0
    for listener in listeners(settings):
        try:
            wrong = list(faults(scanned(sys.argv[1], settings, listener)))
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{listener.name}: {error}", file=sys.stderr)
            return 2
        print(f"{listener.name}: {'; '.join(wrong) or 'well'}")
        found += len(wrong)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
