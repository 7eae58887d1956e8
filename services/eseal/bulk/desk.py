"""Seals put on many documents at a time: each as one alone would be, the steps taken for many at once.

Those of streams go together, and those of calls that come one by one. What arrives while a step is under way
goes together in the next one. The first step asks who may use the seal, and which documents were done before;
then each is laid out by itself; the second step records their intents, signs and stores them in one
transaction, and records their outcomes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Protocol, TypeAlias
from uuid import UUID
from weakref import WeakValueDictionary

from core.clock import Clock
from core.coalesce import Coalescer
from core.disclosure import Produced, Released, RequestContext, Transaction
from core.errors import ServiceError
from core.log import get_logger
from core.together import Act, Together
from services.eseal.bulk.turns import MOST_IN_DEVICES, MOST_LIMITED, STREAMS, Turns
from services.eseal.domain import Seal, SealUser, SignatureRecord
from services.eseal.levels import Level
from services.eseal.sealing.putting import SIGN, FoundSeal, LaidOut, Putting, PuttingStore, rule_of, seal_ref
from services.eseal.usage import day_in_china, quota_spent

CHUNK = 128
"""Documents that a step is taken for at a time."""
AT_ONCE = 4
"""Documents that are signed in one turn of the event loop."""
PUT_TIME = timedelta(seconds=15)
"""How long the second step may take: so long its keys count as under way, should the process die in it."""

LayOut: TypeAlias = Callable[[FoundSeal], Awaitable[LaidOut]]
"""How a document comes to be laid out for its seal: one that was uploaded, or that is made of something."""

_logger = get_logger()


class BulkStore(PuttingStore, Protocol):
    """The same store, asked about many documents at a time."""

    async def quota_left(self, tx: Transaction, rule: SealUser, day: date) -> int:
        """How often a limited permission may still be used. Others wait until the transaction ends."""
        ...

    async def use_quota(self, tx: Transaction, rule: SealUser, day: date, times: int) -> None:
        """Uses a limited permission so many times."""
        ...

    async def add_signatures(self, tx: Transaction, records: Sequence[SignatureRecord]) -> None:
        """Writes the records of signatures, in the acts' transaction."""
        ...


@dataclass(eq=False)
class Piece:
    """One document of many: for whom, what its request says, how it is laid out."""

    context: RequestContext
    body: bytes = field(repr=False)
    seal_id: UUID
    lay_out: LayOut = field(repr=False)
    laid_out: LaidOut | None = field(default=None, repr=False)
    began: bool = False
    """Whether its intent may have been recorded, so that it has to come to its end."""


class BulkDesk:
    """Seals many documents. Contexts have been verified; rights to the seal are checked here, for each."""

    def __init__(
        self,
        store: BulkStore,
        putting: Putting,
        together: Together,
        clock: Clock,
        *,
        turns: Turns = STREAMS,
    ) -> None:
        self._store = store
        self._putting = putting
        self._together = together
        self._clock = clock
        self._looking: Coalescer[Piece, Released | FoundSeal] = Coalescer(
            # One question at a time: it is short, and meanwhile there is more to ask together.
            self._look,
            slots=1,
            largest=CHUNK,
        )
        self._pressing: Coalescer[Piece, Released] = Coalescer(self._put, slots=turns.slots, largest=CHUNK)
        self._lasting: Coalescer[Piece, Released] = Coalescer(
            self._put, slots=turns.lasting_slots, largest=turns.lasting
        )
        self._in_devices: Coalescer[Piece, Released] = Coalescer(self._put, slots=MOST_IN_DEVICES, largest=1)
        # By one permission all go together: each would wait for the one before it anyway.
        self._limited: WeakValueDictionary[UUID | None, Coalescer[Piece, Released]] = WeakValueDictionary()
        self._limited_slots = asyncio.Semaphore(MOST_LIMITED)
        self._apart = turns.apart

    async def seal(self, piece: Piece) -> Released:
        """Seals one of the documents once per request_id; what was done before is answered as it was.

        Errors: as of SealDesk.sign, and IDEMPOTENCY_KEY_*, REQUEST_IN_PROGRESS, ACT_ABORTED.
        """
        found = await self._looking.submit(piece)
        if isinstance(found, Released):
            return found
        piece.laid_out = await piece.lay_out(found)
        return await self._turn_of(piece, found).submit(piece)

    def _turn_of(self, piece: Piece, found: FoundSeal) -> Coalescer[Piece, Released]:
        """With whom a document goes: with none that waits for what it need not wait for itself."""
        laid_out = _laid_out(piece)
        if laid_out.level > Level.B_B:
            return self._lasting
        if not self._apart:
            return self._pressing
        rule = self._putting.permitted(found, piece.context)
        if rule.is_limited:
            # A device may be so slow that many would not come to their end in time.
            largest = 1 if laid_out.signer.in_device else CHUNK
            fresh = Coalescer[Piece, Released](self._put_limited, slots=1, largest=largest)
            return self._limited.setdefault(rule.rule_id, fresh)
        return self._in_devices if laid_out.signer.in_device else self._pressing

    async def put(self, context: RequestContext, *, seal_id: UUID, lay_out: LayOut, body: bytes) -> Released:
        """The same for one call, as SealDesk asks for it."""
        return await self.seal(Piece(context, body, seal_id, lay_out))

    async def _look(self, pieces: Sequence[Piece]) -> Sequence[Released | FoundSeal | Exception]:
        """Of each document what was answered before, the seal that it may get, or why it gets none."""
        looked: dict[int, Released | FoundSeal | Exception] = {}
        seals: dict[UUID, FoundSeal] = {}
        for seal_id in {piece.seal_id for piece in pieces}:
            try:
                seals[seal_id] = await self._putting.find(seal_id)
            # The latter two: of a row that cannot be read.
            except (ServiceError, ValueError, LookupError) as failure:
                why = failure
                looked |= {place: why for place, one in enumerate(pieces) if one.seal_id == seal_id}
        rules: dict[int, SealUser] = {}
        for place, piece in enumerate(pieces):
            if (found := seals.get(piece.seal_id)) is not None:
                try:
                    rules[place] = self._putting.permitted(found, piece.context)
                    looked[place] = found
                except ServiceError as refusal:
                    looked[place] = refusal
        places = list(rules)
        known = await self._together.known(SIGN, [_act(pieces[place]) for place in places])
        spent = await self._spent([rules[at] for at, one in zip(places, known, strict=True) if one is None])
        for place, result in zip(places, known, strict=True):
            if result is not None:
                looked[place] = result
            elif rules[place].rule_id in spent:
                looked[place] = quota_spent()
        return [looked[place] for place in range(len(pieces))]

    async def _spent(self, rules: Sequence[SealUser]) -> set[UUID | None]:
        """Limited permissions that have nothing left: what cannot be sealed need not be laid out."""
        today = day_in_china(self._clock())
        limited = {rule.rule_id: rule for rule in rules if rule.is_limited}
        return {rule_id for rule_id, rule in limited.items() if not await self._store.has_quota(rule, today)}

    async def _put_limited(self, pieces: Sequence[Piece]) -> Sequence[Released | Exception]:
        async with self._limited_slots:
            return await self._put(pieces)

    async def _put(self, pieces: Sequence[Piece]) -> Sequence[Released | Exception]:
        """Intents, signatures, records and outcomes of documents that are laid out."""
        until = self._clock() + PUT_TIME
        acts = []
        for piece in pieces:
            piece.began = True
            piece.context = replace(piece.context, deadline=until)
            acts.append(_act(piece))

        async def do(tx: Transaction, asked: Sequence[tuple[int, UUID]]) -> Sequence[Produced | Exception]:
            return await self._press(tx, [(pieces[place], intent_id) for place, intent_id in asked])

        async with asyncio.timeout(PUT_TIME.total_seconds()):
            return await self._together.act(SIGN, acts, do)

    async def _press(
        self, tx: Transaction, pieces: Sequence[tuple[Piece, UUID]]
    ) -> Sequence[Produced | Exception]:
        """Looks at each one's rights again, signs, and writes the records."""
        refused, rules = await self._permitted_now(tx, [piece for piece, _ in pieces])
        today = day_in_china(self._clock())
        # In one order: two who take the same ones wait for each other in turn, and not for good.
        limited = {str(rule.rule_id): rule for rule in rules.values() if rule.is_limited}
        left = {name: await self._store.quota_left(tx, limited[name], today) for name in sorted(limited)}
        signing: list[int] = []
        for place, rule in rules.items():
            name = str(rule.rule_id)
            if name not in left or left[name] > 0:
                signing.append(place)
                if name in left:
                    left[name] -= 1
            else:
                refused[place] = quota_spent()
        signed: dict[int, tuple[Produced, SignatureRecord]] = {}
        for start in range(0, len(signing), AT_ONCE):
            group = signing[start : start + AT_ONCE]
            pressed = await self._pressed_all([pieces[place] for place in group])
            for place, one in zip(group, pressed, strict=True):
                if isinstance(one, Exception):
                    refused[place] = one
                else:
                    signed[place] = one
            await asyncio.sleep(0)
        uses = Counter(str(rules[place].rule_id) for place in signed)
        for name, rule in limited.items():
            if uses[name]:
                await self._store.use_quota(tx, rule, today, uses[name])
        if signed:
            await self._store.add_signatures(tx, [record for _, record in signed.values()])
        return [signed[place][0] if place in signed else refused[place] for place in range(len(pieces))]

    async def _permitted_now(
        self, tx: Transaction, pieces: Sequence[Piece]
    ) -> tuple[dict[int, Exception], dict[int, SealUser]]:
        """Why a document is refused, or by which permission it is sealed, as the transaction sees it."""
        refused: dict[int, Exception] = {}
        rules: dict[int, SealUser] = {}
        users: dict[UUID, Sequence[SealUser] | ServiceError] = {}
        for key_id, seal in {_laid_out(one).seal.key_id: _laid_out(one).seal for one in pieces}.items():
            users[key_id] = await self._users_now(tx, seal)
        for place, piece in enumerate(pieces):
            found = users[_laid_out(piece).seal.key_id]
            try:
                if isinstance(found, ServiceError):
                    raise found
                rules[place] = rule_of(found, piece.context)
            except ServiceError as refusal:
                refused[place] = refusal
        return refused, rules

    async def _users_now(self, tx: Transaction, seal: Seal) -> Sequence[SealUser] | ServiceError:
        try:
            return await self._putting.users_now(tx, seal)
        except ServiceError as refusal:
            return refusal

    async def _pressed_all(
        self, pieces: Sequence[tuple[Piece, UUID]]
    ) -> Sequence[tuple[Produced, SignatureRecord] | Exception]:
        """Documents, signed: one after another where that waits for nobody, else side by side."""
        laid_out = [_laid_out(piece) for piece, _ in pieces]
        if all(one.signer.is_quick and one.level is Level.B_B for one in laid_out):
            return [await self._pressed(*one) for one in pieces]
        return await asyncio.gather(*(self._pressed(*one) for one in pieces))

    async def _pressed(self, piece: Piece, intent_id: UUID) -> tuple[Produced, SignatureRecord] | Exception:
        """A document, signed; whatever goes wrong with one is its own affair."""
        try:
            return await self._putting.press(_laid_out(piece), piece.context, intent_id)
        except ServiceError as refusal:
            return refusal
        except Exception as failure:
            _logger.exception("document_not_sealed")
            return failure


def _laid_out(piece: Piece) -> LaidOut:
    assert piece.laid_out is not None
    return piece.laid_out


def _act(piece: Piece) -> Act:
    """The document as the protocol takes it."""
    seals = [piece.laid_out.seal] if piece.laid_out is not None else []
    return Act(piece.context, piece.body, [seal_ref(seal) for seal in seals])
