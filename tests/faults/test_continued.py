"""A database that was really restored from an older state is read-only until it is given a new origin."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import psycopg
import pytest
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

from core.cosignature import cosignatures
from core.entries import Entry, Receipt
from core.errors import RelayedError
from core.ledger import LedgerClient
from core.note import VerifierKey, open_checkpoint
from core.policy import Policy
from core.receipt import verify_receipt
from deploy.local.migrate import ROOT
from tests.city import City
from tests.faults.test_ledger import open_channel
from tests.store.ledger.conftest import ANSWER, disclosure, public
from tests.store.ledger.test_witnesses import roll_back

SECONDS = 15.0


@pytest.fixture
def city() -> Iterator[City]:
    """A ledger, its witness and its database, as real processes."""
    made = City(only=["ledger", "witness"], town=False)
    try:
        made.start()
        yield made
    finally:
        made.remove()


@asynccontextmanager
async def caller(city: City, name: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the ledger, with this part's certificate."""
    opened = open_channel(city, name)
    try:
        yield opened
    finally:
        await opened.close()


async def append(city: City, count: int) -> dict[Entry, Receipt]:
    """Appends; receipts by entry. The ledger has just been started, and may take a moment to lead."""
    async with caller(city, "licence") as opened:
        client = LedgerClient(opened)
        return {entry: await client.append(entry) for entry in [disclosure() for _ in range(count)]}


async def until_cosigned(city: City, size: int) -> str:
    """The newest checkpoint, once the witness has cosigned it."""
    async with caller(city, "gateway") as opened:
        stub = pb_grpc.LedgerServiceStub(opened)
        deadline = time.monotonic() + SECONDS
        while True:
            known = await stub.ListWitnesses(pb.ListWitnessesRequest())
            if [(one.state, one.size) for one in known.witnesses] == [(pb.WITNESS_STATE_COSIGNS, size)]:
                newest = await stub.GetCheckpoint(pb.GetCheckpointRequest(cosigned=True))
                return str(newest.checkpoint)
            assert time.monotonic() < deadline, known
            await asyncio.sleep(0.1)


async def policy_of(city: City) -> Policy:
    async with caller(city, "gateway") as opened:
        answer = await pb_grpc.LedgerServiceStub(opened).GetPolicy(pb.GetPolicyRequest())
    return Policy.parse(answer.policy)


def key_of(city: City) -> VerifierKey:
    return VerifierKey.parse((city.settings.keys / "ledger.vkey").read_text())


def command(city: City, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "ledger", "continue", *arguments],
        env={**os.environ, **city.settings.environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def copied(source: Path, target: Path) -> None:
    """A cold copy of a database, owners and modes included."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


async def test_restored_database_goes_on_by_one_command(city: City, tmp_path: Path) -> None:
    old = key_of(city)
    kept = await append(city, 20)
    await until_cosigned(city, 20)
    city.stop()
    copied(city.home / "pg", tmp_path / "pg")
    city.start()
    lost = await append(city, 30)
    await until_cosigned(city, 50)
    city.stop()
    shutil.rmtree(city.home / "pg")
    copied(tmp_path / "pg", city.home / "pg")
    signing = (city.settings.keys / "ledger-signing.key").read_bytes()

    done = await asyncio.to_thread(command, city)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "left of it  20 entries, the beginning of the new log" in done.stdout
    assert "lost        30 entries at least" in done.stdout
    new = key_of(city)
    assert (new.name, new.public == old.public) == ("onestop.example/ledger-2", False)
    assert (city.settings.keys / f"ledger-ended-{old.key_id.hex()}.key").read_bytes() == signing
    assert not list(city.settings.keys.glob("ledger-next*"))

    city.start()
    written = await append(city, 3)
    for entry, receipt in {**kept, **lost}.items():
        assert verify_receipt(public(receipt), old, answered=ANSWER).entry["id"] == str(entry.item_id)
    for receipt in written.values():
        assert verify_receipt(public(receipt), new, answered=ANSWER).checkpoint.origin == new.name
    assert [receipt.index for receipt in written.values()] == [21, 22, 23]
    policy = await policy_of(city)
    assert policy.logs == (new, old)
    checkpoint = await until_cosigned(city, 24)
    assert open_checkpoint(checkpoint, new).size == 24
    assert len(cosignatures(checkpoint, [one.key for one in policy.witnesses])) == 1
    # What was lost is written anew when its part asks again, as its own entry of the new log.
    async with caller(city, "licence") as opened:
        entry = next(iter(lost))
        again = await LedgerClient(opened).append(entry)
    assert again.index == 24
    assert city.stop() == 0


async def test_city_that_runs_has_its_ledger_started_again_under_the_new_origin(city: City) -> None:
    old = key_of(city)
    await append(city, 5)
    with psycopg.connect(city.admin_dsn, autocommit=True) as admin:
        admin.execute("SET search_path = ledger")
        (checkpoint,) = admin.execute("SELECT checkpoint FROM head").fetchone() or ("",)
        await append(city, 4)
        await until_cosigned(city, 9)
        before = city.pid("ledger")
        hold = city.settings.run / "ledger.hold"
        hold.touch()
        city.kill("ledger")
        await asyncio.sleep(0.5)
        roll_back(admin, 5, str(checkpoint))
    hold.unlink()
    read_only = await _refused(city)
    assert "has been rolled back" in read_only

    done = await asyncio.to_thread(command, city, "--origin", "onestop.example/second")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "restarted   the ledger" in done.stdout
    await asyncio.to_thread(city.wait_well, "ledger", other_than=before or 0)
    (receipt,) = (await append(city, 1)).values()
    assert verify_receipt(public(receipt), key_of(city)).checkpoint.origin == "onestop.example/second"
    assert (await policy_of(city)).logs == (key_of(city), old)


async def _refused(city: City) -> str:
    """Why a ledger that is read-only refuses to append."""
    deadline = time.monotonic() + SECONDS
    async with caller(city, "licence") as opened:
        while time.monotonic() < deadline:
            try:
                await LedgerClient(opened).append(disclosure())
            except RelayedError as refusal:
                if refusal.reason == "LEDGER_READ_ONLY":
                    return refusal.message
            await asyncio.sleep(0.1)
    raise AssertionError("the ledger is not read-only")


async def test_database_restored_together_with_the_file_beside_it_is_found_out_by_the_witness(
    city: City, tmp_path: Path
) -> None:
    """From inside nothing is missing; the witness's memory is the only one that is not rolled back."""
    old = key_of(city)
    await append(city, 20)
    await until_cosigned(city, 20)
    city.stop()
    for name in ("pg", "ledger"):
        copied(city.home / name, tmp_path / name)
    city.start()
    await append(city, 30)
    await until_cosigned(city, 50)
    city.stop()
    for name in ("pg", "ledger"):
        shutil.rmtree(city.home / name)
        copied(tmp_path / name, city.home / name)

    city.start(wait=False)
    why = await _refused(city)

    assert "the witness city holds a checkpoint of this log over 50 entries" in why
    log = (city.settings.logs / "ledger.log").read_text()
    assert '"state":"refuses"' in log.replace(" ", "")
    done = await asyncio.to_thread(command, city)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ended       onestop.example/ledger, last known at 50 entries" in done.stdout
    await asyncio.to_thread(city.wait_well, "ledger")
    (receipt,) = (await append(city, 1)).values()
    assert verify_receipt(public(receipt), key_of(city)).checkpoint.origin != old.name


async def test_healthy_log_is_not_given_a_new_origin(city: City) -> None:
    await append(city, 3)
    names = {path.name for path in city.settings.keys.iterdir()}
    before = key_of(city)

    running = await asyncio.to_thread(command, city)
    city.stop()
    stopped = await asyncio.to_thread(command, city)
    same = await asyncio.to_thread(command, city, "--origin", before.name)
    unreadable = await asyncio.to_thread(command, city, "--known", "/nowhere/at/all")

    assert [one.returncode for one in (running, stopped, same, unreadable)] == [1, 1, 1, 1]
    assert "leads and appends" in running.stderr
    assert "holds all that is known to have been released, up to its 3 entries" in stopped.stderr
    assert "is onestop.example/ledger already" in same.stderr
    assert "cannot be read" in unreadable.stderr
    assert key_of(city) == before
    assert {path.name for path in city.settings.keys.iterdir()} == names
    city.start()
    assert len(await append(city, 1)) == 1


def test_command_without_a_city_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", "ledger", "continue"],
        env={**os.environ, "ONESTOP_HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "There is no city" in done.stderr
    assert "Traceback" not in done.stderr
