"""What the registers hold about people: the rows of each, for some people in the order of their ids."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.town.calendar import iso
from deploy.town.datanode_records import Records
from deploy.town.model import Allowance, Death, Disability, Household, Insurance, Marriage, Person, RealEstate
from deploy.town.sealing import BulkVault

Ids = Sequence[bytes]
"""Of the subjects that rows are about, one for each row."""


def population(vault: BulkVault, ids: Ids, people: Sequence[Person]) -> Records:
    """population.person."""
    homes = [one.household for one in people]
    versions = [1 + (one.current_address is not None) + one.known_dead for one in people]
    rows = Records("population.person", vault, ids, versions=versions)
    rows.seal("citizen_number", [one.number for one in people])
    rows.seal("name", [one.name for one in people])
    rows.words("sex", [one.sex for one in people])
    rows.words("ethnicity", [one.ethnicity for one in people])
    rows.days("birth_date", [one.born for one in people])
    rows.words("marital_status", [one.marital for one in people])
    rows.words("education", [one.education for one in people])
    rows.seal("registered_address", [home.address for home in homes])
    rows.words("registered_division", [home.village.code for home in homes])
    rows.seal_known("current_address", [one.current_address for one in people])
    rows.words("current_division", [one.current_division for one in people])
    rows.seal_known("phone", [one.phone for one in people])
    rows.words("life_state", ["deceased" if one.known_dead else "alive" for one in people])
    return rows


def households(vault: BulkVault, ids: Ids, people: Sequence[Person]) -> Records:
    """population.household: for each person the household that she belongs to."""
    homes = [one.household for one in people]
    heads = [home.members[0] for home in homes]
    documents = {id(home): _members_json(home) for home in {id(home): home for home in homes}.values()}
    versions = [1 + (home.moved_in_reason is not None) for home in homes]
    rows = Records("population.household", vault, ids, versions=versions)
    rows.seal("household_number", [home.number for home in homes])
    rows.words("household_kind", [home.kind for home in homes])
    rows.words("relation_to_head", [one.relation for one in people])
    rows.seal("head_name", [head.name for head in heads])
    rows.seal("head_citizen_number", [head.number for head in heads])
    rows.seal("address", [home.address for home in homes])
    rows.words("division", [home.village.code for home in homes])
    registered = [max(home.registered_on, one.born) for one, home in zip(people, homes, strict=True)]
    rows.days("registered_on", registered)
    rows.words("moved_in_reason", [home.moved_in_reason for home in homes])
    rows.words("moved_from_division", [home.moved_from_division for home in homes])
    rows.smallints("member_count", [len(home.members) for home in homes])
    rows.seal("members", [documents[id(home)] for home in homes])
    return rows


def insurance(vault: BulkVault, entries: Sequence[tuple[bytes, str, Insurance]]) -> Records:
    """social.insurance, of ids and citizen numbers."""
    ones = [one for _, _, one in entries]
    rows = Records("social.insurance", vault, [me for me, _, _ in entries])
    rows.seal("insurance_number", [number for _, number, _ in entries])
    rows.words("scheme", [one.scheme for one in ones])
    rows.words("state", [one.state for one in ones])
    rows.days("first_insured_on", [one.first_insured_on for one in ones])
    rows.integers("paid_months", [one.paid_months for one in ones])
    rows.bigints("contribution_base_cents", [one.base for one in ones])
    rows.seal_known("employer_name", [one.employer_name for one in ones])
    rows.seal_known("employer_uscc", [one.employer_uscc for one in ones])
    rows.flags("unemployment_insured", [one.unemployment_insured for one in ones])
    rows.days("last_paid_month", [one.last_paid_month for one in ones])
    rows.words("bank_name", [one.bank_name for one in ones])
    rows.seal_known("bank_account", [one.bank_account for one in ones])
    return rows


def marriages(vault: BulkVault, entries: Sequence[tuple[bytes, str, Marriage]]) -> Records:
    """marriage.registration, of ids and citizen numbers: each of the two has the other for a spouse."""
    ones = [one for _, _, one in entries]
    spouses = [one.spouse_of(number) for _, number, one in entries]
    versions = [1 + (one.dissolved_on is not None) for one in ones]
    rows = Records("marriage.registration", vault, [me for me, _, _ in entries], versions=versions)
    rows.seal("certificate_number", [one.number for one in ones])
    rows.seal("spouse_name", [name for name, _ in spouses])
    rows.seal("spouse_citizen_number", [number for _, number in spouses])
    rows.days("registered_on", [one.registered_on for one in ones])
    rows.days("dissolved_on", [one.dissolved_on for one in ones])
    rows.words("office", [one.office for one in ones])
    rows.words("state", [one.state for one in ones])
    return rows


def real_estate(vault: BulkVault, entries: Sequence[tuple[bytes, RealEstate]]) -> Records:
    """housing.real_estate."""
    ones = [one for _, one in entries]
    rows = Records(
        "housing.real_estate", vault, [me for me, _ in entries], versions=[1 + one.mortgaged for one in ones]
    )
    rows.seal("unit_number", [one.unit_number for one in ones])
    rows.seal("certificate_number", [one.certificate_number for one in ones])
    rows.seal("location", [one.location for one in ones])
    rows.words("division", [one.division for one in ones])
    rows.hundredths("area_m2", [one.area_cm for one in ones])
    rows.same("use_code", "10")
    rows.same("use_name", "住宅")
    rows.same("right_kind", "国有建设用地使用权/房屋所有权")
    rows.words("share_kind", [one.share_kind for one in ones])
    rows.days("registered_on", [one.registered_on for one in ones])
    rows.flags("mortgaged", [one.mortgaged for one in ones])
    rows.flags("sealed_up", [one.sealed_up for one in ones])
    rows.words("state", [one.state for one in ones])
    return rows


def disabilities(vault: BulkVault, entries: Sequence[tuple[bytes, Disability]]) -> Records:
    """disability.register."""
    ones = [one for _, one in entries]
    rows = Records("disability.register", vault, [me for me, _ in entries])
    rows.seal("certificate_number", [one.certificate_number for one in ones])
    rows.words("category", [one.category for one in ones])
    rows.words("grade", [one.grade for one in ones])
    rows.seal_known("guardian_name", [one.guardian_name for one in ones])
    rows.seal_known("guardian_phone", [one.guardian_phone for one in ones])
    rows.days("issued_on", [one.issued_on for one in ones])
    rows.days("valid_until", [one.valid_until for one in ones])
    rows.words("state", [one.state for one in ones])
    return rows


def allowances(vault: BulkVault, entries: Sequence[tuple[bytes, int, Allowance]]) -> Records:
    """civil_aid.allowance, of ids and serials: a person may have several."""
    ones = [one for _, _, one in entries]
    rows = Records(
        "civil_aid.allowance",
        vault,
        [me for me, _, _ in entries],
        versions=[1 + (one.ended_on is not None) for one in ones],
        serials=[serial for _, serial, _ in entries],
    )
    rows.words("kind", [one.kind for one in ones])
    rows.days("granted_on", [one.granted_on for one in ones])
    rows.days("ended_on", [one.ended_on for one in ones])
    rows.bigints("monthly_amount_cents", [one.monthly_amount for one in ones])
    rows.smallints("covered_persons", [one.covered_persons for one in ones])
    rows.words("bank_name", [one.bank_name for one in ones])
    rows.seal_known("bank_account", [one.bank_account for one in ones])
    rows.words("state", [one.state for one in ones])
    return rows


def deaths(vault: BulkVault, entries: Sequence[tuple[bytes, Death]]) -> Records:
    """death.registration."""
    ones = [one for _, one in entries]
    rows = Records("death.registration", vault, [me for me, _ in entries])
    rows.days("died_on", [one.died_on for one in ones])
    rows.days("registered_on", [one.registered_on for one in ones])
    rows.words("source", [one.source for one in ones])
    rows.seal("certificate_number", [one.certificate_number for one in ones])
    return rows


def _members_json(home: Household) -> str:
    """The household's members. The town's own words need no escaping in JSON."""
    members = ",".join([
        f'{{"name":"{one.name}","citizen_number":"{one.number}","relation":"{one.relation}",'
        f'"sex":"{one.sex}","birth_date":"{iso(one.born)}"}}'
        for one in home.members
    ])  # fmt: skip
    return f"[{members}]"
