"""Who lives in the town: numbers that cannot be anybody's, families that can."""

from __future__ import annotations

from collections import Counter
from datetime import date

from hypothesis import given, settings

from core.identifiers import check_citizen_number
from deploy.town import model
from deploy.town.calendar import REFERENCE_DAY, age_on, day, iso, years_later
from deploy.town.model import VillageTown
from deploy.town.people import family_name
from deploy.town.places import villages
from tests.unit.town.towns import households, people, town, towns

Town = tuple[VillageTown, ...]
KNOWN = {village.code for village in villages()}


@given(towns)
@settings(max_examples=30, deadline=None)
def test_every_citizen_number_is_right_and_could_never_be_issued(made: Town) -> None:
    numbers = Counter[str]()

    for person in people(made):
        numbers[check_citizen_number(person.number, "number")] += 1
        if person.former_number is not None:
            numbers[check_citizen_number(person.former_number, "number")] += 1
        assert person.number[6:14] == iso(person.born).replace("-", "")
        assert int(person.number[16]) % 2 == (person.sex == model.MALE)
        assert person.born <= REFERENCE_DAY
    assert all(number.startswith("440299") for number in numbers)
    assert max(numbers.values()) == 1


@given(towns)
@settings(max_examples=30, deadline=None)
def test_parents_are_older_than_children_and_spouses_were_of_age(made: Town) -> None:
    for home in households(made):
        roles = {person.relation: person for person in home.members}
        children = [one for one in home.members if one.relation in (model.SON, model.DAUGHTER)]
        couple = [one for one in home.members if one.relation in (model.HEAD, model.WIFE, model.HUSBAND)]
        for parent in couple:
            for child in children:
                assert child.born >= years_later(parent.born, 18)
        for elder in (model.FATHER, model.MOTHER):
            if elder in roles:
                assert home.head.born >= years_later(roles[elder].born, 18)
        mothers = [one for one in couple if not one.male]
        for mother in mothers:
            for child in children:
                assert child.born < years_later(mother.born, 50)


@given(towns)
@settings(max_examples=30, deadline=None)
def test_a_marriage_is_lawful_and_told_alike_to_both(made: Town) -> None:
    by_number = {person.number: person for person in people(made)}

    for person in by_number.values():
        marriage = person.marriage
        if marriage is None:
            continue
        assert person.number in (marriage.husband_number, marriage.wife_number)
        his, her = marriage.husband_number, marriage.wife_number
        assert int(check_citizen_number(his, "his")[16]) % 2 == 1
        assert int(check_citizen_number(her, "her")[16]) % 2 == 0
        assert marriage.registered_on >= years_later(_born(his), 22)
        assert marriage.registered_on >= years_later(_born(her), 20)
        assert marriage.registered_on <= REFERENCE_DAY
        assert marriage.dissolved_on is None or marriage.dissolved_on >= marriage.registered_on
        spouse = by_number.get(her if person.number == his else his)
        if spouse is not None:
            assert spouse.marriage == marriage


def _born(number: str) -> int:
    return date(int(number[6:10]), int(number[10:12]), int(number[12:14])).toordinal()


@given(towns)
@settings(max_examples=20, deadline=None)
def test_a_household_has_one_head_and_children_bear_the_family_name(made: Town) -> None:
    for home in households(made):
        assert home.head.relation == model.HEAD
        assert [one.relation for one in home.members].count(model.HEAD) == 1
        assert home.village.code in KNOWN
        assert home.address.startswith(home.village.prefix)
        assert home.registered_on <= REFERENCE_DAY
        surnames = {
            family_name(one.name)
            for one in home.members
            if one.relation in (model.HEAD, model.WIFE, model.HUSBAND) and "·" not in one.name
        }
        for child in home.members:
            if child.relation in (model.SON, model.DAUGHTER) and "·" not in child.name and surnames:
                assert family_name(child.name) in surnames


@given(towns)
@settings(max_examples=20, deadline=None)
def test_what_offices_hold_fits_the_person(made: Town) -> None:
    for person in people(made):
        age = age_on(person.born)
        if person.insurance is not None:
            assert age >= 16
            assert person.insurance.first_insured_on <= REFERENCE_DAY
            assert person.insurance.paid_months >= 0
        if person.death is not None:
            assert person.born < person.death.died_on <= person.death.registered_on <= REFERENCE_DAY
        assert not person.known_dead or person.death is not None
        if person.disability is not None:
            assert person.disability.certificate_number.startswith(person.number)
            assert len(person.disability.certificate_number) == 20
        for allowance in person.allowances or ():
            assert allowance.granted_on <= REFERENCE_DAY
            assert allowance.kind != "old_age" or age >= 80
        if person.real_estate is not None:
            assert len(person.real_estate.unit_number) == 28
            assert age >= 18
        account = person.insurance.bank_account if person.insurance is not None else None
        assert account is None or _luhn_holds(account)


def _luhn_holds(card: str) -> bool:
    digits = [int(digit) for digit in reversed(card)]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def test_the_same_seed_makes_the_same_town_and_another_seed_another() -> None:
    first = people(town.__wrapped__(400, 7))
    again = people(town.__wrapped__(400, 7))
    other = people(town.__wrapped__(400, 8))

    assert [(one.number, one.name, one.phone) for one in first] == [
        (one.number, one.name, one.phone) for one in again
    ]
    assert {one.name for one in first} != {one.name for one in other}


def test_a_town_has_exactly_as_many_people_as_asked_and_the_cast_besides() -> None:
    for size in (100, 101, 999, 5_000):
        made = town(size, 440200)

        assert len(people(made)) == size + len(made[-1].people)


def test_the_cast_is_in_every_town_and_meets_nobody() -> None:
    small, large = town(100, 1), town(5_000, 2)

    assert [one.number for one in small[-1].people] == [one.number for one in large[-1].people]
    generated = {one.number for village in large[:-1] for one in village.people}
    assert generated.isdisjoint(one.number for one in large[-1].people)


def test_a_large_town_has_the_mess_of_real_data() -> None:
    made = people(town(20_000, 440200))

    moved = [one for one in made if one.current_address is not None]
    behind = [
        one
        for one in made
        if one.marriage and one.marriage.state == "married" and one.marital == model.UNMARRIED
    ]
    late = [one for one in made if one.death is not None and not one.known_dead]
    paid_on = [one for one in late if one.insurance is not None and one.insurance.state == "receiving"]
    misspelt = [one for one in made if one.contract and one.contract.contractor_name != one.name]
    corrected = [one for one in made if one.former_number is not None]
    assert all((moved, behind, late, paid_on, misspelt, corrected))
    assert any("·" in one.name for one in made)
    assert len(moved) / len(made) < 0.3
    assert len(behind) / len(made) < 0.05


def test_a_birthday_is_a_day_older() -> None:
    assert age_on(day(2000, 11, 2), day(2026, 11, 1)) == 25
    assert age_on(day(2000, 11, 1), day(2026, 11, 1)) == 26
    assert iso(years_later(day(2024, 2, 29), 1)) == "2025-02-28"
