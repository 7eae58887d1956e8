"""What becomes of a batch's items: repeated, refused or new. Pure but for the futures that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from core.entries import EntryKind, Receipt
from core.errors import ServiceError
from services.ledger.domain import Known, Prepared, refuse_outcome, refuse_reuse


@dataclass(frozen=True, slots=True)
class Repeated:
    """The item had been appended before; its first receipt is in the store."""

    item_id: UUID


Appended = Receipt | Repeated


@dataclass(slots=True, eq=False)
class Waiting:
    """An item that waits to be appended, and how often that has been tried."""

    item: Prepared
    future: asyncio.Future[Appended]
    attempts: int = 0

    def settle(self, answer: Appended | ServiceError) -> None:
        """Tells whoever still waits."""
        if self.future.done():
            return
        if isinstance(answer, ServiceError):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)


@dataclass(slots=True)
class Plan:
    """New entries in order, and the answers that are known already."""

    new: list[Prepared] = field(default_factory=list)
    place: dict[UUID, int] = field(default_factory=dict)
    closing: set[UUID] = field(default_factory=set)
    settled: list[tuple[Waiting, ServiceError | Repeated]] = field(default_factory=list)
    following: list[tuple[Waiting, int]] = field(default_factory=list)


def plan(batch: Sequence[Waiting], known: Mapping[UUID, Known]) -> Plan:
    """Sorts a batch, item by item in order: repeated, refused, or new."""
    made = Plan()
    for one in batch:
        item = one.item
        try:
            if item.item_id in made.place:
                place = made.place[item.item_id]
                refuse_reuse(made.new[place].digest, item)
                made.following.append((one, place))
            elif item.item_id in known:
                refuse_reuse(known[item.item_id].digest, item)
                made.settled.append((one, Repeated(item.item_id)))
            else:
                if item.intent_id is not None:
                    refuse_outcome(_intent(made, known, item.intent_id), item)
                    made.closing.add(item.intent_id)
                made.place[item.item_id] = len(made.new)
                made.following.append((one, len(made.new)))
                made.new.append(item)
        except ServiceError as refusal:
            made.settled.append((one, refusal))
    return made


def _intent(made: Plan, known: Mapping[UUID, Known], intent_id: UUID) -> Known | None:
    """An intent as it stands after what the batch has done so far."""
    intent = known.get(intent_id)
    if intent_id in made.place:
        entry = made.new[made.place[intent_id]]
        intent = Known(entry.kind, entry.recorder, entry.digest, entry.kind is EntryKind.INTENT)
    if intent is not None and intent_id in made.closing:
        intent = Known(intent.kind, intent.recorder, intent.digest, open=False)
    return intent
