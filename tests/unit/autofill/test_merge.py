"""The pure merge: what each field becomes, given what the sources answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identity import Subject
from services.autofill.comparison import CompareKind, Json, Option, ValueRule
from services.autofill.domain import (
    FieldStatus,
    asks_of,
    check,
    merge,
    report,
)
from services.autofill.matter import Pick, Source, SourceAnswer, SourceOutcome
from tests.unit.autofill.making import answered, answers, field, record

A, B, C = "licence.a", "population.person", "population.household"
NAME = field(
    Source(A, "applicant", "holder_name"),
    Source(B, "applicant", "name"),
    how=ValueRule(CompareKind.PERSON_NAME),
)
DOWN = SourceAnswer(SourceOutcome.DOWN)
LATE = SourceAnswer(SourceOutcome.LATE)
REFUSED = SourceAnswer(SourceOutcome.NOT_ALLOWED)
NOTHING = answered()


def test_sources_that_agree_fill_the_field_with_the_preferred_ones_writing() -> None:
    filled = merge(
        NAME,
        answers(
            {
                A: answered(record(A, "7", holder_name="买买提·吐尔逊")),
                B: answered(record(B, "3", name="买买提吐尔逊")),
            }
        ),
    )

    assert filled.status is FieldStatus.FILLED
    assert filled.chosen is not None
    assert filled.chosen.value == "买买提·吐尔逊"
    assert (filled.chosen.provenance.resource, filled.chosen.provenance.record_version) == (A, "7")
    assert filled.candidates == ()


def test_sources_that_differ_are_a_conflict_that_shows_each_with_its_source() -> None:
    filled = merge(
        NAME,
        answers({A: answered(record(A, holder_name="张三")), B: answered(record(B, "3", name="张珊"))}),
    )

    assert filled.status is FieldStatus.CONFLICT
    assert filled.chosen is not None
    assert filled.chosen.value == "张三"
    assert [(c.value, c.provenance.resource) for c in filled.candidates] == [("张三", A), ("张珊", B)]


def test_the_second_source_fills_in_for_a_late_first_one() -> None:
    filled = merge(NAME, answers({A: LATE, B: answered(record(B, name="张三"))}))

    assert filled.status is FieldStatus.FILLED
    assert filled.chosen is not None
    assert filled.chosen.provenance.resource == B


@pytest.mark.parametrize(
    ("first", "second", "status", "source"),
    [
        (NOTHING, NOTHING, FieldStatus.NO_DATA, ""),
        (NOTHING, answered(record(B, name=None)), FieldStatus.NO_DATA, ""),
        (NOTHING, answered(record(B, name="　 ")), FieldStatus.NO_DATA, ""),
        (NOTHING, LATE, FieldStatus.SOURCE_DOWN, B),
        (REFUSED, DOWN, FieldStatus.SOURCE_DOWN, B),
        (DOWN, LATE, FieldStatus.SOURCE_DOWN, A),
        (REFUSED, NOTHING, FieldStatus.NOT_ALLOWED, A),
    ],
)
def test_without_a_value_the_field_says_why(
    first: SourceAnswer, second: SourceAnswer, status: FieldStatus, source: str
) -> None:
    filled = merge(NAME, answers({A: first, B: second}))

    assert (filled.status, filled.source, filled.chosen) == (status, source, None)


def test_no_data_down_and_refused_are_three_different_verdicts() -> None:
    reasons = [check(NAME, "张三", answers({A: a})).reason for a in (NOTHING, DOWN, REFUSED)]

    assert reasons == ["no_data", "source_down", "not_allowed"]


def test_a_source_that_refuses_one_field_still_fills_the_others() -> None:
    answer = replace(answered(record(B, name="张三")), refused_fields=frozenset({"phone"}))
    phone = field(Source(B, "applicant", "phone"), name="phone")

    assert merge(NAME, answers({B: answer})).status is FieldStatus.FILLED
    assert merge(phone, answers({B: answer})).status is FieldStatus.NOT_ALLOWED
    assert report(answers({B: answer}))[0].outcome is SourceOutcome.NOT_ALLOWED


def test_a_value_that_the_form_cannot_take_is_no_value() -> None:
    narrow = replace(NAME, accepts=lambda value: value != "张三")

    assert merge(narrow, answers({A: answered(record(A, holder_name="张三"))})).status is FieldStatus.NO_DATA


VALUE = st.sampled_from(["甲", "乙", " 甲 ", "", None])
ANSWER = st.one_of(
    st.sampled_from([NOTHING, DOWN, LATE, REFUSED]),
    st.lists(VALUE, min_size=1, max_size=3).map(
        lambda values: answered(*(record("any", str(n), value=v) for n, v in enumerate(values)))
    ),
)
THREE = [Source(resource, "applicant", "value") for resource in (A, B, C)]


@given(st.tuples(ANSWER, ANSWER, ANSWER), st.permutations(THREE))
def test_the_status_does_not_depend_on_the_order_of_sources(
    given_answers: tuple[SourceAnswer, SourceAnswer, SourceAnswer], order: list[Source]
) -> None:
    held = answers(dict(zip((A, B, C), given_answers, strict=True)))
    one, other = merge(field(*THREE), held), merge(field(*order), held)

    assert one.status is other.status
    assert {c.compared for c in one.candidates} == {c.compared for c in other.candidates}


@given(st.tuples(ANSWER, ANSWER, ANSWER), st.permutations((A, B, C)))
def test_the_outcome_does_not_depend_on_the_order_of_arrival(
    given_answers: tuple[SourceAnswer, SourceAnswer, SourceAnswer], arrival: list[str]
) -> None:
    held = dict(zip((A, B, C), given_answers, strict=True))

    assert merge(field(*THREE), answers(held)) == merge(
        field(*THREE), answers({name: held[name] for name in arrival})
    )


@given(st.tuples(ANSWER, ANSWER, ANSWER))
def test_every_value_shown_is_one_that_a_source_holds_and_says_which(
    given_answers: tuple[SourceAnswer, SourceAnswer, SourceAnswer],
) -> None:
    held = answers(dict(zip((A, B, C), given_answers, strict=True)))
    filled = merge(field(*THREE), held)

    shown = filled.candidates or ((filled.chosen,) if filled.chosen else ())
    assert (filled.status in {FieldStatus.FILLED, FieldStatus.CONFLICT}) == bool(shown)
    for candidate in shown:
        values = [
            r.values["value"]
            for ask, answer in held.items()
            if ask.resource == candidate.provenance.resource
            for r in answer.records
        ]
        assert candidate.value in [v.strip() for v in values if isinstance(v, str)]


FIELDS = [
    field(*(Source(r, role, f"{name}_{r[0]}") for r in resources), name=name)
    for name, resources, role in [
        ("one", (A, B), "applicant"),
        ("two", (B,), "applicant"),
        ("three", (C, B), "spouse"),
        ("four", (C,), "spouse"),
    ]
]


@given(
    st.sets(st.sampled_from(range(4)), min_size=1), st.sampled_from([("applicant",), ("applicant", "spouse")])
)
def test_a_field_that_was_not_asked_for_is_never_read(chosen: set[int], roles: tuple[str, ...]) -> None:
    wanted = [FIELDS[n] for n in sorted(chosen)]
    subjects = {role: Subject("111", role) for role in roles}

    asks = asks_of(wanted, subjects)

    read = {(ask, name) for ask, names in asks.items() for name in names}
    assert read == {
        (source.ask, source.field) for one in wanted for source in one.sources if source.role in subjects
    }


INSURANCE = (
    record(B, "1", scheme="resident", months=12, last="2019-12-01", employer=None),
    record(B, "2", scheme="employee", months=30, last="2025-05-01", employer="丹霞公司"),
    record(B, "3", scheme="employee", months=7, last=None, employer="旧公司"),
)
NUMBER = ValueRule(CompareKind.NUMBER, whole=True)


@pytest.mark.parametrize(
    ("source", "how", "expected"),
    [
        (Source(B, "applicant", "employer", Pick.LATEST, order_by="last"), None, "丹霞公司"),
        (Source(B, "applicant", "scheme", Pick.EARLIEST, order_by="last"), None, "resident"),
        (Source(B, "applicant", "months", Pick.SUM), NUMBER, 49),
        (Source(B, "applicant", "months", Pick.SUM, where=(("scheme", ("employee",)),)), NUMBER, 37),
        (Source(B, "applicant", "months", where=(("scheme", ("resident", "flexible")),)), NUMBER, 12),
        (
            Source(B, "applicant", "scheme", Pick.EXISTS, where=(("employer", ("旧公司",)),)),
            ValueRule(CompareKind.BOOLEAN),
            True,
        ),
        (Source(B, "applicant", "scheme", Pick.EXISTS, where=(("scheme", ("flexible",)),)), None, None),
        (Source(B, "applicant", "end", blank_means="长期"), ValueRule(CompareKind.DATE), "长期"),
    ],
)
def test_of_several_records_a_source_takes_what_its_form_says(
    source: Source, how: ValueRule | None, expected: Json
) -> None:
    filled = merge(field(source, how=how), answers({B: answered(*INSURANCE)}))

    assert (filled.chosen.value if filled.chosen else None) == expected
    assert filled.status is (FieldStatus.NO_DATA if expected is None else FieldStatus.FILLED)


def test_a_sum_names_every_record_and_vouches_for_the_oldest_moment() -> None:
    filled = merge(
        field(Source(B, "applicant", "months", Pick.SUM), how=NUMBER), answers({B: answered(*INSURANCE)})
    )

    assert filled.chosen is not None
    assert filled.chosen.provenance.record_version == "1,2,3"
    assert len(filled.chosen.records) == 3


def test_sums_do_not_suffer_from_binary_fractions() -> None:
    parcels = [record(B, str(n), area=area) for n, area in enumerate([0.1, 0.2, 1.005])]
    how = ValueRule(CompareKind.NUMBER, unit="mu")

    filled = merge(field(Source(B, "applicant", "area", Pick.SUM), how=how), answers({B: answered(*parcels)}))

    assert filled.chosen is not None
    assert filled.chosen.value == 1.3


def test_records_become_rows_with_the_form_s_columns_only() -> None:
    how = ValueRule(
        CompareKind.ROWS,
        columns=(
            ("code", ValueRule(CompareKind.TEXT)),
            ("use", ValueRule(CompareKind.CODE, (Option("011", "水田"),))),
        ),
    )
    source = Source(B, "applicant", "", Pick.ROWS, columns=(("code", "parcel_code"), ("use", "land_use")))
    parcels = [
        record(B, "1", parcel_code="01", land_use="011", owner="secret"),
        record(B, "2", parcel_code="02", land_use="999"),
    ]

    filled = merge(field(source, how=how), answers({B: answered(*parcels)}))

    assert filled.chosen is not None
    assert filled.chosen.value == [{"code": "01", "use": "011"}, {"code": "02"}]
    assert source.needs == {"parcel_code", "land_use"}


def test_a_table_inside_one_record_gets_the_form_s_names() -> None:
    how = ValueRule(CompareKind.ROWS, columns=(("id_number", ValueRule(CompareKind.TEXT)),))
    source = Source(B, "applicant", "members", columns=(("id_number", "citizen_number"),))

    filled = merge(
        field(source, how=how), answers({B: answered(record(B, members=[{"citizen_number": "1", "x": 2}]))})
    )

    assert filled.chosen is not None
    assert filled.chosen.value == [{"id_number": "1"}]


def test_one_resource_asked_about_two_people_is_one_line_with_its_worst_outcome() -> None:
    held = answers({B: SourceAnswer(SourceOutcome.ANSWERED, elapsed_ms=5)})
    (ask,) = held
    held[replace(ask, role="spouse")] = SourceAnswer(SourceOutcome.LATE, elapsed_ms=900)

    (line,) = report(held)

    assert (line.resource, line.outcome, line.elapsed_ms) == (B, SourceOutcome.LATE, 900)
