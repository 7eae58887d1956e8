"""Companies: numbers that hold, heads who are of age and live here."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from core.identifiers import check_uscc, organisation_check_digit
from deploy.town.calendar import REFERENCE_DAY, years_later
from deploy.town.model import CompanyState, VillageTown
from deploy.town.places import CITY_CODE, office, offices
from tests.unit.town.towns import companies, people, town, towns

Town = tuple[VillageTown, ...]


@given(towns)
@settings(max_examples=30, deadline=None)
def test_every_uscc_holds_and_is_of_the_county_that_does_not_exist(made: Town) -> None:
    seen = Counter(check_uscc(one.uscc, "uscc") for one in companies(made))

    for code in seen:
        assert code[0] == "9"
        assert code[1] in "123"
        assert code[2:8] == "440299"
        assert organisation_check_digit(code[8:16]) == code[16]
    assert max(seen.values()) == 1


@given(towns)
@settings(max_examples=30, deadline=None)
def test_a_company_is_headed_by_somebody_of_the_town_who_was_of_age(made: Town) -> None:
    by_number = {person.number: person for person in people(made)}

    for company in companies(made):
        head = by_number[company.officers[0].number]
        assert company.legal_representative == head.name
        assert years_later(head.born, 18) <= company.established_on <= REFERENCE_DAY
        assert company.office in offices()


def test_a_larger_town_has_companies_that_are_gone_and_heads_that_have_changed() -> None:
    made = companies(town(20_000, 440200))

    assert {one.state for one in made} == set(CompanyState)
    assert any(one.former_representative is not None for one in made)
    assert len(made) == round(20_000 * 210_000 / 3_400_000) + 1


def test_every_office_of_the_model_city_has_a_code_that_holds() -> None:
    codes = [check_uscc(one.uscc, "uscc") for one in offices()]

    assert len(set(codes)) == len(codes)
    assert all(code.startswith("11440299") for code in codes)
    counties = {one.county_code for one in offices()} - {CITY_CODE}
    assert len(counties) == 10
    for county in counties:
        for kind in (
            "market_regulation",
            "civil_affairs",
            "agriculture",
            "human_resources",
            "public_security",
        ):
            assert office(kind, county).county_code == county


def test_the_demos_office_has_the_name_that_people_know() -> None:
    assert office("market_regulation", "440203").name == "武江区市场监督管理局"
