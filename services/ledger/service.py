"""The ledger's use cases: append, give a receipt again, list open intents."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.entries import Entry, Receipt, RequestContext
from core.errors import ServiceError
from core.identity import Subject
from core.merkle import VerificationError, leaf_hash, verify_inclusion
from services.ledger.custody import LogReader
from services.ledger.domain import (
    CustodyError,
    Kept,
    Prepared,
    ReceiptNotFoundError,
    ReceiptPrunedError,
    StoreLostError,
    check,
    unavailable,
)
from services.ledger.entry import Opening, item_bytes, leaf_bytes, read_item
from services.ledger.merkle import inclusion_ranges
from services.ledger.plan import Repeated
from services.ledger.proving import Prover
from services.ledger.publishing import PublicLog
from services.ledger.sequencer import Sequencer

PATIENCE_SECONDS = 3.0
"""How long an entry waits for a database that has gone away: longer than one takes to start again."""

SEALED = "opening.sealed"
SALT_BYTES = 32
MOST_INTENTS = 1000
USUAL_INTENTS = 100


class Sealer(Protocol):
    """Encrypts what opens an entry, and finds subjects without knowing them (core.vault)."""

    index_version: int

    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes:
        """The sealed form, bound to row and column."""
        ...

    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes:
        """What was sealed."""
        ...

    def blind_index(self, subject: Subject) -> bytes:
        """The subject's index under the current key."""
        ...

    def keyed_hash(self, *parts: bytes) -> bytes:
        """A keyed hash, for comparing without keeping."""
        ...


class Archive(LogReader, Protocol):
    """What was appended, for reading; every method may raise StoreLostError."""

    async def kept(self, item_ids: Collection[UUID]) -> Mapping[UUID, Kept]:
        """The stored entries under these ids."""
        ...

    async def pruned_for(self, item_id: UUID) -> str | None:
        """The caller of an entry that was pruned; None where none was under this id."""
        ...

    async def open_intents(
        self, recorder: str, older_than: datetime, limit: int
    ) -> Sequence[tuple[UUID, bytes, bytes | None]]:
        """Item id, leaf and sealed opening of the recorder's intents without outcome, oldest first."""
        ...


class LedgerDesk:
    """Answers the ledger's callers."""

    def __init__(
        self, sequencer: Sequencer, archive: Archive, public: PublicLog, sealer: Sealer, clock: Clock
    ) -> None:
        self._sequencer = sequencer
        self._archive = archive
        self._prover = Prover(archive)
        self._public = public
        self._sealer = sealer
        self._clock = clock

    async def append(
        self, recorder: str, entries: Sequence[Entry]
    ) -> list[Receipt | ServiceError | CustodyError]:
        """A receipt or a refusal for each entry, in order; receipts are of durable entries only.

        Raises UnavailableError or ReadOnlyError where this ledger cannot append at all.
        """
        answers: list[Receipt | ServiceError | CustodyError | None] = [None] * len(entries)
        prepared: list[tuple[int, Prepared]] = []
        now = self._clock()
        for place, entry in enumerate(entries):
            try:
                prepared.append((place, self._prepare(recorder, entry, now)))
            except ServiceError as refusal:
                answers[place] = refusal
        futures = self._sequencer.submit([item for _, item in prepared])
        repeated: dict[UUID, list[int]] = {}
        try:
            if futures:
                await asyncio.wait(futures, timeout=PATIENCE_SECONDS)
            for (place, _), future in zip(prepared, futures, strict=True):
                answer = _answer(future)
                if isinstance(answer, Repeated):
                    repeated.setdefault(answer.item_id, []).append(place)
                else:
                    answers[place] = answer
        finally:
            for future in futures:
                future.cancel()
        if repeated:
            kept = await self._kept(repeated)
            for item_id, places in repeated.items():
                receipt = await self._first_receipt(kept[item_id])
                for place in places:
                    answers[place] = receipt
        return [answer for answer in answers if answer is not None]

    async def receipt(self, context: RequestContext, item_id: UUID, *, cosigned: bool = False) -> Receipt:
        """A receipt, to the caller named in the entry or to a citizen whom it is about.

        It is the one that was given first, or, `cosigned`, one that proves the same entry in the newest tree
        whose checkpoint the witnesses have cosigned; NotCosignedError where they have not yet.

        One of several whom it is about gets it without the salt of the answer: with the salt, whoever can
        guess the answer proves the guess, and with it what the answer says of the others.

        Raises ReceiptNotFoundError for everybody else, whether there is such an entry or not; for a caller
        whose entry was pruned ReceiptPrunedError.
        """
        kept = (await self._kept([item_id])).get(item_id)
        if kept is None:
            await self._refuse_pruned(context, item_id)
        if kept is None or not self._may_see(context, kept):
            raise ReceiptNotFoundError("there is no such receipt for this caller")
        if cosigned:
            signed = await self._public.covering(kept.index)
            answer = await self._receipt_in(kept, signed.size, signed.note)
        else:
            answer = await self._first_receipt(kept)
        if isinstance(answer, CustodyError):
            raise answer
        if context.caller.subject is not None and len(self._subjects(kept)) > 1:
            answer = replace(answer, answer_salt=b"")
        return replace(answer, checkpoint=signed.cosigned) if cosigned else answer

    async def continuations(self) -> list[Receipt]:
        """The receipts of the entries by which this log continues others, oldest first; for everybody.

        Raises UnavailableError, CustodyError.
        """
        ids = await self._public.continuations()
        kept = await self._kept(ids)
        receipts = []
        for item_id in ids:
            answer = await self._first_receipt(kept[item_id])
            if isinstance(answer, CustodyError):
                raise answer
            receipts.append(answer)
        return receipts

    async def open_intents(self, recorder: str, older_than: datetime, limit: int) -> list[Entry]:
        """The recorder's intents that are older than `older_than` and have no outcome, oldest first."""
        count = min(limit or USUAL_INTENTS, MOST_INTENTS)
        try:
            rows = await self._archive.open_intents(recorder, older_than, count)
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost
        return [read_item(leaf, self._opening(item_id, sealed)) for item_id, leaf, sealed in rows]

    async def last_released(self) -> str:
        """The last released checkpoint as this process keeps it, empty where it keeps none.

        Raises UnavailableError where its file cannot be read, CustodyError where it holds none.
        """
        try:
            return await self._sequencer.last_released() or ""
        except StoreLostError as lost:
            raise unavailable("the file of the last released checkpoint cannot be read") from lost

    def _prepare(self, recorder: str, entry: Entry, now: datetime) -> Prepared:
        check(entry)
        opening = Opening.of(entry, _salt(), _salt(), _salt)
        subject = opening.subject
        return Prepared(
            item_id=entry.item_id,
            kind=entry.kind,
            recorder=recorder,
            caller=entry.caller,
            intent_id=entry.intent_id,
            leaf=leaf_bytes(entry, opening, recorder=recorder, time=now),
            appended_at=now,
            digest=self._sealer.keyed_hash(b"ledger item", item_bytes(entry, recorder)),
            sealed=self._sealer.seal(opening.to_bytes(), row=entry.item_id, column=SEALED),
            subject_index=self._sealer.blind_index(subject) if subject else None,
            index_version=self._sealer.index_version if subject else None,
            answer_salt=entry.answer_salt,
            further_indexes=tuple(self._sealer.blind_index(one) for one, _ in opening.further),
        )

    async def _kept(self, item_ids: Collection[UUID]) -> Mapping[UUID, Kept]:
        try:
            return await self._archive.kept(item_ids)
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost

    async def _first_receipt(self, kept: Kept) -> Receipt | CustodyError:
        """The receipt as it was first given."""
        return await self._receipt_in(kept, kept.tree_size, kept.checkpoint)

    async def _receipt_in(self, kept: Kept, size: int, checkpoint: str) -> Receipt | CustodyError:
        """The receipt in a tree; proved before it leaves, for the store may have been altered."""
        ranges = inclusion_ranges(kept.index, size)
        try:
            hashes = await self._prover.hashes(size, ranges)
            head = await self._public.opened(checkpoint)
            verify_inclusion(leaf_hash(kept.leaf), kept.index, head.size, hashes, head.root)
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost
        except (CustodyError, VerificationError, KeyError, ValueError):
            self._prover.forget()
            return CustodyError(f"the stored entry {kept.index} does not lead to its checkpoint")
        opening = self._opening(kept.item_id, kept.sealed)
        return Receipt(
            id=str(kept.item_id),
            entry=kept.leaf,
            index=kept.index,
            tree_size=size,
            hashes=hashes,
            checkpoint=checkpoint,
            answer_salt=opening.answer_salt if opening else b"",
            opening_destroyed=opening is None,
        )

    def _opening(self, item_id: UUID, sealed: bytes | None) -> Opening | None:
        """What opens an entry, unless that has been destroyed."""
        if sealed is None:
            return None
        return Opening.from_bytes(self._sealer.unseal(sealed, row=item_id, column=SEALED))

    async def _refuse_pruned(self, context: RequestContext, item_id: UUID) -> None:
        """Says to the caller of a pruned entry that it is gone. Whom it was about, nobody knows any more."""
        try:
            caller = await self._archive.pruned_for(item_id)
        except StoreLostError as lost:
            raise unavailable("the ledger's database does not answer") from lost
        if caller is not None and context.caller.subject is None and context.caller.name == caller:
            raise ReceiptPrunedError("its time is over: the entry was pruned, and only its hash is kept")

    def _may_see(self, context: RequestContext, kept: Kept) -> bool:
        """The caller sees its own entries. Citizens share one client name: they see what is about them."""
        citizen = context.caller.subject
        if citizen is None:
            return kept.caller == context.caller.name
        return citizen in self._subjects(kept)

    def _subjects(self, kept: Kept) -> tuple[Subject, ...]:
        """Whom an entry is about; nobody once its opening has been destroyed."""
        opening = self._opening(kept.item_id, kept.sealed)
        return opening.subjects if opening else ()


def _salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def _answer(future: asyncio.Future[Receipt | Repeated]) -> Receipt | Repeated | ServiceError:
    """What a future came to; a refusal of its own where it has not come to anything."""
    if not future.done():
        return unavailable("the entry was not written in time; try again with the same item id")
    failure = future.exception()
    if failure is None:
        return future.result()
    if isinstance(failure, ServiceError):
        return failure
    raise failure
