"""Two ledgers on one database: whatever becomes of the leader, the other one goes on with the same log."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Awaitable, Iterator

import grpc
import psycopg
import pytest
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

from core.config import Mode, PeerConfig
from core.entries import EntryKind
from core.ledger import LedgerClient, item_of
from core.merkle import leaf_hash
from core.note import open_checkpoint, parse_keys
from core.receipt import verify_receipt
from core.rpc import channel, channels_to_each
from services.ledger.merkle import Tree
from tests.city import City
from tests.faults.test_ledger import Recorder
from tests.store.ledger.conftest import ANSWER, disclosure, public

LEDGERS = ("ledger", "ledger_standby")
TAKEOVER_SECONDS = 5.0
PATIENCE_SECONDS = 20.0
WORKERS = 8
FAULTS = ("kill", "cut", "pause", "cut")


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    """Two ledgers and their database, as real processes."""
    made = City(only=["ledger"], town=False, environment={"LEDGER_STANDBY": "1"})
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


def settings_of(city: City, part: str) -> PeerConfig:
    settings = city.settings
    return PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=settings.pki / "ca.crt",
        tls_cert=settings.pki / f"{part}.crt",
        tls_key=settings.pki / f"{part}.key",
        ledger=",".join(f"127.0.0.1:{settings.ports[one]}" for one in LEDGERS),
    )


async def leader(city: City, but: str = "") -> str:
    """The ledger that appends now, other than the one named."""
    channels = dict(zip(LEDGERS, channels_to_each(settings_of(city, "licence"), "ledger"), strict=True))
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < deadline:
            for name, opened in channels.items():
                if name != but and await appends(opened):
                    return name
            await asyncio.sleep(0.05)
    finally:
        for opened in channels.values():
            await opened.close()
    raise AssertionError(f"no ledger leads:\n{told(city)}")


def told(city: City) -> str:
    """What its ledgers have said, without the calls."""
    lines = []
    for name in LEDGERS:
        for text in (city.settings.logs / f"{name}.log").read_text().splitlines():
            # What gRPC's own library says is not JSON.
            line = json.loads(text) if text.startswith("{") else {"event": text, "timestamp": ""}
            if line["event"] != "call":
                lines.append(f"{line['timestamp']} {name} {line}")
    return "\n".join(sorted(lines)[-60:])


async def appends(opened: grpc.aio.Channel, seconds: float = 1.0) -> bool:
    """Whether the ledger at this very address writes an entry now."""
    request = pb.AppendBatchRequest(items=[item_of(disclosure())])
    try:
        answer = await pb_grpc.LedgerServiceStub(opened).AppendBatch(request, timeout=seconds)
    except grpc.aio.AioRpcError as refusal:
        if refusal.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
            raise
        return False
    return answer.results[0].HasField("receipt")


async def both_well(city: City) -> None:
    """Returns when both are well, and each keeps what was released."""
    for name in LEDGERS:
        await asyncio.to_thread(city.wait_well, name)
    files = [city.settings.ledger / name for name in ("last-checkpoint", "last-checkpoint-standby")]
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        if all(file.exists() for file in files):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"a ledger keeps no last released checkpoint:\n{told(city)}")


def stop_session_of_the_leader(city: City) -> int:
    """Stops the database session that has the sequencer's place, between two statements.

    A server goes on with a statement whose client is cut off. A process stopped amid one would hold locks
    that no cut leaves behind, and with them the whole server.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        while time.monotonic() < deadline:
            row = connection.execute(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid IN (1869, 1871) AND granted"
                " AND objid = 'ledger.head'::regclass::oid ORDER BY classid DESC LIMIT 1"
            ).fetchone()
            assert row is not None
            session = int(row[0])
            os.kill(session, signal.SIGSTOP)
            state = connection.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (session,))
            if state.fetchone() == ("idle",):
                return session
            os.kill(session, signal.SIGCONT)
            time.sleep(0.001)
    raise AssertionError("the leader's session was never between two statements")


def prove_log(city: City) -> dict[str, int]:
    """Proves the whole log from its leaves: one history, and every checkpoint that was ever signed is of it.

    Answers the item ids with their indexes.
    """
    keys = parse_keys((city.settings.keys / "ledger.vkey").read_text())
    with psycopg.connect(city.admin_dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        entries = connection.execute(
            "SELECT item_id::text, idx, leaf FROM ledger.entry ORDER BY idx"
        ).fetchall()
        signed = connection.execute("SELECT size, note FROM ledger.checkpoint").fetchall()
        head = connection.execute("SELECT size, checkpoint FROM ledger.head").fetchone()
    assert [index for _, index, _ in entries] == list(range(len(entries)))
    notes: dict[int, str] = dict(signed)
    assert head is not None
    assert head[0] == len(entries)
    newest = open_checkpoint(str(head[1]), *keys)
    assert newest == open_checkpoint(notes[len(entries)], *keys)
    tree, done = Tree.load(0, {}), 0
    for size in sorted(notes):
        tree, _ = tree.grow([leaf_hash(leaf) for _, _, leaf in entries[done:size]])
        done = size
        checkpoint = open_checkpoint(notes[size], *keys)
        assert (checkpoint.size, checkpoint.root) == (size, tree.root())
    return {item: index for item, index, _ in entries}


@pytest.mark.parametrize("fault", ["kill", "pause", "cut"])
async def test_standby_takes_over_within_five_seconds(city: City, fault: str) -> None:
    first = await leader(city)
    await both_well(city)
    client = LedgerClient(channel(settings_of(city, "licence"), "ledger"))
    await client.append(disclosure())

    began = time.monotonic()
    victim = await strike(city, first, fault)
    second = await leader(city, but=first)
    taken = time.monotonic() - began
    receipt = await client.append(entry := disclosure())
    await relieve(victim, fault)

    assert second != first
    assert taken < TAKEOVER_SECONDS
    assert await client.append(entry) == receipt
    await both_well(city)
    assert await leader(city) == second


async def strike(city: City, name: str, fault: str) -> int:
    """Does to the leader what may befall it; the process that is to be relieved of it."""
    if fault == "kill":
        return city.kill(name)
    if fault == "pause":
        return city.kill(name, signal.SIGSTOP)
    # Its database server hears nothing more from it, nor it from its server: the session stands still.
    return await asyncio.to_thread(stop_session_of_the_leader, city)


async def relieve(process: int, fault: str) -> None:
    if fault != "kill":
        os.kill(process, signal.SIGCONT)


async def test_paused_leader_that_wakes_up_writes_nothing_and_refuses(city: City) -> None:
    first = await leader(city)
    await both_well(city)
    (asleep,) = [
        one
        for name, one in zip(LEDGERS, channels_to_each(settings_of(city, "licence"), "ledger"), strict=True)
        if name == first
    ]
    victim = city.kill(first, signal.SIGSTOP)
    # Said to it while it slept: it reads this when it wakes up, still believing that it leads.
    said = [asyncio.create_task(appends(asleep, 15.0)) for _ in range(5)]
    second = await leader(city, but=first)
    before = await asyncio.to_thread(prove_log, city)
    os.kill(victim, signal.SIGCONT)

    answers = await asyncio.gather(*said)
    after = await asyncio.to_thread(prove_log, city)

    assert answers == [False] * 5
    assert after == before
    assert await leader(city) == second
    assert city.pid(first) == victim
    await asleep.close()


async def test_no_fault_of_a_leader_under_load_loses_doubles_or_forks(city: City) -> None:
    await both_well(city)
    channels = [channel(settings_of(city, part), "ledger") for part in ("eseal", "agricredit")]
    recorders = [Recorder(LedgerClient(opened)) for opened in channels for _ in range(WORKERS // 2)]
    done = asyncio.Event()
    chance = random.Random(440201)

    async def disturb() -> None:
        for fault in FAULTS:
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            victim = await strike(city, first := await leader(city), fault)
            await leader(city, but=first)
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            await relieve(victim, fault)
            await both_well(city)
        await asyncio.sleep(0.5)
        done.set()

    work: list[Awaitable[None]] = [recorder.work(done) for recorder in recorders]
    await asyncio.gather(disturb(), *work)

    keys = parse_keys((city.settings.keys / "ledger.vkey").read_text())
    log = await asyncio.to_thread(prove_log, city)
    given = [(entry, receipt) for recorder in recorders for entry, receipt in recorder.given.items()]
    assert len(given) > 200
    for entry, receipt in given:
        answered = None if entry.kind is EntryKind.INTENT else ANSWER
        proved = verify_receipt(public(receipt), *keys, answered=answered)
        assert log[receipt.id] == receipt.index == proved.index
    for opened in channels:
        await opened.close()
