"""E-licences of the town: as the licence service's types want them, and as messy as real ones."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from core.identifiers import LicenceIdentifier, parse_licence_identifier
from deploy.town.calendar import REFERENCE_DAY
from deploy.town.cast import NUMBERS
from deploy.town.cast_licences import cast_licences
from deploy.town.chance import chance
from deploy.town.licence_draft import LicenceDraft
from deploy.town.licences import LicenceWriter
from deploy.town.model import VillageTown
from deploy.town.plan import TownPlan
from deploy.town.town import cast
from services.licence.catalogue import load_types
from tests.unit.town.towns import town, towns

TYPES = {one.key: one for one in load_types().values()}
Town = tuple[VillageTown, ...]


def drafts(made: Town) -> list[LicenceDraft]:
    """All licences of a town, without the cast's."""
    found: list[LicenceDraft] = []
    for village in made[:-1]:
        writer = LicenceWriter(chance(village.village.code))
        for person in village.people:
            found += writer.of_person(person)
        for company in village.companies:
            found += writer.of_company(company)
    return found


@given(towns)
@settings(max_examples=20, deadline=None)
def test_a_licence_has_the_face_of_its_type_and_an_identifier_that_holds(made: Town) -> None:
    seen = Counter[str]()

    for draft in (*drafts(made), *cast_licences(made[-1])):
        kind = TYPES[draft.key]
        assert draft.face.keys() <= kind.face.keys()
        identifier = LicenceIdentifier(kind.type_code, draft.issuer.uscc, draft.serial, f"{draft.version:03}")
        parsed = parse_licence_identifier(str(identifier))
        assert parsed == (identifier, True)
        seen[str(identifier)] += 1
    assert max(seen.values()) == 1


@given(towns)
@settings(max_examples=20, deadline=None)
def test_the_dates_of_a_licence_are_in_order(made: Town) -> None:
    for draft in drafts(made):
        assert draft.issued_on <= REFERENCE_DAY
        assert draft.valid_until is None or draft.valid_until >= draft.issued_on
        assert draft.revoked_on is None or draft.issued_on <= draft.revoked_on <= REFERENCE_DAY
        assert draft.suspended_from is None or draft.issued_on <= draft.suspended_from <= REFERENCE_DAY
        assert draft.superseded_on is None or draft.issued_on < draft.superseded_on <= REFERENCE_DAY
        assert (draft.revoked_on is None) == (draft.revocation_kind is None)


def test_a_town_has_licences_in_every_state() -> None:
    made = drafts(town(5_000, 440200))

    expired = [one for one in made if one.valid_until is not None and one.valid_until < REFERENCE_DAY]
    assert expired
    assert any(one.suspended_from is not None for one in made)
    assert any(one.revoked_on is not None for one in made)
    assert any(one.superseded_on is not None for one in made)
    assert {one.key for one in made} == set(TYPES)


def test_the_city_has_at_least_as_many_licences_as_the_real_one() -> None:
    plan = TownPlan(3_400_000)

    people = sum(quota.people for quota in plan.quotas)
    firms = sum(quota.companies for quota in plan.quotas)

    assert (people, firms) == (3_400_000, 210_000)
    sample = drafts(town(200_000, 440200))
    assert 1.0 <= len(sample) / (200_000 * 210_000 / 3_400_000) < 1.15


def test_the_applicant_brings_an_id_card_and_a_register_page_in_force() -> None:
    hers = {one.key: one for one in cast_licences(cast()) if one.holder == NUMBERS["applicant"]}

    for key in ("id_card", "household_register"):
        assert hers[key].revoked_on is None
        until = hers[key].valid_until
        assert until is None or until > REFERENCE_DAY + 3_650


def test_one_of_the_cast_has_an_expired_and_a_revoked_licence() -> None:
    his = {one.key: one for one in cast_licences(cast()) if one.holder == NUMBERS["lapsed"]}

    card = his["id_card"]
    assert card.valid_until is not None
    assert card.valid_until < REFERENCE_DAY
    assert his["driving_licence"].revoked_on is not None
