"""Figures in bench.json: a suite that is measured again takes the place of its own old ones alone."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from tests.bench.figures import MORE_IS_BETTER, Goal, Report, median, paired, read, single

QUIET = Console(file=io.StringIO())


def test_figures_of_other_suites_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    Report(path).add([single("limit.pgbench.lookup.c1", 5, "/s"), single("limit.copy.rows", 1, "/s")], QUIET)

    Report(path).add([single("limit.pgbench.insert.c1", 7, "/s")], QUIET)
    Report(path).add([single("limit.pgbench.lookup.c8", 6, "/s")], QUIET)

    assert [one["name"] for one in read(path)] == [
        "limit.copy.rows",
        "limit.pgbench.insert.c1",
        "limit.pgbench.lookup.c8",
    ]


def test_a_pairs_ratio_is_taken_turn_by_turn() -> None:
    theirs = median("peer.x.c1.throughput", [10, 20, 40], "/s")

    ours = paired("x.c1.throughput", [30, 40, 200], theirs, "/s", Goal(MORE_IS_BETTER, 3, of_ratio=True))

    assert ours.ratio == 3
    assert ours.to_json()["reached"] is True
    assert ours.to_json()["against"] == "peer.x.c1.throughput"
