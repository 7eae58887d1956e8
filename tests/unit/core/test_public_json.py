"""The public JSON of the contract's messages goes out and comes back unchanged, and faults are named."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from onestop.agricredit.v1 import agricredit_pb2
from onestop.autofill.v1 import autofill_pb2
from onestop.licence.v1 import licence_pb2

from core.errors import InvalidError
from core.public_json import canonical, canonical_json, render
from core.public_parse import parse

plain_json = st.recursive(
    st.booleans() | st.text(max_size=8) | st.integers(-(2**53) + 1, 2**53 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_words_times_and_absence() -> None:
    licence = licence_pb2.LicenceSummary(
        id="a", state=licence_pb2.LICENCE_STATE_IN_FORCE, valid_from="2020-01-01"
    )
    answer = licence_pb2.SearchLicencesAnswer(licences=[licence], use_code="x" * 16)
    answer.use_code_expires_at.FromJsonString("2026-11-23T21:30:00.5Z")

    document = render(answer)

    assert document["licences"][0]["state"] == "in_force"
    assert "valid_until" not in document["licences"][0]
    assert document["missing_type_codes"] == []
    assert document["use_code_expires_at"] == "2026-11-23T21:30:00.500000Z"


@given(st.dictionaries(st.text(min_size=1, max_size=6), plain_json, max_size=4))
def test_free_values_come_back_as_they_went(values: dict[str, object]) -> None:
    message = parse({"values": values}, autofill_pb2.VerifyFieldsQuery)

    rendered = json.loads(json.dumps(render(message)))

    assert rendered["values"] == values


def test_whole_numbers_inside_free_values_are_written_as_integers() -> None:
    said = parse({"values": {"size": [3, 2.5, {"months": 148}, True]}}, autofill_pb2.VerifyFieldsQuery)

    document = render(said)

    assert json.dumps(document["values"]) == '{"size": [3, 2.5, {"months": 148}, true]}'
    assert canonical_json(document["values"]) == rfc8785.dumps({"size": [3.0, 2.5, {"months": 148.0}, True]})


@given(st.integers(0, 2**53 - 1), st.integers(0, 3000))
def test_whole_numbers_are_numbers(cents: int, year: int) -> None:
    subsidy = agricredit_pb2.Subsidy(year=year, amount_cents=cents)

    assert render(parse(render(subsidy), agricredit_pb2.Subsidy))["amount_cents"] == cents


@pytest.mark.parametrize(
    ("document", "field", "rule"),
    [
        ([], "body", "type"),
        ({"holder": "x"}, "holder", "type"),
        ({"holder": {"code": 1}}, "holder.code", "type"),
        ({"holder": {"nation": "x"}}, "holder.nation", "unknown"),
        ({"type_codes": "x"}, "type_codes", "type"),
        ({"type_codes": ["a", 2]}, "type_codes[1]", "type"),
        ({"holder": None}, "holder", "type"),
        ({"holder": {"code": "\ud800"}}, "holder.code", "type"),
    ],
)
def test_faults_name_the_field_and_the_rule(document: object, field: str, rule: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        parse(document, licence_pb2.SearchLicencesQuery)

    assert (refusal.value.faults[0].field, refusal.value.faults[0].rule) == (field, rule)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"values": {"name": 10**400}}, "values.name"),
        ({"values": {"name": "\ud800"}}, "values.name"),
        ({"values": {"name": {"\ud800": 1}}}, "values.name"),
        ({"values": {"\ud800": 1}}, "values"),
    ],
    ids=["number", "text", "inner-name", "name"],
)
def test_what_no_message_can_hold_is_a_fault_too(document: object, field: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        parse(document, autofill_pb2.VerifyFieldsQuery)

    assert (refusal.value.faults[0].field, refusal.value.faults[0].rule) == (field, "type")


def test_an_unknown_word_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidError) as refusal:
        parse({"items": ["everything"]}, agricredit_pb2.CreateConsentRequestQuery)

    assert "land_rights, subsidies" in refusal.value.faults[0].message


def test_canonical_form_does_not_depend_on_order() -> None:
    assert canonical_json({"b": 1, "a": [True, "é"]}) == canonical_json({"a": [True, "é"], "b": 1})
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"é","b":1}'.encode()


any_json = st.recursive(
    st.booleans()
    | st.none()
    | st.text(max_size=8)
    | st.integers(-(2**53) + 1, 2**53 - 1)
    # Whole doubles never come out of a message as such.
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())
    | st.decimals(-(10**9), 10**9, places=2).map(float).filter(lambda number: not number.is_integer()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=500)
@given(st.dictionaries(st.text(max_size=6), any_json, max_size=4))
def test_canonical_form_is_that_of_rfc_8785_whatever_the_values(document: dict[str, Any]) -> None:
    assert canonical_json(document) == rfc8785.dumps(document)


@given(st.floats(-1e12, 1e12), st.text(max_size=10), st.integers(0, 2**32 - 1))
def test_canonical_form_of_messages_too(area: float, code: str, version: int) -> None:
    for message in (
        agricredit_pb2.LandRight(total_area_mu=area, certificate_code=code),
        licence_pb2.LicenceSummary(issuer_name=code, version=version),
    ):
        assert canonical(message) == rfc8785.dumps(render(message))
