"""The data node's rows of a village: registers filled from the town, identity payload sealed by field."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from asyncpg.pgproto import pgproto

from core.identity import CITIZEN_NUMBER, USCC, Subject
from deploy.town.calendar import AS_OF, iso
from deploy.town.copying import Batch, as_date, as_date_or_none, hundredths, square_metres
from deploy.town.datanode_tables import TABLES
from deploy.town.model import Company, Household, LandContract, Person, VillageTown
from services.datanode.store import sealed_column


class Sealer(Protocol):
    """What sealing needs of the vault (core.vault.Vault)."""

    index_version: int

    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes:
        """The sealed value, bound to row and column."""
        ...

    def blind_index(self, subject: Subject) -> bytes:
        """The subject's index under the current key."""
        ...


class DatanodeRows:
    """Turns villages into rows of the data node's tables."""

    def __init__(self, vault: Sealer, batch: Batch) -> None:
        self._vault = vault
        self._into = {name: batch.into(table).append for name, table in TABLES.items()}
        self._as_of = [AS_OF - timedelta(hours=7 * back) for back in range(8)]

    def add(self, town: VillageTown) -> None:
        """Adds everything that a village contributes."""
        members: dict[int, str] = {}
        for person in town.people:
            home = person.household
            key = id(home)
            if key not in members:
                members[key] = _members_json(home)
            self._person(person, home, members[key])
        for company in town.companies:
            self._company(company)

    def _subject(self, *subjects: Subject) -> UUID:
        """A fresh random id, found by each of the numbers."""
        subject_id: UUID = pgproto.UUID(os.urandom(16))
        add, version = self._into["subject_index"], self._vault.index_version
        for subject in subjects:
            add((self._vault.blind_index(subject), version, subject_id))
        return subject_id

    def _person(self, person: Person, home: Household, members: str) -> None:
        into = self._into
        numbers = [Subject(CITIZEN_NUMBER, person.number)]
        if person.former_number is not None:
            numbers.append(Subject(CITIZEN_NUMBER, person.former_number))
        row = self._subject(*numbers)
        seal = _sealing(self._vault, row)
        as_of = self._as_of[row.bytes[0] & 7]
        village, head = home.village, home.head
        moved = person.current_address is not None
        into["population_person"]((
            row, 1, 1 + moved + person.known_dead, as_of,
            seal("population.person.citizen_number#1", person.number),
            seal("population.person.name#1", person.name),
            person.sex, person.ethnicity, as_date(person.born), person.marital, person.education,
            seal("population.person.registered_address#1", home.address), village.code,
            seal("population.person.current_address#1", person.current_address), person.current_division,
            seal("population.person.phone#1", person.phone),
            "deceased" if person.known_dead else "alive",
        ))  # fmt: skip
        into["population_household"]((
            row, 1, 1 + (home.moved_in_reason is not None), as_of,
            seal("population.household.household_number#1", home.number),
            home.kind, person.relation,
            seal("population.household.head_name#1", head.name),
            seal("population.household.head_citizen_number#1", head.number),
            seal("population.household.address#1", home.address), village.code,
            as_date(max(home.registered_on, person.born)), home.moved_in_reason, home.moved_from_division,
            len(home.members), seal("population.household.members#1", members),
        ))  # fmt: skip
        if person.insurance is not None:
            self._insurance(person, row, seal, as_of)
        if person.marriage is not None:
            self._marriage(person, row, seal, as_of)
        if person.real_estate is not None:
            self._real_estate(person, row, seal, as_of)
        if person.contract is not None:
            self._land(person.contract, home, row, seal, as_of)
        if person.disability is not None or person.allowances or person.death is not None:
            self._welfare(person, row, seal, as_of)

    def _insurance(self, person: Person, row: UUID, seal: FieldSeal, as_of: datetime) -> None:
        one = person.insurance
        assert one is not None
        self._into["social_insurance"]((
            row, 1, 1, as_of, seal("social.insurance.insurance_number#1", person.number),
            one.scheme, one.state, as_date(one.first_insured_on), one.paid_months, one.base,
            seal("social.insurance.employer_name#1", one.employer_name),
            seal("social.insurance.employer_uscc#1", one.employer_uscc),
            one.unemployment_insured, as_date_or_none(one.last_paid_month),
            one.bank_name, seal("social.insurance.bank_account#1", one.bank_account),
        ))  # fmt: skip

    def _marriage(self, person: Person, row: UUID, seal: FieldSeal, as_of: datetime) -> None:
        one = person.marriage
        assert one is not None
        spouse_name, spouse_number = one.wife_name, one.wife_number
        if person.number == one.wife_number:
            spouse_name, spouse_number = one.husband_name, one.husband_number
        self._into["marriage_registration"]((
            row, 1, 1 + (one.dissolved_on is not None), as_of,
            seal("marriage.registration.certificate_number#1", one.number),
            seal("marriage.registration.spouse_name#1", spouse_name),
            seal("marriage.registration.spouse_citizen_number#1", spouse_number),
            as_date(one.registered_on), as_date_or_none(one.dissolved_on), one.office, one.state,
        ))  # fmt: skip

    def _real_estate(self, person: Person, row: UUID, seal: FieldSeal, as_of: datetime) -> None:
        one = person.real_estate
        assert one is not None
        self._into["housing_real_estate"]((
            row, 1, 1 + one.mortgaged, as_of,
            seal("housing.real_estate.unit_number#1", one.unit_number),
            seal("housing.real_estate.certificate_number#1", one.certificate_number),
            seal("housing.real_estate.location#1", one.location), one.division,
            hundredths(one.area_cm), "10", "住宅", "国有建设用地使用权/房屋所有权", one.share_kind,
            as_date(one.registered_on), one.mortgaged, one.sealed_up, one.state,
        ))  # fmt: skip

    def _welfare(self, person: Person, row: UUID, seal: FieldSeal, as_of: datetime) -> None:
        if person.disability is not None:
            entry = person.disability
            self._into["disability_register"]((
                row, 1, 1, as_of, seal("disability.register.certificate_number#1", entry.certificate_number),
                entry.category, entry.grade,
                seal("disability.register.guardian_name#1", entry.guardian_name),
                seal("disability.register.guardian_phone#1", entry.guardian_phone),
                as_date(entry.issued_on), as_date(entry.valid_until), entry.state,
            ))  # fmt: skip
        for number, one in enumerate(person.allowances or (), start=1):
            account = seal(sealed_column("civil_aid.allowance", "bank_account", number), one.bank_account)
            self._into["civil_aid_allowance"]((
                row, number, 1 + (one.ended_on is not None), as_of, one.kind, as_date(one.granted_on),
                as_date_or_none(one.ended_on), one.monthly_amount, one.covered_persons, one.bank_name,
                account, one.state,
            ))  # fmt: skip
        if person.death is not None:
            death = person.death
            self._into["death_registration"]((
                row, 1, 1, as_of, as_date(death.died_on), as_date(death.registered_on), death.source,
                seal("death.registration.certificate_number#1", death.certificate_number),
            ))  # fmt: skip

    def _land(self, one: LandContract, home: Household, row: UUID, seal: FieldSeal, as_of: datetime) -> None:
        self._into["land_contract"]((
            row, 1, 1 + (one.transfer_kind is not None), as_of, one.code, one.code, one.contractor,
            one.issuer, one.issuer_name, seal("land.contract.contractor_name#1", one.contractor_name),
            seal("land.contract.contractor_address#1", home.address),
            one.acquired_by, as_date(one.signed_on), as_date(one.term_from), as_date(one.term_until),
            hundredths(one.total_area), square_metres(one.total_area), len(one.parcels), len(home.members),
            seal("land.contract.members#1", _co_owners_json(home)), hundredths(one.transferred_out),
            one.transfer_kind, as_date_or_none(one.transfer_until), hundredths(one.taken_in), one.mortgaged,
            one.disputed, one.state,
        ))  # fmt: skip
        add = self._into["land_parcel"]
        for number, parcel in enumerate(one.parcels, start=1):
            add((
                row, number, 1, as_of, parcel.code, one.code, parcel.name,
                hundredths(parcel.contract_area), square_metres(parcel.contract_area),
                hundredths(parcel.measured_area), square_metres(parcel.measured_area),
                parcel.land_use, "1", "10", "31", parcel.grade, parcel.basic_farmland, *parcel.bounds,
            ))  # fmt: skip
        add, division = self._into["subsidy_arable"], home.village.code
        for number, paid in enumerate(one.subsidies, start=1):
            add((
                row, number, 1, as_of, paid.year, division, hundredths(paid.contract_area),
                hundredths(paid.taken_in), hundredths(paid.transferred_out), hundredths(paid.excluded),
                hundredths(paid.area), paid.rate, paid.amount, paid.state, as_date_or_none(paid.paid_on),
                paid.bank_name, seal(_ACCOUNTS[number], paid.bank_account),
            ))  # fmt: skip

    def _company(self, one: Company) -> None:
        row = self._subject(Subject(USCC, one.uscc))
        seal = _sealing(self._vault, row)
        as_of = self._as_of[row.bytes[0] & 7]
        self._into["company_register"]((
            row, 1, 1 + (one.former_representative is not None), as_of,
            seal("company.register.uscc#1", one.uscc), seal("company.register.name#1", one.name),
            one.kind, one.kind_name,
            seal("company.register.legal_representative#1", one.legal_representative),
            seal("company.register.address#1", one.address),
            one.division, one.capital, one.scope, one.industry,
            as_date(one.established_on), as_date(one.established_on), as_date_or_none(one.term_until),
            one.office.name, one.office.uscc, one.state.value,
        ))  # fmt: skip
        for number, officer in enumerate(one.officers, start=1):
            self._into["company_officer"]((
                row, number, 1, as_of, officer.position,
                seal(sealed_column("company.officer", "name", number), officer.name),
                seal(sealed_column("company.officer", "citizen_number", number), officer.number),
                seal(sealed_column("company.officer", "phone", number), officer.phone),
                as_date(officer.appointed_on),
            ))  # fmt: skip


class FieldSeal(Protocol):
    """Seals one field of a row; what is absent stays absent."""

    def __call__(self, column: str, text: str | None) -> bytes | None: ...


def _sealing(vault: Sealer, row: UUID) -> FieldSeal:
    sealed = vault.seal

    def seal(column: str, text: str | None) -> bytes | None:
        return None if text is None else sealed(text.encode(), row=row, column=column)

    return seal


_ACCOUNTS = [sealed_column("subsidy.arable", "bank_account", number) for number in range(16)]


def _members_json(home: Household) -> str:
    """The household's members. The town's own words need no escaping in JSON."""
    return _array(
        f'{{"name":"{one.name}","citizen_number":"{one.number}","relation":"{one.relation}",'
        f'"sex":"{one.sex}","birth_date":"{iso(one.born)}"}}'
        for one in home.members
    )


def _co_owners_json(home: Household) -> str:
    return _array(
        f'{{"name":"{one.name}","citizen_number":"{one.number}","relation":"{one.relation}","co_owner":true}}'
        for one in home.members
    )


def _array(objects: Iterable[str]) -> str:
    return f"[{','.join(objects)}]"
