"""From the registers' records to what the bank sees: every field written out, nothing passed through."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TypeVar
from uuid import UUID

from core.errors import Kind, ServiceError
from services.agricredit.domain import Item

CONTRACTS = "land.contract"
PARCELS = "land.parcel"
SUBSIDIES = "subsidy.arable"

SOURCE_FIELDS: Mapping[str, tuple[str, ...]] = {
    CONTRACTS: (
        "contract_code",
        "certificate_code",
        "acquired_by",
        "term_from",
        "term_until",
        "total_area_mu",
        "transferred_out_mu",
        "mortgaged",
        "disputed",
        "state",
    ),
    PARCELS: (
        "parcel_code",
        "contract_code",
        "name",
        "contract_area_mu",
        "measured_area_mu",
        "land_use_code",
        "grade",
        "basic_farmland",
    ),
    SUBSIDIES: ("year", "area_mu", "amount_cents", "state", "paid_on"),
}
"""What is read of each resource. Family members are never among it: they may be minors (PIPL article 31)."""

RESOURCES: Mapping[Item, tuple[str, ...]] = {
    Item.LAND_RIGHTS: (CONTRACTS, PARCELS),
    Item.SUBSIDIES: (SUBSIDIES,),
}
"""The resources that a kind of data is read from; no other is touched for it."""

DEFAULT_YEARS = 3

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
T = TypeVar("T")


class SourceMalformedError(ServiceError):
    """A register's record is not as its catalogue says; nothing is made up in its place."""

    kind = Kind.INTERNAL
    reason = "SOURCE_MALFORMED"


@dataclass(frozen=True)
class SourceRecord:
    """One record of a register: the fields asked for, its version, and the moment it is vouched for."""

    resource: str
    version: str
    as_of: datetime
    values: Mapping[str, Json] = field(repr=False)


@dataclass(frozen=True)
class Parcel:
    """One contracted parcel (承包地块); areas in mu."""

    code: str
    name: str
    contract_area_mu: float
    measured_area_mu: float
    land_use_code: str
    grade: str
    basic_farmland: bool


@dataclass(frozen=True)
class LandRight:
    """One land right (土地承包经营权); areas in mu, days as ISO 8601."""

    certificate_code: str
    contract_code: str
    term_from: str
    term_until: str
    acquired_by: str
    state: str
    total_area_mu: float
    transferred_out_mu: float
    mortgaged: bool | None
    disputed: bool | None
    parcels: tuple[Parcel, ...]
    record_version: str
    as_of: datetime


@dataclass(frozen=True)
class Subsidy:
    """One yearly payment (耕地地力保护补贴); area in mu, amount in cents of CNY."""

    year: int
    area_mu: float
    amount_cents: int
    state: str
    paid_on: str | None
    record_version: str
    as_of: datetime


@dataclass(frozen=True)
class LandRightsAnswer:
    """What a bank learns of a farmer's land; no rights means that the register holds none."""

    consent_id: UUID
    land_rights: tuple[LandRight, ...]
    uses_left: int


@dataclass(frozen=True)
class SubsidiesAnswer:
    """What a bank learns of a farmer's subsidies; none means that the register holds none."""

    consent_id: UUID
    subsidies: tuple[Subsidy, ...]
    uses_left: int


def land_rights(contracts: Sequence[SourceRecord], parcels: Sequence[SourceRecord]) -> tuple[LandRight, ...]:
    """The rights, each with the parcels of its own contract. Raises SourceMalformedError."""
    by_contract: defaultdict[str, list[Parcel]] = defaultdict(list)
    for record in parcels:
        by_contract[_required(record, "contract_code", str)].append(_parcel(record))
    return tuple(_land_right(record, by_contract) for record in contracts)


def subsidies(records: Sequence[SourceRecord], years: int) -> tuple[Subsidy, ...]:
    """The payments of the newest `years` years that have any, newest first; 0 means three.

    Raises SourceMalformedError.
    """
    payments = sorted((_subsidy(record) for record in records), key=lambda one: one.year, reverse=True)
    newest = sorted({one.year for one in payments}, reverse=True)[: years or DEFAULT_YEARS]
    return tuple(one for one in payments if one.year in newest)


@cache
def disclosed_names(item: Item) -> tuple[str, ...]:
    """The names of the fields that an answer of this kind discloses, as the ledger entry says them."""
    names = [f"{resource}.{name}" for resource in RESOURCES[item] for name in SOURCE_FIELDS[resource]]
    return tuple(sorted(names))


def _land_right(record: SourceRecord, parcels: Mapping[str, list[Parcel]]) -> LandRight:
    contract_code = _required(record, "contract_code", str)
    return LandRight(
        certificate_code=_required(record, "certificate_code", str),
        contract_code=contract_code,
        term_from=_required(record, "term_from", str),
        term_until=_required(record, "term_until", str),
        acquired_by=_required(record, "acquired_by", str),
        state=_required(record, "state", str),
        total_area_mu=_number(record, "total_area_mu"),
        transferred_out_mu=_number(record, "transferred_out_mu"),
        mortgaged=_optional(record, "mortgaged", bool),
        disputed=_optional(record, "disputed", bool),
        parcels=tuple(sorted(parcels.get(contract_code, ()), key=lambda parcel: parcel.code)),
        record_version=record.version,
        as_of=record.as_of,
    )


def _parcel(record: SourceRecord) -> Parcel:
    return Parcel(
        code=_required(record, "parcel_code", str),
        name=_required(record, "name", str),
        contract_area_mu=_number(record, "contract_area_mu"),
        measured_area_mu=_number(record, "measured_area_mu"),
        land_use_code=_required(record, "land_use_code", str),
        grade=_required(record, "grade", str),
        basic_farmland=_required(record, "basic_farmland", bool),
    )


def _subsidy(record: SourceRecord) -> Subsidy:
    return Subsidy(
        year=_whole(record, "year"),
        area_mu=_number(record, "area_mu"),
        amount_cents=_whole(record, "amount_cents"),
        state=_required(record, "state", str),
        paid_on=_optional(record, "paid_on", str),
        record_version=record.version,
        as_of=record.as_of,
    )


def _optional(record: SourceRecord, name: str, kind: type[T]) -> T | None:
    value = record.values.get(name)
    if value is not None and not isinstance(value, kind):
        raise _malformed(record, name)
    return value


def _required(record: SourceRecord, name: str, kind: type[T]) -> T:
    value = _optional(record, name, kind)
    if value is None:
        raise _malformed(record, name)
    return value


def _number(record: SourceRecord, name: str) -> float:
    value = record.values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _malformed(record, name)
    if not math.isfinite(value) or value < 0:
        raise _malformed(record, name)
    return float(value)


def _whole(record: SourceRecord, name: str) -> int:
    value = _number(record, name)
    if not value.is_integer():
        raise _malformed(record, name)
    return int(value)


def _malformed(record: SourceRecord, name: str) -> SourceMalformedError:
    return SourceMalformedError(
        f"{record.resource}: the field {name} is missing or of another type than its catalogue says",
        part="datanode",
    )
