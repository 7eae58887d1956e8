"""Checking typed values: which source judges them, and what cannot be judged."""

from __future__ import annotations

import pytest

from core.errors import InvalidError
from services.autofill.comparison import CompareKind, Json, ValueRule
from services.autofill.domain import FieldStatus, Verdict, check, check_typed, merge
from services.autofill.matter import Source
from tests.unit.autofill.making import answered, answers, field, record

A, B = "licence.a", "population.person"
NAME = field(
    Source(A, "applicant", "holder_name"),
    Source(B, "applicant", "name"),
    how=ValueRule(CompareKind.PERSON_NAME),
)


def test_a_typed_value_is_judged_by_the_source_that_would_fill_the_field() -> None:
    held = answers({A: answered(record(A, holder_name="张三")), B: answered(record(B, name="张珊"))})

    assert check(NAME, "张 三", held).verdict is Verdict.MATCH
    assert check(NAME, "张珊", held).verdict is Verdict.MISMATCH
    assert check(NAME, "李四", held).verdict is Verdict.MISMATCH


def test_of_several_records_in_the_deciding_source_any_may_agree() -> None:
    home = field(Source(B, "applicant", "location"), how=ValueRule(CompareKind.ADDRESS))
    held = answers({B: answered(record(B, "1", location="甲路1号"), record(B, "2", location="乙路2号"))})

    verdict = check(home, "乙路２号", held)

    assert verdict.verdict is Verdict.MATCH
    assert verdict.decided_by is not None
    assert verdict.decided_by.provenance.record_version == "2"
    assert check(home, "丙路3号", held).verdict is Verdict.MISMATCH
    assert merge(home, held).status is FieldStatus.CONFLICT


@pytest.mark.parametrize("typed", [None, "", "  ", ["张三"], {"a": 1}, "长" * 30_000])
def test_what_cannot_be_compared_is_refused_by_name(typed: Json) -> None:
    with pytest.raises(InvalidError) as refusal:
        check_typed(NAME, typed)

    assert refusal.value.faults[0].field == "values.wanted"


@pytest.mark.parametrize("typed", ["甲", [], ["甲"], [{}] * 201])
def test_a_typed_table_is_a_list_of_rows(typed: Json) -> None:
    with pytest.raises(InvalidError):
        check_typed(field(how=ValueRule(CompareKind.ROWS)), typed)
