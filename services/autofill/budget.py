"""The guess budget: how often one may be told that a typed value is wrong. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.errors import FieldFault, Kind, ServiceError
from core.identity import Subject


class GuessBudgetSpentError(ServiceError):
    """Too many wrong tries: the next are refused until some of them are a day old."""

    kind = Kind.EXHAUSTED
    reason = "GUESS_BUDGET_SPENT"


@dataclass(frozen=True)
class GuessLimits:
    """How many wrong tries there may be inside the window."""

    per_field: int = 5
    """By one caller in one case about one subject's field."""
    per_subject: int = 20
    """About one subject, whoever tries."""
    window: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Guess:
    """One typed value that was compared."""

    field: str
    subject: Subject
    """Whose data it was compared with."""
    wrong: bool


@dataclass(frozen=True)
class WrongTry:
    """A wrong try that is remembered."""

    caller: str
    case_number: str
    field: str
    tried_at: datetime


def refusal(
    limits: GuessLimits,
    remembered: Sequence[WrongTry],
    guesses: Sequence[Guess],
    *,
    caller: str,
    case_number: str,
    moment: datetime,
) -> GuessBudgetSpentError | None:
    """The refusal of some guesses about one subject, or None where the budget lasts.

    Whether a budget is spent depends on what was tried before, never on whether these guesses are right:
    a spent budget must not tell a right guess from a wrong one.
    """
    recent = sorted(t.tried_at for t in remembered if t.tried_at > moment - limits.window)
    if len(recent) >= limits.per_subject:
        names = sorted({guess.field for guess in guesses})
        return spent(names, _until(recent, limits.per_subject, limits.window, moment))
    waits: dict[str, float] = {}
    for name in sorted({guess.field for guess in guesses}):
        tries = sorted(
            t.tried_at
            for t in remembered
            if (t.caller, t.case_number, t.field) == (caller, case_number, name)
            and t.tried_at > moment - limits.window
        )
        if len(tries) >= limits.per_field:
            waits[name] = _until(tries, limits.per_field, limits.window, moment)
    return spent(list(waits), max(waits.values())) if waits else None


def overdrawn(
    limits: GuessLimits, remembered: Sequence[WrongTry], guesses: Sequence[Guess], moment: datetime
) -> GuessBudgetSpentError | None:
    """The refusal of guesses that together go past a subject's budget, once they have been counted.

    They are counted first: the refusal tells that several were wrong, and so must cost what it tells.
    """
    recent = [t.tried_at for t in remembered if t.tried_at > moment - limits.window]
    recent += [moment for guess in guesses if guess.wrong]
    if len(recent) <= limits.per_subject:
        return None
    names = sorted({guess.field for guess in guesses})
    return spent(names, _until(sorted(recent), limits.per_subject, limits.window, moment))


def spent(names: Sequence[str], retry_after: float) -> GuessBudgetSpentError:
    """The refusal for some fields, with the seconds after which a try is possible again."""
    message = "the wrong tries for this are used up; ask the applicant for evidence, or wait"
    return GuessBudgetSpentError(
        f"{', '.join(names)}: {message}",
        faults=[FieldFault(f"values.{name}", "guess_budget", message) for name in names],
        retry_after=retry_after,
    )


def _until(tries: Sequence[datetime], limit: int, window: timedelta, moment: datetime) -> float:
    """Seconds until so many tries have left the window that one more is allowed."""
    freeing = tries[len(tries) - limit]
    return max(1.0, (freeing + window - moment).total_seconds())
