"""The key that signs the log is rotated under load, the ledgers killed in the middle: all stays provable."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from core.entries import EntryKind, Receipt
from core.ledger import LedgerClient
from core.merkle import VerificationError
from core.note import VerifierKey, parse_keys
from core.receipt import verify_receipt
from core.rpc import channel
from deploy.local.migrate import ROOT
from tests.city import City
from tests.faults.test_ledger import Recorder
from tests.faults.test_standby import both_well, prove_log, settings_of
from tests.store.ledger.conftest import ANSWER, public

OVERLAP_SECONDS = 6.0
CALM_SECONDS = 0.25
"""Between two acts, once nobody is killed any more."""


@pytest.fixture
def city() -> Iterator[City]:
    """Two ledgers and their database, as real processes."""
    made = City(only=["ledger"], town=False, environment={"LEDGER_STANDBY": "1"})
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


async def rotate(city: City) -> tuple[int, str]:
    """The operator's command; its exit code and what it says."""
    command = ["-m", "cli", "keys", "rotate", "signing", "--overlap", str(OVERLAP_SECONDS)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        env=city.environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def signed_by(receipt: Receipt, key: VerifierKey) -> bool:
    with suppress(VerificationError):
        verify_receipt(public(receipt), key)
        return True
    return False


async def test_every_receipt_of_a_rotation_under_load_verifies(city: City) -> None:
    await both_well(city)
    (old,) = parse_keys((city.settings.keys / "ledger.vkey").read_text())
    opened = channel(settings_of(city, "eseal"), "ledger")
    recorders = [Recorder(LedgerClient(opened)) for _ in range(4)]
    done = asyncio.Event()
    chance = random.Random(440202)

    async def turn() -> tuple[int, str]:
        await asyncio.sleep(0.5)
        rotating = asyncio.create_task(rotate(city))
        for part in ("ledger", "ledger_standby"):
            await asyncio.sleep(chance.uniform(1.0, 3.0))
            await asyncio.to_thread(city.restart, part)
        # The command goes on when those that were killed have been silent for a minute.
        for recorder in recorders:
            recorder.pause = CALM_SECONDS
        answer = await rotating
        await asyncio.sleep(1.0)
        done.set()
        return answer

    working = asyncio.gather(*(recorder.work(done) for recorder in recorders))
    code, said = await turn()
    await working
    await opened.close()

    assert code == 0, said
    new, former = parse_keys((city.settings.keys / "ledger.vkey").read_text())
    assert former == old
    assert await asyncio.to_thread(prove_log, city)
    given = [(entry, receipt) for recorder in recorders for entry, receipt in recorder.given.items()]
    kinds = {(signed_by(receipt, old), signed_by(receipt, new)) for _, receipt in given}
    assert kinds == {(True, False), (True, True), (False, True)}
    for entry, receipt in given:
        answered = None if entry.kind is EntryKind.INTENT else ANSWER
        verify_receipt(public(receipt), new, old, answered=answered)
