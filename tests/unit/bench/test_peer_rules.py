"""The peer decides as the city does: numbers, states of licences, which record fills a field."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import uuid4

import pytest

from services.autofill.templates import load_matters
from services.licence.domain import Licence, LicenceKey, Suspension
from tests.bench.peers.catalogue import FORM, FORM_FIELDS, load_forms, load_types
from tests.bench.peers.rules import (
    Filled,
    Source,
    Stored,
    check_citizen_number,
    fill,
    normalise,
    shown,
    state_on,
)

DAY = date(2026, 11, 28)
MOMENT = datetime(2026, 11, 1, tzinfo=UTC)
REGISTERS = ("population.person", "land.contract", "land.parcel", "subsidy.arable")


@dataclass(frozen=True)
class Row:
    """The columns of a licence that decide its state."""

    valid_from: date = date(2020, 1, 1)
    valid_until: date | None = None
    suspended_from: date | None = None
    suspended_until: date | None = None
    revoked_on: date | None = None


@pytest.mark.parametrize(
    "row",
    [
        Row(),
        Row(valid_until=DAY),
        Row(valid_until=date(2026, 11, 27)),
        Row(valid_from=date(2026, 11, 29)),
        Row(suspended_from=DAY),
        Row(suspended_from=date(2026, 11, 1), suspended_until=date(2026, 11, 27)),
        Row(suspended_from=date(2026, 11, 1), suspended_until=DAY),
        Row(revoked_on=DAY, valid_until=date(2026, 11, 1)),
        Row(revoked_on=date(2026, 11, 29)),
    ],
)
def test_a_licence_is_in_the_state_that_the_city_says(row: Row) -> None:
    suspension = Suspension(row.suspended_from, row.suspended_until) if row.suspended_from else None
    licence = Licence(
        key=LicenceKey(uuid4(), uuid4()),
        type_code="",
        identifier="",
        version=1,
        issuer_code="",
        issuer_name="",
        issued_on=row.valid_from,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        recorded_at=MOMENT,
        suspension=suspension,
        revoked_on=row.revoked_on,
    )

    assert state_on(row, DAY).name == licence.state_on(DAY).name


def test_a_number_is_normalised_before_it_is_checked() -> None:
    check_citizen_number(normalise(" ４40299196809\u300007981x "))


@pytest.mark.parametrize("number", ["440299196809079811", "44029919680907981", "4402991968O907981X", ""])
def test_a_wrong_citizen_number_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"citizen ID number|check character"):
        check_citizen_number(number)


def test_the_first_source_that_holds_a_value_fills_a_field() -> None:
    sources = (Source("licence.a", "applicant", "bank"), Source("register", "applicant", "account"))
    record = _record(account="622")

    filled = fill(sources, {("licence.a", "applicant"): [], ("register", "applicant"): [record]})

    assert filled == Filled("622", "register", record)


def test_a_source_about_somebody_else_fills_nothing() -> None:
    sources = (Source("register", "agent", "name"),)

    assert fill(sources, {("register", "applicant"): [_record(name="x")]}) is None


def test_records_that_do_not_count_are_passed_over() -> None:
    source = Source("register", "applicant", "code", where=(("state", ("in_force",)),))
    ended, current = _record(code="1", state="ended"), _record(code="2", state="in_force")

    assert fill((source,), {("register", "applicant"): [ended, current]}) == Filled("2", "register", current)


@pytest.mark.parametrize(
    ("pick", "value"), [("every", 5), ("latest", 9), ("earliest", 7), ("sum", 21), ("exists", True)]
)
def test_several_records_fill_a_field_as_its_source_picks(pick: str, value: object) -> None:
    records = [_record(year=2025, amount=5), _record(year=2026, amount=9), _record(year=2024, amount=7)]

    filled = fill(
        (Source("register", "applicant", "amount", pick, "year"),), {("register", "applicant"): records}
    )

    assert filled is not None
    assert filled.value == value


def test_stored_values_are_shown_as_json() -> None:
    stored = (b"\x01\xff", DAY, 1.5, None, "text", True)

    assert [shown(value) for value in stored] == ["Af8=", "2026-11-28", 1.5, None, "text", True]


def test_the_measured_form_has_twenty_fields_from_five_sources() -> None:
    form, matter = load_forms(REGISTERS)[FORM], load_matters()[FORM]

    resources = {source.resource for name in FORM_FIELDS for source in form.fields[name]}

    assert len(FORM_FIELDS) == 20
    assert len(resources) == 5
    for name in FORM_FIELDS:
        ours = [(source.resource, source.role, source.field) for source in matter.fields[name].sources]
        assert [(one.resource, one.role, one.field) for one in form.fields[name]] == ours


def test_a_form_of_other_registers_is_not_offered() -> None:
    assert "disability-allowance" not in load_forms(REGISTERS)


def test_a_licence_type_says_where_its_fields_lie() -> None:
    card = load_types()["11440299MB2L00003D907"]

    assert card.name == "社会保障卡"
    assert card.columns == {
        "number": "sealed_number",
        "holder_name": "sealed_holder_name",
        "card_number": "sealed_person",
        "bank_account": "sealed_person",
    }


def _record(**values: object) -> Stored:
    return Stored(values, "1.1", MOMENT)
