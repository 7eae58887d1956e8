"""What was measured: the table that people read, and `.onestop/bench.json` that programs read."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

_STEP = re.compile(r"(c|open)[0-9]+")
MORE_IS_BETTER = ">="
LESS_IS_BETTER = "<="


@dataclass(frozen=True)
class Goal:
    """What a figure is to reach: its value, or its ratio where it is paired."""

    sign: str
    """`>=` or `<=`."""
    bound: float
    of_ratio: bool = False

    def reached(self, figure: Figure) -> bool:
        """Whether the figure is on the right side of the bound."""
        value = figure.ratio if self.of_ratio else figure.value
        if value is None:
            return False
        return value >= self.bound if self.sign == MORE_IS_BETTER else value <= self.bound

    def __str__(self) -> str:
        return f"{'×' if self.of_ratio else ''} {self.sign} {self.bound:g}".strip()


@dataclass(frozen=True)
class Figure:
    """One figure: the median of its rounds, and how far they lie apart.

    `name` is dotted, from the area to the quantity: `licence.search.c32.throughput`. `against` names the
    figure that it is paired with, `ratio` is this one's value divided by that one's, taken round by round.
    """

    name: str
    value: float
    unit: str
    rounds: Sequence[float] = ()
    against: str = ""
    ratio: float | None = None
    goal: Goal | None = None

    def to_json(self) -> dict[str, object]:
        """The object of bench.json."""
        document: dict[str, object] = {"name": self.name, "value": _short(self.value), "unit": self.unit}
        if len(self.rounds) > 1:
            document["least"], document["most"] = _short(min(self.rounds)), _short(max(self.rounds))
        if self.against:
            document["against"] = self.against
        if self.ratio is not None:
            document["ratio"] = _short(self.ratio)
        if self.goal is not None:
            document["goal"] = str(self.goal)
            document["reached"] = self.goal.reached(self)
        return document


def single(name: str, value: float, unit: str, goal: Goal | None = None) -> Figure:
    """A figure that was taken once."""
    return Figure(name, value, unit, goal=goal)


def median(name: str, rounds: Sequence[float], unit: str, goal: Goal | None = None) -> Figure:
    """The figure of some rounds."""
    return Figure(name, statistics.median(rounds), unit, tuple(rounds), goal=goal)


def paired(name: str, ours: Sequence[float], against: Figure, unit: str, goal: Goal | None = None) -> Figure:
    """The figure of some rounds, each beside the other side's round of the same turn."""
    ratios = [mine / theirs for mine, theirs in zip(ours, against.rounds, strict=True) if theirs]
    ratio = statistics.median(ratios) if ratios else None
    return Figure(name, statistics.median(ours), unit, tuple(ours), against.name, ratio, goal)


@dataclass
class Report:
    """All figures of a run, written after each suite: what was measured is not lost with what fails."""

    path: Path
    facts: dict[str, object] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    def add(self, figures: Iterable[Figure], console: Console) -> None:
        """Shows some figures and keeps them."""
        new = list(figures)
        self.figures.extend(new)
        console.print(table(new))
        self.write()

    def write(self) -> None:
        """Puts this run's figures into the file; those of suites that it did not measure stay."""
        measured = {figure.name for figure in self.figures}
        areas = {_area(name) for name in measured}
        kept = [one for one in read(self.path) if _area(str(one["name"])) not in areas]
        documents = [*kept, *(figure.to_json() | self.facts for figure in self.figures)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(documents, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> list[dict[str, object]]:
    """The figures of a file; none where there is no file."""
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def table(figures: Sequence[Figure]) -> Table:
    """The figures as people read them."""
    made = Table(box=None, pad_edge=False)
    for heading in ("figure", "value", "spread", "unit", "against", "ratio", "goal"):
        right = heading in {"value", "ratio"}
        made.add_column(heading, justify="right" if right else "left", overflow="fold")
    for one in figures:
        spread = f"{_text(min(one.rounds))}-{_text(max(one.rounds))}" if len(one.rounds) > 1 else ""
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else ""
        goal = f"{one.goal} {'reached' if one.goal.reached(one) else 'MISSED'}" if one.goal else ""
        made.add_row(one.name, _text(one.value), spread, one.unit, one.against, ratio, goal)
    return made


def _area(name: str) -> str:
    """What one suite measures together: a name's words before its step, or the first two."""
    words = name.split(".")
    step = next((place for place, word in enumerate(words) if _STEP.fullmatch(word)), 2)
    return ".".join(words[:step])


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _short(value: float) -> float:
    return float(f"{value:.5g}")
