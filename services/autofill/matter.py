"""Matters: their forms, the sources of each field, and whom they are about."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from core.errors import FieldFault, InvalidError, Kind, ServiceError, fault_error
from core.identifiers import check_subject
from core.identity import Subject
from services.autofill.comparison import Json, ValueRule


class MatterNotFoundError(ServiceError):
    """No matter has this code."""

    kind = Kind.NOT_FOUND
    reason = "MATTER_NOT_FOUND"


class FieldUnknownError(InvalidError):
    """A field is not on the matter's form, or has no source."""

    reason = "FIELD_UNKNOWN"


class SubjectMissingError(InvalidError):
    """A field is about somebody whom the request does not name."""

    reason = "SUBJECT_MISSING"


class Pick(StrEnum):
    """What a source does with the several records it may hold about one subject."""

    EVERY = "every"
    """Each record is a candidate; records that differ are a conflict."""
    LATEST = "latest"
    """The record with the greatest value of `order_by` is the candidate."""
    EARLIEST = "earliest"
    """The record with the least value of `order_by` is the candidate."""
    SUM = "sum"
    """The records' numbers are added up."""
    ROWS = "rows"
    """Each record is a row of the form's table."""
    EXISTS = "exists"
    """True when there is a record. No record is no data: absence from a register proves nothing."""


@dataclass(frozen=True)
class Source:
    """Where a field may come from: a resource's field about the subject in a role."""

    resource: str
    """`population.person`…, or `licence.` and a licence type code."""
    role: str
    field: str
    """Empty when a record is a row; then `columns` says what the row's cells are."""
    pick: Pick = Pick.EVERY
    unit: str = ""
    order_by: str = ""
    where: tuple[tuple[str, tuple[Json, ...]], ...] = ()
    """Only records count whose fields have one of these values."""
    blank_means: Json = None
    """What a record says by leaving the field blank, such as 长期."""
    columns: tuple[tuple[str, str], ...] = ()
    """Of rows: the form's column and the source's name for it."""

    @cached_property
    def needs(self) -> frozenset[str]:
        """The resource's fields that must be read for this source."""
        names = {self.field, self.order_by, *(name for name, _ in self.where)}
        if not self.field:
            names |= {name for _, name in self.columns}
        return frozenset(names - {""})

    @cached_property
    def ask(self) -> Ask:
        """Which question to the upstream answers this source."""
        return Ask(self.resource, self.role)


@dataclass(frozen=True, order=True)
class Ask:
    """One question to an upstream: a resource about the subject in a role."""

    resource: str
    role: str


@dataclass(frozen=True)
class FormField:
    """One field of a form that can be filled or checked."""

    name: str
    rule: ValueRule
    sources: tuple[Source, ...]
    """In order of preference."""
    accepts: Callable[[Json], bool]
    """Whether the form's own schema takes a value."""


@dataclass(frozen=True)
class SubjectRole:
    """One subject that a form is about."""

    role: str
    title: str
    code_types: tuple[str, ...]
    required: bool


@dataclass(frozen=True)
class Material:
    """One thing an applicant must bring, and the licence that can stand in for it."""

    name: str
    licence_type_code: str
    required: bool


@dataclass(frozen=True)
class Matter:
    """One thing an office handles, with its form."""

    code: str
    name: str
    name_en: str
    catalogue_code: str
    office_name: str
    version: int
    form: Mapping[str, Json]
    fields: Mapping[str, FormField]
    materials: tuple[Material, ...]
    roles: tuple[SubjectRole, ...]

    def subjects(self, given: Mapping[str, Subject]) -> dict[str, Subject]:
        """The subjects by role, numbers normalised, in the order of the matter's roles.

        Raises InvalidError for a role or code type that the matter does not know, CheckDigitError and
        NumberMalformedError for a number; each names the role and never the number.
        """
        known = {role.role: role for role in self.roles}
        for name in given:
            if name not in known:
                expected = ", ".join(known)
                raise fault_error(f"subjects.{name}", "role", f"the matter has the roles {expected}")
        checked = {}
        for name, role in known.items():
            if name not in given:
                continue
            where = f"subjects.{name}"
            if given[name].code_type not in role.code_types:
                expected = " or ".join(role.code_types)
                raise fault_error(f"{where}.code_type", "code_type", f"{name} is named by {expected}")
            checked[name] = check_subject(given[name], where)
        return checked

    def wanted(
        self, names: Sequence[str], subjects: Mapping[str, Subject], where: str
    ) -> tuple[FormField, ...]:
        """The fields to fill or check; none named means all that the named subjects allow.

        `where` is the request's field that names them, for what is said of a wrong one.
        Raises FieldUnknownError and SubjectMissingError.
        """
        if not names:
            for role in self.roles:
                if role.required and role.role not in subjects:
                    raise _subject_missing(role.role)
            return tuple(f for f in self.fields.values() if any(s.role in subjects for s in f.sources))
        unknown = [name for name in names if name not in self.fields]
        if unknown:
            raise FieldUnknownError(
                f"the form of {self.code} cannot fill or check: {', '.join(unknown)}",
                faults=[self._unknown(name, where) for name in unknown],
            )
        fields = tuple(self.fields[name] for name in names)
        for field in fields:
            if not any(source.role in subjects for source in field.sources):
                raise _subject_missing(field.sources[0].role, field.name)
        return fields

    def _unknown(self, name: str, where: str) -> FieldFault:
        properties = self.form["properties"]
        if isinstance(properties, Mapping) and name in properties:
            return FieldFault(
                f"{where}.{name}", "no_source", "is on the form, but only the applicant can fill it"
            )
        return FieldFault(f"{where}.{name}", "unknown", "is not a field of this form")


def _subject_missing(role: str, field: str = "") -> SubjectMissingError:
    of = f" that {field} is about" if field else ""
    message = f"name the subject in the role {role}{of}"
    return SubjectMissingError(message, faults=[FieldFault(f"subjects.{role}", "required", message)])


@dataclass(frozen=True)
class Provenance:
    """The source of one value."""

    resource: str
    record_version: str
    as_of: datetime


@dataclass(frozen=True)
class SourceRecord:
    """One record as its resource gave it."""

    values: Mapping[str, Json] = dataclasses.field(repr=False)
    provenance: Provenance


class SourceOutcome(StrEnum):
    """What became of asking a source; the words of the contract, from the best to the worst."""

    ANSWERED = "answered"
    NO_DATA = "no_data"
    NOT_ALLOWED = "not_allowed"
    LATE = "late"
    DOWN = "down"


@dataclass(frozen=True)
class SourceAnswer:
    """What a source gave; of one that refused some fields only, which."""

    outcome: SourceOutcome
    records: tuple[SourceRecord, ...] = ()
    refused_fields: frozenset[str] = frozenset()
    elapsed_ms: int = 0

    def outcome_for(self, source: Source) -> SourceOutcome:
        """The outcome as far as one source of one field is concerned."""
        if self.outcome in (SourceOutcome.ANSWERED, SourceOutcome.NO_DATA):
            return SourceOutcome.NOT_ALLOWED if source.needs & self.refused_fields else self.outcome
        return self.outcome
