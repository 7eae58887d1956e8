"""The guess budget: what it refuses, and that a refusal tells nothing about the guess."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Kind
from core.identity import Subject
from services.autofill.budget import Guess, GuessLimits, WrongTry, overdrawn, refusal

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HER = Subject("111", "her")
LIMITS = GuessLimits()


def tried(field: str, hours_ago: float, *, caller: str = "platform", case: str = "case-1") -> WrongTry:
    return WrongTry(caller, case, field, NOW - timedelta(hours=hours_ago))


def refused(remembered: list[WrongTry], *fields: str, wrong: bool = True) -> tuple[list[str], float] | None:
    guesses = [Guess(name, HER, wrong) for name in fields]
    error = refusal(LIMITS, remembered, guesses, caller="platform", case_number="case-1", moment=NOW)
    if error is None:
        return None
    assert error.kind is Kind.EXHAUSTED
    assert error.retry_after is not None
    return [fault.field for fault in error.faults], error.retry_after


def test_five_wrong_tries_use_up_a_field_and_no_other() -> None:
    remembered = [tried("name", hours) for hours in (20, 10, 5, 2, 1)]

    assert refused(remembered[:4], "name") is None
    assert refused(remembered, "name", "phone") == (["values.name"], 4 * 3600)
    assert refused(remembered, "phone") is None


def test_another_case_and_another_caller_have_tries_of_their_own() -> None:
    elsewhere = [tried("name", 1, case="case-2") for _ in range(5)]
    others = [tried("name", 1, caller="another") for _ in range(5)]

    assert refused(elsewhere + others, "name") is None


def test_twenty_wrong_tries_use_up_a_subject_whatever_case_they_came_in() -> None:
    remembered = [tried(f"field_{n}", n + 1, case=f"case-{n}") for n in range(20)]

    assert refused(remembered[1:], "name") is None
    assert refused(remembered, "name", "phone") == (["values.name", "values.phone"], 4 * 3600)


def test_tries_older_than_the_window_count_no_more() -> None:
    assert refused([tried("name", 24) for _ in range(30)], "name") is None


@given(st.lists(st.floats(0, 30), max_size=30), st.booleans())
def test_a_refusal_never_depends_on_whether_the_guess_is_right(hours: list[float], wrong: bool) -> None:
    remembered = [tried("name", ago) for ago in hours]

    assert refused(remembered, "name", wrong=wrong) == refused(remembered, "name", wrong=not wrong)


def test_guesses_that_together_go_past_the_subjects_budget_are_refused() -> None:
    remembered = [tried(f"field_{n}", 1, case="other") for n in range(18)]
    three = [Guess(name, HER, wrong=True) for name in ("name", "phone", "address")]

    assert overdrawn(LIMITS, remembered, three[:2], NOW) is None
    error = overdrawn(LIMITS, remembered, three, NOW)
    assert error is not None
    assert error.retry_after == pytest.approx(23 * 3600)
