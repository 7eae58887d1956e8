"""Who may have what: the catalogue's rules, every refusal among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.datanode.domain import (
    CONSENT,
    MATTER,
    FieldNotEntitledError,
    Ground,
    PageTokenError,
    ResourceNotFoundError,
    ResourceNotSharedError,
    page_of,
)
from tests.unit.datanode.catalogues import CATALOGUE

OFFICE = "11440299MB2L000118"
PERMIT = Ground(MATTER, "residence-permit", OFFICE)
FARMER = Ground(CONSENT)
FIELDS = sorted({name for one in CATALOGUE.resources.values() for name in one.fields})


def test_a_conditional_resource_opens_the_fields_of_the_matter() -> None:
    assert CATALOGUE.authorise("population.person", ["name", "sex"], PERMIT).code == "population.person"


def test_a_field_that_the_matter_lacks_is_refused_by_name() -> None:
    with pytest.raises(FieldNotEntitledError) as refusal:
        CATALOGUE.authorise("population.person", ["name", "phone"], PERMIT)

    assert [fault.field for fault in refusal.value.faults] == ["field_names.phone"]


def test_a_field_that_does_not_exist_is_refused_like_one_that_is_not_entitled() -> None:
    with pytest.raises(FieldNotEntitledError) as refusal:
        CATALOGUE.authorise("company.register", ["name", "shoe_size"], PERMIT)

    assert [fault.field for fault in refusal.value.faults] == ["field_names.shoe_size"]


def test_another_matter_gets_nothing_of_a_conditional_resource() -> None:
    with pytest.raises(FieldNotEntitledError):
        CATALOGUE.authorise("population.person", ["name"], Ground(MATTER, "company-change", OFFICE))


def test_an_unconditional_resource_opens_to_any_office_with_a_matter() -> None:
    ground = Ground(MATTER, "anything-at-all", OFFICE)

    assert CATALOGUE.authorise("company.register", ["name", "address"], ground).code == "company.register"


def test_an_unconditional_resource_is_for_offices_and_not_for_partners() -> None:
    with pytest.raises(FieldNotEntitledError):
        CATALOGUE.authorise("company.register", ["name"], FARMER)
    with pytest.raises(FieldNotEntitledError):
        CATALOGUE.authorise("company.register", ["name"], Ground(MATTER, "residence-permit", ""))


def test_a_consent_is_held_to_its_own_fields() -> None:
    assert CATALOGUE.authorise("subsidy.arable", ["year"], FARMER).code == "subsidy.arable"
    with pytest.raises(FieldNotEntitledError):
        CATALOGUE.authorise("subsidy.arable", ["year", "bank_account"], FARMER)


@pytest.mark.parametrize("ground", [PERMIT, FARMER])
def test_what_is_not_shared_is_refused_to_everybody(ground: Ground) -> None:
    with pytest.raises(ResourceNotSharedError):
        CATALOGUE.authorise("civil_aid.survey", ["deposits"], ground)


def test_an_unknown_resource_is_not_found() -> None:
    with pytest.raises(ResourceNotFoundError):
        CATALOGUE.authorise("population.ghost", ["name"], PERMIT)


@given(
    st.sampled_from(sorted(CATALOGUE.resources)), st.lists(st.sampled_from(FIELDS), min_size=1, unique=True)
)
def test_whatever_is_permitted_is_entitled_field_by_field(code: str, names: list[str]) -> None:
    for ground, entitled in (
        (PERMIT, CATALOGUE.by_matter.get((PERMIT.item, code), frozenset())),
        (FARMER, CATALOGUE.by_consent.get(code, frozenset())),
    ):
        try:
            resource = CATALOGUE.authorise(code, names, ground)
        except (FieldNotEntitledError, ResourceNotSharedError):
            continue
        unconditional = ground is PERMIT and resource.sharing_class.value == "unconditional"
        assert set(names) <= (frozenset(resource.fields) if unconditional else entitled)


def test_pages_hold_every_resource_once() -> None:
    first = page_of(CATALOGUE, 3, "")
    second = page_of(CATALOGUE, 3, first.next_page_token)

    codes = [one.code for one in (*first.resources, *second.resources)]
    assert codes == sorted(CATALOGUE.resources)
    assert second.next_page_token == ""


def test_a_full_last_page_is_the_last() -> None:
    assert page_of(CATALOGUE, 4, "").next_page_token == ""


def test_a_page_token_of_elsewhere_is_refused() -> None:
    with pytest.raises(PageTokenError):
        page_of(CATALOGUE, 3, "made.up")
