"""Values are compared by what they say, not by how they are written."""

from __future__ import annotations

import string
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.identifiers import citizen_check_digit
from services.autofill.comparison import (
    LONG_TERM,
    CompareKind,
    Json,
    Option,
    ValueRule,
    fold,
    is_blank,
    key,
    shape,
)

SEX = (Option("1", "男", ("男性",)), Option("2", "女", ("女性",)))
SCALARS = [
    ValueRule(kind, options=SEX if kind is CompareKind.CODE else (), unit=unit)
    for kind in CompareKind
    if kind is not CompareKind.ROWS
    for unit in (("", "CNY 10000", "mu") if kind is CompareKind.NUMBER else ("",))
]
MESSY = st.text(
    alphabet=st.one_of(
        st.characters(codec="utf-8", exclude_categories=["Cs"]),
        st.sampled_from("·•・.．‧ 　－—+,，年月日０１２９Xx长期万元亩\u200b\u202e\u0301①㎡ﬁ"),
        st.sampled_from(string.digits),
    ),
    max_size=30,
)
VALUES: st.SearchStrategy[Json] = st.one_of(
    MESSY, st.booleans(), st.integers(-(10**12), 10**12), st.floats(allow_nan=False, width=32), st.none()
)


def rule(kind: CompareKind, **more: object) -> ValueRule:
    return ValueRule(kind, **more)  # type: ignore[arg-type]  # each test passes what its kind takes


@given(VALUES, st.sampled_from(SCALARS))
def test_normalising_twice_changes_nothing(value: Json, how: ValueRule) -> None:
    once = key(how, value)

    assert once is None or key(how, once) == once


@given(VALUES, st.sampled_from(SCALARS))
def test_what_a_form_shows_agrees_with_what_was_compared(value: Json, how: ValueRule) -> None:
    shown = shape(how, value)

    assert shown is None or key(how, shown) == key(how, value)
    assert shape(how, shown) == shown


@given(MESSY)
def test_folding_is_a_fixed_point(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(fold(text, dots=""), dots="") == fold(text, dots="")


@given(VALUES)
def test_a_blank_has_neither_shape_nor_key(value: Json) -> None:
    for how in SCALARS:
        assert (key(how, value) is None) == is_blank(value)
        if is_blank(value):
            assert shape(how, value) is None


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (
            CompareKind.PERSON_NAME,
            [
                "买买提·吐尔逊",
                "买买提•吐尔逊",
                "买买提・吐尔逊",
                "买买提吐尔逊",
                "买买提.吐尔逊",
                " 买买提 · 吐尔逊 ",
            ],
        ),
        (CompareKind.PERSON_NAME, ["欧阳明", "欧 阳　明", "欧阳\u200b明", "\u202e欧阳明"]),
        (
            CompareKind.ORGANISATION_NAME,
            ["韶关市丹霞(集团)有限公司", "韶关市丹霞（集团）有限公司", "韶关市丹霞（集团） 有限公司"],
        ),
        (CompareKind.ADDRESS, ["武江区惠民北路3-1号", "武江区 惠民北路３－１号", "武江区惠民北路3—1号"]),
        (
            CompareKind.PHONE,
            [
                "13800138000",
                "+86 138-0013-8000",
                "0086 13800138000",
                "１３８００１３８０００",
                "8613800138000",
            ],
        ),
        (CompareKind.PHONE, ["0751-8881234", "(0751) 8881234", "0751 888 1234"]),
        (
            CompareKind.DATE,
            [
                "1990-01-02",
                "1990/1/2",
                "1990.01.02",
                "19900102",
                "1990年1月2日",
                "１９９０年０１月０２日",
                "1990-01-01T16:00:00Z",
            ],
        ),
        (CompareKind.DATE, ["长期", " 长期有效"]),
        (
            CompareKind.CITIZEN_NUMBER,
            [
                "44029919491231003X",
                "44029919491231003x",
                "４４０２９９１９４９１２３１００３Ｘ",
                "440299491231003",
            ],
        ),
        (CompareKind.OFFICIAL_NUMBER, ["440200ab 12", "440200AB12"]),
        (CompareKind.BOOLEAN, [True, "是", "true"]),
        (CompareKind.BOOLEAN, [False, "否", "false"]),
        (CompareKind.TEXT, ["食品销售；餐饮服务", "食品销售; 餐饮服务"]),
    ],
)
def test_ways_to_write_one_thing_agree(kind: CompareKind, written: list[Json]) -> None:
    assert len({key(rule(kind), text) for text in written}) == 1


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (CompareKind.PERSON_NAME, "张三", "张山"),
        (CompareKind.PERSON_NAME, "张萬", "张万"),  # traditional and simplified are not guessed
        (CompareKind.ADDRESS, "惠民北路3号", "惠民北路31号"),
        (CompareKind.ADDRESS, "惠民北路3-1号", "惠民北路31号"),
        (CompareKind.PHONE, "13800138000", "13800138001"),
        (CompareKind.PHONE, "无", "不适用"),
        (CompareKind.DATE, "长期", "2099-12-31"),
        (CompareKind.DATE, "1990-01-02", "1990-02-01"),
        (CompareKind.DATE, "1990-02-30", "1990-03-02"),
        (CompareKind.TEXT, "无", "不适用"),
        (CompareKind.BOOLEAN, True, False),
    ],
)
def test_different_things_differ(kind: CompareKind, one: Json, other: Json) -> None:
    assert key(rule(kind), one) != key(rule(kind), other)


@pytest.mark.parametrize("written", ["1", "男", "男性", " 男 ", 1, 1.0])
def test_a_code_and_its_words_are_the_code(written: Json) -> None:
    how = rule(CompareKind.CODE, options=SEX)

    assert shape(how, written) == "1"
    assert key(how, written) == "1"


def test_a_word_that_is_no_code_cannot_be_shown_but_can_be_compared() -> None:
    how = rule(CompareKind.CODE, options=SEX)

    assert shape(how, "不详") is None
    assert key(how, "不详") not in {None, "1", "2"}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (100_000_000, "CNY cents", 100.0),
        (12_345, "CNY cents", 0.01),
        ("1,000.50 元", "", 0.1),
        ("100万元", "", 100.0),
        ("１００", "", 100.0),
        (100.0, "CNY 10000", 100.0),
        ("壹佰万", "", None),
        (True, "", None),
        ("3 亩", "", None),
    ],
)
def test_money_is_shown_in_the_form_s_unit(value: Json, unit: str, shown: float | None) -> None:
    how = rule(CompareKind.NUMBER, unit="CNY 10000", step=Decimal("0.01"))

    assert shape(how, value, unit) == shown


def test_areas_convert_by_two_thousand_thirds() -> None:
    how = rule(CompareKind.NUMBER, unit="mu", step=Decimal("0.01"))

    assert shape(how, 666.67, "m2") == 1.0
    assert shape(how, 2000, "m2") == 3.0
    assert shape(how, "0.2公顷") == 3.0


def test_a_thousand_typed_as_a_hundred_is_another_number() -> None:
    how = rule(CompareKind.NUMBER, unit="CNY 10000", step=Decimal("0.01"))

    assert key(how, "1000万") != key(how, "100万")
    assert key(how, 1_000_000_000, "CNY cents") == key(how, "1000")


@pytest.mark.parametrize("old", ["440299491231003", "440299800101001"])
def test_an_old_number_agrees_with_its_successor_only(old: str) -> None:
    body = f"{old[:6]}19{old[6:]}"
    how = rule(CompareKind.CITIZEN_NUMBER)

    assert key(how, old) == body + citizen_check_digit(body)
    assert key(how, old) != key(how, body[:-1] + "9" + citizen_check_digit(body[:-1] + "9"))


FAMILY = ValueRule(
    CompareKind.ROWS,
    columns=(("name", ValueRule(CompareKind.PERSON_NAME)), ("relation", ValueRule(CompareKind.CODE, SEX))),
)


@given(st.permutations([{"name": "甲", "relation": "1"}, {"name": "乙"}, {"name": "乙", "relation": "女"}]))
def test_tables_agree_whatever_the_order_of_their_rows(rows: list[Json]) -> None:
    same: Json = [{"name": "甲", "relation": "男"}, {"name": "乙"}, {"name": "乙", "relation": "2"}]

    assert key(FAMILY, rows) == key(FAMILY, same)
    assert key(FAMILY, rows[1:]) != key(FAMILY, same)


def test_a_table_shows_the_form_s_columns_and_no_others() -> None:
    rows: Json = [{"name": "甲", "citizen_number": "secret", "relation": ""}, {"other": 1}]

    assert shape(FAMILY, rows) == [{"name": "甲"}]
    assert shape(FAMILY, "甲") is None
    assert shape(FAMILY, ["甲"]) is None


def test_a_validity_without_end_stays_one() -> None:
    assert shape(rule(CompareKind.DATE), "长期有效") == LONG_TERM
