"""kill -9 of the ledger and of its database under load: every receipt that was given stays true."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Iterator

import grpc
import psycopg
import pytest

from core.config import Mode, PeerConfig
from core.entries import Entry, EntryKind, Receipt
from core.errors import Kind, ServiceError
from core.ledger import LedgerClient
from core.note import VerifierKey
from core.receipt import verify_receipt
from core.rpc import channel
from tests.city import City
from tests.store.ledger.conftest import ANSWER, disclosure, intent, outcome, public

WORKERS = 6
KILLS = ("ledger", "postgres", "ledger", "ledger", "postgres", "ledger")


@pytest.fixture
def city() -> Iterator[City]:
    """A ledger and its database, as real processes."""
    made = City(only=["ledger"], town=False)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


PAUSE_SECONDS = 0.02


class Recorder:
    """A part that appends, and asks again with the same item until it has its receipt."""

    def __init__(self, client: LedgerClient) -> None:
        self._client = client
        self.pause = PAUSE_SECONDS
        self.given: dict[Entry, Receipt] = {}
        self.refusals: list[ServiceError] = []

    async def record(self, entry: Entry) -> None:
        while True:
            try:
                self.given[entry] = await self._client.append(entry)
            except ServiceError as refusal:
                self.refusals.append(refusal)
                await asyncio.sleep(0.05)
            else:
                return

    async def work(self, done: asyncio.Event) -> None:
        while not done.is_set():
            act = intent()
            await self.record(disclosure())
            await self.record(act)
            await self.record(outcome(act))
            await asyncio.sleep(self.pause)  # It is there to be hit, not to wear the machine out.


def open_channel(city: City, part: str) -> grpc.aio.Channel:
    """A part's own channel to the ledger."""
    settings = city.settings
    config = PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=settings.pki / "ca.crt",
        tls_cert=settings.pki / f"{part}.crt",
        tls_key=settings.pki / f"{part}.key",
        ledger=f"127.0.0.1:{settings.ports['ledger']}",
    )
    return channel(config, "ledger")


def stored(city: City) -> dict[str, int]:
    """Item ids and indexes of the whole log."""
    with psycopg.connect(city.admin_dsn) as connection:
        rows = connection.execute("SELECT item_id::text, idx FROM ledger.entry ORDER BY idx").fetchall()
    assert [index for _, index in rows] == list(range(len(rows)))
    return dict(rows)


async def test_every_receipt_given_before_a_kill_is_true_after_it(city: City) -> None:
    channels = [open_channel(city, part) for part in ("eseal", "agricredit")]
    recorders = [Recorder(LedgerClient(opened)) for opened in channels for _ in range(WORKERS // 2)]
    done = asyncio.Event()
    chance = random.Random(440200)

    async def kill() -> None:
        for part in KILLS:
            await asyncio.sleep(chance.uniform(0.5, 2.0))
            await asyncio.to_thread(city.restart, part)
        await asyncio.to_thread(city.wait_well, "ledger")
        await asyncio.sleep(1.0)
        done.set()

    work: list[Awaitable[None]] = [recorder.work(done) for recorder in recorders]
    await asyncio.gather(kill(), *work)

    key = VerifierKey.parse((city.settings.keys / "ledger.vkey").read_text())
    log = await asyncio.to_thread(stored, city)
    given = [(entry, receipt) for recorder in recorders for entry, receipt in recorder.given.items()]
    for entry, receipt in given:
        answered = None if entry.kind is EntryKind.INTENT else ANSWER
        proved = verify_receipt(public(receipt), key, answered=answered)
        assert log[receipt.id] == receipt.index == proved.index
    # What was asked again after a lost answer was written once, and its receipt is the first one.
    assert len(log) == len(given)
    for recorder in recorders:
        entry, receipt = chance.choice(list(recorder.given.items()))
        before = dict(recorder.given)
        await recorder.record(entry)
        assert recorder.given[entry] == receipt
        assert recorder.given == before
    assert len(given) > 100
    # Whatever broke, it was said to be the ledger's absence and nothing else.
    refusals = [refusal for recorder in recorders for refusal in recorder.refusals]
    assert refusals
    assert {refusal.kind for refusal in refusals} <= {Kind.UNAVAILABLE, Kind.LATE}
    assert {refusal.part for refusal in refusals} == {"ledger"}
    for opened in channels:
        await opened.close()
