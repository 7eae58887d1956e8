"""Destroys what opens entries' commitments, as two people have decided: intent, done, outcome.

The database keeps who asked and who approved, and lets nothing be destroyed that is not approved, or before
the log holds an intent for it. After a crash the same batch is gone on with: its entries have the same ids,
and what is destroyed is not there to be destroyed again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID, uuid5

from core.entries import Entry, EntryKind, Outcome, Receipt, RecordRef
from core.errors import ServiceError
from core.log import get_logger
from services.ledger.domain import OPENINGS, PART, CustodyError, Shredding, StoreLostError
from services.ledger.sequencer import Sequencer, State
from services.ledger.service import LedgerDesk

METHOD = "ledger.shred"
CALLER = "operators"
DESTROYED = ("answer_salt", "operator", "purpose", "subject")
"""What an opening holds, by name."""
LOOK_SECONDS = 2.0
BATCHES_A_LOOK = 20

_logger = get_logger()


class ShreddingStore(Protocol):
    """What was approved, and the way to carry it out; every method may raise StoreLostError."""

    async def approved_shreddings(self, limit: int) -> Sequence[Shredding]:
        """What was approved and is not in the log to its end, oldest first."""
        ...

    async def carry_out(self, shredding: Shredding, intent_id: UUID) -> None:
        """Destroys the openings of a batch, for good and all or none; again, it changes nothing."""
        ...

    async def shredding_recorded(self, shredding: Shredding) -> None:
        """Notes that the log holds the outcome."""
        ...


class Shredder:
    """Carries out what was approved. `run` it beside the server; the ledger that leads does the work."""

    def __init__(self, desk: LedgerDesk, sequencer: Sequencer, store: ShreddingStore) -> None:
        self._desk = desk
        self._sequencer = sequencer
        self._store = store

    async def run(self) -> None:
        """Looks every few seconds, until it is cancelled. What fails is tried again."""
        while True:
            if self._sequencer.state is State.LEADING:
                try:
                    await self.work()
                except (StoreLostError, ServiceError, CustodyError) as failure:
                    _logger.warning("shredding_waits", why=str(failure))
            await asyncio.sleep(LOOK_SECONDS)

    async def work(self) -> None:
        """Does what is to be done now. Raises StoreLostError, ServiceError."""
        for shredding in await self._store.approved_shreddings(BATCHES_A_LOOK):
            intent = intent_of(shredding)
            await self._append(intent)
            await self._store.carry_out(shredding, intent.item_id)
            await self._append(outcome_of(intent))
            await self._store.shredding_recorded(shredding)
            _logger.info("openings_destroyed", shredding=str(shredding.shredding_id), batch=shredding.batch)

    async def _append(self, entry: Entry) -> None:
        (answer,) = await self._desk.append(PART, [entry])
        if not isinstance(answer, Receipt):
            raise answer


def intent_of(shredding: Shredding) -> Entry:
    """The entry that says which openings are about to be destroyed: ids and names, no identity payload."""
    return Entry(
        item_id=shredding.intent_id,
        kind=EntryKind.INTENT,
        method=METHOD,
        caller=CALLER,
        office="",
        basis=None,
        purpose=f"{shredding.reason} (request {shredding.shredding_id})",
        operator=f"{shredding.asked_by}, {shredding.approved_by}",
        subject=None,
        field_names=DESTROYED,
        records=tuple(RecordRef(OPENINGS, str(item)) for item in shredding.item_ids),
    )


def outcome_of(intent: Entry) -> Entry:
    """The entry that says that it was done."""
    return Entry(
        item_id=uuid5(intent.item_id, "outcome"),
        kind=EntryKind.OUTCOME,
        method=METHOD,
        caller=CALLER,
        office="",
        basis=None,
        purpose=intent.purpose,
        operator=intent.operator,
        subject=None,
        field_names=intent.field_names,
        outcome=Outcome.COMPLETED,
        intent_id=intent.item_id,
    )
