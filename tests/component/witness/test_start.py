"""What a witness, and a ledger that is told of witnesses, refuse to start with, by the name of a setting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.cosignature import WitnessKey
from deploy.local.keys import make_keys, write_policy
from deploy.local.migrate import ROOT
from tests.component.gateway.pki import Authority


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Good settings of both."""
    folder = tmp_path_factory.mktemp("start")
    authority = Authority(folder / "pki")
    pair = authority.issue("witness", "localhost")
    make_keys(folder / "keys", ["ledger"])
    write_policy(folder / "keys", "https://localhost:7108")
    (folder / "dsn").write_text("postgresql://nobody@127.0.0.1:1/nowhere")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
        "HOME": str(folder),
        "ONESTOP_MODE": "development",
        "ONESTOP_LISTEN": "127.0.0.1:0",
        "ONESTOP_TLS_CA": str(authority.root),
        "ONESTOP_TLS_CERT": str(pair.certificate),
        "ONESTOP_TLS_KEY": str(pair.key),
        "ONESTOP_MEMORY": str(folder / "memory.db"),
        "ONESTOP_LOG_KEYS": str(folder / "keys" / "ledger.vkey"),
        "ONESTOP_LAST_CHECKPOINT": str(folder / "last-checkpoint"),
        "ONESTOP_DATABASE_DSN_FILE": str(folder / "dsn"),
        "ONESTOP_KEYRING": str(folder / "keys" / "ledger-keyring.json"),
        "ONESTOP_ISSUER": "127.0.0.1:1",
    }


def keys_of(told: dict[str, str], part: str) -> dict[str, str]:
    keys = Path(told["HOME"]) / "keys"
    return {
        "ONESTOP_SIGNING_KEY": str(keys / f"{part}-signing.key"),
        "ONESTOP_VERIFIER_KEY": str(keys / f"{part}.vkey"),
    }


def start(part: str, environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", f"services.{part}", *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_good_settings_are_complete(told: dict[str, str]) -> None:
    assert start("witness", {**told, **keys_of(told, "witness")}, "--check") == (
        0,
        "the settings are complete\n",
    )


def test_every_missing_setting_is_named(told: dict[str, str]) -> None:
    code, said = start("witness", {name: told[name] for name in ("PATH", "PYTHONPATH", "HOME")})

    assert code == 2
    for name in ("LISTEN", "TLS_CERT", "SIGNING_KEY", "VERIFIER_KEY", "LOG_KEYS", "MEMORY"):
        assert f"ONESTOP_{name}: " in said
    assert "DATABASE" not in said


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"ONESTOP_VERIFIER_KEY": "keys/ledger.vkey"}, "none for Ed25519 cosignatures"),
        ({"ONESTOP_SIGNING_KEY": "keys/ledger-signing.key"}, "not a pair"),
        ({"ONESTOP_SIGNING_KEY": "keys/issuer-signing.key"}, "no Ed25519 key"),
        ({"ONESTOP_LOG_KEYS": "keys/witness.vkey"}, "ONESTOP_LOG_KEYS: a watched log's key"),
        ({"ONESTOP_MEMORY": "keys"}, "ONESTOP_MEMORY: keys cannot be used"),
        ({"ONESTOP_MEMORY": "keys/ledger.vkey"}, "ONESTOP_MEMORY: ledger.vkey cannot be used"),
    ],
)
def test_witness_with_wrong_files_says_which(
    told: dict[str, str], changed: dict[str, str], complaint: str
) -> None:
    files = {name: str(Path(told["HOME"]) / value) for name, value in changed.items()}

    code, said = start("witness", {**told, **keys_of(told, "witness"), **files})

    assert code == 1
    assert complaint in said
    assert "Traceback" not in said
    assert "PRIVATE" not in said


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ("witness w nonsense https://w.example\nquorum w\n", "line 1 of the policy"),
        ("quorum w\n", "nothing before it is named w"),
        ("{key}\nquorum w\n", "no https address for w"),
        ("{key} http://w.example\nquorum w\n", "no https address for w"),
        ("{key} https://w.example?x\nquorum w\n", "no https address for w"),
    ],
)
def test_ledger_with_witnesses_that_cannot_be_asked_says_which(
    told: dict[str, str], tmp_path: Path, policy: str, complaint: str
) -> None:
    witness = f"witness w {WitnessKey('w.example', bytes(32))}"
    (tmp_path / "policy").write_text(policy.replace("{key}", witness))
    environment = {**told, **keys_of(told, "ledger"), "ONESTOP_WITNESSES": str(tmp_path / "policy")}

    code, said = start("ledger", environment)

    assert code == 1
    assert "ONESTOP_WITNESSES: " in said
    assert complaint in said
    assert "Traceback" not in said
