"""What a partner may ask for, what a farmer may grant, and what a consent permits."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidError, Kind, ServiceError
from services.agricredit.domain import (
    SAME_REQUEST,
    Claim,
    Consent,
    ConsentRequest,
    Cursor,
    Item,
    Repeat,
    State,
    Use,
    Wish,
)
from services.agricredit.refusals import (
    ConsentExpiredError,
    ConsentNotFoundError,
    ConsentRequestClosedError,
    ConsentRevokedError,
    ConsentTextChangedError,
    ConsentUsedUpError,
    ItemNotAgreedError,
    ItemNotConsentedError,
    ItemNotRequestedError,
    PageTokenError,
    PurposeNotAgreedError,
    PurposeNotConsentedError,
)
from tests.unit.agricredit.samples import BANK, BOTH, CONSENT, LOAN, NOW, REQUEST

CLAIM = Claim("rural-bank", "loan_application", Item.LAND_RIGHTS)
items = st.lists(st.sampled_from(list(Item)), min_size=1, unique=True)


def test_a_partner_may_ask_for_what_is_agreed_for_the_purpose() -> None:
    assert BANK.agreement("loan_application", BOTH) is LOAN


def test_another_purpose_is_refused() -> None:
    with pytest.raises(PurposeNotAgreedError):
        BANK.agreement("insurance_offer", BOTH)


def test_a_kind_of_data_that_is_not_agreed_is_refused_even_among_agreed_ones() -> None:
    narrow = replace(BANK, agreements={"loan_application": replace(LOAN, items=frozenset({Item.SUBSIDIES}))})

    with pytest.raises(ItemNotAgreedError):
        narrow.agreement("loan_application", BOTH)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (Wish("loan_application", BOTH, 181, 10), "validity_days"),
        (Wish("loan_application", BOTH, 180, 101), "max_uses"),
    ],
)
def test_limits_of_the_agreement_name_the_field(wish: Wish, field: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        wish.check(LOAN)

    assert [fault.field for fault in refusal.value.faults] == [field]


def test_the_agreed_limits_themselves_pass() -> None:
    Wish("loan_application", BOTH, 180, 100).check(LOAN)


@given(items)
def test_a_grant_holds_exactly_what_was_ticked(ticked: list[Item]) -> None:
    consent = REQUEST.grant(UUID(int=9), ticked, REQUEST.text_sha256, NOW)

    assert set(consent.items) == set(ticked)
    assert consent.state(NOW) is State.GRANTED
    assert (consent.uses, consent.max_uses, consent.valid_until) == (0, 10, REQUEST.valid_until)


def test_more_than_was_asked_cannot_be_granted() -> None:
    narrow = replace(REQUEST, items=(Item.SUBSIDIES,))

    with pytest.raises(ItemNotRequestedError):
        narrow.grant(UUID(int=9), BOTH, REQUEST.text_sha256, NOW)


def test_an_altered_text_cannot_be_granted() -> None:
    with pytest.raises(ConsentTextChangedError):
        REQUEST.grant(UUID(int=9), BOTH, "b" * 64, NOW)


@pytest.mark.parametrize(
    "request_",
    [replace(REQUEST, answer_by=NOW), replace(REQUEST, consent=CONSENT)],
    ids=["too late", "granted before"],
)
def test_a_closed_request_cannot_be_granted(request_: ConsentRequest) -> None:
    with pytest.raises(ConsentRequestClosedError):
        request_.grant(UUID(int=9), BOTH, REQUEST.text_sha256, NOW)


def test_a_request_shows_the_state_of_what_came_of_it() -> None:
    later = REQUEST.answer_by

    assert REQUEST.state(NOW) is State.PENDING
    assert REQUEST.state(later) is State.EXPIRED
    assert replace(REQUEST, consent=CONSENT).state(later) is State.GRANTED
    assert replace(REQUEST, consent=replace(CONSENT, revoked_at=NOW)).state(NOW) is State.REVOKED
    assert replace(REQUEST, consent=CONSENT).state(CONSENT.valid_until) is State.EXPIRED


def test_a_consent_permits_what_it_says() -> None:
    CONSENT.permit(CLAIM, NOW)
    CONSENT.permit(replace(CLAIM, item=Item.SUBSIDIES), CONSENT.valid_until - timedelta(microseconds=1))


REFUSED: dict[str, tuple[Consent, Claim, datetime, type[ServiceError]]] = {
    "foreign lender": (CONSENT, replace(CLAIM, partner_id="other-bank"), NOW, ConsentNotFoundError),
    "wrong purpose": (CONSENT, replace(CLAIM, purpose_code="insurance_offer"), NOW, PurposeNotConsentedError),
    "unticked": (replace(CONSENT, items=(Item.SUBSIDIES,)), CLAIM, NOW, ItemNotConsentedError),
    "expired": (CONSENT, CLAIM, CONSENT.valid_until, ConsentExpiredError),
    "revoked": (replace(CONSENT, revoked_at=NOW), CLAIM, NOW, ConsentRevokedError),
    "revoked and expired": (
        replace(CONSENT, revoked_at=NOW),
        CLAIM,
        CONSENT.valid_until,
        ConsentRevokedError,
    ),
    "foreign lender of a revoked one": (
        replace(CONSENT, revoked_at=NOW),
        replace(CLAIM, partner_id="other-bank"),
        NOW,
        ConsentNotFoundError,
    ),
}


@pytest.mark.parametrize(("consent", "claim", "now", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_a_consent_permits_nothing_else(
    consent: Consent,
    claim: Claim,
    now: datetime,
    error: type[ServiceError],
) -> None:
    with pytest.raises(error):
        consent.permit(claim, now)


@given(st.sets(st.sampled_from(list(Item)), min_size=1), st.lists(st.sampled_from(list(Item)), max_size=6))
def test_in_whatever_order_only_ticked_items_are_permitted(ticked: set[Item], fetched: list[Item]) -> None:
    consent = REQUEST.grant(UUID(int=9), ticked, REQUEST.text_sha256, NOW)
    permitted = []

    for item in fetched:
        with suppress(ItemNotConsentedError):
            consent.permit(replace(CLAIM, item=item), NOW)
            permitted.append(item)

    assert permitted == [item for item in fetched if item in ticked]


def test_not_allowed_is_forbidden_and_never_looks_like_no_data_or_a_source_down() -> None:
    forbidden = (
        ConsentRevokedError,
        ConsentExpiredError,
        ConsentUsedUpError,
        ItemNotConsentedError,
        PurposeNotConsentedError,
    )

    assert {error.kind for error in forbidden} == {Kind.FORBIDDEN}


@given(st.integers(0, 12))
def test_uses_run_out_at_the_agreed_number(uses: int) -> None:
    consent = replace(CONSENT, uses=uses)

    if uses < 10:
        consent.require_use_left()
    else:
        with pytest.raises(ConsentUsedUpError):
            consent.require_use_left()


def test_a_repeated_request_waits_then_takes_the_same_use_and_is_forgotten_after_a_day() -> None:
    held = Use(UUID(int=5), confirmed=False, reserved_at=NOW, held_until=NOW + timedelta(seconds=10))
    paid = replace(held, confirmed=True)

    assert held.repeated(NOW) is Repeat.UNDER_WAY
    assert held.repeated(NOW + timedelta(seconds=10)) is Repeat.SAME_USE
    assert held.repeated(NOW + timedelta(days=30)) is Repeat.SAME_USE
    assert paid.repeated(NOW) is Repeat.SAME_USE
    assert paid.repeated(NOW + SAME_REQUEST) is Repeat.FORGOTTEN


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_page_tokens_come_back_as_they_went(moment: datetime, request_id: UUID) -> None:
    cursor = Cursor(moment, request_id)

    assert Cursor.parse(cursor.token()) == cursor
    assert Cursor.parse("") is None


def _token(moment: str) -> str:
    return base64.urlsafe_b64encode(f"{moment} {UUID(int=1)}".encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "AAAA",
        "2026-01-01",
        "张三",
        "MjAyNi0wMS0wMSBub3QtYS11dWlk",
        _token("0001-01-01T00:00:00+23:59"),
        _token("2026-01-01T00:00:00"),
        "=" * 8,
    ],
)
def test_other_page_tokens_are_refused(token: str) -> None:
    with pytest.raises(PageTokenError):
        Cursor.parse(token)
