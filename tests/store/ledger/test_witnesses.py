"""Witnesses that are processes of their own cosign what the ledger appends, and catch it when it lies."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from core.cosignature import cosignatures
from core.merkle import leaf_hash, verify_inclusion
from core.note import open_checkpoint
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.domain import NotCosignedError, ReadOnlyError, TreeHead
from services.ledger.feeding import Attitude
from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import State
from tests.component.gateway.pki import Authority
from tests.store.ledger.conftest import KEY, PRIVATE, StartLedger, Town, disclosure, proved
from tests.store.ledger.test_custody import OPEN, PLATFORM, Admin, asking
from tests.store.ledger.watching import Fed, WitnessProcess, feed, policy_of


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
async def two(authority: Authority, tmp_path: Path) -> AsyncIterator[tuple[WitnessProcess, WitnessProcess]]:
    """Two witnesses that run."""
    made = WitnessProcess("north", tmp_path, authority), WitnessProcess("south", tmp_path, authority)
    for one in made:
        await asyncio.to_thread(one.start)
    yield made
    for one in made:
        one.kill()


@asynccontextmanager
async def feeding(town: Town, authority: Authority, *witnesses: WitnessProcess) -> AsyncIterator[Fed]:
    fed = feed(town, authority, *witnesses)
    try:
        yield fed
    finally:
        await fed.stop()


def cosigned_by(note: str, *witnesses: WitnessProcess) -> set[str]:
    return {one.key.name for one in cosignatures(note, [one.key for one in witnesses])}


def roll_back(admin: Admin, size: int, checkpoint: str) -> None:
    """The database as it was at this size, consistent in itself and signed by us: a restored backup."""
    admin.execute(OPEN)
    for table, column in (("entry", "tree_size"), ("checkpoint", "size"), ("cosignature", "size")):
        admin.execute(f"DELETE FROM {table} WHERE {column} > {size}".encode())
    admin.execute("DELETE FROM tile WHERE (idx + 1) * 256::numeric ^ (level + 1) > %s", (size,))
    admin.execute("DELETE FROM opening WHERE item_id NOT IN (SELECT item_id FROM entry)")
    admin.execute("UPDATE head SET size = %s, checkpoint = %s", (size, checkpoint))
    admin.execute("RESET session_replication_role")


async def restored(start: StartLedger, town: Town, admin: Admin, size: int, checkpoint: str) -> Town:
    """A ledger on a rolled-back database, whose own file was rolled back with it: it notices nothing."""
    await town.stop()
    roll_back(admin, size, checkpoint)
    town.file.unlink()
    await LastReleasedFile(town.file).keep(checkpoint)
    return await start()


async def test_two_witnesses_cosign_within_seconds(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    town = await start(policy=policy_of(*two))
    async with feeding(town, authority, *two) as fed:
        (receipt,) = await town.append(entry := disclosure())
        assert cosigned_by(receipt.checkpoint, *two) == set()
        await fed.until(lambda: all(one.size == 1 for one in fed.feeder.standings.values()))

        newest = await town.public.checkpoint()
        again = await town.desk.receipt(asking(PLATFORM), entry.item_id, cosigned=True)

    assert open_checkpoint(newest, KEY).size == 1
    assert cosigned_by(newest, *two) == {"north.example", "south.example"}
    assert cosigned_by(again.checkpoint, *two) == {"north.example", "south.example"}
    assert proved(again).index == 0
    assert await town.desk.receipt(asking(PLATFORM), entry.item_id) == receipt


async def test_empty_log_is_cosigned_too(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    town = await start(policy=policy_of(*two))
    async with feeding(town, authority, *two) as fed:
        await fed.until(lambda: {one.attitude for one in fed.feeder.standings.values()} == {Attitude.COSIGNS})

        empty = await town.public.checkpoint(cosigned=True)

    assert open_checkpoint(empty, KEY).size == 0
    assert cosigned_by(empty, *two) == {"north.example", "south.example"}


async def test_every_step_of_growth_is_proved_to_the_witness(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    """Over a tile's edge, where a wrong proof would show."""
    town = await start(policy=policy_of(*two))
    async with feeding(town, authority, *two) as fed:
        for count in (1, 2, 6, 247, 1, 300, 7):
            receipts = await town.append(*(disclosure() for _ in range(count)))
            size = receipts[-1].tree_size
            await fed.until(lambda size=size: all(one.size == size for one in fed.feeder.standings.values()))  # type: ignore[misc]

        assert {one.attitude for one in fed.feeder.standings.values()} == {Attitude.COSIGNS}
        kept = await town.public.checkpoint(cosigned=True)
        assert open_checkpoint(kept, KEY).size == size
    assert "checkpoint_refused" not in two[0].log + two[1].log


async def test_receipt_of_an_old_entry_is_proved_in_the_newest_cosigned_tree(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    town = await start(policy=policy_of(*two))
    (first,) = await town.append(entry := disclosure())
    await town.append(*(disclosure() for _ in range(299)))
    with pytest.raises(NotCosignedError):
        await town.desk.receipt(asking(PLATFORM), entry.item_id, cosigned=True)

    async with feeding(town, authority, *two) as fed:
        await fed.until(lambda: all(one.size == 300 for one in fed.feeder.standings.values()))
    again = await town.desk.receipt(asking(PLATFORM), entry.item_id, cosigned=True)

    assert (first.tree_size, again.tree_size) == (1, 300)
    head = open_checkpoint(again.checkpoint, KEY)
    verify_inclusion(leaf_hash(again.entry), 0, 300, again.hashes, head.root)
    assert again.entry == first.entry


async def test_dead_witness_costs_its_cosignature_and_nothing_else(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    north, south = two
    town = await start(policy=policy_of(*two, quorum="any"))
    async with feeding(town, authority, *two) as fed:
        south.kill()
        began = time.monotonic()
        for _ in range(20):
            await town.append(disclosure())
        took = time.monotonic() - began
        await fed.until(lambda: fed.feeder.standings["north"].size == 20)
        await fed.until(lambda: fed.feeder.standings["south"].attitude is Attitude.SILENT)

        assert cosigned_by(await town.public.checkpoint(cosigned=True), *two) == {"north.example"}
        assert took < 5  # A call to the dead one waits that long by itself.
        assert [name for name, attitude, _ in fed.onlooker.seen if attitude is Attitude.SILENT] == ["south"]

        await asyncio.to_thread(south.start)
        await fed.until(lambda: fed.feeder.standings["south"].size == 20)
        assert cosigned_by(await town.public.checkpoint(), *two) == {"north.example", "south.example"}
    assert town.sequencer.state is State.LEADING
    assert north.process is not None
    assert north.process.poll() is None


async def test_witnesses_of_a_log_in_constant_use_cosign_the_same_trees(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    town = await start(policy=policy_of(*two, quorum="all"))
    sizes = set()
    async with feeding(town, authority, *two):
        until = time.monotonic() + 4
        while time.monotonic() < until:
            await town.append(disclosure())
            await asyncio.sleep(0.01)
            with suppress(NotCosignedError):
                sizes.add(open_checkpoint(await town.public.checkpoint(cosigned=True), KEY).size)

    assert len(sizes) >= 5


async def test_without_quorum_nothing_counts_as_cosigned(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    north, south = two
    town = await start(policy=policy_of(*two, quorum="all"))
    (receipt,) = await town.append(disclosure())
    async with feeding(town, authority, north) as fed:
        await fed.until(lambda: fed.feeder.standings["north"].size == 1)

    with pytest.raises(NotCosignedError):
        await town.public.checkpoint(cosigned=True)
    assert cosigned_by(await town.public.checkpoint(), *two) == {"north.example"}
    assert receipt.index == 0
    assert south.process is not None


async def test_killed_witness_remembers_what_it_saw(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    north, _ = two
    town = await start(policy=policy_of(north))
    async with feeding(town, authority, north) as fed:
        await town.append(*(disclosure() for _ in range(5)))
        await fed.until(lambda: fed.feeder.standings["north"].size == 5)
    north.kill()
    await asyncio.to_thread(north.start)

    with north.client() as client:
        answer = client.post("/add-checkpoint", content=f"old 0\n\n{await town.public.checkpoint()}")

    assert (answer.status_code, answer.text) == (409, "5\n")
    assert answer.headers["Content-Type"].partition(";")[0] == "text/x.tlog.size"


async def test_log_rolled_back_with_everything_beside_it_is_caught_and_stopped(
    start: StartLedger, admin: Admin, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    north, _ = two
    town = await start(policy=policy_of(north))
    await town.append(*(disclosure() for _ in range(5)))
    earlier = await town.store.head()
    async with feeding(town, authority, north) as fed:
        await town.append(*(disclosure() for _ in range(300)))
        await fed.until(lambda: fed.feeder.standings["north"].size == 305)

    again = await restored(start, town, admin, 5, earlier.checkpoint)
    async with feeding(again, authority, north) as fed:
        why = await again.watch.until(State.READ_ONLY)

    assert "holds a checkpoint of this log over 305 entries, and the database holds 5" in why
    assert [one[1] for one in fed.onlooker.seen] == [Attitude.REFUSES]
    with pytest.raises(ReadOnlyError):
        await again.append(disclosure())


async def test_log_forked_after_a_roll_back_is_caught_and_stopped(
    start: StartLedger, admin: Admin, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    """Other entries in place of the lost ones: the log is longer than what the witness saw, and another."""
    north, _ = two
    town = await start(policy=policy_of(north))
    await town.append(*(disclosure() for _ in range(5)))
    earlier = await town.store.head()
    async with feeding(town, authority, north) as fed:
        await town.append(*(disclosure() for _ in range(10)))
        await fed.until(lambda: fed.feeder.standings["north"].size == 15)

    again = await restored(start, town, admin, 5, earlier.checkpoint)
    await again.append(*(disclosure() for _ in range(40)))
    async with feeding(again, authority, north):
        why = await again.watch.until(State.READ_ONLY)

    assert "over 15 entries with another root: the log has been forked" in why
    assert "checkpoint_refused" in north.log


async def test_log_that_the_witness_does_not_watch_is_told_so_and_goes_on(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    north, _ = two
    north.watch()
    town = await start(policy=policy_of(north))
    async with feeding(town, authority, north) as fed:
        await town.append(disclosure())
        await fed.until(lambda: fed.feeder.standings["north"].attitude is Attitude.REFUSES)
        assert "404" in fed.onlooker.seen[-1][2]

        north.watch(KEY)  # No restart.
        await fed.until(lambda: fed.feeder.standings["north"].attitude is Attitude.COSIGNS)
    assert town.sequencer.state is State.LEADING


async def test_witness_that_shows_what_we_never_signed_stops_nothing(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    """Only our own signature proves anything against us."""
    north, _ = two
    town = await start(policy=policy_of(north))
    await town.append(*(disclosure() for _ in range(3)))
    async with feeding(town, authority, north) as fed:
        await fed.until(lambda: fed.feeder.standings["north"].size == 3)
    north.kill()
    forged = CheckpointNotary(KEY, PRIVATE).sign(TreeHead(900, b"\x01" * 32)).replace("\n900\n", "\n901\n")
    with sqlite3.connect(north.home / "memory.db") as memory:
        memory.execute("UPDATE seen SET size = 901, root = ?, note = ?", (b"\x01" * 32, forged))
    await asyncio.to_thread(north.start)

    async with feeding(town, authority, north) as fed:
        await town.append(disclosure())
        await fed.until(lambda: fed.feeder.standings["north"].attitude is Attitude.REFUSES)
        await asyncio.sleep(0.5)

    assert town.sequencer.state is State.LEADING
    assert (await town.append(disclosure()))[0].index == 4


async def test_cosignature_by_another_key_is_not_kept(
    start: StartLedger, authority: Authority, two: tuple[WitnessProcess, WitnessProcess]
) -> None:
    north, south = two
    town = await start(policy=policy_of(north))
    await town.append(disclosure())
    north.key, expected = south.key, north.key  # We expect another one there.
    async with feeding(town, authority, north) as fed:
        await fed.until(lambda: fed.feeder.standings["north"].attitude is Attitude.SILENT)

    assert "no cosignature by its key" in fed.onlooker.seen[-1][2]
    assert cosignatures(await town.public.checkpoint(), [expected, south.key]) == []


async def test_policy_without_witnesses_is_satisfied_by_the_newest_tree(start: StartLedger) -> None:
    town = await start()
    (first,) = await town.append(entry := disclosure())
    await town.append(*(disclosure() for _ in range(4)))

    again = await town.desk.receipt(asking(PLATFORM), entry.item_id, cosigned=True)

    assert (first.tree_size, again.tree_size) == (1, 5)
    assert proved(again).index == 0
    assert again.checkpoint == await town.public.checkpoint(cosigned=True) == await town.public.checkpoint()
