"""The e-licences of the demo cast: in order, but for the one whose card is over and licence revoked."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.town import faces
from deploy.town.calendar import Day, day, year_of
from deploy.town.cast import NUMBERS
from deploy.town.licence_draft import LicenceDraft
from deploy.town.model import Person, VillageTown


def cast_licences(town: VillageTown) -> Iterator[LicenceDraft]:
    """The licences of everybody in the cast, always the same."""
    for place, person in enumerate(town.people):
        if not person.digital:
            continue
        if person.number == NUMBERS["lapsed"]:
            yield from _lapsed(person)
        else:
            yield from _in_order(person, place)
    for company in town.companies:
        yield faces.business_licence(company, _serial(company.established_on, 700))
        yield faces.food_permit(company, _serial(day(2024, 5, 6), 701), day(2024, 5, 6))


def _in_order(person: Person, place: int) -> Iterator[LicenceDraft]:
    """ID card, register page, social security card; of spouses their certificate; of owners their deed."""
    number = 100 + 10 * place
    yield faces.id_card(person, _serial(day(2022, 3, 15), number), day(2022, 3, 15))
    yield faces.household_register(person, _serial(person.household.registered_on, number + 1))
    if person.insurance is not None:
        yield faces.social_security_card(person, _serial(day(2018, 9, 3), number + 2))
    if person.marriage is not None:
        yield faces.marriage_certificate(person, _serial(person.marriage.registered_on, number + 3))
    if person.real_estate is not None:
        yield faces.real_estate(person, _serial(person.real_estate.registered_on, number + 4))


def _lapsed(person: Person) -> Iterator[LicenceDraft]:
    """An ID card that ended in 2023, a driving licence revoked in 2025, a register page in force."""
    card = faces.id_card(person, _serial(day(2003, 6, 11), 500), day(2003, 6, 11))
    card.valid_until = day(2023, 6, 11)
    yield card
    yield faces.household_register(person, _serial(person.household.registered_on, 501))
    licence = faces.driving_licence(person, _serial(day(2019, 8, 20), 502), day(2019, 8, 20), 10)
    licence.revoked_on, licence.revocation_kind = day(2025, 4, 7), "revoked"
    licence.revocation_reason = "道路交通安全法第九十一条"
    yield licence


def _serial(issued_on: Day, number: int) -> str:
    """A serial of the cast's own: chance never gives 13 zeros."""
    return f"{year_of(issued_on)}{number:016}"
