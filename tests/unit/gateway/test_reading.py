"""Headers, JSON and cases, read strictly."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidError
from gateway.accepts import best_type
from gateway.bodies import parse_json
from gateway.cases import Case, parse_case
from gateway.problems import ProblemError

CASE = {"matter_code": "residence-permit", "case_number": "A-1", "office": "11440299007123456E"}

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
plain_json = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("accept", "offered", "chosen"),
    [
        ("", ("a/x", "b/y"), "a/x"),
        ("*/*", ("a/x", "b/y"), "a/x"),
        ("b/y", ("a/x", "b/y"), "b/y"),
        ("a/*;q=0.2, b/y;q=0.9", ("a/x", "b/y"), "b/y"),
        ("a/*, a/x;q=0.1, b/y;q=0.5", ("a/x", "b/y"), "b/y"),
        ("*/*;q=0.1, b/y", ("a/x", "b/y"), "b/y"),
        ("B/Y; charset=utf-8", ("a/x", "b/y"), "b/y"),
        ("a/x;q=0, */*", ("a/x", "b/y"), "b/y"),
        ("nonsense, b/y;q=2", ("a/x", "b/y"), "b/y"),
    ],
)
def test_caller_gets_the_form_that_it_likes_best(accept: str, offered: tuple[str, ...], chosen: str) -> None:
    assert best_type(accept, offered) == chosen


@pytest.mark.parametrize("accept", ["c/z", "a/x;q=0", "nonsense", "a/x;q=much"])
def test_what_is_not_offered_is_not_acceptable(accept: str) -> None:
    with pytest.raises(ProblemError) as raised:
        best_type(accept, ("a/x",))

    assert raised.value.problem.status == 406


@given(st.dictionaries(st.text(), plain_json, max_size=4))
def test_json_that_is_json_is_read_as_it_is(document: dict[str, Any]) -> None:
    assert parse_json(json.dumps(document).encode(), "body") == document


@given(st.binary(max_size=200))
def test_whatever_is_not_a_json_object_is_an_invalid_request(text: bytes) -> None:
    read: object = None
    with suppress(InvalidError):
        read = parse_json(text, "body")

    assert read is None or isinstance(read, dict)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1e999}',
        b'{"a": -Infinity}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_json_that_programs_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidError):
        parse_json(text, "body")


def test_case_is_read_whole() -> None:
    case = parse_case({**CASE, "operator": "clerk-1", "purpose": "p"})

    assert case == Case("residence-permit", "A-1", "11440299007123456E", "clerk-1", "p")


def test_matter_may_stand_in_the_path_instead() -> None:
    document = {name: value for name, value in CASE.items() if name != "matter_code"}

    case = parse_case(document, matter_code="residence-permit")

    assert case is not None
    assert case.matter_code == "residence-permit"
    assert parse_case(CASE, matter_code="residence-permit") is not None


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        (None, ["case"]),
        ("x", ["case"]),
        ({}, ["case.matter_code", "case.case_number", "case.office"]),
        ({**CASE, "office": None}, ["case.office"]),
        ({**CASE, "other": 1}, ["case.other"]),
    ],
)
def test_faulty_case_names_each_field(document: object, fields: list[str]) -> None:
    with pytest.raises(InvalidError) as raised:
        parse_case(document)

    assert [fault.field for fault in raised.value.faults] == fields
