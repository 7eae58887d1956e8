"""States by day, the licence that stands for its holder, and who is entitled to what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import LicenceIdentifier
from services.licence.domain import (
    CaseBinding,
    Catalogue,
    Licence,
    LicenceKey,
    LicenceState,
    MatterNotEntitledError,
    Suspension,
    UseCodeInvalidError,
    UseGrant,
    Verdict,
    day_of,
    newest,
    unregistered,
)

FROM, UNTIL = date(2020, 5, 1), date(2030, 4, 30)
DAY = timedelta(days=1)
MOMENT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
BINDING = CaseBinding("approval-platform", "OFFICE", "clerk7", "sole-trader-registration", "A-1")
LICENCE = Licence(
    key=LicenceKey(UUID(int=1), UUID(int=2)),
    type_code="11100000000013127D001",
    identifier="",
    version=1,
    issuer_code="",
    issuer_name="韶关市公安局",
    issued_on=FROM,
    valid_from=FROM,
    valid_until=UNTIL,
    recorded_at=MOMENT,
)
GRANT = UseGrant(BINDING, "", UUID(int=1), (UUID(int=2),), MOMENT + timedelta(minutes=10))

days = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@pytest.mark.parametrize(
    ("day", "state"),
    [
        (FROM - DAY, LicenceState.NOT_YET_IN_FORCE),
        (FROM, LicenceState.IN_FORCE),
        (UNTIL, LicenceState.IN_FORCE),
        (UNTIL + DAY, LicenceState.EXPIRED),
    ],
)
def test_first_and_last_day_of_validity_count(day: date, state: LicenceState) -> None:
    assert LICENCE.state_on(day) is state


def test_licence_without_end_never_expires() -> None:
    assert replace(LICENCE, valid_until=None).state_on(date(2999, 1, 1)) is LicenceState.IN_FORCE


@pytest.mark.parametrize(
    ("day", "state"),
    [
        (date(2024, 6, 30), LicenceState.IN_FORCE),
        (date(2024, 7, 1), LicenceState.SUSPENDED),
        (date(2024, 9, 30), LicenceState.SUSPENDED),
        (date(2024, 10, 1), LicenceState.IN_FORCE),
    ],
)
def test_suspension_begins_and_ends(day: date, state: LicenceState) -> None:
    suspended = replace(LICENCE, suspension=Suspension(date(2024, 7, 1), date(2024, 9, 30)))

    assert suspended.state_on(day) is state


def test_suspension_until_further_notice_lasts_until_the_licence_expires() -> None:
    suspended = replace(LICENCE, suspension=Suspension(date(2024, 7, 1)))

    assert suspended.state_on(UNTIL) is LicenceState.SUSPENDED
    assert suspended.state_on(UNTIL + DAY) is LicenceState.EXPIRED


def test_revocation_counts_from_its_day_on_and_is_not_called_expiry() -> None:
    revoked = replace(LICENCE, revoked_on=date(2025, 1, 1))

    assert revoked.state_on(date(2024, 12, 31)) is LicenceState.IN_FORCE
    assert revoked.state_on(date(2025, 1, 1)) is LicenceState.REVOKED
    assert revoked.state_on(UNTIL + DAY) is LicenceState.REVOKED


@given(day=days, start=days, end=st.none() | days, revoked=st.none() | days, paused=st.none() | days)
def test_in_force_means_that_nothing_speaks_against_it(
    day: date, start: date, end: date | None, revoked: date | None, paused: date | None
) -> None:
    licence = replace(
        LICENCE,
        valid_from=start,
        valid_until=end,
        revoked_on=revoked,
        suspension=Suspension(paused) if paused else None,
    )

    against = (
        day < start
        or (end is not None and end < day)
        or (revoked is not None and revoked <= day)
        or (paused is not None and paused <= day)
    )
    assert (licence.state_on(day) is LicenceState.IN_FORCE) is not against


def test_days_are_those_of_china() -> None:
    assert day_of(datetime(2026, 3, 1, 15, 59, tzinfo=UTC)) == date(2026, 3, 1)
    assert day_of(datetime(2026, 3, 1, 16, 0, tzinfo=UTC)) == date(2026, 3, 2)


def test_an_older_licence_in_force_stands_before_a_newer_one_that_is_not() -> None:
    old = replace(LICENCE, key=LicenceKey(UUID(int=1), UUID(int=3)), valid_from=date(2018, 1, 1))
    revoked = replace(LICENCE, revoked_on=date(2025, 1, 1))

    assert newest([revoked, old], date(2026, 1, 1)) == old
    assert newest([old, LICENCE], date(2026, 1, 1)) == LICENCE
    assert newest([revoked], date(2026, 1, 1)) == revoked
    assert newest([], date(2026, 1, 1)) is None


def test_no_end_of_validity_is_a_value_of_its_own() -> None:
    assert LICENCE.plain_fields(["valid_until", "address"]) == {"valid_until": "2030-04-30"}
    assert replace(LICENCE, valid_until=None).plain_fields(["valid_until"]) == {"valid_until": "长期"}


upper = st.characters(codec="ascii", categories=["Lu", "Nd"])


@given(
    type_code=st.text(upper, min_size=21, max_size=21),
    issuer_code=st.text(upper, min_size=18, max_size=18),
    serial=st.text(upper, min_size=1, max_size=32),
    version=st.integers(1, 999),
    other=st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
)
def test_an_identifier_that_differs_in_its_check_character_is_told_apart_from_an_unknown_one(
    type_code: str, issuer_code: str, serial: str, version: int, other: str
) -> None:
    identifier = str(LicenceIdentifier(type_code, issuer_code, serial, f"{version:03}"))

    assert unregistered(identifier) is Verdict.NOT_FOUND
    expected = Verdict.NOT_FOUND if identifier[-1] == other else Verdict.CHECK_DIFFERS
    assert unregistered(identifier[:-1] + other) is expected


@given(st.text(max_size=160))
def test_any_other_text_is_malformed(text: str) -> None:
    assert unregistered(text) is Verdict.MALFORMED


CATALOGUE = Catalogue({}, {("m", "T1"): frozenset({"sex", "number"}), ("m", "T2"): frozenset({"sex"})})


def test_types_that_the_matter_does_not_entitle_to_are_all_named() -> None:
    CATALOGUE.require_types("m", ["T1", "T2"])

    with pytest.raises(MatterNotEntitledError, match="T8, T9") as refused:
        CATALOGUE.require_types("m", ["T8", "T1", "T9"])

    assert refused.value.faults[0].field == "type_codes"


def test_fields_that_the_matter_does_not_entitle_to_are_all_named() -> None:
    CATALOGUE.require_fields("m", "T1", ["sex", "number", "valid_until"])

    with pytest.raises(MatterNotEntitledError, match="address, number"):
        CATALOGUE.require_fields("m", "T2", ["number", "address", "sex"])


def test_plain_fields_need_the_type_at_least() -> None:
    with pytest.raises(MatterNotEntitledError, match="T9"):
        CATALOGUE.require_fields("m", "T9", ["valid_until"])


def test_a_grant_permits_its_own_case_until_it_expires() -> None:
    GRANT.require(BINDING, UUID(int=2), MOMENT)
    GRANT.require(CaseBinding("approval-platform", "", "", "", ""), UUID(int=2), MOMENT)

    with pytest.raises(UseCodeInvalidError):
        GRANT.require(BINDING, UUID(int=2), MOMENT + timedelta(minutes=10))


@pytest.mark.parametrize(
    "given_binding",
    [
        replace(BINDING, caller="rural-bank"),
        replace(BINDING, caller=""),
        replace(BINDING, office="ANOTHER"),
        replace(BINDING, operator="clerk8"),
        replace(BINDING, matter_code="company-change"),
        replace(BINDING, case_number="A-2"),
    ],
)
def test_a_grant_permits_nothing_to_anybody_else(given_binding: CaseBinding) -> None:
    with pytest.raises(UseCodeInvalidError):
        GRANT.require(given_binding, UUID(int=2), MOMENT)


def test_a_grant_permits_no_licence_but_its_own() -> None:
    with pytest.raises(UseCodeInvalidError):
        GRANT.require(BINDING, UUID(int=3), MOMENT)
