"""`make profile`: a flame graph of each process under load, and where its processor time goes in words.

ONLY names one suite (licence); SCALE, SECONDS_A_ROUND and CONNECTIONS (32) say how it is driven. The pictures
lie in `.onestop/bench/profile/`: `<part>.svg` for people, `<part>.txt` as collapsed stacks for programs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import credit, forms, search
from tests.bench.callers import PARTS
from tests.bench.ground import Bench, open_bench, running
from tests.bench.load import run
from tests.bench.turns import Side

SIDES: dict[str, Callable[[Bench], Side]] = {
    "licence": search.own_side,
    "autofill": forms.own_side,
    "agricredit": credit.own_side,
}
SAMPLES_A_SECOND = 200
BUSY_SHARE = 0.02
"""A process that spent less of a core than this is not worth a picture."""
MOST_LINES = 30


def main() -> int:
    """Exit code 0 when every busy process has its picture."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    name = os.environ.get("ONLY", "licence")
    if name not in SIDES:
        console.print(f"ONLY: there is no {name}; choose from {', '.join(SIDES)}")
        return 2
    bench = open_bench(console)
    folder = bench.folder / "profile"
    folder.mkdir(parents=True, exist_ok=True)
    with running(bench, bench.city) as city:
        side = SIDES[name](bench)
        connections = int(os.environ.get("CONNECTIONS", "32"))
        job = replace(side.job(), connections=connections, seconds=2 * bench.seconds + 3)
        pids = {part: pid for part in PARTS if part != "postgres" and (pid := city.pid(part)) is not None}
        with ThreadPoolExecutor() as pool:
            load = pool.submit(run, job, side.processes)
            time.sleep(job.warm_up + 1)
            for kind in ("raw", "flamegraph"):
                list(pool.map(partial(_record, folder, kind, bench.seconds), pids.items()))
        done = load.result()
    console.print(f"{side.name}: {done.throughput:,.0f}/s, {done.cpu_served:,.0f} µs/request while watched")
    for part in pids:
        if done.cpu[part] * done.throughput / 1e6 >= BUSY_SHARE:
            console.print(_words(part, _read(folder / f"{part}.txt"), done.cpu[part]))
        else:
            (folder / f"{part}.svg").unlink(missing_ok=True)
    console.print(f"pictures in {folder}")
    return 0


def _record(folder: Path, kind: str, seconds: float, process: tuple[str, int]) -> None:
    """Collapsed stacks (`raw`) or the picture of a process, of the time that it was on a processor."""
    part, pid = process
    path = folder / f"{part}.{'txt' if kind == 'raw' else 'svg'}"
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--format", kind]
    command += ["--duration", str(max(1, round(seconds))), "--rate", str(SAMPLES_A_SECOND), "--function"]
    command += ["--nonblocking", "--output", str(path)]
    path.unlink(missing_ok=True)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode and "No stack counts found" not in done.stderr:  # It did nothing meanwhile.
        raise RuntimeError(f"{part}: {done.stderr.strip()}")


def _read(path: Path) -> Counter[tuple[str, ...]]:
    counted: Counter[tuple[str, ...]] = Counter()
    if not path.exists():
        return counted
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        counted[tuple(stack.split(";"))] += int(count)
    return counted


def _words(part: str, counted: Counter[tuple[str, ...]], microseconds: float) -> Table:
    """The functions below which most of the time is spent, and those in which it is."""
    whole = sum(counted.values()) or 1
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for stack, count in counted.items():
        own[stack[-1]] += count
        below.update(dict.fromkeys(stack, count))
    table = Table(title=f"{part}: {microseconds:,.0f} µs/request, {whole:,} samples", box=None)
    for heading in ("with all below it", "", "in itself", ""):
        table.add_column(heading, justify="left" if heading else "right", overflow="fold")
    # What is everybody's frame says nothing.
    told = [(frame, count) for frame, count in below.most_common() if count < 0.9 * whole]
    for (frame, count), (leaf, alone) in zip(told[:MOST_LINES], own.most_common(MOST_LINES), strict=False):
        table.add_row(frame, f"{count / whole:.0%}", leaf, f"{alone / whole:.0%}")
    return table


if __name__ == "__main__":
    sys.exit(main())
