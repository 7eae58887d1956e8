"""Rules without any input or output: numbers, states of licences, and which record fills a field."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Protocol

CITIZEN_NUMBER = "111"
CHINA_TIME = timezone(timedelta(hours=8), "UTC+8")

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


def normalise(number: str) -> str:
    """A number as the registers write it: half-width, upper-case, without spaces."""
    return "".join(unicodedata.normalize("NFKC", number).split()).upper()


def check_citizen_number(number: str) -> None:
    """Passes for a citizen ID number (GB 11643) with its right check character, else raises ValueError."""
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        raise ValueError("a citizen ID number has 17 digits and a check character")
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=False))
    if _CHECKS[total % 11] != number[17]:
        raise ValueError("the check character (the 18th) is wrong")


class LicenceState(StrEnum):
    """State of a licence on a day."""

    IN_FORCE = "in_force"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    NOT_YET_IN_FORCE = "not_yet_in_force"


class Dated(Protocol):
    """What of a licence decides its state."""

    @property
    def valid_from(self) -> date: ...
    @property
    def valid_until(self) -> date | None: ...
    @property
    def suspended_from(self) -> date | None: ...
    @property
    def suspended_until(self) -> date | None: ...
    @property
    def revoked_on(self) -> date | None: ...


def state_on(licence: Dated, day: date) -> LicenceState:
    """The licence's state on a day; what ends it for good outweighs what only pauses it."""
    if licence.revoked_on is not None and licence.revoked_on <= day:
        return LicenceState.REVOKED
    if day < licence.valid_from:
        return LicenceState.NOT_YET_IN_FORCE
    if licence.valid_until is not None and licence.valid_until < day:
        return LicenceState.EXPIRED
    begun = licence.suspended_from is not None and licence.suspended_from <= day
    if begun and (licence.suspended_until is None or day <= licence.suspended_until):
        return LicenceState.SUSPENDED
    return LicenceState.IN_FORCE


@dataclass(frozen=True)
class Source:
    """Where a field of a form may come from."""

    resource: str
    role: str
    field: str
    pick: str = "every"
    order_by: str = ""
    where: tuple[tuple[str, tuple[object, ...]], ...] = ()


@dataclass(frozen=True)
class Form:
    """A matter's form, as far as the registers can fill it."""

    code: str
    version: int
    fields: Mapping[str, tuple[Source, ...]]

    @property
    def resources(self) -> frozenset[str]:
        """Every resource that a field may come from."""
        return frozenset(source.resource for sources in self.fields.values() for source in sources)


@dataclass(frozen=True)
class Stored:
    """A record as it lies in its table: values by field name, its version, and when it was vouched for."""

    values: Mapping[str, Any]
    version: str
    as_of: datetime


@dataclass(frozen=True)
class Filled:
    """A value for a field, and the record that it was taken from."""

    value: Any
    resource: str
    record: Stored


Found = Mapping[tuple[str, str], Sequence[Stored]]
"""What each resource holds about the subject in each role."""


def form_of(document: Mapping[str, Any]) -> Form:
    """The form of a matter's file. What takes a whole table of records to fill is left to the applicant."""
    fields: dict[str, tuple[Source, ...]] = {}
    for name, field in document["form"]["properties"].items():
        sources = tuple(_source(one) for one in field.get("x-sources", ()) if one.get("pick") != "rows")
        if sources:
            fields[name] = sources
    return Form(document["code"], document["version"], fields)


def fill(sources: Sequence[Source], found: Found) -> Filled | None:
    """A field's value from the first of its sources that holds one."""
    for source in sources:
        records = [one for one in found.get((source.resource, source.role), ()) if _counts(source, one)]
        if not records:
            continue
        record = _picked(source, records)
        value = record.values.get(source.field)
        if source.pick == "sum":
            value = sum(one.values[source.field] for one in records)
        elif source.pick == "exists":
            value = True
        if value is not None:
            return Filled(value, source.resource, record)
    return None


def shown(value: Any) -> Any:
    """A stored value as JSON has it: sealed bytes in base64, days in ISO 8601."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value.isoformat() if isinstance(value, date) else value


def _source(document: Mapping[str, Any]) -> Source:
    where = document.get("where", {})
    return Source(
        resource=document["resource"],
        role=document["role"],
        field=document["field"],
        pick=document.get("pick", "every"),
        order_by=document.get("order_by", ""),
        where=tuple((name, tuple(v) if isinstance(v, list) else (v,)) for name, v in where.items()),
    )


def _counts(source: Source, record: Stored) -> bool:
    return all(record.values.get(name) in allowed for name, allowed in source.where)


def _picked(source: Source, records: Sequence[Stored]) -> Stored:
    if source.pick == "latest":
        return max(records, key=lambda one: one.values[source.order_by])
    if source.pick == "earliest":
        return min(records, key=lambda one: one.values[source.order_by])
    return records[0]
