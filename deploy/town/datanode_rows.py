"""The data node's rows of a village: registers filled from the town, identity payload sealed by field."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

from core.identity import CITIZEN_NUMBER, USCC
from deploy.town.calendar import AS_OF, iso
from deploy.town.copying import Batch
from deploy.town.datanode_tables import TABLES
from deploy.town.model import Company, Household, LandContract, Person, VillageTown
from deploy.town.pgcopy import (
    bigint,
    boolean,
    day,
    fields,
    hundredths,
    instant,
    integer,
    raw,
    smallint,
    square_metres,
    text,
    word,
)
from deploy.town.sealing import BulkVault
from services.datanode.store import sealed_column

_AS_OF = [instant(AS_OF - timedelta(hours=7 * back)) for back in range(8)]
_VERSIONS = [integer(number) for number in range(8)]
_SERIALS = [smallint(number) for number in range(256)]
_ID_HEAD = (16).to_bytes(4, "big")
_ROW_HEADS = {name: fields(len(table.columns)) + _ID_HEAD for name, table in TABLES.items()}
_INDEX_HEAD = _FORMER_HEAD = fields(3)
_FORMER = b"former_number.number#1"


def _columns(resource: str, *names: str, serial: int = 1) -> tuple[bytes, ...]:
    """What the sealed fields of a record are bound to, besides its row."""
    return tuple(sealed_column(resource, name, serial).encode() for name in names)


_PERSON = _columns(
    "population.person", "citizen_number", "name", "registered_address", "current_address", "phone"
)
_HOUSEHOLD = _columns(
    "population.household", "household_number", "head_name", "head_citizen_number", "address", "members"
)
_INSURANCE = _columns(
    "social.insurance", "insurance_number", "employer_name", "employer_uscc", "bank_account"
)
_MARRIAGE = _columns("marriage.registration", "certificate_number", "spouse_name", "spouse_citizen_number")
_ESTATE = _columns("housing.real_estate", "unit_number", "certificate_number", "location")
_DISABILITY = _columns("disability.register", "certificate_number", "guardian_name", "guardian_phone")
_DEATH = _columns("death.registration", "certificate_number")
_CONTRACT = _columns("land.contract", "contractor_name", "contractor_address", "members")
_COMPANY = _columns("company.register", "uscc", "name", "legal_representative", "address")
_OFFICERS = [_columns("company.officer", "name", "citizen_number", "phone", serial=n) for n in range(8)]
_SUBSIDY_ACCOUNTS = [_columns("subsidy.arable", "bank_account", serial=n)[0] for n in range(16)]
_AID_ACCOUNTS = [_columns("civil_aid.allowance", "bank_account", serial=n)[0] for n in range(16)]


class _Subject:
    """Whose rows are made: her random id."""

    __slots__ = ("_as_of", "id")

    def __init__(self) -> None:
        self.id = os.urandom(16)
        self._as_of = _AS_OF[self.id[0] & 7]

    def key(self, table: str, version: int = 1, serial: int = 1) -> bytes:
        """A row's first fields: subject_id, record_no, version, as_of."""
        return _ROW_HEADS[table] + self.id + _SERIALS[serial] + _VERSIONS[version] + self._as_of


class DatanodeRows:
    """Turns villages into rows of the data node's tables."""

    def __init__(self, vault: BulkVault, batch: Batch) -> None:
        self._seal = vault.copy_sealer()
        self._index = vault.indexer()
        self._index_version = smallint(vault.index_version)
        self._into = {name: batch.encoded_into(table) for name, table in TABLES.items()}

    def add(self, town: VillageTown) -> None:
        """Adds everything that a village contributes."""
        home, members = None, ""
        for person in town.people:
            if person.household is not home:
                home, members = person.household, _members_json(person.household)
            self._person(person, person.household, members)
        for company in town.companies:
            self._company(company)

    def _subject(self, code_type: str, *codes: str) -> _Subject:
        """A fresh subject, found by each of its numbers."""
        subject = _Subject()
        for code in codes:
            index = raw(self._index(code_type, code))
            self._into["subject_index"](_INDEX_HEAD + index + self._index_version + raw(subject.id))
        return subject

    def _person(self, person: Person, home: Household, members: str) -> None:
        numbers = [person.number] if person.former_number is None else [person.number, person.former_number]
        row = self._subject(CITIZEN_NUMBER, *numbers)
        seal, me, head, village = self._seal, row.id, home.members[0], word(home.village.code)
        if person.former_number is not None:
            former = seal(me, _FORMER, person.former_number)
            self._into["former_number"](_FORMER_HEAD + raw(me) + _SERIALS[1] + former)
        moved = person.current_address is not None
        number, name, registered, current, phone = _PERSON
        self._into["population_person"](b"".join((
            row.key("population_person", 1 + moved + person.known_dead),
            seal(me, number, person.number), seal(me, name, person.name), word(person.sex),
            word(person.ethnicity), day(person.born), word(person.marital), word(person.education),
            seal(me, registered, home.address), village, seal(me, current, person.current_address),
            word(person.current_division), seal(me, phone, person.phone),
            word("deceased" if person.known_dead else "alive"),
        )))  # fmt: skip
        serial, head_name, head_number, address, all_members = _HOUSEHOLD
        self._into["population_household"](b"".join((
            row.key("population_household", 1 + (home.moved_in_reason is not None)),
            seal(me, serial, home.number), word(home.kind), word(person.relation),
            seal(me, head_name, head.name), seal(me, head_number, head.number),
            seal(me, address, home.address), village,
            day(max(home.registered_on, person.born)), word(home.moved_in_reason),
            word(home.moved_from_division), _SERIALS[len(home.members)], seal(me, all_members, members),
        )))  # fmt: skip
        if person.insurance is not None:
            self._insurance(person, row)
        if person.marriage is not None:
            self._marriage(person, row)
        if person.real_estate is not None:
            self._real_estate(person, row)
        if person.contract is not None:
            self._land(person.contract, home, row)
        if person.disability is not None or person.allowances or person.death is not None:
            self._welfare(person, row)

    def _insurance(self, person: Person, row: _Subject) -> None:
        one = person.insurance
        assert one is not None
        seal, me = self._seal, row.id
        number, employer, employer_uscc, account = _INSURANCE
        self._into["social_insurance"](b"".join((
            row.key("social_insurance"), seal(me, number, person.number), word(one.scheme), word(one.state),
            day(one.first_insured_on), integer(one.paid_months), bigint(one.base),
            seal(me, employer, one.employer_name), seal(me, employer_uscc, one.employer_uscc),
            boolean(one.unemployment_insured), day(one.last_paid_month), word(one.bank_name),
            seal(me, account, one.bank_account),
        )))  # fmt: skip

    def _marriage(self, person: Person, row: _Subject) -> None:
        one = person.marriage
        assert one is not None
        spouse_name, spouse_number = one.wife_name, one.wife_number
        if person.number == one.wife_number:
            spouse_name, spouse_number = one.husband_name, one.husband_number
        seal, me = self._seal, row.id
        certificate, name, number = _MARRIAGE
        self._into["marriage_registration"](b"".join((
            row.key("marriage_registration", 1 + (one.dissolved_on is not None)),
            seal(me, certificate, one.number), seal(me, name, spouse_name), seal(me, number, spouse_number),
            day(one.registered_on), day(one.dissolved_on), word(one.office), word(one.state),
        )))  # fmt: skip

    def _real_estate(self, person: Person, row: _Subject) -> None:
        one = person.real_estate
        assert one is not None
        seal, me = self._seal, row.id
        unit, certificate, location = _ESTATE
        self._into["housing_real_estate"](b"".join((
            row.key("housing_real_estate", 1 + one.mortgaged), seal(me, unit, one.unit_number),
            seal(me, certificate, one.certificate_number), seal(me, location, one.location),
            word(one.division), hundredths(one.area_cm), word("10"), word("住宅"),
            word("国有建设用地使用权/房屋所有权"), word(one.share_kind), day(one.registered_on),
            boolean(one.mortgaged), boolean(one.sealed_up), word(one.state),
        )))  # fmt: skip

    def _welfare(self, person: Person, row: _Subject) -> None:
        seal, me = self._seal, row.id
        if person.disability is not None:
            entry = person.disability
            certificate, guardian, guardian_phone = _DISABILITY
            self._into["disability_register"](b"".join((
                row.key("disability_register"), seal(me, certificate, entry.certificate_number),
                word(entry.category), word(entry.grade), seal(me, guardian, entry.guardian_name),
                seal(me, guardian_phone, entry.guardian_phone), day(entry.issued_on), day(entry.valid_until),
                word(entry.state),
            )))  # fmt: skip
        for serial, one in enumerate(person.allowances or (), start=1):
            self._into["civil_aid_allowance"](b"".join((
                row.key("civil_aid_allowance", 1 + (one.ended_on is not None), serial), word(one.kind),
                day(one.granted_on), day(one.ended_on), bigint(one.monthly_amount),
                _SERIALS[one.covered_persons], word(one.bank_name),
                seal(me, _AID_ACCOUNTS[serial], one.bank_account), word(one.state),
            )))  # fmt: skip
        if person.death is not None:
            death = person.death
            self._into["death_registration"](b"".join((
                row.key("death_registration"), day(death.died_on), day(death.registered_on),
                word(death.source), seal(me, _DEATH[0], death.certificate_number),
            )))  # fmt: skip

    def _land(self, one: LandContract, home: Household, row: _Subject) -> None:
        seal, me = self._seal, row.id
        name, address, members = _CONTRACT
        code = text(one.code)
        self._into["land_contract"](b"".join((
            row.key("land_contract", 1 + (one.transfer_kind is not None)), code, code, text(one.contractor),
            word(one.issuer), word(one.issuer_name), seal(me, name, one.contractor_name),
            seal(me, address, home.address), word(one.acquired_by), day(one.signed_on), day(one.term_from),
            day(one.term_until), hundredths(one.total_area), square_metres(one.total_area),
            _SERIALS[len(one.parcels)], _SERIALS[len(home.members)],
            seal(me, members, _co_owners_json(home)), hundredths(one.transferred_out),
            word(one.transfer_kind), day(one.transfer_until), hundredths(one.taken_in),
            boolean(one.mortgaged), boolean(one.disputed), word(one.state),
        )))  # fmt: skip
        add = self._into["land_parcel"]
        crops, contracted, of_the_group = word("1"), word("10"), word("31")
        for serial, parcel in enumerate(one.parcels, start=1):
            east, south, west, north = parcel.bounds
            add(b"".join((
                row.key("land_parcel", 1, serial), text(parcel.code), code, word(parcel.name),
                hundredths(parcel.contract_area), square_metres(parcel.contract_area),
                hundredths(parcel.measured_area), square_metres(parcel.measured_area), word(parcel.land_use),
                crops, contracted, of_the_group, word(parcel.grade), boolean(parcel.basic_farmland),
                word(east), word(south), word(west), word(north),
            )))  # fmt: skip
        add, village = self._into["subsidy_arable"], word(home.village.code)
        for serial, paid in enumerate(one.subsidies, start=1):
            add(b"".join((
                row.key("subsidy_arable", 1, serial), smallint(paid.year), village,
                hundredths(paid.contract_area), hundredths(paid.taken_in), hundredths(paid.transferred_out),
                hundredths(paid.excluded), hundredths(paid.area), integer(paid.rate), bigint(paid.amount),
                word(paid.state), day(paid.paid_on), word(paid.bank_name),
                seal(me, _SUBSIDY_ACCOUNTS[serial], paid.bank_account),
            )))  # fmt: skip

    def _company(self, one: Company) -> None:
        row = self._subject(USCC, one.uscc)
        seal, me = self._seal, row.id
        code, name, representative, address = _COMPANY
        established = day(one.established_on)
        self._into["company_register"](b"".join((
            row.key("company_register", 1 + (one.former_representative is not None)),
            seal(me, code, one.uscc), seal(me, name, one.name), word(one.kind), word(one.kind_name),
            seal(me, representative, one.legal_representative), seal(me, address, one.address),
            word(one.division), bigint(one.capital), word(one.scope), word(one.industry), established,
            established, day(one.term_until), word(one.office.name), word(one.office.uscc), word(one.state),
        )))  # fmt: skip
        for serial, officer in enumerate(one.officers, start=1):
            officer_name, number, phone = _OFFICERS[serial]
            self._into["company_officer"](b"".join((
                row.key("company_officer", 1, serial), word(officer.position),
                seal(me, officer_name, officer.name), seal(me, number, officer.number),
                seal(me, phone, officer.phone), day(officer.appointed_on),
            )))  # fmt: skip


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
