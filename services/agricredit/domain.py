"""Partners, consent requests, consents, and the rules by which a partner may fetch."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from uuid import UUID

from core.errors import FieldFault, fault_error
from services.agricredit.refusals import (
    ConsentExpiredError,
    ConsentRevokedError,
    ConsentTextChangedError,
    ConsentUsedUpError,
    ItemNotAgreedError,
    ItemNotConsentedError,
    ItemNotRequestedError,
    PageTokenError,
    PurposeNotAgreedError,
    PurposeNotConsentedError,
    closed,
    consent_not_found,
)

OPEN_FOR = timedelta(days=30)
"""How long a farmer may take to answer a request."""

SAME_REQUEST = timedelta(hours=24)
"""How long a repeated request (the same Idempotency-Key) takes no further use; design, invariant 4."""


class Item(StrEnum):
    """A kind of data that a consent may name; the value is its public word."""

    LAND_RIGHTS = "land_rights"
    SUBSIDIES = "subsidies"


class State(StrEnum):
    """Of a consent request, and of the consent that came of it."""

    PENDING = "pending"
    GRANTED = "granted"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Agreement:
    """What the city has agreed with a partner for one purpose."""

    purpose_code: str
    purpose_text: str
    items: frozenset[Item]
    max_validity_days: int
    max_uses: int
    keeping: str
    """How long the partner keeps the data, in words for the farmer."""


@dataclass(frozen=True)
class Partner:
    """A partner: whom the city gives data to, for what, and how often at most."""

    partner_id: str
    name: str
    contact: str
    encryption_jwk: Mapping[str, object]
    daily_fetches: int
    open_requests: int
    agreements: Mapping[str, Agreement]

    def agreement(self, purpose_code: str, items: Collection[Item]) -> Agreement:
        """The agreement under which these kinds of data may be asked for.

        Raises PurposeNotAgreedError, ItemNotAgreedError.
        """
        agreement = self.agreements.get(purpose_code)
        if agreement is None:
            raise PurposeNotAgreedError("the purpose is not one that the city has agreed with this partner")
        extra = sorted(item.value for item in items if item not in agreement.items)
        if extra:
            raise ItemNotAgreedError(f"not agreed for this purpose: {', '.join(extra)}")
        return agreement


@dataclass(frozen=True)
class Wish:
    """What a partner asks a farmer for."""

    purpose_code: str
    items: tuple[Item, ...]
    validity_days: int
    max_uses: int

    def check(self, agreement: Agreement) -> None:
        """Passes when validity and uses are within the agreement. Raises InvalidError naming the field."""
        if self.validity_days > agreement.max_validity_days:
            most = agreement.max_validity_days
            raise fault_error("validity_days", "agreed", f"at most {most} days are agreed for this purpose")
        if self.max_uses > agreement.max_uses:
            most = agreement.max_uses
            raise fault_error("max_uses", "agreed", f"at most {most} uses are agreed for this purpose")


@dataclass(frozen=True)
class Claim:
    """What a partner wants to fetch on the strength of a consent."""

    partner_id: str
    purpose_code: str
    item: Item


@dataclass(frozen=True)
class Consent:
    """A consent (授权): to one partner, for one purpose, of the ticked kinds of data, for a time."""

    consent_id: UUID
    subject_id: UUID
    request_id: UUID
    partner_id: str
    partner_name: str
    purpose_code: str
    items: tuple[Item, ...]
    max_uses: int
    uses: int
    granted_at: datetime
    valid_until: datetime
    revoked_at: datetime | None
    text_sha256: str

    def state(self, now: datetime) -> State:
        """Revoked wins over expired: it is what the farmer did."""
        if self.revoked_at is not None:
            return State.REVOKED
        return State.EXPIRED if now >= self.valid_until else State.GRANTED

    def permit(self, claim: Claim, now: datetime) -> None:
        """Passes when the consent covers the claim now, uses aside.

        Raises CONSENT_NOT_FOUND (to a foreign lender, as if there were none), CONSENT_REVOKED,
        CONSENT_EXPIRED, PURPOSE_NOT_CONSENTED, ITEM_NOT_CONSENTED.
        """
        if claim.partner_id != self.partner_id:
            raise consent_not_found()
        state = self.state(now)
        if state is State.REVOKED:
            raise ConsentRevokedError("the farmer has revoked this consent; ask her for a new one")
        if state is State.EXPIRED:
            raise ConsentExpiredError("this consent's time is over; ask the farmer for a new one")
        if claim.purpose_code != self.purpose_code:
            raise PurposeNotConsentedError(f"this consent was given for {self.purpose_code} alone")
        if claim.item not in self.items:
            raise ItemNotConsentedError(f"the farmer did not consent to sharing {claim.item.value}")

    def require_use_left(self) -> None:
        """Passes while uses are left. Raises ConsentUsedUpError."""
        if self.uses >= self.max_uses:
            raise ConsentUsedUpError(f"this consent's {self.max_uses} uses are used up")


class Repeat(Enum):
    """What a request's earlier use of a consent means when the request comes again."""

    UNDER_WAY = "under way"
    SAME_USE = "same use"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class Use:
    """One use of a consent, reserved or confirmed."""

    use_id: UUID
    confirmed: bool
    reserved_at: datetime
    held_until: datetime

    def repeated(self, now: datetime) -> Repeat:
        """A use that was paid for and whose answer is not remembered serves the same request again."""
        if not self.confirmed:
            return Repeat.UNDER_WAY if now < self.held_until else Repeat.SAME_USE
        return Repeat.SAME_USE if now < self.reserved_at + SAME_REQUEST else Repeat.FORGOTTEN


@dataclass(frozen=True)
class ConsentRequest:
    """What a partner has asked a farmer, in the words she is shown."""

    request_id: UUID
    subject_id: UUID
    partner_id: str
    partner_name: str
    partner_contact: str
    purpose_code: str
    purpose_text: str
    items: tuple[Item, ...]
    max_uses: int
    requested_at: datetime
    answer_by: datetime
    valid_until: datetime
    text: str
    text_sha256: str
    consent: Consent | None = None

    def state(self, now: datetime) -> State:
        """Of the request, or of the consent that came of it."""
        if self.consent is not None:
            return self.consent.state(now)
        return State.EXPIRED if now >= self.answer_by else State.PENDING

    def grant(self, consent_id: UUID, items: Collection[Item], text_sha256: str, now: datetime) -> Consent:
        """The consent to the ticked items. Raises CONSENT_REQUEST_CLOSED, CONSENT_TEXT_CHANGED,
        ITEM_NOT_REQUESTED."""
        if self.state(now) is not State.PENDING:
            raise closed()
        if text_sha256 != self.text_sha256:
            raise ConsentTextChangedError("the text that was shown is not this request's; show it again")
        extra = sorted(item.value for item in items if item not in self.items)
        if extra:
            message = f"tick only what was asked for; not asked for: {', '.join(extra)}"
            raise ItemNotRequestedError(message, faults=[FieldFault("items", "requested", message)])
        return Consent(
            consent_id=consent_id,
            subject_id=self.subject_id,
            request_id=self.request_id,
            partner_id=self.partner_id,
            partner_name=self.partner_name,
            purpose_code=self.purpose_code,
            items=tuple(item for item in self.items if item in items),
            max_uses=self.max_uses,
            uses=0,
            granted_at=now,
            valid_until=self.valid_until,
            revoked_at=None,
            text_sha256=self.text_sha256,
        )


@dataclass(frozen=True)
class Cursor:
    """Where a page of requests ends: the newest come first."""

    requested_at: datetime
    request_id: UUID

    def token(self) -> str:
        """The opaque page token."""
        text = f"{self.requested_at.isoformat()} {self.request_id}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, token: str) -> Cursor | None:
        """The cursor of a token; None for the empty one. Raises PageTokenError."""
        if not token:
            return None
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
            moment, _, request_id = text.partition(" ")
            requested_at = datetime.fromisoformat(moment)
            if requested_at.tzinfo is None:
                raise ValueError(moment)
            return cls(requested_at.astimezone(UTC), UUID(request_id))
        except (ValueError, OverflowError, binascii.Error):
            message = "take the next_page_token of the page before"
            fault = FieldFault("page_token", "known", message)
            raise PageTokenError(f"page_token: {message}", faults=[fault]) from None
