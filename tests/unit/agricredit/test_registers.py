"""What the bank sees is written out: nothing else of a record gets through."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from core.public_json import render
from services.agricredit.answers import answer_to_pb
from services.agricredit.domain import Item
from services.agricredit.registers import (
    CONTRACTS,
    PARCELS,
    SOURCE_FIELDS,
    SUBSIDIES,
    Json,
    LandRightsAnswer,
    SourceMalformedError,
    SourceRecord,
    SubsidiesAnswer,
    disclosed_names,
    land_rights,
    subsidies,
)

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
CONTRACT_CODE = "440299205001030007J"
CONTRACT: dict[str, Json] = {
    "contract_code": CONTRACT_CODE,
    "certificate_code": CONTRACT_CODE,
    "acquired_by": "110",
    "term_from": "1998-01-01",
    "term_until": "2027-12-31",
    "total_area_mu": 6.52,
    "transferred_out_mu": 0,
    "mortgaged": False,
    "disputed": None,
    "state": "in_force",
}
PARCEL: dict[str, Json] = {
    "parcel_code": "4402992050010300012",
    "contract_code": CONTRACT_CODE,
    "name": "村前大田",
    "contract_area_mu": 2.5,
    "measured_area_mu": 2.61,
    "land_use_code": "011",
    "grade": "03",
    "basic_farmland": True,
}
PAYMENT: dict[str, Json] = {
    "year": 2025,
    "area_mu": 6.52,
    "amount_cents": 46592,
    "state": "paid",
    "paid_on": "2025-09-30",
}
CANARY = "不得外传的家庭成员"


def _record(resource: str, values: dict[str, Json], version: str = "1.1") -> SourceRecord:
    return SourceRecord(resource, version, AS_OF, values)


def _wire(answer: object) -> str:
    return json.dumps(render(answer_to_pb(answer)), ensure_ascii=False)


def test_a_right_has_the_parcels_of_its_own_contract() -> None:
    other: dict[str, Json] = {**PARCEL, "contract_code": "440299205001030008J", "parcel_code": "9" * 19}
    rights = land_rights(
        [_record(CONTRACTS, CONTRACT, "1.4")], [_record(PARCELS, other), _record(PARCELS, PARCEL)]
    )

    assert [parcel.code for parcel in rights[0].parcels] == ["4402992050010300012"]
    assert (rights[0].record_version, rights[0].as_of) == ("1.4", AS_OF)
    assert (rights[0].mortgaged, rights[0].disputed) == (False, None)


def test_what_the_source_does_not_know_is_left_out() -> None:
    wire = render(
        answer_to_pb(LandRightsAnswer(UUID(int=1), land_rights([_record(CONTRACTS, CONTRACT)], []), 3))
    )

    assert wire["status"] == "ok"
    assert wire["uses_left"] == 3
    right = cast(list[dict[str, object]], wire["land_rights"])[0]
    assert right["mortgaged"] is False
    assert "disputed" not in right


def test_no_records_is_an_answer() -> None:
    assert render(answer_to_pb(LandRightsAnswer(UUID(int=1), (), 3)))["status"] == "no_data"
    assert render(answer_to_pb(SubsidiesAnswer(UUID(int=1), (), 3)))["status"] == "no_data"


extra = st.dictionaries(
    st.text(min_size=1).filter(lambda name: all(name not in fields for fields in SOURCE_FIELDS.values())),
    st.just(CANARY),
)


@given(extra)
def test_a_field_that_is_not_written_out_never_reaches_the_wire(unasked: dict[str, str]) -> None:
    rights = land_rights(
        [_record(CONTRACTS, {**CONTRACT, **unasked, "members": CANARY})],
        [_record(PARCELS, {**PARCEL, **unasked})],
    )
    payments = subsidies([_record(SUBSIDIES, {**PAYMENT, **unasked, "bank_account": CANARY})], 3)

    assert CANARY not in _wire(LandRightsAnswer(UUID(int=1), rights, 1))
    assert CANARY not in _wire(SubsidiesAnswer(UUID(int=1), payments, 1))


@given(
    years=st.integers(0, 10),
    paid=st.lists(st.integers(1990, 2030), max_size=30),
)
def test_the_newest_years_come_first_and_no_older_ones(years: int, paid: Sequence[int]) -> None:
    found = subsidies([_record(SUBSIDIES, {**PAYMENT, "year": year}) for year in paid], years)

    wanted = sorted(set(paid), reverse=True)[: years or 3]
    assert [one.year for one in found] == sorted((year for year in paid if year in wanted), reverse=True)


MALFORMED: dict[str, tuple[str, str, Json]] = {
    "no code": (CONTRACTS, "contract_code", None),
    "code as a number": (CONTRACTS, "certificate_code", 7),
    "area as text": (CONTRACTS, "total_area_mu", "6.52"),
    "negative area": (PARCELS, "measured_area_mu", -1),
    "no number": (PARCELS, "contract_area_mu", float("nan")),
    "farmland as text": (PARCELS, "basic_farmland", "yes"),
    "half a cent": (SUBSIDIES, "amount_cents", 10.5),
    "year as true": (SUBSIDIES, "year", True),
}


@pytest.mark.parametrize(("resource", "name", "value"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_record_is_told_as_such_and_nothing_is_made_up(
    resource: str, name: str, value: Json
) -> None:
    good = {CONTRACTS: CONTRACT, PARCELS: PARCEL, SUBSIDIES: PAYMENT}
    records = {
        key: [_record(key, {**values, name: value} if key == resource else values)]
        for key, values in good.items()
    }

    def compose() -> tuple[object, object]:
        return land_rights(records[CONTRACTS], records[PARCELS]), subsidies(records[SUBSIDIES], 3)

    with pytest.raises(SourceMalformedError) as failure:
        compose()

    assert name in failure.value.message
    assert failure.value.part == "datanode"


def test_the_entry_names_each_source_field_once_and_none_of_a_family_member() -> None:
    names = disclosed_names(Item.LAND_RIGHTS)

    assert len(names) == len(set(names)) == 18
    assert "land.contract.state" in names
    assert not any("member" in name for name in names)
    assert disclosed_names(Item.SUBSIDIES) == (
        "subsidy.arable.amount_cents",
        "subsidy.arable.area_mu",
        "subsidy.arable.paid_on",
        "subsidy.arable.state",
        "subsidy.arable.year",
    )


def test_nothing_else_than_an_answer_is_presented() -> None:
    with pytest.raises(TypeError):
        answer_to_pb(object())
    assert isinstance(answer_to_pb(SubsidiesAnswer(UUID(int=1), (), 0)), Message)
