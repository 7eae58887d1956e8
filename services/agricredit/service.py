"""The consent desk: partners ask, farmers see, grant and revoke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.disclosure import Disclosure, Produced, RecordRef, Released, RequestContext, Transaction
from core.errors import BasisMissingError, fault_error
from core.identifiers import check_subject
from core.identity import CITIZEN_NUMBER, Subject
from services.agricredit.domain import (
    OPEN_FOR,
    Consent,
    ConsentRequest,
    Cursor,
    Item,
    Partner,
    State,
    Wish,
)
from services.agricredit.refusals import (
    PartnerUnknownError,
    TooManyOpenRequestsError,
    closed,
    consent_not_found,
    request_not_found,
)
from services.agricredit.wording import consent_text, text_digest

DEFAULT_PAGE = 50

REQUEST_FIELDS = ("consent_id", "items", "max_uses", "purpose", "state", "text", "uses", "valid_until")
CONSENT_FIELDS = ("items", "max_uses", "purpose", "state", "uses", "valid_until")
"""What a consent request's, and a consent's, public form tells, as the ledger entry says it."""


class Consents(Protocol):
    """Partners, requests and consents, as the desk needs them. `tx` is the act's open transaction."""

    async def partner(self, partner_id: str) -> Partner | None:
        """An active partner with its agreements."""
        ...

    async def request(self, request_id: UUID, partner_id: str) -> ConsentRequest | None:
        """A partner's own request, with the consent that came of it."""
        ...

    async def request_of(self, farmer: Subject, request_id: UUID) -> ConsentRequest | None:
        """A request to this farmer."""
        ...

    async def requests_of(self, farmer: Subject, after: Cursor | None, limit: int) -> list[ConsentRequest]:
        """The requests to this farmer, newest first."""
        ...

    async def consent_of(self, farmer: Subject, consent_id: UUID) -> Consent | None:
        """A consent that this farmer gave."""
        ...

    async def farmer(self, subject_id: UUID) -> Subject:
        """The number behind a subject id."""
        ...

    async def enrol(self, tx: Transaction, farmer: Subject) -> UUID:
        """The farmer's subject id, made where there is none; locked until the transaction ends."""
        ...

    async def open_requests(self, tx: Transaction, subject_id: UUID, partner_id: str, now: datetime) -> int:
        """How many requests of the partner this farmer has not answered."""
        ...

    async def read_request(self, tx: Transaction, subject_id: UUID, request_id: UUID) -> ConsentRequest:
        """A request as it is now."""
        ...

    async def add_request(self, tx: Transaction, request: ConsentRequest) -> None:
        """Stores a new request."""
        ...

    async def add_consent(self, tx: Transaction, consent: Consent) -> bool:
        """Stores a consent; False where the request has got one meanwhile."""
        ...

    async def lock_consent(self, tx: Transaction, subject_id: UUID, consent_id: UUID) -> Consent:
        """The consent as it is now; nobody reserves a use of it until the transaction ends."""
        ...

    async def revoke(self, tx: Transaction, consent: Consent, now: datetime) -> None:
        """Notes the revocation."""
        ...


@dataclass(frozen=True)
class RequestAnswer:
    """A consent request and its state at the time of asking."""

    request: ConsentRequest
    state: State


@dataclass(frozen=True)
class RequestsAnswer:
    """A page of a farmer's requests."""

    requests: tuple[RequestAnswer, ...]
    next_page_token: str


@dataclass(frozen=True)
class ConsentAnswer:
    """A consent and its state at the time of asking."""

    consent: Consent
    state: State


class ConsentDesk:
    """The use cases of partners and farmers. `body` is the request's canonical bytes."""

    def __init__(self, *, consents: Consents, disclosure: Disclosure, clock: Clock) -> None:
        self._consents = consents
        self._disclosure = disclosure
        self._clock = clock

    async def ask(self, context: RequestContext, farmer: Subject, wish: Wish, *, body: bytes) -> Released:
        """A partner asks a farmer. Nobody looks whether the farmer is known: the answer is always alike.

        Errors: PARTNER_UNKNOWN, PURPOSE_NOT_AGREED, ITEM_NOT_AGREED, CHECK_DIGIT_WRONG,
        CONSENT_REQUESTS_OPEN, and INVALID naming validity_days or max_uses.
        """
        partner = required_partner(await self._consents.partner(context.caller.name))
        agreement = partner.agreement(wish.purpose_code, wish.items)
        wish.check(agreement)
        if farmer.code_type != CITIZEN_NUMBER:
            raise fault_error("farmer.code_type", "citizen", "a farmer is named by citizen ID number, 111")
        farmer = check_subject(farmer, "farmer")
        context = replace(context, purpose=context.purpose or wish.purpose_code)

        async def do(tx: Transaction, intent_id: UUID) -> Produced:
            now = self._clock()
            subject_id = await self._consents.enrol(tx, farmer)
            waiting = await self._consents.open_requests(tx, subject_id, partner.partner_id, now)
            if waiting >= partner.open_requests:
                raise TooManyOpenRequestsError("this farmer has not answered the requests made before")
            valid_until = (now + timedelta(days=wish.validity_days)).replace(second=0, microsecond=0)
            items = tuple(item for item in Item if item in wish.items)
            text = consent_text(
                partner, agreement, items, max_uses=wish.max_uses, requested_at=now, valid_until=valid_until
            )
            request = ConsentRequest(
                request_id=intent_id,
                subject_id=subject_id,
                partner_id=partner.partner_id,
                partner_name=partner.name,
                partner_contact=partner.contact,
                purpose_code=agreement.purpose_code,
                purpose_text=agreement.purpose_text,
                items=items,
                max_uses=wish.max_uses,
                requested_at=now,
                answer_by=min(now + OPEN_FOR, valid_until),
                valid_until=valid_until,
                text=text,
                text_sha256=text_digest(text),
            )
            await self._consents.add_request(tx, request)
            return Produced(RequestAnswer(request, request.state(now)), REQUEST_FIELDS, subject=farmer)

        return await self._disclosure.act(
            context, method="consent.request", body=body, do=do, subject=farmer, field_names=REQUEST_FIELDS
        )

    async def look(self, context: RequestContext, request_id: UUID, *, body: bytes) -> Released:
        """The state of a partner's own request. Errors: PARTNER_UNKNOWN, CONSENT_REQUEST_NOT_FOUND."""
        partner = required_partner(await self._consents.partner(context.caller.name))
        request = await self._consents.request(request_id, partner.partner_id)
        if request is None:
            raise request_not_found()
        farmer = await self._consents.farmer(request.subject_id)

        async def produce() -> Produced:
            answer = RequestAnswer(request, request.state(self._clock()))
            return Produced(answer, REQUEST_FIELDS, [_request_ref(request)], farmer)

        return await self._disclosure.read(context, method="consent.look", body=body, produce=produce)

    async def list(
        self, context: RequestContext, page_size: int, page_token: str, *, body: bytes
    ) -> Released:
        """What the signed-in person was asked, newest first. Errors: PAGE_TOKEN_INVALID."""
        farmer = _person(context)
        after = Cursor.parse(page_token)
        size = page_size or DEFAULT_PAGE

        async def produce() -> Produced:
            found = await self._consents.requests_of(farmer, after, size + 1)
            now = self._clock()
            page, more = found[:size], len(found) > size
            token = Cursor(page[-1].requested_at, page[-1].request_id).token() if more else ""
            answers = tuple(RequestAnswer(request, request.state(now)) for request in page)
            refs = [_request_ref(request) for request in page]
            return Produced(RequestsAnswer(answers, token), REQUEST_FIELDS, refs, farmer)

        return await self._disclosure.read(context, method="consent.list", body=body, produce=produce)

    async def grant(
        self,
        context: RequestContext,
        request_id: UUID,
        items: Sequence[Item],
        text_sha256: str,
        *,
        body: bytes,
    ) -> Released:
        """The signed-in person grants what she ticked.

        Errors: CONSENT_REQUEST_NOT_FOUND, CONSENT_REQUEST_CLOSED, CONSENT_TEXT_CHANGED, ITEM_NOT_REQUESTED.
        """
        farmer = _person(context)
        known = await self._consents.request_of(farmer, request_id)
        if known is None:
            raise request_not_found()
        ref = _request_ref(known)

        async def do(tx: Transaction, intent_id: UUID) -> Produced:
            now = self._clock()
            request = await self._consents.read_request(tx, known.subject_id, request_id)
            consent = request.grant(intent_id, items, text_sha256, now)
            if not await self._consents.add_consent(tx, consent):
                raise closed()
            return Produced(ConsentAnswer(consent, consent.state(now)), CONSENT_FIELDS, [ref], farmer)

        return await self._disclosure.act(
            context,
            method="consent.grant",
            body=body,
            do=do,
            subject=farmer,
            field_names=CONSENT_FIELDS,
            records=[ref],
        )

    async def revoke(self, context: RequestContext, consent_id: UUID, *, body: bytes) -> Released:
        """The signed-in person revokes; effective at once, and again without effect.

        Errors: CONSENT_NOT_FOUND.
        """
        farmer = _person(context)
        known = await self._consents.consent_of(farmer, consent_id)
        if known is None:
            raise consent_not_found()
        ref = RecordRef("consent", str(consent_id))

        async def do(tx: Transaction, intent_id: UUID) -> Produced:
            now = self._clock()
            consent = await self._consents.lock_consent(tx, known.subject_id, consent_id)
            if consent.revoked_at is None:
                await self._consents.revoke(tx, consent, now)
                consent = replace(consent, revoked_at=now)
            return Produced(ConsentAnswer(consent, consent.state(now)), CONSENT_FIELDS, [ref], farmer)

        return await self._disclosure.act(
            context,
            method="consent.revoke",
            body=body,
            do=do,
            subject=farmer,
            field_names=CONSENT_FIELDS,
            records=[ref],
        )


def required_partner(partner: Partner | None) -> Partner:
    """The partner that calls. Raises PartnerUnknownError."""
    if partner is None:
        raise PartnerUnknownError("the caller has no agreement with the city in force")
    return partner


def _person(context: RequestContext) -> Subject:
    """The signed-in person."""
    subject = context.caller.subject
    if subject is None or subject.code_type != CITIZEN_NUMBER:
        raise BasisMissingError("consents are a person's own: sign in as one")
    return subject


def _request_ref(request: ConsentRequest) -> RecordRef:
    return RecordRef("consent.request", str(request.request_id))
