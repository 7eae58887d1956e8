"""The command line of `onestop keys`, and the page that tells operators about it."""

from __future__ import annotations

import re
import shlex

import pytest

from cli.keys.__main__ import _parser
from cli.keys.lists import SealedTable, names_in
from cli.keys.show import table
from deploy.local.migrate import ROOT

PAGE = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"^\./onestop keys (.*)$", PAGE, re.MULTILINE))
def test_what_the_page_says_to_type_can_be_typed(line: str) -> None:
    assert _parser().parse_args(shlex.split(line)).action in {"show", "rotate"}


def test_the_page_tells_the_usual_waits() -> None:
    arguments = _parser().parse_args(["rotate", "data"])

    assert (arguments.settle, arguments.patience, arguments.part) == (60, 900, None)


def test_a_value_is_bound_to_what_its_row_says() -> None:
    sealed = SealedTable("person", ("id", "no"), "id", {"name": "population.person.name#{no}"})

    assert sealed.bound_to("name", {"id": "x", "no": 3}) == "population.person.name#3"
    assert sealed.clear == ("id", "no")
    assert names_in("{code_type}") == ["code_type"]


def test_lines_stand_in_columns() -> None:
    headings, line = table([("ledger", "1", "1 (retired), 2 (current)", "3", "4", "-")]).splitlines()

    assert line[headings.index("data key")] == "1"
    assert line[headings.index("index key")] == "3"
    assert line[headings.index("processes")] == "4"
