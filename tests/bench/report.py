"""Writes the figures of the last `make bench` into docs/performance.md: `python -m tests.bench.report`.

Between the marks of a block stands what this made of bench.json; the words around them are people's.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.migrate import ROOT
from tests.bench import chart
from tests.bench.figures import read

PAGE = ROOT / "docs" / "performance.md"
STEPS = ("c1", "c8", "c32", "c128")
CALLS = {
    "licence.search": "peer.licence.search",
    "autofill.fill": "peer.autofill.fill",
    "agricredit.fetch": "peer.agricredit.fetch",
}

Documents = Sequence[Mapping[str, object]]


class Figures:
    """What bench.json says, by name."""

    def __init__(self, documents: Documents) -> None:
        self._by_name = {str(one["name"]): one for one in documents}

    def text(self, name: str) -> str:
        """A value as people write it; a dash where it was not measured."""
        one = self._by_name.get(name)
        if one is None:
            return "–"
        value = float(str(one["value"]))
        if "spread" in one or ("least" in one and "most" in one):
            low, high = float(str(one["least"])), float(str(one["most"]))
            return f"{_short(value)} ({_short(low)}–{_short(high)})"
        return _short(value)

    def ratio(self, name: str) -> str:
        """A ratio; a dash where there is none."""
        one = self._by_name.get(name)
        return f"{float(str(one['ratio'])):.2f}" if one is not None and "ratio" in one else "–"

    def goals(self) -> list[Mapping[str, object]]:
        """Every figure that was to reach something."""
        return [one for one in self._by_name.values() if "goal" in one]

    def names(self, pattern: str) -> list[str]:
        """Names that match, in order."""
        return [name for name in self._by_name if re.fullmatch(pattern, name)]


def blocks(figures: Figures) -> dict[str, str]:
    """The page's blocks by name, as Markdown."""
    made = {"goals": _goals(figures)}
    for ours, peer in CALLS.items():
        made[ours] = _call(figures, ours, peer)
    made["processes"] = _processes(figures)
    made["ledger"] = _table(
        ("appenders", "entries/s", "p50 ms", "p99 ms", "pgbench rows/s", "ratio"),
        [
            (
                step[1:],
                figures.text(f"ledger.append.{step}.throughput"),
                figures.text(f"ledger.append.{step}.p50"),
                figures.text(f"ledger.append.{step}.p99"),
                figures.text(f"limit.pgbench.insert.{step}"),
                figures.ratio(f"ledger.append.{step}.throughput"),
            )
            for step in STEPS
        ],
    )
    made["other"] = _table(
        ("figure", "value", "ratio"),
        [
            (f"`{name}`", figures.text(name), figures.ratio(name))
            for name in figures.names(r"(herd|eseal|sm2|city|limit|licence\.slope|soak)\..*")
            if ".cpu." not in name and ".memory." not in name and ".insert." not in name
        ],
    )
    return made


def main() -> int:
    """Exit code 0 when the page holds the newest figures."""
    home = ROOT / ".onestop"
    documents = read(home / "bench.json")
    if not documents:
        print("there is no bench.json: run `make bench` first", file=sys.stderr)
        return 1
    page = PAGE.read_text(encoding="utf-8")
    for name, text in blocks(Figures(documents)).items():
        page = re.sub(
            rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)",
            rf"\g<1>{_escaped(text)}\g<2>",
            page,
            flags=re.S,
        )
    PAGE.write_text(page, encoding="utf-8")
    for picture in chart.draw(documents, home / "bench"):
        shutil.copy(picture, _pictures() / picture.name)
    return 0


def _pictures() -> Path:
    folder = PAGE.parent / "performance"
    folder.mkdir(exist_ok=True)
    return folder


def _goals(figures: Figures) -> str:
    rows = []
    for one in figures.goals():
        goal = str(one["goal"])
        reached = figures.ratio(str(one["name"])) if "×" in goal else figures.text(str(one["name"]))
        rows.append((f"`{one['name']}`", goal, reached, "yes" if one["reached"] else "**no**"))
    return _table(("figure", "goal", "measured", "reached"), rows)


def _call(figures: Figures, ours: str, peer: str) -> str:
    rows = []
    for step in (*STEPS, "open50", "open80"):
        name, other = f"{ours}.{step}", f"{peer}.{step}"
        rows.append(
            (
                step,
                figures.text(f"{name}.throughput"),
                *(figures.text(f"{name}.{p}") for p in ("p50", "p95", "p99")),
                figures.text(f"{name}.cpu"),
                figures.text(f"{name}.errors"),
                figures.text(f"{other}.throughput"),
                *(figures.text(f"{other}.{p}") for p in ("p50", "p99")),
                figures.text(f"{other}.cpu"),
                figures.ratio(f"{name}.throughput"),
            )
        )
    heads = ("step", "/s", "p50", "p95", "p99", "CPU µs", "errors")
    return _table((*heads, "peer /s", "p50", "p99", "CPU µs", "ratio"), rows)


def _processes(figures: Figures) -> str:
    parts = ("gateway", "licence", "ledger", "postgres", "supervisor", "client")
    rows = []
    for part in parts:
        spent = (figures.text(f"licence.search.{step}.cpu.{part}") for step in STEPS)
        rows.append((part, *spent, figures.text(f"licence.search.c32.memory.{part}")))
    return _table(("process", *(f"{step}, µs" for step in STEPS), "memory at c32, MiB"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\")


if __name__ == "__main__":
    sys.exit(main())
