"""What the town consists of. Days are ordinals (calendar.Day), money is cents of CNY, areas are 1/100 mu.

The classes are plain and slotted, because a city has millions of them. Codes follow the standards that the
catalogue names beside each field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from deploy.town.calendar import Day
from deploy.town.places import Office, Village

Cents = int
Area = int
"""Hundredths of a mu."""

MALE, FEMALE = "1", "2"
UNMARRIED, MARRIED, WIDOWED, DIVORCED = "10", "20", "30", "40"
HEAD, WIFE, HUSBAND, SON, DAUGHTER = "02", "12", "11", "20", "30"
FATHER, MOTHER = "51", "52"


@dataclass(slots=True)
class Marriage:
    """A marriage registration, as the civil affairs office has it."""

    number: str
    husband_number: str
    husband_name: str
    wife_number: str
    wife_name: str
    registered_on: Day
    dissolved_on: Day | None
    state: str
    """`married`, `divorced` or `widowed`."""
    office: str

    def spouse_of(self, number: str) -> tuple[str, str]:
        """Name and number of the other of the two."""
        if number == self.wife_number:
            return self.husband_name, self.husband_number
        return self.wife_name, self.wife_number


@dataclass(slots=True)
class Death:
    """A death registration."""

    died_on: Day
    registered_on: Day
    source: str
    certificate_number: str


@dataclass(slots=True)
class Insurance:
    """A social insurance record."""

    scheme: str
    state: str
    first_insured_on: Day
    paid_months: int
    base: Cents | None
    employer_name: str | None
    employer_uscc: str | None
    unemployment_insured: bool
    last_paid_month: Day | None
    bank_name: str | None
    bank_account: str | None


@dataclass(slots=True)
class Disability:
    """An entry of the disability register."""

    certificate_number: str
    category: str
    grade: str
    guardian_name: str | None
    guardian_phone: str | None
    issued_on: Day
    valid_until: Day
    state: str


@dataclass(slots=True)
class Allowance:
    """A civil aid or welfare payment by the month."""

    kind: str
    granted_on: Day
    ended_on: Day | None
    monthly_amount: Cents
    covered_persons: int
    bank_name: str | None
    bank_account: str | None
    state: str


@dataclass(slots=True)
class RealEstate:
    """A registered home."""

    unit_number: str
    certificate_number: str
    location: str
    division: str
    area_cm: int
    """Hundredths of a square metre."""
    share_kind: str
    co_owner: str | None
    registered_on: Day
    mortgaged: bool
    sealed_up: bool
    state: str


@dataclass(slots=True)
class Person:
    """One person, as the police know her. What other departments think differently stands beside it."""

    number: str
    name: str
    sex: str
    born: Day
    ethnicity: str
    education: str
    marital: str
    """Marital status in the population register, which may be behind the marriage register."""
    relation: str
    phone: str | None
    household: Household
    former_number: str | None = None
    """A number that was corrected; both lead to the same person."""
    current_address: str | None = None
    current_division: str | None = None
    known_dead: bool = False
    """Whether the population register knows of the death."""
    marriage: Marriage | None = None
    death: Death | None = None
    insurance: Insurance | None = None
    disability: Disability | None = None
    allowances: list[Allowance] | None = None
    real_estate: RealEstate | None = None
    contract: LandContract | None = None
    digital: bool = False
    """Whether she has e-licences of the city's own, and an account."""

    @property
    def male(self) -> bool:
        """By GB/T 2261.1."""
        return self.sex == MALE


@dataclass(slots=True)
class Household:
    """A registered household; the first member is its head."""

    number: str
    kind: str
    village: Village
    group: int
    address: str
    registered_on: Day
    moved_in_reason: str | None = None
    moved_from_division: str | None = None
    members: list[Person] = field(default_factory=list)

    @property
    def head(self) -> Person:
        """户主."""
        return self.members[0]


@dataclass(slots=True)
class Parcel:
    """A contracted parcel (NY/T 2539 DK and CBDKXX)."""

    code: str
    name: str
    contract_area: Area
    measured_area: Area
    land_use: str
    grade: str
    basic_farmland: bool
    bounds: tuple[str, str, str, str]
    """East, south, west, north."""


@dataclass(slots=True)
class Subsidy:
    """One year's payment for farmland fertility."""

    year: int
    contract_area: Area
    taken_in: Area
    transferred_out: Area
    excluded: Area
    area: Area
    rate: Cents
    amount: Cents
    state: str
    paid_on: Day | None
    bank_name: str
    bank_account: str


@dataclass(slots=True)
class LandContract:
    """A household's contract right, with its parcels and its payments, newest first."""

    code: str
    contractor: str
    issuer: str
    issuer_name: str
    contractor_name: str
    acquired_by: str
    signed_on: Day
    term_from: Day
    term_until: Day
    total_area: Area
    transferred_out: Area
    transfer_kind: str | None
    transfer_until: Day | None
    taken_in: Area
    mortgaged: bool | None
    disputed: bool | None
    state: str
    parcels: list[Parcel]
    subsidies: list[Subsidy]


@dataclass(slots=True)
class Officer:
    """One of a company's people."""

    position: str
    name: str
    number: str
    phone: str | None
    appointed_on: Day


class CompanyState(StrEnum):
    """State of a company in the register."""

    OPEN = "open"
    REVOKED = "revoked"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Company:
    """A company, cooperative or sole trader."""

    uscc: str
    name: str
    kind: str
    kind_name: str
    legal_representative: str
    former_representative: str | None
    """Who still stands on the licence after a change."""
    address: str
    division: str
    capital: Cents | None
    scope: str
    industry: str
    established_on: Day
    term_until: Day | None
    office: Office
    state: CompanyState
    officers: list[Officer]
    food: bool = False
    digital: bool = False


@dataclass(slots=True)
class VillageTown:
    """All that one village contributes."""

    village: Village
    people: list[Person]
    companies: list[Company]
