"""The charts of docs/performance.md, drawn from bench.json: throughput and p99 by connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt  # after the choice of what it draws on

STEPS = (1, 8, 32, 128)
SIDES = {
    "licence.search": ("peer.licence.search", "A holder's licences: search"),
    "autofill.fill": ("peer.autofill.fill", "A form of 20 fields from 5 sources"),
    "agricredit.fetch": ("peer.agricredit.fetch", "A farmer's land rights for the bank"),
}
LIMIT = "limit.pgbench.lookup"
OURS, PEERS, LIMITS = "#0b6e4f", "#c8553d", "#555555"

Figures = Mapping[str, float]


def draw(documents: Sequence[Mapping[str, object]], folder: Path) -> list[Path]:
    """A picture for each call that was measured beside its peer; where they lie."""
    figures = {str(one["name"]): float(str(one["value"])) for one in documents}
    made = []
    for name, (peer, title) in SIDES.items():
        if f"{name}.c32.throughput" in figures and f"{peer}.c32.throughput" in figures:
            path = folder / f"{name}.svg"
            _draw_one(figures, name, peer, title, path)
            made.append(path)
    return made


def _draw_one(figures: Figures, name: str, peer: str, title: str, path: Path) -> None:
    style = {"svg.fonttype": "none", "svg.hashsalt": "onestop", "font.size": 10, "axes.grid": True}
    with mpl.rc_context({**style, "grid.alpha": 0.3}):
        drawing, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
        drawing.suptitle(title)
        for axes, quantity, words in ((left, "throughput", "answers a second"), (right, "p99", "p99, ms")):
            for side, colour, label in (
                (name, OURS, "onestop, everything on"),
                (peer, PEERS, "FastAPI peer"),
            ):
                steps = [step for step in STEPS if f"{side}.c{step}.{quantity}" in figures]
                values = [figures[f"{side}.c{step}.{quantity}"] for step in steps]
                axes.plot(steps, values, "o-", color=colour, label=label)
            axes.set_xscale("log", base=2)
            axes.set_xticks(STEPS, [str(step) for step in STEPS])
            axes.set_xlabel("connections")
            axes.set_ylabel(words)
        right.set_yscale("log")
        if name == "licence.search" and f"{LIMIT}.c32" in figures:
            left.axhline(figures[f"{LIMIT}.c32"], color=LIMITS, linestyle=":", label="pgbench, 32 clients")
            left.set_yscale("log")
        left.legend(frameon=False)
        drawing.savefig(path, metadata={"Date": None})
        plt.close(drawing)
