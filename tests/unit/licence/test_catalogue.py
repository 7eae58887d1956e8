"""The licence types and entitlements that ship with the service."""

from __future__ import annotations

import pytest

from core.identifiers import check_uscc
from services.licence.catalogue import load_catalogue, load_types
from services.licence.domain import FieldGroup, LicenceType

MATTERS = {
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


@pytest.mark.parametrize("licence_type", load_types().values(), ids=lambda one: one.key)
def test_type_code_is_a_body_that_exists_on_paper_and_three_digits(licence_type: LicenceType) -> None:
    code = licence_type.type_code

    assert check_uscc(code[:18], "type_code") == code[:18]
    assert code[18:].isdigit()
    assert len(code) == 21


def test_issuers_have_codes_with_right_check_characters() -> None:
    for licence_type in load_types().values():
        assert check_uscc(licence_type.issuer_code, "issuer_code") == licence_type.issuer_code


def test_every_matter_of_the_counter_may_read_the_identity_card() -> None:
    catalogue = load_catalogue()
    id_card = next(one for one in catalogue.types.values() if one.key == "id_card")

    assert {matter for matter, _ in catalogue.entitlements} == MATTERS
    for matter in MATTERS:
        assert {"number", "holder_name"} <= catalogue.entitled(matter, id_card.type_code)


def test_a_matter_without_entitlement_may_read_nothing() -> None:
    catalogue = load_catalogue()

    assert not any(catalogue.entitled("tourism-survey", code) for code in catalogue.types)


def test_names_numbers_addresses_and_phones_are_never_kept_in_the_clear() -> None:
    telling = ("name", "number", "address", "phone", "account", "location", "premises")
    known_harmless = {"bank_name"}

    for licence_type in load_types().values():
        for name, group in licence_type.face.items():
            if any(part in name for part in telling) and name not in known_harmless:
                assert group is not FieldGroup.FACT, f"{licence_type.key}.{name}"
