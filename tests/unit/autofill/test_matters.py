"""The matters that ship with the service: real forms, whose every source the licence service knows."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from services.autofill.comparison import CompareKind
from services.autofill.matter import Matter
from services.autofill.templates import load_matters
from services.licence.catalogue import load_catalogue
from services.licence.domain import PLAIN_NAMES

MATTERS = load_matters()
TEN = {
    "sole-trader-registration",
    "company-change",
    "food-operation-permit",
    "residence-permit",
    "flexible-employment-insurance",
    "disability-allowance",
    "old-age-allowance",
    "arable-land-subsidy",
    "unemployment-registration",
    "cooperative-registration",
}
each_matter = pytest.mark.parametrize("matter", MATTERS.values(), ids=list(MATTERS))


def test_the_ten_matters_of_the_counter_are_there() -> None:
    assert set(MATTERS) == TEN


@each_matter
def test_a_form_is_json_schema_and_stands_alone(matter: Matter) -> None:
    Draft202012Validator.check_schema(matter.form)
    errors = list(Draft202012Validator(matter.form).iter_errors({}))

    assert {error.validator for error in errors} == {"required"}


@each_matter
def test_a_form_says_the_order_of_its_properties(matter: Matter) -> None:
    properties = matter.form["properties"]
    assert isinstance(properties, dict)

    assert matter.form["x-order"] == list(properties)
    for described in properties.values():
        if "items" in described and "properties" in described["items"]:
            assert described["items"]["x-order"] == list(described["items"]["properties"])


@each_matter
def test_statement_signature_and_date_are_on_the_form_and_never_filled(matter: Matter) -> None:
    properties = matter.form["properties"]

    assert isinstance(properties, dict)
    assert {"declaration", "signature", "signed_on"} <= set(properties)
    assert not {"declaration", "signature", "signed_on"} & set(matter.fields)


@each_matter
def test_every_licence_source_exists_and_its_matter_is_entitled_to_it(matter: Matter) -> None:
    catalogue = load_catalogue()
    unknown = []
    for field in matter.fields.values():
        for source in field.sources:
            if source.resource.startswith("licence."):
                entitled = catalogue.entitled(matter.code, source.resource.removeprefix("licence."))
                missing = source.needs - entitled - PLAIN_NAMES
                unknown += [f"{field.name}: {source.resource} {name}" for name in sorted(missing)]

    assert unknown == []


@each_matter
def test_every_licence_that_stands_in_for_a_material_is_a_type_the_matter_may_use(matter: Matter) -> None:
    catalogue = load_catalogue()

    for material in matter.materials:
        if material.licence_type_code:
            assert catalogue.entitled(matter.code, material.licence_type_code), material.name


@each_matter
def test_addresses_are_never_filled_from_another_kind_of_address(matter: Matter) -> None:
    """注册地址, 经营场所 and 户籍地址 are separate: where business is done is for the applicant to say."""
    properties = matter.form["properties"]
    assert isinstance(properties, dict)

    for name in ("premises_address", "production_address", "warehouse_address", "new_address"):
        assert name not in matter.fields
        assert "x-sources" not in properties.get(name, {})


@each_matter
def test_every_code_list_holds_each_code_and_word_once(matter: Matter) -> None:
    for field in matter.fields.values():
        rules = [field.rule, *(rule for _, rule in field.rule.columns)]
        for rule in rules:
            if rule.kind is CompareKind.CODE:
                words = [w for o in rule.options for w in {o.code, o.title, *o.aliases}]
                assert rule.options
                assert len(set(words)) == len(words), field.name


def test_enough_of_each_form_comes_from_data_the_government_holds() -> None:
    assert all(len(matter.fields) >= 10 for matter in MATTERS.values())
