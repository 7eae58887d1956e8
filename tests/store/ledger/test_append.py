"""Appending to the log on a real database: durable, idempotent, item by item."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest

from core.clock import now
from core.entries import Outcome, Receipt
from core.identity import Subject
from core.merkle import verify_consistency
from core.note import open_checkpoint
from services.ledger.custody import load_tree
from services.ledger.merkle import Tree, consistency_ranges, tiles_of
from tests.store.ledger.conftest import (
    KEY,
    SUBJECT,
    StartLedger,
    disclosure,
    intent,
    outcome,
    proved,
    refusals,
)
from tests.unit.ledger import reference

Admin = psycopg.Connection[tuple[object, ...]]


async def test_thousand_concurrent_appends_give_one_consistent_log(start: StartLedger) -> None:
    ledger = await start()
    entries = [disclosure() for _ in range(1000)]

    answers = await asyncio.gather(*(ledger.append(entry) for entry in entries))

    receipts = [answer[0] for answer in answers]
    assert [receipt.id for receipt in receipts] == [str(entry.item_id) for entry in entries]
    assert sorted(receipt.index for receipt in receipts) == list(range(1000))
    for receipt in receipts:
        assert proved(receipt).index == receipt.index
    leaves = [row.leaf for row in await ledger.store.leaves(0, 1000)]
    head = open_checkpoint(await ledger.public.checkpoint(), KEY)
    assert (head.size, head.root) == (1000, reference.mth(leaves))
    # What waited went together: far fewer checkpoints than entries.
    assert len({receipt.tree_size for receipt in receipts}) < 200


async def test_every_checkpoint_is_consistent_with_the_next(start: StartLedger) -> None:
    ledger = await start()
    sizes_and_roots = []

    for count in (1, 2, 5, 250, 300):
        await ledger.append(*(disclosure() for _ in range(count)))
        head = open_checkpoint(await ledger.public.checkpoint(), KEY)
        sizes_and_roots.append((head.size, head.root))

    for (old_size, old_root), (size, root) in pairwise(sizes_and_roots):
        ranges = consistency_ranges(old_size, size)
        tree = Tree.load(size, await ledger.store.tiles(tiles_of(ranges)))
        verify_consistency(old_size, old_root, size, root, tree.hashes(ranges))


async def test_same_item_again_answers_the_first_receipt(start: StartLedger) -> None:
    ledger = await start()
    entry = disclosure()
    (first,) = await ledger.append(entry)
    await ledger.append(*(disclosure() for _ in range(300)))

    (again,) = await ledger.append(entry)

    assert again == first


async def test_same_item_twice_in_a_batch_is_one_entry(start: StartLedger) -> None:
    ledger = await start()
    entry = disclosure()

    first, second = await ledger.append(entry, entry)

    assert first == second
    assert (await ledger.store.head()).size == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "another"},
        {"operator": "clerk.08"},
        {"subject": Subject("111", "440299199001010037")},
        {"subject": None},
        {"further_subjects": (Subject("111", "440299199001010037"),)},
        {"answer_salt": b"\x09" * 32},
        {"field_names": ("name", "address")},
    ],
)
async def test_another_item_under_the_same_id_is_refused(
    start: StartLedger, changes: dict[str, object]
) -> None:
    ledger = await start()
    entry = disclosure()
    await ledger.append(entry)

    stored = await ledger.desk.append("licence", [replace(entry, **changes)])  # type: ignore[arg-type]
    other_recorder = await ledger.desk.append("eseal", [entry])
    fresh = disclosure()
    in_one_batch = await ledger.desk.append(
        "licence",
        [fresh, replace(fresh, **changes)],  # type: ignore[arg-type]
    )

    assert refusals(stored) == ["ITEM_ID_REUSED"]
    assert refusals(other_recorder) == ["ITEM_ID_REUSED"]
    assert refusals(in_one_batch) == [None, "ITEM_ID_REUSED"]
    assert (await ledger.store.head()).size == 2


async def test_one_bad_item_fails_alone(start: StartLedger) -> None:
    ledger = await start()
    bad = disclosure(outcome=Outcome.NONE)
    orphan = outcome(intent())

    answers = await ledger.desk.append("licence", [disclosure(), bad, disclosure(), orphan, disclosure()])

    assert refusals(answers) == [None, "REQUEST_INVALID", None, "INTENT_UNKNOWN", None]
    assert [answer.index for answer in answers if isinstance(answer, Receipt)] == [0, 1, 2]


async def test_outcome_closes_its_intent_once(start: StartLedger) -> None:
    ledger = await start()
    act = intent()
    end = outcome(act)
    await ledger.append(act, recorder="eseal")

    (first,) = await ledger.append(end, recorder="eseal")
    (again,) = await ledger.append(end, recorder="eseal")
    another = await ledger.desk.append("eseal", [outcome(act, outcome=Outcome.ABORTED)])

    assert again == first
    assert proved(first).entry["intent_id"] == str(act.item_id)
    assert refusals(another) == ["INTENT_CLOSED"]


async def test_intent_and_outcome_may_come_in_one_batch(start: StartLedger) -> None:
    ledger = await start()
    act = intent()

    answers = await ledger.desk.append("eseal", [act, outcome(act), outcome(act)])

    assert refusals(answers) == [None, None, "INTENT_CLOSED"]
    assert await ledger.desk.open_intents("eseal", now() + timedelta(hours=1), 0) == []


async def test_outcome_of_anothers_intent_or_of_no_intent_is_refused(start: StartLedger) -> None:
    ledger = await start()
    act, read = intent(), disclosure()
    await ledger.append(act, recorder="eseal")
    await ledger.append(read, recorder="eseal")

    by_another = await ledger.desk.append("agricredit", [outcome(act)])
    of_a_read = await ledger.desk.append("eseal", [outcome(read)])

    assert refusals(by_another) == ["INTENT_UNKNOWN"]
    assert refusals(of_a_read) == ["INTENT_UNKNOWN"]


async def test_open_intents_are_listed_as_they_were_appended(start: StartLedger) -> None:
    ledger = await start()
    mine, ended, others = intent(), intent(), intent()
    await ledger.append(mine, ended, recorder="eseal")
    await ledger.append(outcome(ended), recorder="eseal")
    await ledger.append(others, recorder="agricredit")

    listed = await ledger.desk.open_intents("eseal", now() + timedelta(seconds=1), 0)
    younger = await ledger.desk.open_intents("eseal", now() - timedelta(minutes=1), 0)

    assert listed == [mine]
    assert younger == []


async def test_identity_payload_is_sealed_at_rest(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    neighbour = Subject("111", "440299199001010037")
    await ledger.append(disclosure(further_subjects=(neighbour,)), intent())

    dump = "".join(
        repr(row)
        for table in ("entry", "opening", "further_subject", "open_intent", "checkpoint", "head")
        for row in admin.execute(f"SELECT t::text FROM {table} AS t".encode()).fetchall()
    )

    for payload in (b"440299199001010010", b"440299199001010037", b"clerk.07"):
        assert payload.decode() not in dump
        assert payload.hex() not in dump


async def test_role_of_the_service_cannot_change_the_log(start: StartLedger) -> None:
    ledger = await start()
    await ledger.append(*(disclosure() for _ in range(256)))

    for statement in (
        "UPDATE entry SET caller = 'nobody'",
        "DELETE FROM entry",
        "TRUNCATE entry",
        "UPDATE tile SET root = root",
        "DELETE FROM checkpoint",
        "DELETE FROM opening",
        "UPDATE opening SET subject_index = NULL",
        "DELETE FROM further_subject",
        "UPDATE further_subject SET subject_index = ''",
        "DELETE FROM head",
        "UPDATE head SET size = 0",
        "UPDATE head SET epoch = 0",
    ):
        with pytest.raises(Exception, match=r"permission denied|only ever added to"):
            await ledger.pool.execute(statement)


async def test_even_the_owner_cannot_change_the_log_by_mistake(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    await ledger.append(disclosure())

    for statement in ("UPDATE entry SET caller = 'nobody'", "DELETE FROM entry", "TRUNCATE entry CASCADE"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only ever added to"):
            admin.execute(statement)


async def test_each_subject_of_an_entry_is_found_by_its_own_index(start: StartLedger, admin: Admin) -> None:
    ledger = await start()
    neighbour, company = Subject("111", "440299199001010037"), Subject("001", "91440200MA4X00001Y")
    alone, together = disclosure(), disclosure(further_subjects=(neighbour, company, SUBJECT))
    await ledger.append(alone, together)

    rows = admin.execute("SELECT item_id, subject_index, index_version FROM further_subject").fetchall()
    first = admin.execute("SELECT item_id, subject_index FROM opening").fetchall()

    version = ledger.vault.index_version
    assert sorted(rows) == sorted(
        (together.item_id, ledger.vault.blind_index(one), version) for one in (neighbour, company)
    )
    assert {index for _, index in first} == {ledger.vault.blind_index(SUBJECT)}
    assert await ledger.desk.append("licence", [together, alone])  # Both are known by their digests.
    assert (await ledger.store.head()).size == 2


async def test_destroying_an_opening_takes_the_indexes_of_all_its_subjects_along(
    start: StartLedger, admin: Admin
) -> None:
    ledger = await start()
    await ledger.append(disclosure(further_subjects=(Subject("111", "440299199001010037"),)))

    admin.execute("DELETE FROM opening")

    assert admin.execute("SELECT count(*) FROM further_subject").fetchall() == [(0,)]


async def test_destroyed_opening_leaves_the_log_whole_and_the_receipt_without_salt(
    start: StartLedger, admin: Admin
) -> None:
    ledger = await start()
    entry = disclosure()
    await ledger.append(entry)
    admin.execute("DELETE FROM opening")

    answers = await ledger.desk.append("licence", [entry])

    assert refusals(answers) == ["ITEM_ID_REUSED"]
    assert (await load_tree(ledger.store, 1)).root() == reference.mth(
        [row.leaf for row in await ledger.store.leaves(0, 1)]
    )
