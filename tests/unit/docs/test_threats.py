"""The threat model is held to the code, and whoever takes a test away is told which threat it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.threats import PAGE, faults, read_threats

ROW = "| E1 | somebody | a lock | `core/lock.py` | on | `tests/test_lock.py::test_it_holds` |\n"
TESTS = """
import pytest

def test_it_holds(): ...

async def test_it_holds_for_long(): ...

@pytest.mark.skip(reason="later")
def test_it_will_hold(): ...

@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.xfail)])
def test_it_may_hold(x): ...

def helper(): ...
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one control and its tests."""
    for name, text in {"core/lock.py": "", "tests/test_lock.py": TESTS}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_page_is_true() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert list(faults(text)) == []
    assert len(read_threats(text)) > 40


def test_a_true_row_has_no_fault(project: Path) -> None:
    assert list(faults(ROW, project)) == []
    assert list(faults(ROW.replace("test_it_holds", "test_it_holds_for_long"), project)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Nothing to fear.\n", "the page has no threat"),
        (ROW * 2, "E1: stands there 2 times"),
        (ROW.replace("core/lock.py", "core/key.py"), "E1: there is no core/key.py"),
        (ROW.replace("`core/lock.py`", "somewhere"), "E1: no file enforces it"),
        (ROW.replace("| on |", "| |"), "E1: says no default"),
        (ROW.replace("`tests/test_lock.py::test_it_holds`", "by eye"), "E1: no test shows it"),
        (ROW.replace("test_it_holds", "test_gone"), "E1: there is no test test_gone in tests/test_lock.py"),
        (ROW.replace("test_it_holds", "helper"), "E1: there is no test helper in tests/test_lock.py"),
        (
            ROW.replace("test_lock.py", "test_door.py"),
            "E1: there is no file tests/test_door.py, which should hold test_it_holds",
        ),
        (
            ROW.replace("test_it_holds", "test_it_will_hold"),
            "E1: tests/test_lock.py::test_it_will_hold is skipped, and shows nothing",
        ),
        (
            ROW.replace("test_it_holds", "test_it_may_hold"),
            "E1: tests/test_lock.py::test_it_may_hold is skipped, and shows nothing",
        ),
        (
            ROW.replace("tests/test_lock.py::test_it_holds", "test_it_holds"),
            "E1: `test_it_holds` does not name a test as tests/….py::test_…",
        ),
        (
            ROW + "See `tests/test_lock.py::test_elsewhere`.\n",
            "there is no test test_elsewhere in tests/test_lock.py",
        ),
    ],
)
def test_what_is_not_so_is_told(project: Path, text: str, fault: str) -> None:
    assert list(faults(text, project)) == [fault]
