"""A ledger that stands by takes over from a leader that is gone, from no other, and proves what it holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psycopg
import pytest

from core.errors import UnavailableError
from services.ledger import standby
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.domain import ReadOnlyError, TreeHead
from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import State
from tests.database import CityDatabase
from tests.store.ledger.conftest import KEY, PRIVATE, StartLedger, disclosure, proved
from tests.store.ledger.proxy import Way

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
async def way(fresh_database: CityDatabase) -> AsyncIterator[Way]:
    """A breakable way to the database."""
    made = Way(fresh_database.dsn("ledger"))
    yield made
    await made.close()


class Files:
    """Peers that keep these files."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths

    async def last_released(self) -> Sequence[str]:
        kept = [await LastReleasedFile(path).read() for path in self._paths]
        return [one for one in kept if one is not None]


async def until_kept(file: Path, checkpoint: str) -> None:
    """Waits until a ledger's file holds a checkpoint."""
    for _ in range(200):
        if await LastReleasedFile(file).read() == checkpoint:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the ledger has not kept the checkpoint")


async def test_leader_whose_way_to_the_database_hangs_is_replaced_and_refuses(
    start: StartLedger, way: Way
) -> None:
    first = await start(dsn=await way.open())
    (receipt,) = await first.append(disclosure())
    second = await start(wait_for=State.STANDBY, file="second", peers=Files(first.file))
    await until_kept(second.file, receipt.checkpoint)

    way.hangs = True
    began = time.monotonic()
    hanging = asyncio.create_task(first.desk.append("licence", [disclosure()]))
    await second.watch.until(State.LEADING)
    taken = time.monotonic() - began
    (later,) = await second.append(disclosure())
    with pytest.raises(UnavailableError):
        await first.append(disclosure())

    assert taken < 5.0
    assert proved(later).index == 1
    (answer,) = await hanging
    assert isinstance(answer, UnavailableError)
    assert (await second.store.head()).size == 2


async def test_leader_that_is_busy_with_a_long_statement_keeps_its_place(
    start: StartLedger, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standby, "LEASE_SECONDS", 0.3)
    first = await start()
    second = await start(wait_for=State.STANDBY, file="second", peers=Files(first.file))
    admin.execute("BEGIN")
    admin.execute("UPDATE head SET checkpoint = checkpoint")

    waiting = asyncio.create_task(first.append(disclosure()))
    await asyncio.sleep(1.5)
    admin.execute("COMMIT")
    (receipt,) = await waiting

    assert proved(receipt).index == 0
    assert [state for state, _ in second.watch.seen if state is State.LEADING] == []


async def test_idle_leader_keeps_its_place(start: StartLedger) -> None:
    await start()
    second = await start(wait_for=State.STANDBY, file="second")

    await asyncio.sleep(standby.LEASE_SECONDS + 1.0)

    assert second.sequencer.state is State.STANDBY


async def test_standby_keeps_what_the_leader_releases(start: StartLedger) -> None:
    first = await start()
    second = await start(wait_for=State.STANDBY, file="second", peers=Files(first.file))

    receipts = await first.append(*(disclosure() for _ in range(300)))
    await until_kept(second.file, receipts[-1].checkpoint)
    await first.stop()
    await second.watch.until(State.LEADING)

    assert (await second.append(disclosure()))[0].index == 300


async def test_new_standby_that_knows_of_no_checkpoint_does_not_take_over(start: StartLedger) -> None:
    first = await start()
    await first.append(disclosure())
    second = await start(wait_for=State.STANDBY, file="second", peers=Files())

    await first.stop()
    await asyncio.sleep(1.0)

    assert second.sequencer.state is State.STANDBY
    with pytest.raises(UnavailableError, match="keeps no last released checkpoint"):
        await second.append(disclosure())


async def test_takeover_stays_read_only_where_a_peer_has_released_more(
    start: StartLedger, tmp_path: Path
) -> None:
    first = await start()
    (receipt,) = await first.append(disclosure())
    await first.stop()
    # What the first one has released, and no database holds any more.
    peer = LastReleasedFile(tmp_path / "peer")
    await peer.keep(CheckpointNotary(KEY, PRIVATE).sign(TreeHead(2, b"\x01" * 32)))
    await LastReleasedFile(tmp_path / "second").keep(receipt.checkpoint)

    second = await start(wait_for=State.READ_ONLY, file="second", peers=Files(tmp_path / "peer"))

    assert "a checkpoint over 2 was released" in second.watch.seen[-1][1]
    with pytest.raises(ReadOnlyError):
        await second.append(disclosure())


async def test_standby_sees_that_the_database_was_rolled_back(start: StartLedger, admin: Admin) -> None:
    first = await start()
    receipts = [(await first.append(disclosure()))[0] for _ in range(3)]
    second = await start(wait_for=State.STANDBY, file="second", peers=Files(first.file))
    await until_kept(second.file, receipts[-1].checkpoint)

    admin.execute("SET session_replication_role = replica")
    admin.execute("UPDATE head SET size = 1, checkpoint = %s", (receipts[0].checkpoint,))

    assert "has been rolled back" in await second.watch.until(State.READ_ONLY)
