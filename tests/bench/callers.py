"""The outside callers as the load generator plays them: certificate, token, bodies."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from cli.demo.client import Caller
from core.config import Mode, PeerConfig
from tests.bench.client import Job
from tests.bench.ground import Bench
from tests.bench.load import Processes, tree
from tests.city import City

PARTS = ("gateway", "licence", "datanode", "autofill", "agricredit", "eseal", "ledger", "issuer", "postgres")


def job_of(city: City, caller: str, path: str, bodies: Path) -> Job:
    """A job by this caller, with a fresh token; its connections and times are the step's."""
    pki = city.settings.pki
    with Caller(city.machines, pki, caller) as proved:
        token = proved._token
    return Job(
        url=city.machines,
        paths=[path],
        headers={"Authorization": f"Bearer {token}"},
        connections=1,
        seconds=1.0,
        ca=str(pki / "ca.crt"),
        cert=str(pki / f"{caller}.crt"),
        key=str(pki / f"{caller}.key"),
        bodies=str(bodies),
    )


def write_bodies(bench: Bench, name: str, bodies: Iterable[Mapping[str, object]]) -> Path:
    """A file with a body a line, for the load generator."""
    folder = bench.folder / "bodies"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.jsonl"
    lines = (json.dumps(body, ensure_ascii=False, separators=(",", ":")) for body in bodies)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def processes_of(city: City, parts: Iterable[str] = PARTS) -> Processes:
    """The city's processes; the database server with all of its own, the supervisor, which copies logs."""
    pids = {part: city.pid(part) for part in parts}
    groups = {part: tree(pid) for part, pid in pids.items() if pid is not None}
    if city.process is not None:
        groups["supervisor"] = [psutil.Process(city.process.pid)]
    return groups


def thumbprint(city: City, name: str) -> str:
    """RFC 8705 section 3.1: the SHA-256 of the certificate's DER form, as base64url."""
    pem = (city.settings.pki / f"{name}.crt").read_text(encoding="ascii")
    der = ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END CERTIFICATE-----") + 25] + "\n")
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def peer_config(pki: Path, name: str, **addresses: str) -> PeerConfig:
    """The settings of a process that shows `name`'s certificate to parts at these addresses."""
    own = PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=pki / "ca.crt",
        tls_cert=pki / f"{name}.crt",
        tls_key=pki / f"{name}.key",
    )
    return own.model_copy(update=addresses)


def address_of(city: City, part: str) -> str:
    """Where a part of the city listens."""
    return f"127.0.0.1:{city.settings.ports[part]}"
