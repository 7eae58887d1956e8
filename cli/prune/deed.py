"""The pruning: decided in the log, done in one transaction, its outcome in the log, whatever crashes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from cli.export.verify import verify
from cli.recording import recorder
from cli.showing import step
from core import queries
from core.entries import Entry, EntryKind, Outcome, RecordRef
from core.ledger import LedgerClient
from core.merkle import VerificationError
from deploy.local.errors import GroundError
from deploy.local.pki import PRUNER
from deploy.local.settings import Settings
from services.ledger.entry import LEDGER_ENTRIES, PRUNE_METHOD, pruned_version
from services.ledger.merkle import TILE_WIDTH

LEAST_YEARS = 3
"""Personal Information Protection Law, Article 56."""

Q = queries.load(__package__)
Rows = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Wish:
    """What goes: the entries before a moment, as far as these exports hold them; by whose hand, and why."""

    before: datetime
    exports: Sequence[Path]
    operator: str
    reason: str


def least_moment(now: datetime) -> datetime:
    """Nothing that was appended after this may go."""
    try:
        return now.replace(year=now.year - LEAST_YEARS)
    except ValueError:  # The 29th of February.
        return now.replace(year=now.year - LEAST_YEARS, day=28)


def ends(connection: Rows, before: datetime) -> tuple[int, int]:
    """Up to where entries are gone, and up to where they may go: whole tiles before the moment, and no open
    intent, nor anything after one. Raises GroundError for a moment that is too late."""
    if before > least_moment(datetime.now(UTC)):
        raise GroundError(
            f"Entries are kept for at least {LEAST_YEARS} years.",
            f"name a moment before {least_moment(datetime.now(UTC)):%Y-%m-%d %H:%M} UTC.",
        )
    row = connection.execute(Q.prune_ends, {"before": before}).fetchone()
    assert row is not None
    gone, end = int(str(row[0])), int(str(row[1]))
    return gone, end // TILE_WIDTH * TILE_WIDTH


def refuse_unexported(exports: Sequence[Path], keys: str, gone: int, end: int) -> None:
    """Passes where proved exports hold every entry that is to go. Raises GroundError."""
    held = gone
    manifests = []
    for path in exports:
        try:
            manifests.append(verify(path, keys, None)[0])
        except (VerificationError, OSError) as failure:
            raise GroundError(
                f"{path} proves nothing: {failure}", "make the export again, and verify it."
            ) from None
    for manifest in sorted(manifests, key=lambda one: one.first):
        if manifest.first <= held:
            held = max(held, manifest.end)
    if held < end:
        raise GroundError(
            f"The exports hold the entries up to {held}, and those up to {end} are to go.",
            "export the rest first: ./onestop export make …; nothing goes that is not kept elsewhere.",
        )


async def prune(settings: Settings, connection: Rows, wish: Wish) -> tuple[int, int]:
    """Prunes; from where and up to where. Raises GroundError; the next run says what became of it."""
    keys = (settings.keys / "ledger.vkey").read_text(encoding="utf-8")
    async with recorder(settings, PRUNER) as client:
        await _close_open(client, connection)
        gone, end = ends(connection, wish.before)
        if end <= gone:
            raise GroundError("There is nothing to prune.", "entries go in whole tiles of 256, oldest first.")
        refuse_unexported(wish.exports, keys, gone, end)
        intent = Entry(
            item_id=uuid.uuid4(),
            kind=EntryKind.INTENT,
            method=PRUNE_METHOD,
            caller="operator",
            office="",
            basis=None,
            purpose=wish.reason,
            operator=wish.operator,
            subject=None,
            records=(RecordRef(LEDGER_ENTRIES, pruned_version(end)),),
        )
        await client.append(intent)
        with step("pruning"):
            remove(connection, intent.item_id, end)
        await client.append(_outcome(intent, Outcome.COMPLETED))
    return gone, end


def remove(connection: Rows, item_id: uuid.UUID, end: int) -> None:
    """Removes the entries before `end`, which must not be open intents, in one transaction and as the role
    that may. The database refuses what is younger than three years."""
    with connection.transaction():
        connection.execute(Q.take_role)
        connection.execute(Q.note_pruning, {"end": end, "item_id": item_id})
        connection.execute(Q.note_entries, {"end": end})
        connection.execute(Q.remove_openings, {"end": end})
        connection.execute(Q.remove_entries, {"end": end})


async def _close_open(client: LedgerClient, connection: Rows) -> None:
    """Closes what a run that was cut off has left open: done if the transaction was committed, else not."""
    for intent in await client.open_intents(datetime.now(UTC)):
        done = connection.execute(Q.was_done, {"item_id": intent.item_id}).fetchone()
        await client.append(_outcome(intent, Outcome.COMPLETED if done else Outcome.ABORTED))
        print(f"closed what an earlier run has left: {'done' if done else 'not done'}", flush=True)


def _outcome(intent: Entry, outcome: Outcome) -> Entry:
    return replace(
        intent, item_id=uuid.uuid4(), kind=EntryKind.OUTCOME, outcome=outcome, intent_id=intent.item_id
    )
