"""The public JSON of a filled form is the message's own, whatever a form shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from core.public_json import canonical, render
from services.autofill.answers import fill_to_json, fill_to_pb, present, verify_to_pb
from services.autofill.comparison import CompareKind, Json, ValueRule
from services.autofill.domain import (
    Candidate,
    CheckedField,
    FieldStatus,
    FilledField,
    SourceReport,
    Verdict,
)
from services.autofill.matter import Provenance, SourceOutcome
from services.autofill.service import FillAnswer, VerifyAnswer

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.one_of(
    st.integers(-(10**15), 10**15),
    st.floats(-1e15, 1e15, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-9),
)
CELLS = st.one_of(TEXT, NUMBERS, st.booleans())
VALUES: st.SearchStrategy[Json] = st.one_of(
    CELLS, st.lists(st.dictionaries(st.text("abcdefg_", min_size=1), CELLS, max_size=4), max_size=3)
)
MOMENTS = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001  # the zone is drawn beside it
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))]),
)
PROVENANCES = st.builds(Provenance, st.sampled_from(["population.person", "land.contract"]), TEXT, MOMENTS)
CANDIDATES = st.builds(
    Candidate, VALUES, st.just(ValueRule(CompareKind.TEXT)), PROVENANCES, st.just(()), st.just("applicant")
)
FIELDS = st.builds(
    FilledField,
    TEXT,
    st.sampled_from(FieldStatus),
    st.none() | CANDIDATES,
    st.lists(CANDIDATES, max_size=3).map(tuple),
    TEXT,
)
REPORTS = st.builds(SourceReport, TEXT, st.sampled_from(SourceOutcome), st.integers(0, 100_000))


@given(st.lists(FIELDS, max_size=4).map(tuple), st.lists(REPORTS, max_size=3).map(tuple))
def test_what_is_committed_to_is_what_the_message_says(
    fields: tuple[FilledField, ...], sources: tuple[SourceReport, ...]
) -> None:
    answer = FillAnswer("arable-land-subsidy", 3, fields, sources)

    message = fill_to_pb(answer)

    assert fill_to_json(answer) == render(message)
    assert present(answer).canonical == canonical(message)


def test_both_kinds_of_answer_are_presented() -> None:
    filled = FillAnswer("m", 1, (), ())
    checked = VerifyAnswer("m", 1, (CheckedField("name", Verdict.UNKNOWN, reason="no_data"),), ())

    assert present(filled).canonical == canonical(fill_to_pb(filled))
    assert present(checked).canonical == canonical(verify_to_pb(checked))
    assert present(checked).is_json
