"""The form desk: fills a matter's form from its sources, checks what was typed, lists the matters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from core.clock import Clock
from core.disclosure import Basis, BasisKind, Disclosure, Produced, RecordRef, Released, RequestContext
from core.errors import BasisMissingError, FieldFault, InvalidError
from core.identity import Scope, Subject
from services.autofill.budget import Guess
from services.autofill.comparison import Json
from services.autofill.domain import (
    Candidate,
    CheckedField,
    FieldStatus,
    FilledField,
    SourceReport,
    Verdict,
    asks_of,
    check,
    check_typed,
    merge,
    report,
)
from services.autofill.matter import Ask, FormField, Matter, MatterNotFoundError, SourceAnswer, SourceOutcome

DEFAULT_PAGE = 50

Relay = object
"""The caller's credential and context as they came, for the upstreams; only their client opens it."""


class PageTokenError(InvalidError):
    """A page token that this list did not give out."""

    reason = "PAGE_TOKEN_INVALID"


@dataclass(frozen=True)
class SourceRequest:
    """One question to an upstream: fields of a resource about a subject, until a moment."""

    ask: Ask
    subject: Subject
    field_names: tuple[str, ...]
    deadline: datetime


class Sources(Protocol):
    """The upstreams."""

    async def read(
        self, requests: Sequence[SourceRequest], relay: Relay, found: dict[Ask, SourceAnswer]
    ) -> None:
        """Asks all sources side by side; what each gave, or why nothing, goes into `found` as it comes.

        A failing source is an outcome, not an error. Whoever stops waiting has the answers that came in time.
        """
        ...


class GuessBook(Protocol):
    """Remembers wrong tries."""

    async def count(self, caller: str, case_number: str, guesses: Sequence[Guess]) -> None:
        """Counts the wrong ones, durably and together; the verdicts may be told once this returns.

        Raises GuessBudgetSpentError where the budget of one of them is spent: then none may be told.
        """
        ...


@dataclass(frozen=True)
class Waiting:
    """How long a form waits for its sources."""

    longest: timedelta = timedelta(seconds=3)
    """No source is waited for longer."""
    margin: timedelta = timedelta(milliseconds=600)
    """Kept of the caller's deadline for the ledger entry and the way back, up to a third of it."""

    def until(self, moment: datetime, deadline: datetime) -> datetime:
        """When the sources are given up."""
        left = max(deadline - moment, timedelta())
        return moment + min(self.longest, left - min(self.margin, left / 3))


@dataclass(frozen=True)
class FillAnswer:
    """A filled form, field by field."""

    matter_code: str
    form_version: int
    fields: tuple[FilledField, ...]
    sources: tuple[SourceReport, ...]


@dataclass(frozen=True)
class VerifyAnswer:
    """The verdicts on typed values."""

    matter_code: str
    form_version: int
    fields: tuple[CheckedField, ...]
    sources: tuple[SourceReport, ...]


@dataclass(frozen=True)
class MatterPage:
    """A page of matters, in the order of their codes."""

    matters: tuple[Matter, ...]
    next_page_token: str


class FormDesk:
    """The use cases. What leaves the system goes through the disclosure protocol, after authorisation."""

    def __init__(
        self,
        *,
        matters: Mapping[str, Matter],
        sources: Sources,
        guesses: GuessBook,
        disclosure: Disclosure,
        clock: Clock,
        waiting: Waiting | None = None,
    ) -> None:
        self._matters = matters
        self._sources = sources
        self._guesses = guesses
        self._disclosure = disclosure
        self._clock = clock
        self._waiting = waiting or Waiting()

    def list_matters(self, context: RequestContext, page_size: int, page_token: str) -> MatterPage:
        """The matters that follow `page_token`, the last code of the page before."""
        context.caller.require(Scope.MATTER_READ)
        if page_token and page_token not in self._matters:
            message = "take the next_page_token of the page before"
            raise PageTokenError(
                f"page_token: {message}", faults=[FieldFault("page_token", "known", message)]
            )
        rest = [code for code in sorted(self._matters) if code > page_token]
        taken = rest[: page_size or DEFAULT_PAGE]
        more = len(rest) > len(taken)
        return MatterPage(tuple(self._matters[code] for code in taken), taken[-1] if more else "")

    def get_matter(self, context: RequestContext, code: str) -> Matter:
        """One matter with its form. Raises MatterNotFoundError."""
        context.caller.require(Scope.MATTER_READ)
        return self._matter(code)

    async def autofill(
        self,
        context: RequestContext,
        subjects: Mapping[str, Subject],
        names: Sequence[str],
        *,
        relay: Relay,
        body: bytes,
    ) -> Released:
        """Fills the named fields of the basis's matter; none named means all that the subjects allow.

        A source that is late, down or refuses is told field by field and fails nothing else. Raises
        MatterNotFoundError, FieldUnknownError, SubjectMissingError, CheckDigitError, NumberMalformedError.
        """
        context.caller.require(Scope.AUTOFILL_FILL)
        matter = self._matter(_case(context).matter_code)
        given = matter.subjects(subjects)
        fields = matter.wanted(names, given, "field_names")

        async def produce() -> Produced:
            answers = await self._ask(fields, given, context, relay)
            filled = tuple(merge(field, answers) for field in fields)
            shown = [candidate for field in filled for candidate in _shown(field)]
            learnt = [f.name for f in filled if f.status in _LEARNT]
            answer = FillAnswer(matter.code, matter.version, filled, report(answers))
            return Produced(answer, learnt, _records(shown), *_about(given, answers))

        return await self._disclosure.read(context, method="autofill.fill", body=body, produce=produce)

    async def verify(
        self,
        context: RequestContext,
        subjects: Mapping[str, Subject],
        values: Mapping[str, Json],
        *,
        relay: Relay,
        body: bytes,
    ) -> Released:
        """Says of each typed value whether it agrees with the sources, without showing what they hold.

        A wrong value uses up a try before the verdict is told. Raises as `autofill`, and
        GuessBudgetSpentError, naming the fields whose tries are used up.
        """
        context.caller.require(Scope.AUTOFILL_VERIFY)
        case = _case(context)
        matter = self._matter(case.matter_code)
        given = matter.subjects(subjects)
        fields = matter.wanted(sorted(values), given, "values")
        for field in fields:
            check_typed(field, values[field.name])

        async def produce() -> Produced:
            answers = await self._ask(fields, given, context, relay)
            checked = tuple(check(field, values[field.name], answers) for field in fields)
            guesses = [
                Guess(field.name, given[field.decided_by.role], field.verdict is Verdict.MISMATCH)
                for field in checked
                if field.decided_by is not None
            ]
            await self._guesses.count(context.caller.name, case.case_number, guesses)
            deciding = [field.decided_by for field in checked if field.decided_by is not None]
            learnt = [f.name for f in checked if f.decided_by is not None or f.reason == "no_data"]
            answer = VerifyAnswer(matter.code, matter.version, checked, report(answers))
            return Produced(answer, learnt, _records(deciding), *_about(given, answers))

        return await self._disclosure.read(context, method="autofill.verify", body=body, produce=produce)

    def _matter(self, code: str) -> Matter:
        matter = self._matters.get(code)
        if matter is None:
            raise MatterNotFoundError("there is no matter of this code; GET /approval/v1/matters lists them")
        return matter

    async def _ask(
        self,
        fields: Sequence[FormField],
        subjects: Mapping[str, Subject],
        context: RequestContext,
        relay: Relay,
    ) -> dict[Ask, SourceAnswer]:
        """Asks every source side by side; one that has not answered when time is up is late."""
        began = self._clock()
        until = self._waiting.until(began, context.deadline)
        requests = [
            SourceRequest(ask, subjects[ask.role], tuple(sorted(names)), until)
            for ask, names in asks_of(fields, subjects).items()
        ]
        found: dict[Ask, SourceAnswer] = {}
        wait = (until - began).total_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._sources.read(requests, relay, found)
        late = SourceAnswer(SourceOutcome.LATE, elapsed_ms=int(wait * 1000))
        return {request.ask: found.get(request.ask, late) for request in requests}


_LEARNT = frozenset({FieldStatus.FILLED, FieldStatus.CONFLICT, FieldStatus.NO_DATA})
"""What tells something about a subject, if only that there is nothing."""


def _case(context: RequestContext) -> Basis:
    """The matter and case that the call rests on."""
    if context.basis is None or context.basis.kind is not BasisKind.MATTER:
        raise BasisMissingError("forms are filled for a case of a matter: name matter_code and case_number")
    return context.basis


def _shown(field: FilledField) -> tuple[Candidate, ...]:
    """The values that a field of the answer shows."""
    if field.candidates:
        return field.candidates
    return (field.chosen,) if field.chosen is not None else ()


def _records(candidates: Sequence[Candidate]) -> list[RecordRef]:
    """The records behind some values, each once."""
    named = dict.fromkeys((one.resource, one.record_version) for c in candidates for one in c.records)
    return [RecordRef(resource, version) for resource, version in named]


def _about(
    subjects: Mapping[str, Subject], answers: Mapping[Ask, SourceAnswer]
) -> tuple[Subject, tuple[Subject, ...]]:
    """Whom the entry is about: who was asked about, in the order of the matter's roles, each once."""
    asked = {ask.role for ask in answers}
    first, *further = dict.fromkeys(subject for role, subject in subjects.items() if role in asked)
    return first, tuple(further)
