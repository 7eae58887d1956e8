"""The fetch desk: a partner gets the consented data, one use at a time, or a clear refusal."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.disclosure import BasisKind, Disclosure, Produced, Receipt, RecordRef, Released, RequestContext
from core.errors import BasisMissingError, Kind, ServiceError
from core.identity import Subject
from services.agricredit.domain import Claim, Consent, Item, Partner
from services.agricredit.refusals import ConsentRevokedError, consent_not_found
from services.agricredit.registers import (
    CONTRACTS,
    PARCELS,
    RESOURCES,
    SUBSIDIES,
    LandRightsAnswer,
    SourceRecord,
    SubsidiesAnswer,
    disclosed_names,
    land_rights,
    subsidies,
)
from services.agricredit.service import required_partner
from services.agricredit.wording import CITY_TIME

LEFT_FOR_THE_ENTRY = timedelta(milliseconds=300)
"""What a source leaves of the caller's time, so that a late source is named before the time is up."""

MOST_RECORD_REFS = 398
"""An entry takes 400, of which two may say that a register holds nothing."""

REFUSALS = frozenset({Kind.INVALID, Kind.CONFLICT, Kind.PRECONDITION, Kind.FORBIDDEN, Kind.TOO_LARGE})
"""With one of these the ledger has refused an entry for good; anything else leaves it open."""

Relay = object
"""What the caller proved, passed on unread; the client adapter knows its type."""


@dataclass(frozen=True)
class Reservation:
    """One use of a consent, reserved."""

    subject_id: UUID
    consent_id: UUID
    use_id: UUID
    partner_id: str
    day: date
    uses_left: int
    held_until: datetime
    """Names the attempt that holds the use: a later one of the same request holds it longer."""
    first: bool
    """False where the same request reserved it before: what became of that attempt is not known."""


@dataclass(frozen=True)
class Attempt:
    """One request that wants to use a consent."""

    claim: Claim
    operator: str
    request_id: str
    """Empty where the request cannot be repeated."""
    now: datetime
    held_until: datetime
    daily_fetches: int
    """The partner's ceiling."""

    @property
    def day(self) -> date:
        """The day, in the city's time, that the use counts for."""
        return self.now.astimezone(CITY_TIME).date()

    @property
    def next_day_in(self) -> float:
        """Seconds until another day's uses count."""
        tomorrow = datetime.combine(self.day + timedelta(days=1), time.min, CITY_TIME)
        return (tomorrow - self.now).total_seconds()


@dataclass(frozen=True)
class Look:
    """A partner and a consent as they are now; none where there is none."""

    partner: Partner | None
    consent: Consent | None
    farmer: Callable[[], Subject] | None
    """Opens the number of the farmer who gave the consent."""


class Uses(Protocol):
    """Consents and their uses, as the desk needs them."""

    async def look(self, partner_id: str, consent_id: UUID | None) -> Look:
        """An active partner, and the consent of this id, whosever it is."""
        ...

    async def stands(self, consent: Consent) -> bool:
        """Whether nobody has revoked the consent by now."""
        ...

    async def reserve(self, consent: Consent, attempt: Attempt) -> Reservation:
        """Takes one use, in one transaction with the check that the consent still permits the claim.

        A request that comes again takes no second use. Raises the refusals of Consent.permit,
        CONSENT_USED_UP, FAIR_USE_EXCEEDED, REQUEST_IN_PROGRESS.
        """
        ...

    async def confirm(self, reservation: Reservation, entry_id: UUID) -> None:
        """The ledger holds this entry of the use. Raises UnavailableError where the use was given back."""
        ...

    async def release(self, reservation: Reservation) -> None:
        """Gives the use back: nothing was appended. Never raises; what fails stays counted as used.

        So does a use that the same request, come again, holds by now.
        """
        ...

    async def leave(self, reservation: Reservation) -> None:
        """The request has ended without knowing what the ledger holds: counted as used, unless the same
        request comes again. Never raises."""
        ...


class Registers(Protocol):
    """The data node."""

    async def read(
        self, resources: Sequence[str], farmer: Subject, deadline: datetime, relay: Relay
    ) -> dict[str, Sequence[SourceRecord]]:
        """The farmer's records of each resource; none where it holds none. Raises SOURCE_DOWN."""
        ...


@dataclass(frozen=True)
class Fetched:
    """An answer that may leave, sealed to this partner."""

    released: Released
    partner: Partner


Compose = Callable[[Consent, int, dict[str, Sequence[SourceRecord]]], object]


class FetchDesk:
    """Authorise and reserve, read, append, confirm, release: the disclosure protocol for a consent."""

    def __init__(
        self,
        *,
        uses: Uses,
        registers: Registers,
        disclosure: Disclosure,
        clock: Clock,
        source_life: timedelta,
    ) -> None:
        self._uses = uses
        self._registers = registers
        self._disclosure = disclosure
        self._clock = clock
        self._source_life = source_life
        self._endings: set[asyncio.Task[None]] = set()

    async def land_rights(
        self, context: RequestContext, purpose_code: str, relay: Relay, *, body: bytes
    ) -> Fetched:
        """Land rights of the farmer who consented.

        Errors: PARTNER_UNKNOWN, CONSENT_NOT_FOUND, CONSENT_REVOKED, CONSENT_EXPIRED, CONSENT_USED_UP,
        ITEM_NOT_CONSENTED, PURPOSE_NOT_CONSENTED, FAIR_USE_EXCEEDED, SOURCE_DOWN.
        """

        def compose(consent: Consent, uses_left: int, found: dict[str, Sequence[SourceRecord]]) -> object:
            rights = land_rights(found[CONTRACTS], found[PARCELS])
            return LandRightsAnswer(consent.consent_id, rights, uses_left)

        return await self._fetch(
            context, purpose_code, Item.LAND_RIGHTS, relay=relay, compose=compose, body=body
        )

    async def subsidies(
        self, context: RequestContext, purpose_code: str, years: int, relay: Relay, *, body: bytes
    ) -> Fetched:
        """Subsidies of the newest years of the farmer who consented. Errors: as land_rights."""

        def compose(consent: Consent, uses_left: int, found: dict[str, Sequence[SourceRecord]]) -> object:
            return SubsidiesAnswer(consent.consent_id, subsidies(found[SUBSIDIES], years), uses_left)

        return await self._fetch(
            context, purpose_code, Item.SUBSIDIES, relay=relay, compose=compose, body=body
        )

    async def drain(self) -> None:
        """Waits for uses that are being given back."""
        if self._endings:
            await asyncio.gather(*self._endings, return_exceptions=True)

    async def _fetch(
        self,
        context: RequestContext,
        purpose_code: str,
        item: Item,
        *,
        relay: Relay,
        compose: Compose,
        body: bytes,
    ) -> Fetched:
        look = await self._uses.look(context.caller.name, _consent_id(context))
        partner = required_partner(look.partner)
        claim = Claim(partner.partner_id, purpose_code, item)
        consent, farmer_of = self._permitted(context, look, claim)
        context = replace(context, purpose=context.purpose or purpose_code)
        reserved: list[Reservation] = []

        async def produce() -> Produced:
            farmer = farmer_of()
            reservation = await self._uses.reserve(consent, self._attempt(context, claim, partner))
            try:
                found = await self._read(item, farmer, context, relay)
                answer = compose(consent, reservation.uses_left, found)
            except BaseException:
                await self._end(reservation, nothing_appended=True)
                raise
            reserved.append(reservation)
            return Produced(answer, disclosed_names(item), _refs(found), farmer)

        async def confirm(receipt: Receipt) -> None:
            await self._uses.confirm(reserved[0], UUID(receipt.id))

        try:
            released = await self._disclosure.read(
                context, method=f"credit.{item.value}", body=body, produce=produce, confirm=confirm
            )
        except BaseException as failure:
            for reservation in reserved:
                await self._end(reservation, nothing_appended=_refused_by_ledger(failure))
            raise
        await self._require_not_revoked(consent)
        return Fetched(released, partner)

    def _permitted(
        self, context: RequestContext, look: Look, claim: Claim
    ) -> tuple[Consent, Callable[[], Subject]]:
        """The consent that the context names, if it permits the claim now; a replay passes here too."""
        if context.basis is None or context.basis.kind is not BasisKind.CONSENT:
            raise BasisMissingError("this data is given with a consent alone: name consent_id")
        if look.consent is None or look.farmer is None:
            raise consent_not_found()
        look.consent.permit(claim, self._clock())
        return look.consent, look.farmer

    async def _require_not_revoked(self, consent: Consent) -> None:
        """The last look before the answer leaves: a revocation while it was being made stops it.

        The entry stands, as for a caller who hangs up: over-recorded, never under-recorded.
        """
        if not await self._uses.stands(consent):
            raise ConsentRevokedError("the farmer revoked this consent while the answer was being made")

    def _attempt(self, context: RequestContext, claim: Claim, partner: Partner) -> Attempt:
        now = self._clock()
        return Attempt(
            claim=claim,
            operator=context.operator,
            request_id=context.request_id,
            now=now,
            held_until=context.deadline,
            daily_fetches=partner.daily_fetches,
        )

    async def _read(
        self, item: Item, farmer: Subject, context: RequestContext, relay: Relay
    ) -> dict[str, Sequence[SourceRecord]]:
        """The records of each resource that the item names, asked together under one deadline."""
        deadline = min(self._clock() + self._source_life, context.deadline - LEFT_FOR_THE_ENTRY)
        return await self._registers.read(RESOURCES[item], farmer, deadline, relay)

    async def _end(self, reservation: Reservation, *, nothing_appended: bool) -> None:
        """Gives the use back or leaves it; seen through even though the caller may be gone, or may go."""
        end = self._uses.release if nothing_appended and reservation.first else self._uses.leave
        task = asyncio.ensure_future(end(reservation))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        await asyncio.shield(task)


def _consent_id(context: RequestContext) -> UUID | None:
    """The id of the consent that a call rests on; None where there can be no such consent."""
    try:
        return UUID(context.basis.consent_id) if context.basis is not None else None
    except ValueError:
        return None


def _refused_by_ledger(failure: BaseException) -> bool:
    return isinstance(failure, ServiceError) and failure.part == "ledger" and failure.kind in REFUSALS


def _refs(found: dict[str, Sequence[SourceRecord]]) -> list[RecordRef]:
    """The records read; a register that was asked in vain says so.

    More than an entry takes are named by resource, with the SHA-256 of their versions, one a line.
    """
    refs = [RecordRef(one.resource, one.version) for records in found.values() for one in records]
    if len(refs) > MOST_RECORD_REFS:
        refs = [RecordRef(resource, _digest(records)) for resource, records in found.items() if records]
    return refs + [RecordRef(resource, "none") for resource, records in found.items() if not records]


def _digest(records: Sequence[SourceRecord]) -> str:
    return hashlib.sha256("\n".join(one.version for one in records).encode()).hexdigest()
