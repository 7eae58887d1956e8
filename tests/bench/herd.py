"""A cold herd: 150 clients come at the same moment, each with a TLS handshake of its own and one search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.bench.figures import Figure, median
from tests.bench.ground import Bench
from tests.bench.load import run
from tests.bench.search import own_side

CLIENTS = 150
PATIENCE_SECONDS = 30.0


def measure(bench: Bench) -> Iterable[Figure]:
    """How long a client waits for its first answer, from the start of its connection."""
    side = own_side(bench)
    loads = []
    for number in range(bench.rounds):
        bench.say(f"herd of {CLIENTS} new clients, round {number + 1} of {bench.rounds}")
        job = replace(side.job(), connections=CLIENTS, seconds=PATIENCE_SECONDS, cold=True)
        loads.append(run(job, side.processes))
    name = f"herd.search.c{CLIENTS}"
    return [
        median(f"{name}.p50", [load.p50 for load in loads], "ms"),
        median(f"{name}.p99", [load.p99 for load in loads], "ms"),
        median(f"{name}.last", [load.answer.percentiles["p100"] for load in loads], "ms"),
        median(f"{name}.unanswered", [float(CLIENTS - load.answer.requests) for load in loads], "clients"),
    ]
