"""An hour's soak: a steady mixture of calls, and whether memory and descriptors stay flat meanwhile.

SOAK_MINUTES (60). What each minute showed is kept in `.onestop/bench/soak.csv`, so that a run that is cut off
still tells what it saw.
"""

from __future__ import annotations

import csv
import os
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tests.bench.figures import LESS_IS_BETTER, Figure, Goal, single
from tests.bench.ground import Bench
from tests.bench.load import Load, Processes, run
from tests.bench.turns import Side

WINDOW_SECONDS = 60.0
SETTLED_AFTER = 0.25
"""The first quarter is let pass: caches fill, pools open."""
CONNECTIONS = 16


@dataclass(frozen=True)
class Steady:
    """One kind of call, at a steady rate."""

    side: Side
    rate: float


@dataclass(frozen=True)
class Minute:
    """What one window showed."""

    at: float
    loads: Mapping[str, Load]
    memory: Mapping[str, float]
    descriptors: Mapping[str, int]


def soak(bench: Bench, mixture: Sequence[Steady], minutes: int) -> Iterable[Figure]:
    """Figures of the whole: rates, errors, times, and how memory and descriptors went."""
    seen: list[Minute] = []
    began = time.monotonic()
    path = bench.folder / "soak.csv"
    for number in range(minutes):
        loads = _window(mixture)
        memory = next(iter(loads.values())).memory
        seen.append(Minute(time.monotonic() - began, loads, memory, _open(mixture[0].side.processes())))
        _write(path, seen)
        told = ", ".join(
            f"{name} {load.throughput:.0f}/s p99 {load.p99:.0f} ms" for name, load in loads.items()
        )
        bench.say(f"soak, minute {number + 1} of {minutes}: {told}")
    return figures(seen)


def figures(seen: Sequence[Minute]) -> list[Figure]:
    """What the windows come to."""
    made = [single("soak.minutes", len(seen), "min")]
    for name in seen[0].loads:
        loads = [minute.loads[name] for minute in seen]
        made += [
            single(f"soak.{name}.throughput", statistics.mean(load.throughput for load in loads), "/s"),
            single(f"soak.{name}.p99", statistics.median(load.p99 for load in loads), "ms"),
            single(f"soak.{name}.errors", sum(load.failed for load in loads), "requests"),
        ]
    settled = seen[round(len(seen) * SETTLED_AFTER) :]
    for part in settled[-1].memory:
        memory = [minute.memory.get(part, 0.0) for minute in settled]
        descriptors = [float(minute.descriptors.get(part, 0)) for minute in settled]
        goal = Goal(LESS_IS_BETTER, max(4.0, 0.05 * memory[0]))
        growth = _per_hour([minute.at for minute in settled], memory)
        made += [
            single(f"soak.memory.{part}", statistics.median(memory), "MiB"),
            single(f"soak.memory.{part}.growth", growth, "MiB/h", goal),
            single(f"soak.descriptors.{part}", statistics.median(descriptors), "open"),
            single(f"soak.descriptors.{part}.growth", descriptors[-1] - descriptors[0], "open"),
        ]
    return made


def minutes_wanted() -> int:
    """As the environment asks."""
    return int(os.environ.get("SOAK_MINUTES", "60"))


def _window(mixture: Sequence[Steady]) -> dict[str, Load]:
    def one(steady: Steady) -> Load:
        job = replace(steady.side.job(), connections=CONNECTIONS, seconds=WINDOW_SECONDS, rate=steady.rate)
        return run(job, steady.side.processes)

    with ThreadPoolExecutor() as pool:
        return dict(zip((s.side.name for s in mixture), pool.map(one, mixture), strict=True))


def _open(processes: Processes) -> dict[str, int]:
    counted = {}
    for name, group in processes.items():
        counted[name] = 0
        for one in group:
            try:
                counted[name] += one.num_fds()
            except psutil.NoSuchProcess:
                continue
    return counted


def _per_hour(at: Sequence[float], values: Sequence[float]) -> float:
    """The slope of a straight line through the values."""
    if len(at) < 3:
        return 0.0
    return statistics.linear_regression(at, values).slope * 3600


def _write(path: Path, seen: Sequence[Minute]) -> None:
    names = list(seen[0].loads)
    parts = list(seen[0].memory)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(
            ["seconds", *(f"{n} {q}" for n in names for q in ("per second", "p99 ms", "errors"))]
            + [f"{part} {q}" for part in parts for q in ("MiB", "descriptors")]
        )
        for minute in seen:
            row: list[object] = [round(minute.at)]
            for name in names:
                load = minute.loads[name]
                row += [round(load.throughput, 1), round(load.p99, 1), load.failed]
            for part in parts:
                row += [round(minute.memory.get(part, 0.0), 1), minute.descriptors.get(part, 0)]
            out.writerow(row)
