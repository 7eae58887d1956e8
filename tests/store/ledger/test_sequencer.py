"""One sequencer at a time, whatever breaks between it and its database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from core.clock import now
from core.entries import Receipt
from core.errors import ServiceError, UnavailableError
from core.merkle import leaf_hash
from services.ledger import sequencer, service
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.custody import load_tree
from services.ledger.domain import Batch, FencedError, TreeHead
from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import State
from services.ledger.standby import LEASE_SECONDS
from services.ledger.store import PgLogStore
from tests.database import CityDatabase
from tests.store.ledger.conftest import (
    KEY,
    PRIVATE,
    StartLedger,
    Town,
    disclosure,
    proved,
    refusals,
)
from tests.store.ledger.proxy import Break, Way

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
async def way(fresh_database: CityDatabase) -> AsyncIterator[Way]:
    """A breakable way to the database."""
    made = Way(fresh_database.dsn("ledger"))
    yield made
    await made.close()


async def a_batch(store: PgLogStore, ledger: Town) -> Batch:
    """What a sequencer would append next."""
    size = (await store.head()).size
    entry = ledger.desk._prepare("licence", disclosure(), now())
    tree, tiles = (await load_tree(store, size)).grow([leaf_hash(entry.leaf)])
    checkpoint = CheckpointNotary(KEY, PRIVATE).sign(TreeHead(tree.size, tree.root()))
    return Batch(size, [entry], tiles, tree.size, checkpoint, now())


async def test_second_ledger_stands_by_and_takes_over(start: StartLedger) -> None:
    first = await start()
    await first.append(disclosure())
    second = await start(wait_for=State.STANDBY)

    with pytest.raises(UnavailableError) as refusal:
        await second.append(disclosure())
    await first.append(disclosure())
    await first.stop()
    await second.watch.until(State.LEADING)
    (receipt,) = await second.append(disclosure())

    assert (refusal.value.part, refusal.value.retry_after) == ("ledger", 1.0)
    assert proved(receipt).index == 2


async def test_what_only_repeats_earlier_items_shows_that_the_ledger_still_leads(start: StartLedger) -> None:
    ledger = await start()
    second = await start(wait_for=State.STANDBY)
    entry = disclosure()
    first = await ledger.append(entry)

    until = time.monotonic() + LEASE_SECONDS + 2.0
    while time.monotonic() < until:
        assert await ledger.append(entry) == first
        await asyncio.sleep(0.02)

    assert ledger.sequencer.state is State.LEADING
    assert second.sequencer.state is State.STANDBY


async def test_earlier_sequencer_is_fenced_out(start: StartLedger) -> None:
    ledger = await start()
    store = ledger.store

    async with store.session() as earlier, store.session() as later:
        old, new = await earlier.take_epoch(), await later.take_epoch()
        batch = await a_batch(store, ledger)
        with pytest.raises(FencedError):
            await earlier.commit(old.epoch, batch)
        await later.commit(new.epoch, batch)

    assert (await store.head()).size == 1


async def test_fenced_out_ledger_refuses_and_writes_nothing(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await ledger.append(disclosure())
    admin.execute("UPDATE head SET epoch = epoch + 1")

    answers = await asyncio.gather(*(ledger.append(disclosure()) for _ in range(3)), return_exceptions=True)

    assert all(isinstance(answer, UnavailableError) and answer.part == "ledger" for answer in answers)
    assert (await ledger.store.head()).size == 1


async def test_new_epoch_waits_for_the_transaction_that_is_under_way(
    start: StartLedger, admin: Admin
) -> None:
    ledger = await start()
    admin.execute("BEGIN")
    admin.execute("UPDATE head SET checkpoint = checkpoint")

    async with ledger.store.session() as later:
        taking = asyncio.create_task(later.take_epoch())
        await asyncio.sleep(0.3)
        waited = not taking.done()
        admin.execute("COMMIT")
        await taking

    assert waited


@pytest.mark.parametrize("when", Break)
async def test_lost_connection_at_commit_is_resolved_to_one_entry(
    start: StartLedger, way: Way, when: Break
) -> None:
    ledger = await start(dsn=await way.open())
    await ledger.append(disclosure())
    entry = disclosure()
    way.next_break = when

    (receipt,) = await ledger.append(entry)

    assert way.breaks == 1
    assert State.RECOVERING in [state for state, _ in ledger.watch.seen]
    assert proved(receipt).index == 1
    assert (await ledger.append(entry)) == [receipt]
    assert (await ledger.store.head()).size == 2


async def test_appends_go_on_after_every_connection_was_killed(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await ledger.append(disclosure())
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'onestop_ledger'"
    given: list[Receipt] = []

    async def caller() -> None:
        for _ in range(30):
            given.extend(await ledger.append(disclosure()))

    async def killer() -> None:
        for _ in range(5):
            await asyncio.sleep(0.15)
            await asyncio.to_thread(admin.execute, kill + " AND datname = current_database()")

    await asyncio.gather(killer(), *(caller() for _ in range(8)))

    assert len(given) == 240
    assert len({receipt.index for receipt in given}) == 240
    for receipt in given:
        proved(receipt)
    assert admin.execute("SELECT count(*) FROM entry").fetchone() == (241,)


async def test_idle_ledger_notices_that_its_database_or_its_place_is_gone(
    start: StartLedger, way: Way, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "IDLE_SECONDS", 0.1)
    ledger = await start(dsn=await way.open())

    admin.execute("UPDATE head SET epoch = epoch + 1")
    await ledger.watch.until(State.STANDBY)
    await ledger.watch.until(State.LEADING)
    await way.close()
    await ledger.watch.until(State.RECOVERING)


async def test_entry_waits_no_longer_than_its_patience(
    start: StartLedger, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.5)
    ledger = await start(dsn=await way.open())
    await way.close()

    answers = await ledger.desk.append("licence", [disclosure()])

    assert refusals(answers) == ["PART_DOWN"]
    assert isinstance(answers[0], ServiceError)
    assert answers[0].retry_after == 1.0


async def test_entries_that_were_given_up_do_not_heap_up_while_the_database_is_away(
    start: StartLedger, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.02)
    ledger = await start(dsn=await way.open())
    await way.close()

    for _ in range(20):
        await ledger.desk.append("licence", [disclosure() for _ in range(5)])

    assert len(ledger.sequencer._waiting) <= 10


async def test_entry_whose_caller_has_gone_is_not_written(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    admin.execute("BEGIN")
    admin.execute("UPDATE head SET checkpoint = checkpoint")
    in_hand = asyncio.create_task(ledger.append(disclosure()))
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(ledger.append(disclosure()))
    await asyncio.sleep(0.1)

    waiting.cancel()
    await asyncio.wait([waiting])
    admin.execute("COMMIT")
    await in_hand
    await ledger.append(disclosure())

    assert (await ledger.store.head()).size == 2


async def test_nothing_is_released_while_the_checkpoint_cannot_be_kept(
    start: StartLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.5)
    ledger = await start()
    entry = disclosure()
    write = LastReleasedFile._keep

    def full_disk(_self: LastReleasedFile, _checkpoint: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LastReleasedFile, "_keep", full_disk)
    answers = await ledger.desk.append("licence", [entry])
    monkeypatch.setattr(LastReleasedFile, "_keep", write)
    await ledger.watch.until(State.LEADING)
    (receipt,) = await ledger.append(entry)

    assert refusals(answers) == ["PART_DOWN"]
    assert proved(receipt).index == 0
    assert (await ledger.store.head()).size == 1


async def test_last_released_checkpoint_is_kept_before_its_receipts_leave(start: StartLedger) -> None:
    ledger = await start()

    for _ in range(5):
        (receipt,) = await ledger.append(disclosure())
        assert await LastReleasedFile(ledger.file).read() == receipt.checkpoint

    assert ledger.file.stat().st_mode & 0o777 == 0o600
