"""The pure rules that fill and check a form's fields from what the sources gave."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cached_property

from core.errors import fault_error
from core.identity import Subject
from services.autofill.comparison import CompareKind, Json, ValueRule, is_blank, key, shape
from services.autofill.matter import (
    Ask,
    FormField,
    Pick,
    Provenance,
    Source,
    SourceAnswer,
    SourceOutcome,
    SourceRecord,
)

LONGEST_TYPED = 20_000
"""Characters of one typed value; no form's field is longer."""

LONGEST_TABLE = 200
"""Rows of one typed table."""


@dataclass(frozen=True)
class Candidate:
    """A value that a source holds for a field, in the form's shape."""

    value: Json = dataclasses.field(repr=False)
    rule: ValueRule = dataclasses.field(repr=False)
    provenance: Provenance
    records: tuple[Provenance, ...]
    """Every record the value was made of."""
    role: str
    """Whom it is about."""

    @cached_property
    def compared(self) -> str | None:
        """What is compared; equal exactly when two values agree."""
        # The value is in the form's unit and rounded, so what is shown is what is compared.
        return key(self.rule, self.value)


class FieldStatus(Enum):
    """How a field came out; values as in the contract."""

    FILLED = 1
    NO_DATA = 2
    CONFLICT = 3
    SOURCE_DOWN = 4
    NOT_ALLOWED = 5


@dataclass(frozen=True)
class FilledField:
    """One field of the filled form. Candidates stand on conflict, the preferred first."""

    name: str
    status: FieldStatus
    chosen: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()
    source: str = ""


class Verdict(Enum):
    """Whether a typed value agrees with the sources; values as in the contract."""

    MATCH = 1
    MISMATCH = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class CheckedField:
    """One typed value's verdict; nothing in it tells what the sources hold."""

    name: str
    verdict: Verdict
    decided_by: Candidate | None = None
    reason: str = ""


@dataclass(frozen=True)
class SourceReport:
    """What became of one resource that was asked."""

    resource: str
    outcome: SourceOutcome
    elapsed_ms: int


Answers = Mapping[Ask, SourceAnswer]


def asks_of(fields: Sequence[FormField], subjects: Mapping[str, Subject]) -> dict[Ask, frozenset[str]]:
    """Every question that the fields need, with the names to read: those and no others."""
    asks: dict[Ask, frozenset[str]] = {}
    for field in fields:
        for source in field.sources:
            if source.role in subjects:
                asks[source.ask] = asks.get(source.ask, frozenset()) | source.needs
    return asks


def merge(field: FormField, answers: Answers) -> FilledField:
    """The field as the sources that were asked have it.

    Filled when all who hold a value agree, conflict when they differ. Without a value: source down when
    one that might hold it did not answer, else not allowed when one refused, else no data.
    """
    candidates = candidates_of(field, answers)
    if not candidates:
        status, source = _why_none(field, answers)
        return FilledField(field.name, status, source=source)
    if len(candidates) == 1 or len({candidate.compared for candidate in candidates}) == 1:
        return FilledField(field.name, FieldStatus.FILLED, candidates[0])
    return FilledField(field.name, FieldStatus.CONFLICT, candidates[0], candidates)


def check(field: FormField, typed: Json, answers: Answers) -> CheckedField:
    """Whether a typed value agrees with the most preferred source that holds one.

    That source decides alone, as it would when filling; where it holds several records, any may agree.
    """
    candidates = candidates_of(field, answers)
    if not candidates:
        status, _ = _why_none(field, answers)
        return CheckedField(field.name, Verdict.UNKNOWN, reason=status.name.lower())
    first = candidates[0]
    deciding = [
        c for c in candidates if c.provenance.resource == first.provenance.resource and c.role == first.role
    ]
    compared = key(field.rule, typed)
    agreeing = next((c for c in deciding if c.compared == compared), None)
    if agreeing is not None:
        return CheckedField(field.name, Verdict.MATCH, agreeing)
    return CheckedField(field.name, Verdict.MISMATCH, first)


def check_typed(field: FormField, typed: Json) -> None:
    """Passes when a typed value can be compared at all, else raises InvalidError naming the field."""
    where = f"values.{field.name}"
    if is_blank(typed):
        raise fault_error(where, "blank", "type a value, or leave the field out")
    if field.rule.kind is CompareKind.ROWS:
        rows = [] if isinstance(typed, str) or not isinstance(typed, Sequence) else typed
        if not rows or not all(isinstance(row, Mapping) for row in rows):
            raise fault_error(where, "type", "must be a list of rows, each an object")
        if len(rows) > LONGEST_TABLE:
            raise fault_error(where, "max_items", f"at most {LONGEST_TABLE} rows")
    elif isinstance(typed, Sequence | Mapping) and not isinstance(typed, str):
        raise fault_error(where, "type", "must be a single value")
    if len(str(typed)) > LONGEST_TYPED:
        raise fault_error(where, "max_len", f"at most {LONGEST_TYPED} characters")


def candidates_of(field: FormField, answers: Answers) -> tuple[Candidate, ...]:
    """What the sources hold for a field, in order of preference; blanks and misfits are nothing."""
    found: list[Candidate] = []
    for source in field.sources:
        answer = answers.get(source.ask)
        if answer is not None and answer.outcome_for(source) is SourceOutcome.ANSWERED:
            found += _candidates(field, source, answer.records)
    return tuple(found)


def report(answers: Answers) -> tuple[SourceReport, ...]:
    """One line per resource: the worst outcome of what it was asked, and the longest time."""
    worst = list(SourceOutcome)
    reports: dict[str, SourceReport] = {}
    for ask, answer in sorted(answers.items()):
        outcome = answer.outcome
        if answer.refused_fields and worst.index(outcome) < worst.index(SourceOutcome.NOT_ALLOWED):
            outcome = SourceOutcome.NOT_ALLOWED
        line = SourceReport(ask.resource, outcome, answer.elapsed_ms)
        before = reports.get(ask.resource)
        if before is not None:
            outcome = max(before.outcome, outcome, key=worst.index)
            line = SourceReport(ask.resource, outcome, max(before.elapsed_ms, answer.elapsed_ms))
        reports[ask.resource] = line
    return tuple(reports.values())


def _why_none(field: FormField, answers: Answers) -> tuple[FieldStatus, str]:
    """Why a field has no value, and the source at fault."""
    outcomes = [(s.resource, answers[s.ask].outcome_for(s)) for s in field.sources if s.ask in answers]
    for resource, outcome in outcomes:
        if outcome in (SourceOutcome.LATE, SourceOutcome.DOWN):
            return FieldStatus.SOURCE_DOWN, resource
    for resource, outcome in outcomes:
        if outcome is SourceOutcome.NOT_ALLOWED:
            return FieldStatus.NOT_ALLOWED, resource
    return FieldStatus.NO_DATA, ""


def _candidates(field: FormField, source: Source, records: Sequence[SourceRecord]) -> list[Candidate]:
    """The candidates of one source; several records that agree are one candidate."""
    counted = [r for r in records if all(r.values.get(name) in allowed for name, allowed in source.where)]
    if not counted:
        return []
    match source.pick:
        case Pick.LATEST | Pick.EARLIEST:
            record = _at_the_end(source, counted)
            found = [_candidate(field, source, _value(source, record), [record])] if record else []
        case Pick.EXISTS:
            found = [_candidate(field, source, True, counted)]
        case Pick.SUM:
            found = [_candidate(field, source, _sum(counted, source.field), counted)]
        case Pick.ROWS:
            rows = [_row(source, record.values) for record in counted]
            found = [_candidate(field, source, rows, counted)]
        case Pick.EVERY:
            found = [_candidate(field, source, _value(source, r), [r]) for r in counted]
    candidates = [candidate for candidate in found if candidate is not None]
    if len(candidates) < 2:
        return candidates
    unique: dict[str | None, Candidate] = {}
    for candidate in candidates:
        unique.setdefault(candidate.compared, candidate)
    return list(unique.values())


def _value(source: Source, record: SourceRecord) -> Json:
    """A record's value; a table inside one record gets the form's names for its columns."""
    value = record.values.get(source.field)
    if is_blank(value):
        return source.blank_means
    if not source.columns or isinstance(value, str) or not isinstance(value, Sequence):
        return value
    return [_row(source, row) if isinstance(row, Mapping) else row for row in value]


def _at_the_end(source: Source, records: Sequence[SourceRecord]) -> SourceRecord | None:
    """The latest or the earliest of the records that have the field to order by."""
    dated = [r for r in records if not is_blank(r.values.get(source.order_by))]
    if not dated:
        return None

    def order(record: SourceRecord) -> tuple[float, str, datetime]:
        value = record.values.get(source.order_by)
        number = float(value) if isinstance(value, int | float) else 0.0
        return number, str(value), record.provenance.as_of

    return max(dated, key=order) if source.pick is Pick.LATEST else min(dated, key=order)


def _row(source: Source, values: Mapping[str, Json]) -> dict[str, Json]:
    return {column: values.get(name) for column, name in source.columns}


def _sum(records: Sequence[SourceRecord], name: str) -> Json:
    """The records' numbers added without the error of binary fractions."""
    numbers = [r.values.get(name) for r in records]
    counted = [Decimal(repr(n)) for n in numbers if isinstance(n, int | float) and not isinstance(n, bool)]
    return str(sum(counted)) if counted else None


def _candidate(
    field: FormField, source: Source, value: Json, records: Sequence[SourceRecord]
) -> Candidate | None:
    """A candidate, unless the value is blank or the form could not take it."""
    shaped = shape(field.rule, value, source.unit)
    if shaped is None or not field.accepts(shaped):
        return None
    first = records[0].provenance
    if len(records) == 1 and first.resource == source.resource:
        return Candidate(shaped, field.rule, first, (first,), source.role)
    sources = tuple(record.provenance for record in records)
    versions = ",".join(dict.fromkeys(one.record_version for one in sources))
    provenance = Provenance(source.resource, versions, min(one.as_of for one in sources))
    return Candidate(shaped, field.rule, provenance, sources, source.role)
