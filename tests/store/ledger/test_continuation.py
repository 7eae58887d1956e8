"""A log that has lost entries for good goes on under a new origin and key, and under no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.clock import now
from core.entries import EntryKind
from core.merkle import leaf_hash, verify_consistency
from core.note import VerifierKey, open_checkpoint
from core.policy import Policy
from core.receipt import verify_receipt
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.continuation import NothingToContinueError
from services.ledger.continuing import Continued, continue_log
from services.ledger.domain import CustodyError, ReadOnlyError, TreeHead
from services.ledger.merkle import Tree, consistency_ranges
from services.ledger.released import LastReleasedFile
from services.ledger.sequencer import State
from tests.store.ledger.conftest import (
    ANSWER,
    KEY,
    PRIVATE,
    StartLedger,
    Town,
    disclosure,
    intent,
    outcome,
    public,
    refusals,
)
from tests.store.ledger.test_custody import OPEN, PLATFORM, Admin, asking
from tests.store.ledger.test_witnesses import roll_back

NEW_PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
NEW_KEY = VerifierKey("onestop.example/ledger-2", NEW_PRIVATE.public_key().public_bytes_raw())
NEW = CheckpointNotary(NEW_KEY, NEW_PRIVATE)


async def continued(
    town: Town, *, old: Sequence[VerifierKey] = (KEY,), known: Sequence[str] = (), new: CheckpointNotary = NEW
) -> Continued:
    """What the operator's command does to the database of a ledger."""
    return await continue_log(
        town.store,
        town.vault,
        now,
        old=old,
        new=new,
        released=await LastReleasedFile(town.file).read(),
        known=known,
    )


async def lost_some(start: StartLedger, admin: Admin, kept: int = 5, lost: int = 300) -> Town:
    """A ledger that has been restored without its newest entries, and knows it."""
    town = await start()
    await town.append(*(disclosure() for _ in range(kept)))
    earlier = await town.store.head()
    await town.append(*(disclosure() for _ in range(lost)))
    await town.stop()
    roll_back(admin, kept, earlier.checkpoint)
    return await start(wait_for=State.READ_ONLY)


async def go_on(start: StartLedger, town: Town, done: Continued) -> Town:
    await LastReleasedFile(town.file).keep(done.checkpoint)
    await town.stop()
    return await start(key=NEW_KEY, private=NEW_PRIVATE)


async def test_log_goes_on_and_names_the_last_checkpoint_that_is_known(
    start: StartLedger, admin: Admin
) -> None:
    town = await lost_some(start, admin)
    with pytest.raises(ReadOnlyError):
        await town.append(disclosure())
    last = await LastReleasedFile(town.file).read()
    assert last is not None

    done = await continued(town)
    again = await go_on(start, town, done)
    (receipt,) = await again.append(disclosure())

    assert done.former is not None
    assert (done.former.size, done.former.last_known.size) == (5, 305)
    (first,) = await again.store.leaves(5, 6)
    entry = json.loads(first.leaf)
    assert (first.kind, entry["kind"]) == (EntryKind.CONTINUATION, "continuation")
    assert entry["continues"]["origin"] == KEY.name
    assert entry["continues"]["verifier_keys"] == [str(KEY)]
    assert entry["continues"]["checkpoint"] == last
    assert receipt.index == 6
    (named,) = await again.desk.continuations()
    assert (named.index, named.entry) == (5, first.leaf)
    assert verify_receipt(public(named), NEW_KEY).entry["continues"] == entry["continues"]
    assert verify_receipt(public(receipt), NEW_KEY, answered=ANSWER).checkpoint.origin == NEW_KEY.name


async def test_old_receipts_verify_with_the_old_key_and_new_ones_with_the_new(
    start: StartLedger, admin: Admin
) -> None:
    town = await start()
    (kept,) = await town.append(before := disclosure())
    earlier = await town.store.head()
    (gone,) = await town.append(lost := disclosure())
    await town.stop()
    roll_back(admin, 1, earlier.checkpoint)
    town = await start(wait_for=State.READ_ONLY)

    again = await go_on(start, town, await continued(town))
    (written_anew,) = await again.append(lost)
    given_again = await again.desk.receipt(asking(PLATFORM), before.item_id)
    policy = Policy.parse(await again.public.policy())

    assert policy.logs == (NEW_KEY, KEY)
    assert given_again == kept
    for old in (kept, gone):
        assert verify_receipt(public(old), KEY, answered=ANSWER)
    assert written_anew.index == 2
    assert verify_receipt(public(written_anew), NEW_KEY, answered=ANSWER)
    # The same item again is still the same: what is left of the old log is the new one's beginning.
    assert (await again.append(before))[0] == kept


async def test_what_is_left_is_the_beginning_of_the_new_log(start: StartLedger, admin: Admin) -> None:
    town = await lost_some(start, admin, kept=300)
    old = open_checkpoint((await town.store.head()).checkpoint, KEY)

    again = await go_on(start, town, await continued(town))
    await again.append(*(disclosure() for _ in range(9)))
    head = open_checkpoint(await again.public.checkpoint(), NEW_KEY)

    rows = await again.store.leaves(0, head.size)
    tree, _ = Tree(0, {}).grow(leaf_hash(row.leaf) for row in rows)
    assert tree.root() == head.root
    proof = tree.hashes(consistency_ranges(old.size, head.size))
    verify_consistency(old.size, old.root, head.size, head.root, proof)


async def test_open_intent_of_the_old_log_is_closed_in_the_new_one(start: StartLedger, admin: Admin) -> None:
    town = await start()
    await town.append(act := intent(), recorder="eseal")
    earlier = await town.store.head()
    await town.append(outcome(act), recorder="eseal")
    await town.stop()
    roll_back(admin, 1, earlier.checkpoint)
    # As a backup holds it: the intent is open again.
    admin.execute(OPEN)
    admin.execute(
        "INSERT INTO open_intent SELECT item_id, recorder, appended_at FROM entry WHERE kind = 2"
        " ON CONFLICT DO NOTHING"
    )
    town = await start(wait_for=State.READ_ONLY)

    again = await go_on(start, town, await continued(town))
    (closed,) = await again.append(outcome(act), recorder="eseal")

    assert closed.index == 2


async def test_continuing_again_changes_nothing(start: StartLedger, admin: Admin) -> None:
    town = await lost_some(start, admin)

    first = await continued(town)
    second = await continued(town)

    assert second == Continued(first.checkpoint, None)
    assert (await town.store.head()).size == 6


async def test_log_that_lost_its_file_alone_goes_on_only_so(start: StartLedger) -> None:
    town = await start()
    await town.append(*(disclosure() for _ in range(3)))
    await town.stop()
    town.file.unlink()
    town = await start(wait_for=State.READ_ONLY)

    done = await continued(town)
    again = await go_on(start, town, done)

    assert done.former is not None
    assert (done.former.size, done.former.last_known.size) == (3, 3)
    assert (await again.append(disclosure()))[0].index == 4


async def test_emptied_database_begins_with_the_entry_that_names_the_old_log(
    start: StartLedger, admin: Admin
) -> None:
    town = await start()
    await town.append(*(disclosure() for _ in range(3)))
    await town.stop()
    admin.execute(OPEN)
    for table in ("entry", "opening", "checkpoint", "tile"):
        admin.execute(f"DELETE FROM {table}".encode())
    admin.execute("UPDATE head SET epoch = 0, size = 0, checkpoint = ''")
    admin.execute("RESET session_replication_role")
    town = await start(wait_for=State.READ_ONLY)

    again = await go_on(start, town, await continued(town))

    (first,) = await again.store.leaves(0, 1)
    assert json.loads(first.leaf)["continues"]["size"] == 0
    assert (await again.append(disclosure()))[0].index == 1


async def test_newest_of_all_known_checkpoints_is_named(start: StartLedger, admin: Admin) -> None:
    town = await lost_some(start, admin)
    witnessed = CheckpointNotary(KEY, PRIVATE).sign(TreeHead(900, b"\x01" * 32))

    done = await continued(town, known=[witnessed, (await town.store.head()).checkpoint])

    assert done.former is not None
    assert done.former.last_known.size == 900


async def test_log_that_went_on_after_a_roll_back_names_the_story_that_it_lost(
    start: StartLedger, admin: Admin
) -> None:
    """Longer than what was lost, and another: only the witness knows. What was told since is kept."""
    town = await start()
    await town.append(*(disclosure() for _ in range(5)))
    earlier = await town.store.head()
    await town.append(*(disclosure() for _ in range(10)))
    witnessed = (await town.store.head()).checkpoint
    await town.stop()
    roll_back(admin, 5, earlier.checkpoint)
    town.file.unlink()
    await LastReleasedFile(town.file).keep(earlier.checkpoint)
    town = await start()
    given = await town.append(*(disclosure() for _ in range(40)))
    town.sequencer.distrust(CustodyError("a witness has seen another log"))
    await town.watch.until(State.READ_ONLY)

    done = await continued(town, known=[witnessed])
    again = await go_on(start, town, done)

    assert done.former is not None
    assert (done.former.size, done.former.checkpoint) == (45, witnessed)
    assert (await again.append(disclosure()))[0].index == 46
    assert all(verify_receipt(public(one), KEY, answered=ANSWER) for one in given)


async def test_log_that_lacks_nothing_is_not_continued(start: StartLedger) -> None:
    town = await start()
    await town.append(disclosure())

    with pytest.raises(NothingToContinueError, match="leads and appends"):
        await continued(town)
    await town.stop()
    # Started with another key by mistake, it is read-only; but nothing of it is lost.
    town = await start(wait_for=State.READ_ONLY, key=VerifierKey("onestop.example/elsewhere", KEY.public))
    with pytest.raises(NothingToContinueError, match="holds all that is known"):
        await continued(town)


async def test_checkpoint_of_another_log_or_a_fork_is_refused(start: StartLedger, admin: Admin) -> None:
    town = await lost_some(start, admin)
    stranger = CheckpointNotary(VerifierKey("elsewhere.example", KEY.public), PRIVATE).sign(
        TreeHead(900, b"\x01" * 32)
    )
    fork = CheckpointNotary(KEY, PRIVATE).sign(TreeHead(305, b"\x01" * 32))

    for known in (stranger, fork):
        with pytest.raises(NothingToContinueError):
            await continued(town, known=[known])
    assert (await town.store.head()).size == 5


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET leaf = leaf || ' ' WHERE idx = 2",
        "UPDATE entry SET caller = 'rural-bank' WHERE idx = 2",
        "DELETE FROM entry WHERE idx = 4",
        "UPDATE head SET checkpoint = replace(checkpoint, 'ledger', 'other')",
    ],
)
async def test_altered_log_is_not_continued(start: StartLedger, admin: Admin, change: str) -> None:
    town = await lost_some(start, admin)
    admin.execute(OPEN)
    admin.execute(change.encode())

    with pytest.raises(CustodyError):
        await continued(town)


async def test_nobody_but_the_ledger_begins_an_origin(start: StartLedger) -> None:
    town = await start()

    answers = await town.desk.append("licence", [replace(disclosure(), kind=EntryKind.CONTINUATION)])

    assert refusals(answers) == ["REQUEST_INVALID"]
