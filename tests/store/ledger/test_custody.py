"""A ledger that cannot prove that it holds what it released appends nothing."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from core.clock import now
from core.entries import RequestContext
from core.identity import Caller, Subject
from core.note import VerifierKey
from services.ledger import sequencer
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.domain import CustodyError, ReadOnlyError, ReceiptNotFoundError, TreeHead
from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import State
from tests.store.ledger.conftest import (
    KEY,
    PRIVATE,
    SUBJECT,
    StartLedger,
    Town,
    disclosure,
    intent,
)

Admin = psycopg.Connection[tuple[object, ...]]

OPEN = "SET session_replication_role = replica"  # No trigger stands in a superuser's way.


def asking(caller: Caller) -> RequestContext:
    """A verified context, as GetReceipt has it."""
    moment = now()
    return RequestContext(caller, "", "", None, "", "", moment, moment + timedelta(seconds=5))


PLATFORM = Caller("approval-platform", frozenset({"ledger.read"}))
HOLDER = Caller("citizen", frozenset({"citizen"}), SUBJECT)


async def filled(start: StartLedger, count: int = 300) -> Town:
    """A ledger with a full tile, stopped."""
    ledger = await start()
    await ledger.append(*(disclosure() for _ in range(count)))
    await ledger.stop()
    return ledger


async def test_untouched_log_starts_again(start: StartLedger) -> None:
    await filled(start)

    ledger = await start()

    assert (await ledger.append(disclosure()))[0].index == 300


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE entry SET leaf = leaf || ' ' WHERE idx = 299", "does not lead"),
        (
            "UPDATE entry SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'approval-platform',"
            " 'rural-bank'), 'UTF8'), caller = 'rural-bank' WHERE idx = 17",
            "tile 0/0",
        ),
        ("UPDATE entry SET caller = 'rural-bank' WHERE idx = 17", "entry 17"),
        ("UPDATE entry SET recorder = 'eseal' WHERE idx = 299", "entry 299"),
        (
            "UPDATE entry SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'name', 'game'), 'UTF8')"
            " WHERE idx = 17",
            "tile 0/0",
        ),
        (
            "UPDATE entry AS one SET leaf = other.leaf FROM entry AS other WHERE (one.idx, other.idx) IN"
            " ((3, 4), (4, 3))",
            "entry 3",
        ),
        ("DELETE FROM entry WHERE idx = 17", "not all there"),
        ("DELETE FROM entry WHERE idx = 299", "not whole"),
        (
            "INSERT INTO entry SELECT 300, gen_random_uuid(), 301, kind, recorder, caller, intent_id,"
            " appended_at, leaf FROM entry WHERE idx = 299",
            "there are others",
        ),
        ("UPDATE tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1)", "tile 0/0"),
        ("UPDATE tile SET root = set_byte(root, 0, get_byte(root, 0) # 1)", "does not lead"),
        ("DELETE FROM tile", "not whole"),
        ("UPDATE head SET size = 299", "head has size 299"),
        ("UPDATE head SET size = 301", "head has size 301"),
        ("UPDATE head SET checkpoint = replace(checkpoint, '300', '301')", "does not verify"),
    ],
)
async def test_altered_log_is_read_only(start: StartLedger, admin: Admin, change: str, why: str) -> None:
    await filled(start)
    admin.execute(OPEN)
    admin.execute(change.encode())

    ledger = await start(wait_for=State.READ_ONLY)

    assert why in ledger.watch.seen[-1][1]
    with pytest.raises(ReadOnlyError) as refusal:
        await ledger.append(disclosure())
    assert (refusal.value.part, refusal.value.reason) == ("ledger", "LEDGER_READ_ONLY")


async def test_rolled_back_database_is_read_only(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await ledger.append(*(disclosure() for _ in range(5)))
    earlier = await ledger.store.head()
    await ledger.append(*(disclosure() for _ in range(300)))
    await ledger.stop()
    admin.execute(OPEN)
    # Exactly what a restored backup holds: consistent in itself, and signed by us.
    for table, column in (("entry", "tree_size"), ("checkpoint", "size")):
        admin.execute(f"DELETE FROM {table} WHERE {column} > 5".encode())
    admin.execute("DELETE FROM tile")
    admin.execute("DELETE FROM opening WHERE item_id NOT IN (SELECT item_id FROM entry)")
    admin.execute("UPDATE head SET size = 5, checkpoint = %s", (earlier.checkpoint,))

    ledger = await start(wait_for=State.READ_ONLY)

    assert "holds 5 entries, and a checkpoint over 305 was released" in ledger.watch.seen[-1][1]


async def test_emptied_database_is_read_only(start: StartLedger, admin: Admin) -> None:
    await filled(start, 3)
    admin.execute(OPEN)
    for table in ("entry", "opening", "checkpoint", "tile"):
        admin.execute(f"DELETE FROM {table}".encode())
    admin.execute("UPDATE head SET epoch = 0, size = 0, checkpoint = ''")

    await start(wait_for=State.READ_ONLY)


async def test_forked_log_is_read_only(start: StartLedger) -> None:
    ledger = await filled(start)
    fork = CheckpointNotary(KEY, PRIVATE).sign(TreeHead(200, b"\x00" * 32))
    await LastReleasedFile(ledger.file).keep(fork)

    again = await start(wait_for=State.READ_ONLY)

    assert "last released checkpoint" in again.watch.seen[-1][1]


async def test_older_released_checkpoint_is_enough(start: StartLedger) -> None:
    ledger = await start()
    (receipt, *_) = await ledger.append(*(disclosure() for _ in range(200)))
    await ledger.append(*(disclosure() for _ in range(200)))
    await ledger.stop()
    await LastReleasedFile(ledger.file).keep(receipt.checkpoint)

    again = await start()

    assert (await again.append(disclosure()))[0].index == 400


async def test_without_its_last_released_checkpoint_the_ledger_is_read_only(start: StartLedger) -> None:
    ledger = await filled(start, 3)
    ledger.file.unlink()

    again = await start(wait_for=State.READ_ONLY)

    assert "missing" in again.watch.seen[-1][1]


async def test_log_of_another_origin_is_read_only(start: StartLedger) -> None:
    await filled(start, 3)

    again = await start(wait_for=State.READ_ONLY, key=VerifierKey("onestop.example/other", KEY.public))

    assert "no signature of onestop.example/other" in again.watch.seen[-1][1]


async def test_older_leaves_are_proved_while_appending(
    start: StartLedger, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "NEWEST_TILES", 0)
    monkeypatch.setattr(sequencer, "SWEEP_PAUSE_SECONDS", 0.0)
    await filled(start, 600)
    admin.execute(OPEN)
    admin.execute("UPDATE entry SET caller = 'rural-bank' WHERE idx = 17")

    ledger = await start(wait_for=State.READ_ONLY)

    assert State.LEADING in [state for state, _ in ledger.watch.seen]
    assert "entry 17" in ledger.watch.seen[-1][1]
    with pytest.raises(ReadOnlyError):
        await ledger.append(disclosure())


async def test_receipts_are_given_to_their_caller_and_holder_alone(start: StartLedger) -> None:
    ledger = await start()
    (mine,) = await ledger.append(entry := disclosure())
    # Every citizen's own acts are recorded under one client name.
    (hers,) = await ledger.append(act := intent(caller="citizen"))
    stranger = Caller("rural-bank", frozenset({"ledger.read"}))
    neighbour = Caller("citizen", frozenset({"citizen"}), Subject("111", "440299199001010037"))

    assert await ledger.desk.receipt(asking(PLATFORM), entry.item_id) == mine
    assert await ledger.desk.receipt(asking(HOLDER), entry.item_id) == mine
    assert await ledger.desk.receipt(asking(HOLDER), act.item_id) == hers
    for caller, item in (
        (stranger, entry.item_id),
        (neighbour, entry.item_id),
        (neighbour, act.item_id),
        (PLATFORM, act.item_id),
        (PLATFORM, disclosure().item_id),
    ):
        with pytest.raises(ReceiptNotFoundError):
            await ledger.desk.receipt(asking(caller), item)


async def test_read_only_ledger_still_gives_receipts(start: StartLedger) -> None:
    ledger = await start()
    (receipt,) = await ledger.append(entry := disclosure())
    await ledger.stop()
    ledger.file.unlink()

    again = await start(wait_for=State.READ_ONLY)

    assert await again.desk.receipt(asking(PLATFORM), entry.item_id) == receipt


async def test_checkpoint_that_is_not_ours_is_not_shown(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await ledger.append(disclosure())
    admin.execute(OPEN)
    admin.execute("UPDATE head SET checkpoint = replace(checkpoint, 'ledger', 'other')")

    with pytest.raises(CustodyError):
        await ledger.public.checkpoint()


async def test_receipt_of_an_entry_altered_meanwhile_is_not_given(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await ledger.append(entry := disclosure())
    admin.execute(OPEN)
    admin.execute("UPDATE entry SET leaf = leaf || ' '")

    with pytest.raises(CustodyError):
        await ledger.desk.receipt(asking(PLATFORM), entry.item_id)
