"""One fault: the crowd asks, something breaks and is mended, and then the books are checked."""

from __future__ import annotations

import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.account import Account
from tests.faults.ground import Ground
from tests.faults.load import DEADLINE_SECONDS, USUAL_CROWD, Load, Try

RECOVERY_SECONDS = 5.0
"""Within which everything is answered again after a part is back."""

PATIENCE_SECONDS = 45.0
"""How long we look on before we say that it never recovers."""

LATE_SECONDS = 2.0
"""What an answer may take beyond its caller's deadline, on a machine that others use too."""

Strike = Callable[[Ground, Load], float]
"""Breaks something and mends it; the moment (monotonic) from which everything should be answered again."""


@dataclass(frozen=True)
class Fault:
    """One fault to be tried.

    `missing` says why it cannot be tried here, or nothing. `crowd` names other callers than the usual ones.
    `tolerates` are refusals that this fault alone excuses. `back_dates` says that entries get earlier
    times than those before them, which an audit rightly finds. `longest_wait` is in seconds.
    """

    name: str
    strike: Strike
    missing: Callable[[], str] = lambda: ""
    crowd: Sequence[str] = ()
    tolerates: frozenset[int] = frozenset()
    back_dates: bool = False
    longest_wait: float = DEADLINE_SECONDS + LATE_SECONDS


@dataclass
class Outcome:
    """What came of a fault; `broken` are the promises that were not kept."""

    name: str
    skipped: str = ""
    recovery_seconds: float = 0.0
    lasted_seconds: float = 0.0
    longest_wait: float = 0.0
    requests: int = 0
    answered: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    figures: dict[str, object] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.broken

    def to_json(self) -> dict[str, object]:
        """For faults.json."""
        return {**vars(self), "kept": self.kept}


def shake(ground: Ground, fault: Fault, *, recovery: float = RECOVERY_SECONDS) -> Outcome:
    """Tries one fault."""
    outcome = Outcome(fault.name)
    outcome.skipped = fault.missing()
    if outcome.skipped:
        return outcome
    account = Account(ground.city)
    load = Load(ground.city, fault.crowd or USUAL_CROWD, tolerates=fault.tolerates)
    began = time.monotonic()
    try:
        with load:
            load.must_answer_everything(began, PATIENCE_SECONDS)
            mended = fault.strike(ground, load)
            outcome.recovery_seconds = load.must_answer_everything(mended, PATIENCE_SECONDS)
        account.settle(load)
        outcome.entries = account.check_log(load)
        if not fault.back_dates:
            _audit(ground)
    except AssertionError as failure:
        outcome.broken.append(str(failure).splitlines()[0] if str(failure) else repr(failure))
    except Exception as failure:  # A caller or a scenario that trips over what it gets is a finding too.
        outcome.broken.append(f"{type(failure).__name__}: {failure}"[:400])
    finally:
        load.closing.close()
        ground.afterwards.close()
    outcome.lasted_seconds = time.monotonic() - began
    _tell(outcome, load, recovery, fault.longest_wait)
    return outcome


def _audit(ground: Ground) -> None:
    """The auditor's own reconciliation, where this city has one."""
    if importlib.util.find_spec("cli.audit") is None:
        return
    code, said = ground.onestop("audit")
    assert code == 0, f"the audit ended with {code}: {' '.join(said.split())[-400:]}"


def _tell(outcome: Outcome, load: Load, recovery: float, longest_wait: float) -> None:
    tries = load.tries
    outcome.figures = load.figures
    outcome.requests = sum(not one.rightly_refused for one in tries)
    outcome.answered = sum(one.ok for one in tries)
    outcome.longest_wait = max((one.seconds for one in tries), default=0.0)
    outcome.errors = dict(
        Counter(_named(one) for one in tries if not one.ok and not one.rightly_refused).most_common()
    )
    outcome.broken += promises_broken(tries, longest_wait)
    outcome.broken += [f"{times} × {what}" for what, times in Counter(load.wrong).items()]
    if outcome.recovery_seconds > recovery:
        outcome.broken.append(f"recovered after {outcome.recovery_seconds:.1f} s, not within {recovery:g} s")


def promises_broken(tries: Sequence[Try], longest_wait: float) -> list[str]:
    """What callers were told, and how late, that they should never be."""
    broken = []
    faults = Counter(_named(one) for one in tries if one.status >= 500 and one.status not in {503, 504})
    broken += [f"{times} × {what}" for what, times in faults.items()]
    silent = Counter(_named(one) for one in tries if one.status in {429, 503} and not one.told_when)
    broken += [f"{times} × {what} without Retry-After" for what, times in silent.items()]
    late = [one for one in tries if one.seconds > longest_wait]
    if late:
        worst = max(late, key=lambda one: one.seconds)
        broken.append(
            f"{len(late)} waited past their deadline, the longest {worst.seconds:.1f} s ({worst.kind})"
        )
    return broken


def _named(one: Try) -> str:
    return f"{one.status or 'connection'} {one.reason}".strip()
