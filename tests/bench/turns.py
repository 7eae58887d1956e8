"""Two servers in turns, A B A B …, step by step: machines drift, and the ratio of neighbours drifts less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.bench.client import Job
from tests.bench.figures import LESS_IS_BETTER, MORE_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.bench.load import Load, Processes, run

STEPS = (1, 8, 32, 128)
OPEN_SHARES = (0.5, 0.8)
"""Open-loop steps, as shares of the best closed-loop throughput."""
OPEN_CONNECTIONS = 64


@dataclass(frozen=True)
class Side:
    """One of two servers that do the same."""

    name: str
    """The figures' prefix: `licence.search`, `peer.licence.search`."""
    job: Callable[[], Job]
    """A job; steps change its connections, time and rate. Made anew for each round: tokens expire."""
    processes: Callable[[], Processes]


@dataclass(frozen=True)
class Goals:
    """What our side is to reach, by connections."""

    throughput: dict[int, float]
    """At least so many times the peer's."""
    p50: dict[int, float]
    """At most so many times the peer's."""
    p99: dict[int, float]
    """At most so many times the peer's."""
    p99_ms: dict[int, float]
    """At most so many milliseconds."""

    @classmethod
    def of(
        cls,
        *,
        throughput: dict[int, float] | None = None,
        p50: dict[int, float] | None = None,
        p99: dict[int, float] | None = None,
        p99_ms: dict[int, float] | None = None,
    ) -> Goals:
        """Goals, none where none is named."""
        return cls(throughput or {}, p50 or {}, p99 or {}, p99_ms or {})


def compare(bench: Bench, ours: Side, peer: Side, goals: Goals, steps: Sequence[int] = STEPS) -> list[Figure]:
    """Figures of every step, closed loop then open; the peer's first, then ours beside them."""
    figures: list[Figure] = []
    best = 0.0
    for connections in steps:
        rounds = rounds_of(bench, (ours, peer), connections, 0.0)
        step = f"c{connections}"
        figures += _step_figures(ours, peer, step, rounds, goals, connections)
        best = max(best, *(load.throughput for load in rounds[0]))
    for share in OPEN_SHARES:
        rate = best * share
        rounds = rounds_of(bench, (ours,), OPEN_CONNECTIONS, rate)
        figures += _own_figures(f"{ours.name}.open{round(share * 100)}", rounds[0])
    return figures


def alone(bench: Bench, side: Side, steps: Sequence[int]) -> list[Figure]:
    """Figures of one server's steps."""
    figures: list[Figure] = []
    for connections in steps:
        figures += _own_figures(f"{side.name}.c{connections}", rounds_of(bench, (side,), connections, 0.0)[0])
    return figures


def rounds_of(bench: Bench, sides: Sequence[Side], connections: int, rate: float = 0.0) -> list[list[Load]]:
    """The rounds of each side, taken in turns; closed loop unless a rate is named."""
    loads: list[list[Load]] = [[] for _ in sides]
    for number in range(bench.rounds):
        for place, side in enumerate(sides):
            how = f"{rate:,.0f}/s by chance" if rate else f"{connections} connections"
            bench.say(f"{side.name}, {how}, round {number + 1} of {bench.rounds}")
            job = replace(side.job(), connections=connections, seconds=bench.seconds, rate=rate)
            load = run(job, side.processes)
            if not load.answer.requests:
                raise SystemExit(f"{side.name} answered nothing: {load.answer.errors}")
            loads[place].append(load)
    return loads


def _step_figures(
    ours: Side, peer: Side, step: str, rounds: list[list[Load]], goals: Goals, connections: int
) -> list[Figure]:
    mine, theirs = rounds
    figures = _own_figures(f"{peer.name}.{step}", theirs)
    by_name = {figure.name: figure for figure in figures}
    for quantity, unit, bounds, sign in (
        ("throughput", "/s", goals.throughput, MORE_IS_BETTER),
        ("p50", "ms", goals.p50, LESS_IS_BETTER),
        ("p95", "ms", {}, LESS_IS_BETTER),
        ("p99", "ms", goals.p99, LESS_IS_BETTER),
    ):
        goal = Goal(sign, bounds[connections], of_ratio=True) if connections in bounds else None
        against = by_name[f"{peer.name}.{step}.{quantity}"]
        values = [getattr(load, quantity) for load in mine]
        figures.append(paired(f"{ours.name}.{step}.{quantity}", values, against, unit, goal))
    if connections in goals.p99_ms:
        goal = Goal(LESS_IS_BETTER, goals.p99_ms[connections])
        figures.append(median(f"{ours.name}.{step}.p99_limit", [load.p99 for load in mine], "ms", goal))
    return figures + _spent(f"{ours.name}.{step}", mine)


def _own_figures(name: str, loads: Sequence[Load]) -> list[Figure]:
    return [
        median(f"{name}.throughput", [load.throughput for load in loads], "/s"),
        median(f"{name}.p50", [load.p50 for load in loads], "ms"),
        median(f"{name}.p95", [load.p95 for load in loads], "ms"),
        median(f"{name}.p99", [load.p99 for load in loads], "ms"),
        *_spent(name, loads),
    ]


def _spent(name: str, loads: Sequence[Load]) -> list[Figure]:
    figures = [
        median(f"{name}.errors", [float(load.failed) for load in loads], "requests"),
        median(f"{name}.cpu", [load.cpu_served for load in loads], "µs/request"),
    ]
    for process in loads[0].cpu:
        spent = [load.cpu.get(process, 0.0) for load in loads]
        figures.append(median(f"{name}.cpu.{process}", spent, "µs/request"))
    for process in loads[0].memory:
        held = [load.memory.get(process, 0.0) for load in loads]
        figures.append(median(f"{name}.memory.{process}", held, "MiB"))
    return figures
