"""The service as a process: it checks its settings, starts, serves and stops when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.database import CityDatabase

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 30


def _environment(database: CityDatabase, pki: Path) -> dict[str, str]:
    settings = {
        "MODE": "development",
        "LISTEN": "127.0.0.1:0",
        "TLS_CA": str(pki / "ca.crt"),
        "TLS_CERT": str(pki / "autofill.crt"),
        "TLS_KEY": str(pki / "autofill.key"),
        "DATABASE_DSN_FILE": str(database.dsn_file("autofill")),
        "KEYRING": str(database.keyring("autofill")),
        "LEDGER": "127.0.0.1:1",
        "ISSUER": "127.0.0.1:1",
        "LICENCE": "127.0.0.1:1",
        "DATANODE": "127.0.0.1:1",
    }
    path = f"{ROOT}{os.pathsep}{ROOT / 'gen'}"
    return {f"ONESTOP_{name}": value for name, value in settings.items()} | {"PYTHONPATH": path}


async def _start(environment: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.autofill", *arguments, env=environment, stdout=PIPE, stderr=PIPE
    )


async def test_it_starts_without_its_peers_and_stops_cleanly(city_database: CityDatabase, pki: Path) -> None:
    process = await _start(_environment(city_database, pki))
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        while b'"serving"' not in (line := await process.stdout.readline()):
            assert line, await process.communicate()

        process.send_signal(signal.SIGTERM)
        await process.communicate()

    assert process.returncode == 0


async def test_bad_settings_are_named_all_at_once(city_database: CityDatabase, pki: Path) -> None:
    environment = _environment(city_database, pki)
    del environment["ONESTOP_LICENCE"]
    environment |= {"ONESTOP_AUTOFILL_TRIES_PER_FIELD": "0", "ONESTOP_KEYRING": "/nowhere"}

    process = await _start(environment, "--check")
    _, told = await process.communicate()

    assert process.returncode == 2
    for name in (b"ONESTOP_LICENCE", b"ONESTOP_AUTOFILL_TRIES_PER_FIELD", b"ONESTOP_KEYRING"):
        assert name in told


async def test_check_says_that_the_settings_are_complete(city_database: CityDatabase, pki: Path) -> None:
    process = await _start(_environment(city_database, pki), "--check")
    told, _ = await process.communicate()

    assert (process.returncode, told) == (0, b"the settings are complete\n")
