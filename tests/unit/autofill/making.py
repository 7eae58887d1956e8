"""Short ways to make forms and answers for tests of the merge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from services.autofill.comparison import CompareKind, Json, ValueRule
from services.autofill.matter import (
    Ask,
    FormField,
    Provenance,
    Source,
    SourceAnswer,
    SourceOutcome,
    SourceRecord,
)

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def field(*sources: Source, how: ValueRule | None = None, name: str = "wanted") -> FormField:
    """A field of a form that takes everything its kind can shape."""
    return FormField(name, how or ValueRule(CompareKind.TEXT), sources, lambda value: True)


def record(resource: str, version: str = "1", /, **values: Json) -> SourceRecord:
    """A record as its resource gave it."""
    return SourceRecord(values, Provenance(resource, version, AS_OF))


def answered(*records: SourceRecord) -> SourceAnswer:
    """A source that answered; with nothing where there are no records."""
    return SourceAnswer(SourceOutcome.ANSWERED if records else SourceOutcome.NO_DATA, records)


def answers(given: Mapping[str, SourceAnswer]) -> dict[Ask, SourceAnswer]:
    """Answers by resource, about the applicant."""
    return {Ask(resource, "applicant"): answer for resource, answer in given.items()}
