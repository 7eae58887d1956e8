"""The reader of the documentation notices what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import PageError, Reader, differences, matches


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": "…"}, {"a": 1}),
        ({"index": 1}, {"index": "1"}),
        ({"a": True}, {"a": 1}),
        (["x"], ["x", "y"]),
        (["x", "y", "…"], ["x"]),
        ({"a": {"b": "c…"}}, {"a": {"b": "d"}}),
        ({"a": []}, {"a": {}}),
    ],
)
def test_another_answer_than_the_one_shown_is_noticed(shown: object, actual: object) -> None:
    assert list(differences(shown, actual))


def test_what_is_left_out_of_an_answer_may_be_anything() -> None:
    shown = {"id": "…", "index": 4, "list": ["x", "…"], "text": "a…c", "…": "…"}

    assert not list(differences(shown, {"id": {}, "index": 9, "list": ["x", 1, 2], "text": "abc", "more": 1}))
    assert matches("leaf … of the …", "leaf 4 of the 5")
    assert not matches("PROVED", "NOT PROVED")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```sh\nfalse\ntrue\n```\n", "exit code 1"),
        ("```sh\necho 1\n```\n", "does not show"),
        ("```sh\necho 1 >&2\n```\n", "something went wrong"),
        ('```sh\necho \'{"a": 1}\'\n```\n\n```json\n{"a": 2}\n```\n', "a is 1 instead of 2"),
        ("```sh\necho 1\n```\n\n```text\n2\n```\n", "instead of"),
        ('```sh\ntrue\n```\n\n```json\n{"status": 403, "reason": "X"}\n```\n', "exit code 0"),
        ('Somewhere:\n\n```json\n{"a": 2}\n```\n', "does not follow an example"),
        ("```ruby\n1\n```\n", "block of ruby"),
    ],
)
def test_an_example_that_does_not_do_what_its_page_says_is_noticed(
    text: str, complaint: str, tmp_path: Path
) -> None:
    with Reader(tmp_path, {}, {}) as somebody, pytest.raises(PageError, match=complaint):
        somebody.read(text)
