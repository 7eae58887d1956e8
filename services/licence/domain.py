"""What a licence is, in which state it is on a day, who is entitled to which of its fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from typing import NamedTuple, TypeAlias
from uuid import UUID

from core.errors import FieldFault, Kind, ServiceError
from core.identifiers import parse_licence_identifier

FieldValue: TypeAlias = "str | int | float | bool | list[FieldValue] | dict[str, FieldValue] | None"
"""A face field's value, as JSON."""

CHINA_TIME = timezone(timedelta(hours=8), "UTC+8")
"""Validity is printed in days of this time; it has known no summer time since 1991."""

MOST_LICENCES_PER_ANSWER = 100
"""A use code names every licence it opens, and has to fit a header."""

NUMBER = "number"
HOLDER_NAME = "holder_name"
PLAIN_NAMES = frozenset({"valid_from", "valid_until", "issued_on", "issuer_name"})
"""Readable like face fields; every summary shows them, so they need no entitlement of their own."""


class LicenceNotFoundError(ServiceError):
    """The licence is gone or replaced since the search."""

    kind = Kind.NOT_FOUND
    reason = "LICENCE_NOT_FOUND"


class MatterNotEntitledError(ServiceError):
    """The matter does not entitle to a licence type or one of its fields."""

    kind = Kind.FORBIDDEN
    reason = "MATTER_NOT_ENTITLED"


class UseCodeInvalidError(ServiceError):
    """A use code that does not hold here. Which of the reasons it is, is nobody's business."""

    kind = Kind.FORBIDDEN
    reason = "USE_CODE_INVALID"

    def __init__(self) -> None:
        super().__init__("the use code does not permit this; search again for the case at hand")


class TooManyLicencesError(ServiceError):
    """The holder has more licences of these types than one use code can name."""

    kind = Kind.PRECONDITION
    reason = "TOO_MANY_LICENCES"


class LicenceState(Enum):
    """State of a licence on a day; values as in the contract."""

    IN_FORCE = 1
    EXPIRED = 2
    SUSPENDED = 3
    REVOKED = 4
    NOT_YET_IN_FORCE = 5


class Verdict(Enum):
    """What can be said of a licence identifier; values as in the contract."""

    GENUINE = 1
    NOT_FOUND = 2
    MALFORMED = 3
    CHECK_DIFFERS = 4


def unregistered(identifier: str) -> Verdict:
    """What can be said of an identifier that the register does not hold."""
    parsed = parse_licence_identifier(identifier)
    if parsed is None:
        return Verdict.MALFORMED
    return Verdict.NOT_FOUND if parsed[1] else Verdict.CHECK_DIFFERS


def day_of(moment: datetime) -> date:
    """The day that a moment falls on in China."""
    return moment.astimezone(CHINA_TIME).date()


@dataclass(frozen=True)
class Suspension:
    """A temporary withdrawal (暂扣), from first to last day; without a last day until further notice."""

    first_day: date
    last_day: date | None = None

    def covers(self, day: date) -> bool:
        """Whether it is in effect on the day."""
        return self.first_day <= day and (self.last_day is None or day <= self.last_day)


class LicenceKey(NamedTuple):
    """Names one version of a licence: the holder's random id and its own."""

    subject_id: UUID
    licence_id: UUID


@dataclass(frozen=True)
class Licence:
    """One version of a licence, without its contents."""

    key: LicenceKey
    type_code: str
    identifier: str
    version: int
    issuer_code: str
    issuer_name: str
    issued_on: date
    valid_from: date
    valid_until: date | None
    """Last day of validity; None is 长期, without end."""
    recorded_at: datetime
    """When the register last vouched for it."""
    suspension: Suspension | None = None
    revoked_on: date | None = None
    superseded: bool = False
    """Whether a newer version has replaced it."""

    @property
    def resource(self) -> str:
        """Catalogue code of the resource that the licence is a record of."""
        return f"licence.{self.type_code}"

    def state_on(self, day: date) -> LicenceState:
        """Its state on a day. What ends a licence for good outweighs what only pauses it."""
        if self.revoked_on is not None and self.revoked_on <= day:
            return LicenceState.REVOKED
        if day < self.valid_from:
            return LicenceState.NOT_YET_IN_FORCE
        if self.valid_until is not None and self.valid_until < day:
            return LicenceState.EXPIRED
        if self.suspension is not None and self.suspension.covers(day):
            return LicenceState.SUSPENDED
        return LicenceState.IN_FORCE

    def plain_fields(self, names: Collection[str]) -> dict[str, FieldValue]:
        """Those of PLAIN_NAMES that are asked for. 长期 is a value, not a missing one."""
        values: dict[str, FieldValue] = {
            "valid_from": self.valid_from.isoformat(),
            "valid_until": self.valid_until.isoformat() if self.valid_until else "长期",
            "issued_on": self.issued_on.isoformat(),
            "issuer_name": self.issuer_name,
        }
        return {name: value for name, value in values.items() if name in names}


def newest(licences: Sequence[Licence], day: date) -> Licence | None:
    """The licence that stands for its holder: the newest in force, else the newest."""
    return max(
        licences,
        key=lambda one: (
            one.state_on(day) is LicenceState.IN_FORCE,
            one.valid_from,
            one.issued_on,
            one.version,
            one.key,
        ),
        default=None,
    )


class FieldGroup(Enum):
    """How a face field is kept: facts in the clear, what identifies sealed, places apart from persons."""

    FACT = "fact"
    PERSON = "person"
    PLACE = "place"


@dataclass(frozen=True)
class LicenceType:
    """A licence type (证照类型) with its face fields (照面)."""

    key: str
    """Short English name, for entitlements and tests."""
    type_code: str
    name: str
    issuer_code: str
    issuer_name: str
    face: Mapping[str, FieldGroup]
    """Groups of the face fields, by field name."""


@dataclass(frozen=True)
class Catalogue:
    """The licence types, and what each matter is entitled to read of them."""

    types: Mapping[str, LicenceType]
    """By type code."""
    entitlements: Mapping[tuple[str, str], frozenset[str]]
    """Names of fields, by matter code and type code."""

    def entitled(self, matter_code: str, type_code: str) -> frozenset[str]:
        """The fields that the matter may read; empty where it may not read the type at all."""
        return self.entitlements.get((matter_code, type_code), frozenset())

    def require_types(self, matter_code: str, type_codes: Sequence[str]) -> None:
        """Passes when the matter may read each type, else raises MatterNotEntitledError naming those not."""
        refused = [code for code in type_codes if not self.entitled(matter_code, code)]
        if refused:
            raise _not_entitled("type_codes", "licence types", refused)

    def require_fields(self, matter_code: str, type_code: str, names: Collection[str]) -> None:
        """Passes when the matter may read each field, else raises MatterNotEntitledError naming those not."""
        self.require_types(matter_code, [type_code])
        refused = sorted(set(names) - self.entitled(matter_code, type_code) - PLAIN_NAMES)
        if refused:
            raise _not_entitled("field_names", "fields", refused)


@dataclass(frozen=True)
class CaseBinding:
    """Who handles which case of which matter; empty where the caller left it out."""

    caller: str
    office: str
    operator: str
    matter_code: str
    case_number: str

    def admits(self, given: CaseBinding) -> bool:
        """Whether `given` is this caller's, and agrees in all that it names."""
        if given.caller != self.caller:
            return False
        pairs = (
            (given.office, self.office),
            (given.operator, self.operator),
            (given.matter_code, self.matter_code),
            (given.case_number, self.case_number),
        )
        return all(not named or named == own for named, own in pairs)


@dataclass(frozen=True)
class UseGrant:
    """What a use code (用证码) says: these licences of this holder, for this case, until then."""

    binding: CaseBinding
    purpose: str
    subject_id: UUID = field(repr=False)
    licence_ids: tuple[UUID, ...] = field(repr=False)
    expires_at: datetime

    def require(self, given: CaseBinding, licence_id: UUID, moment: datetime) -> None:
        """Passes when the grant permits reading the licence now, else raises UseCodeInvalidError."""
        permitted = moment < self.expires_at and self.binding.admits(given) and licence_id in self.licence_ids
        if not permitted:
            raise UseCodeInvalidError


def _not_entitled(path: str, what: str, names: Sequence[str]) -> MatterNotEntitledError:
    message = f"the matter does not entitle to these {what}: {', '.join(names)}"
    return MatterNotEntitledError(message, faults=[FieldFault(path, "entitled", message)])
