"""Which e-licences people and companies have, and their mess: old, replaced, suspended, revoked.

Validity follows the law of each type: ID cards by age, food permits five years, driving licences six, ten
or without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from deploy.town import faces
from deploy.town.calendar import REFERENCE_DAY, Day, age_on, year_of, years_later
from deploy.town.licence_draft import LicenceDraft
from deploy.town.model import Company, CompanyState, Person
from deploy.town.places import urban_address


class LicenceWriter:
    """Writes the licences of one village.

    `replaced` is the share of ID cards and register pages, beyond the usual ones, whose version before is
    written too.
    """

    def __init__(self, random: Random, *, replaced: float = 0.0) -> None:
        self._draw = random.random
        self._replaced = replaced

    def of_person(self, person: Person) -> Iterator[LicenceDraft]:
        """All that a person has, where she has e-licences at all."""
        if not person.digital:
            return
        yield from self._id_cards(person)
        yield from self._register_pages(person)
        if person.marriage is not None and person.marriage.state == "married":
            yield faces.marriage_certificate(person, self._serial(person.marriage.registered_on))
        if person.real_estate is not None and person.real_estate.state == "in_force":
            yield faces.real_estate(person, self._serial(person.real_estate.registered_on))
        if person.insurance is not None and person.insurance.bank_account is not None and self._draw() < 0.9:
            yield faces.social_security_card(person, self._serial(person.insurance.first_insured_on))
        if person.disability is not None:
            yield faces.disability_card(person, self._serial(person.disability.issued_on))
        if 20 <= age_on(person.born) < 70 and self._draw() < 0.42:
            yield self._driving_licence(person)

    def of_company(self, company: Company) -> Iterator[LicenceDraft]:
        """Its business licence, and its food permit where it needs one."""
        if not company.digital:
            return
        yield faces.business_licence(company, self._serial(company.established_on))
        if company.food and company.state is CompanyState.OPEN:
            yield self._food_permit(company)

    def _id_cards(self, person: Person) -> Iterator[LicenceDraft]:
        """The card in use; before it, for one in five, the one that it replaced, with the old address."""
        age = age_on(person.born)
        oldest = years_later(person.born, 46 if age >= 46 else 26 if age >= 26 else 16)
        oldest = max(oldest, REFERENCE_DAY - 7_000)
        issued = oldest + int(self._draw() * max(1, REFERENCE_DAY - oldest))
        serial = self._serial(issued)
        card = faces.id_card(person, serial, issued)
        draw = self._draw()
        renewed = draw < 0.2 or draw >= 1.0 - 0.74 * self._replaced
        if renewed and age_on(person.born, issued - 3_000) >= 16:
            before = faces.id_card(person, serial, issued - 3_000, self._old_address(person))
            before.superseded_on = issued
            card.version = 2
            yield before
        elif draw < 0.26:
            # Ten years over, and never renewed.
            card.issued_on = max(years_later(person.born, 16), REFERENCE_DAY - 3_652 - int(draw * 5_000))
            if age_on(person.born, card.issued_on) < 26:
                card.valid_until = years_later(card.issued_on, 10)
            card.face = {**card.face, "address": self._old_address(person)}
        yield card

    def _register_pages(self, person: Person) -> Iterator[LicenceDraft]:
        """The page of the household register; before it, where more is wished for, the one it replaced."""
        page = faces.household_register(person, self._serial(person.household.registered_on))
        if self._replaced and self._draw() < self._replaced:
            # Households have been registered for 600 days at least; somebody has joined or left since.
            changed = page.issued_on + 500
            yield replace(page, superseded_on=changed)
            page.version, page.issued_on = 2, changed
        yield page

    def _old_address(self, person: Person) -> str:
        return urban_address(person.household.village, int(self._draw() * (1 << 20)))

    def _driving_licence(self, person: Person) -> LicenceDraft:
        first = years_later(person.born, 18) + int(self._draw() * 1_500)
        held = REFERENCE_DAY - first
        years = 6 if held < 2_191 else 10 if held < 5_844 else None
        issued = max(first, REFERENCE_DAY - (2_600 if years == 6 else 4_000))
        issued = min(issued + int(self._draw() * 700), REFERENCE_DAY - 5)
        draft = faces.driving_licence(person, self._serial(issued), issued, years)
        draw = self._draw()
        if draw < 0.015:
            draft.suspended_from = max(issued, REFERENCE_DAY - int(draw * 20_000))
            draft.suspended_until = draft.suspended_from + 183
            draft.suspension_reason = "道路交通安全法第九十一条"
        elif draw < 0.021:
            draft.revoked_on = max(issued, REFERENCE_DAY - int(draw * 20_000))
            draft.revocation_kind, draft.revocation_reason = "revoked", "道路交通安全法第九十九条"
        return draft

    def _food_permit(self, company: Company) -> LicenceDraft:
        issued = max(company.established_on, REFERENCE_DAY - 2_050) + int(self._draw() * 200)
        issued = min(issued, REFERENCE_DAY - 3)
        draft = faces.food_permit(company, self._serial(issued), issued)
        draw = self._draw()
        if draw < 0.01:
            draft.revoked_on = max(draft.issued_on, REFERENCE_DAY - int(draw * 30_000))
            draft.revocation_kind, draft.revocation_reason = "revoked", "食品安全法第一百二十三条"
        elif draw < 0.02:
            draft.suspended_from, draft.suspension_reason = REFERENCE_DAY - 20, "食品安全法第一百二十六条"
        return draft

    def _serial(self, issued_on: Day) -> str:
        """流水号: the year and 16 random digits."""
        return f"{year_of(issued_on)}{int(self._draw() * 10**16):016}"
