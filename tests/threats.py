"""Holds docs/threat-model.md to the code: `python -m tests.threats`, a part of `make check`.

Each threat has controls in files that exist and is shown by tests that exist and are run. What is not covered
is said under a heading of its own, where no test is asked for.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "threat-model.md"

COLUMNS = 6
"""Id, threat, control, where it is enforced, default, tests."""
_ID = re.compile(r"[A-Z]+[0-9]+")
_MARKED = re.compile(r"`([^`]+)`")
_TEST = re.compile(r"tests/[\w/]+\.py::\w+")
_NOT_RUN = {"skip", "xfail"}


@dataclass(frozen=True)
class Threat:
    """One row: what may happen, what stands against it, and where that is shown."""

    id: str
    places: tuple[str, ...]
    """Files in which the control is."""
    default: str
    """What holds without any setting."""
    tests: tuple[str, ...]
    """`<file>::<function>`."""


def read_threats(text: str) -> list[Threat]:
    """The rows of the tables with an id in their first cell."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and _ID.fullmatch(cells[0]) and len(cells) == COLUMNS:
            places, tests = (tuple(_MARKED.findall(cells[column])) for column in (3, 5))
            found.append(Threat(cells[0], places, cells[4], tests))
    return found


def faults(text: str, root: Path = ROOT) -> Iterator[str]:
    """One line for everything in the page that is not so."""
    threats = read_threats(text)
    if not threats:
        yield "the page has no threat"
    for name, times in Counter(threat.id for threat in threats).items():
        if times > 1:
            yield f"{name}: stands there {times} times"
    for threat in threats:
        if not threat.places:
            yield f"{threat.id}: no file enforces it"
        if not threat.default:
            yield f"{threat.id}: says no default"
        if not threat.tests:
            yield f"{threat.id}: no test shows it"
        yield from (
            f"{threat.id}: there is no {place}" for place in threat.places if not _is_there(root, place)
        )
        for test in threat.tests:
            if fault := _fault_of(root, test):
                yield f"{threat.id}: {fault}"
    in_rows = {test for threat in threats for test in threat.tests}
    for test in dict.fromkeys(_TEST.findall(text)):
        if test not in in_rows and (fault := _fault_of(root, test)):
            yield fault


def _is_there(root: Path, place: str) -> bool:
    return (root / place).exists()


def _fault_of(root: Path, test: str) -> str:
    """What is wrong with a named test; empty where it exists and is run."""
    file, _, name = test.partition("::")
    if not _TEST.fullmatch(test):
        return f"`{test}` does not name a test as tests/….py::test_…"
    if not (root / file).is_file():
        return f"there is no file {file}, which should hold {name}"
    tests = _tests_in(root / file)
    if name not in tests:
        return f"there is no test {name} in {file}"
    return f"{test} is skipped, and shows nothing" if tests[name] else ""


@cache
def _tests_in(path: Path) -> dict[str, bool]:
    """The test functions of a file, and whether one is marked not to be run."""
    return {
        node.name: any(
            isinstance(part, ast.Attribute) and part.attr in _NOT_RUN
            for decorator in node.decorator_list
            for part in ast.walk(decorator)
        )
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def main() -> int:
    """0 when the page is true; 1 after a line for each fault."""
    found = list(faults(PAGE.read_text(encoding="utf-8")))
    for fault in found:
        print(f"docs/threat-model.md: {fault}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
