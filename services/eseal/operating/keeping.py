"""Carries out what operators have asked for: intent, the act with its history, outcome.

The database keeps who asked, and lets nothing be done that nobody asks for or that does not follow where the
seal stands. After a crash the same request is gone on with: it is one act, whose key is the request's id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.disclosure import Disclosure, Produced, RecordRef, RequestContext, Transaction
from core.errors import Kind, ServiceError
from core.identity import Caller
from core.log import get_logger
from services.eseal.domain import Algorithm, Picture
from services.eseal.lifecycle import Action, Application, Request, step_of

CALLER = "operators"
MOST_REASON = 140
"""Characters of a reason that an entry has room for; all of it is in the history."""
LOOK_SECONDS = 1.0
REQUESTS_A_LOOK = 20
LONGEST = timedelta(seconds=60)
"""An act that is not stored within it is begun anew."""
_WAITS = frozenset({Kind.UNAVAILABLE, Kind.LATE, Kind.CONFLICT, Kind.EXHAUSTED})
"""What another try may mend."""

_logger = get_logger()


@dataclass(frozen=True)
class MadeKey:
    """A seal's key with its certificate."""

    id: UUID
    algorithm: Algorithm
    sealed: bytes = field(repr=False)
    """The private half as its keystore keeps it."""
    certificate: bytes
    """X.509, DER."""
    structure: bytes | None = None
    """SESeal, DER (GB/T 38540), of a seal for OFD."""


@dataclass(frozen=True)
class MadeSeal:
    """What making a seal makes."""

    picture: Picture
    key: MadeKey | None
    """None where the seal has one already, whose certificate was imported."""


@dataclass(frozen=True)
class Making:
    """What there is to make."""

    application: Application
    code: str
    """The anti-forgery code that it was given."""
    has_key: bool


@dataclass(frozen=True)
class KeptAct:
    """An act that was done, as its outcome commits to it."""

    request: Request
    standing: int


class KeepingStore(Protocol):
    """What was asked for, and the way to carry it out."""

    async def open_requests(self, limit: int) -> Sequence[Request]:
        """What was asked for and is not done, oldest first."""
        ...

    async def to_make(self, seal_id: UUID) -> Making:
        """What was applied for. Raises SealActRefusedError."""
        ...

    async def carry_out(
        self, tx: Transaction, request: Request, intent_id: UUID, made: MadeSeal | None
    ) -> None:
        """Does it, in the act's transaction. Raises SealActRefusedError."""
        ...

    async def refuse(self, request: Request, why: str) -> None:
        """Notes that it is not done, and why."""
        ...


class SealMaker(Protocol):
    """Makes keys, certificates and pictures."""

    async def make(self, wanted: Making) -> MadeSeal:
        """Raises InvalidError, SealPictureInvalidError, SealAuthorityMissingError, Sm2UnavailableError."""
        ...


class KeyEnd(Protocol):
    """Where keys come to their end."""

    async def destroy(self, seal_id: UUID) -> None:
        """Destroys what of a seal's keys lies elsewhere than in the database; again, it changes nothing.

        Raises KeystoreUnavailableError.
        """
        ...

    async def forget_destroyed(self) -> None:
        """Drops from memory what was destroyed."""
        ...


class Keeper:
    """Carries out what was asked for. `run` it beside the server, in every process."""

    def __init__(
        self,
        *,
        store: KeepingStore,
        maker: SealMaker,
        keys: KeyEnd,
        disclosure: Disclosure,
        clock: Clock,
    ) -> None:
        self._store = store
        self._maker = maker
        self._keys = keys
        self._disclosure = disclosure
        self._clock = clock

    async def run(self) -> None:
        """Looks every second, until it is cancelled. What fails is tried again."""
        while True:
            try:
                await self.work()
            except Exception as failure:
                # The database is away, most likely; seals are put meanwhile or not, as it allows.
                _logger.warning("keeping_waits", why=type(failure).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def work(self) -> None:
        """Does what is to be done now."""
        await self._keys.forget_destroyed()
        for request in await self._store.open_requests(REQUESTS_A_LOOK):
            try:
                await self._carry_out(request)
            except ServiceError as refusal:
                if refusal.kind in _WAITS:
                    _logger.warning("seal_act_waits", request=str(request.id), reason=refusal.reason)
                    continue
                await self._store.refuse(request, f"{refusal.reason}: {refusal.message}")
                _logger.info("seal_act_refused", request=str(request.id), reason=refusal.reason)

    async def _carry_out(self, request: Request) -> None:
        # Looked at before too, so that what cannot be done leaves no intent.
        step = step_of(request.action, request.standing, actor=request.asked_by, history=request.history)
        made = None
        if request.action is Action.MAKE:
            made = await self._maker.make(await self._store.to_make(request.seal_id))

        async def do(tx: Transaction, intent_id: UUID) -> Produced:
            if request.action is Action.DESTROY:
                # First: if nothing else comes of it, a revoked seal has no key, and it is done again.
                await self._keys.destroy(request.seal_id)
            await self._store.carry_out(tx, request, intent_id, made)
            return Produced(KeptAct(request, step.to.value), records=[_ref(request)])

        await self._disclosure.act(
            self._context(request),
            method=f"eseal.seal_{request.action}",
            body=request.body(),
            do=do,
            records=[_ref(request)],
        )
        _logger.info("seal_act_done", request=str(request.id), action=request.action.value)

    def _context(self, request: Request) -> RequestContext:
        now = self._clock()
        return RequestContext(
            caller=Caller(CALLER, frozenset()),
            office=request.owner_code,
            operator=request.asked_by,
            basis=None,
            purpose=f"{request.reason[:MOST_REASON]} (request {request.id})",
            request_id=str(request.id),
            received_at=now,
            deadline=now + LONGEST,
        )


def _ref(request: Request) -> RecordRef:
    return RecordRef(f"seal:{request.seal_id}", str(request.id))
