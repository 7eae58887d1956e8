"""The oldest entries go when their time is over: every proof stays, and nobody can prune by himself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import pytest

from cli.backup.logproof import prove_log
from cli.prune.deed import remove
from core.clock import now
from core.entries import Entry, EntryKind, Outcome, Receipt, RecordRef
from core.identity import Caller
from core.receipt import verify_receipt
from services.ledger import sequencer
from services.ledger.domain import ReceiptNotFoundError, ReceiptPrunedError
from services.ledger.entry import LEDGER_ENTRIES, PRUNE_METHOD, PRUNER, pruned_version
from services.ledger.sequencer import State
from tests.store.ledger.conftest import ANSWER, KEY, StartLedger, Town, disclosure, public
from tests.store.ledger.test_custody import HOLDER, OPEN, PLATFORM, asking

Admin = psycopg.Connection[tuple[object, ...]]
END = 512


@dataclass
class Grown:
    """A ledger with 600 entries, of which the first 520 are old."""

    entries: Sequence[Entry]
    receipts: Sequence[Receipt]


def pruning(end: int = END) -> Entry:
    """The intent by which the log says what is to go."""
    return Entry(
        item_id=uuid.uuid4(),
        kind=EntryKind.INTENT,
        method=PRUNE_METHOD,
        caller="operator",
        office="",
        basis=None,
        purpose="order 7/2026",
        operator="clerk.09",
        subject=None,
        records=(RecordRef(LEDGER_ENTRIES, pruned_version(end)),),
    )


async def grown(ledger: Town, admin: Admin) -> Grown:
    """Appends, and lets years pass."""
    entries = [disclosure() for _ in range(600)]
    receipts = await ledger.append(*entries)
    admin.execute(OPEN)
    admin.execute("UPDATE entry SET appended_at = appended_at - interval '3 years 1 day' WHERE idx < 520")
    admin.execute("SET session_replication_role = origin")
    return Grown(entries, receipts)


async def swept(ledger: Town) -> None:
    """Waits until the leaves below the older tiles have been proved."""
    for _ in range(200):
        if not ledger.sequencer._proofs.older:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the sweep has not ended")


async def pruned(ledger: Town, admin: Admin) -> Grown:
    """A ledger that was pruned as it should be."""
    old = await grown(ledger, admin)
    intent = pruning()
    await ledger.append(intent, recorder=PRUNER)
    remove(admin, intent.item_id, END)
    return old


async def test_pruned_log_goes_on_and_proves_what_it_did(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    old = await pruned(ledger, admin)
    await ledger.stop()
    assert admin.execute("SELECT min(idx), count(*) FROM entry").fetchone() == (END, 601 - END)
    assert admin.execute("SELECT count(*) FROM opening").fetchone() == (601 - END,)

    ledger = await start()
    await ledger.append(*(disclosure() for _ in range(300)))

    # The same item once more, which stayed, and its receipt; and the one that went, which its caller kept.
    (again,) = await ledger.append(old.entries[END])
    assert again == old.receipts[END]
    for receipt in (old.receipts[0], old.receipts[END]):
        assert verify_receipt(public(receipt), KEY, answered=ANSWER)
    # The tree hashed anew, of what is left and the hashes of what went, has the root that is signed.
    assert prove_log(admin, str(KEY), {}, lambda done, whole: None).size == 901


async def test_sweep_goes_over_what_was_pruned(
    start: StartLedger, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await start()
    await pruned(ledger, admin)
    await ledger.append(*(disclosure() for _ in range(300)))
    await ledger.stop()
    monkeypatch.setattr(sequencer, "NEWEST_TILES", 1)

    ledger = await start()
    await swept(ledger)

    assert (await ledger.append(disclosure()))[0].index == 901
    assert ledger.sequencer.state is State.LEADING


async def test_entries_that_are_pruned_while_the_ledger_works_are_no_alarm(
    start: StartLedger, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await start()
    await grown(ledger, admin)
    await ledger.stop()
    monkeypatch.setattr(sequencer, "NEWEST_TILES", 0)
    monkeypatch.setattr(sequencer, "SWEEP_PAUSE_SECONDS", 0.3)
    ledger = await start()

    intent = pruning()
    await ledger.append(intent, recorder=PRUNER)
    assert ledger.sequencer._proofs.older
    remove(admin, intent.item_id, END)
    await swept(ledger)

    assert (await ledger.append(disclosure()))[0].index == 601


async def test_receipt_of_a_pruned_entry_is_said_to_be_gone_to_its_caller_alone(
    start: StartLedger, admin: Admin
) -> None:
    ledger = await start()
    old = await pruned(ledger, admin)
    gone, stayed = old.entries[3], old.entries[END]
    others = Caller("rural-bank", frozenset({"ledger.read"}))

    with pytest.raises(ReceiptPrunedError):
        await ledger.desk.receipt(asking(PLATFORM), gone.item_id)
    for caller in (others, HOLDER):
        with pytest.raises(ReceiptNotFoundError):
            await ledger.desk.receipt(asking(caller), gone.item_id)
    assert (await ledger.desk.receipt(asking(PLATFORM), stayed.item_id)).index == END


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "no entry of the log says"),
        (pruning(256), "no entry of the log says"),
        (disclosure(), "no entry of the log says"),
    ],
)
async def test_entries_that_went_without_the_log_saying_so_make_it_read_only(
    start: StartLedger, admin: Admin, said: Entry | None, why: str
) -> None:
    ledger = await start()
    await grown(ledger, admin)
    if said is not None:
        recorder = PRUNER if said.kind is EntryKind.INTENT else "licence"
        await ledger.append(said, recorder=recorder)
    remove(admin, said.item_id if said else uuid.uuid4(), END)
    await ledger.stop()

    ledger = await start(wait_for=State.READ_ONLY)

    assert why in ledger.watch.seen[-1][1]


async def test_only_the_one_who_may_prunes(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await grown(ledger, admin)
    intent = pruning()
    await ledger.append(intent, recorder="licence")
    remove(admin, intent.item_id, END)
    await ledger.stop()

    await start(wait_for=State.READ_ONLY)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tile SET hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) WHERE level = 0 AND idx = 1",
        "UPDATE entry SET leaf = leaf || ' '::bytea WHERE idx = 600",
    ],
)
async def test_altering_a_pruned_log_is_noticed(start: StartLedger, admin: Admin, change: str) -> None:
    ledger = await start()
    await pruned(ledger, admin)
    await ledger.stop()
    admin.execute(OPEN)
    admin.execute(change.encode())

    await start(wait_for=State.READ_ONLY)


async def test_database_refuses_what_is_too_young_or_not_decided(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await grown(ledger, admin)
    refused = psycopg.errors.InsufficientPrivilege

    with pytest.raises(refused, match="only ever added to"):
        admin.execute("DELETE FROM entry WHERE idx < 10")
    with pytest.raises(refused, match="only ever added to"):  # Entries from 520 on are of today.
        remove(admin, uuid.uuid4(), 768)
    assert admin.execute("SELECT count(*) FROM pruning").fetchone() == (0,)
    for statement in ("DELETE FROM tile", "DELETE FROM checkpoint", "INSERT INTO entry SELECT * FROM entry"):
        admin.execute("SET ROLE onestop_ledger_prune")
        with pytest.raises(refused):
            admin.execute(statement.encode())
        admin.execute("RESET ROLE")
    with pytest.raises(psycopg.errors.CheckViolation):
        remove(admin, uuid.uuid4(), 300)
    assert admin.execute("SELECT count(*) FROM entry").fetchone() == (600,)


async def test_outcome_of_a_pruning_is_appended_as_of_any_act(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await grown(ledger, admin)
    intent = pruning()
    await ledger.append(intent, recorder=PRUNER)
    assert [
        one.item_id for one in await ledger.desk.open_intents(PRUNER, now() + timedelta(seconds=1), 10)
    ] == [intent.item_id]
    remove(admin, intent.item_id, END)

    end = replace(
        intent,
        item_id=uuid.uuid4(),
        kind=EntryKind.OUTCOME,
        outcome=Outcome.COMPLETED,
        intent_id=intent.item_id,
    )
    await ledger.append(end, recorder=PRUNER)

    assert not await ledger.desk.open_intents(PRUNER, now() + timedelta(seconds=1), 10)
