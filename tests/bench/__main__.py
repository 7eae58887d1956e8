"""`make bench`: measures what ONLY names (everything, unless told), prints a table, writes bench.json.

Environment: SCALE people in the city (3,400,000), ONLY=licence,ledger, ROUNDS (3) of SECONDS_A_ROUND (5).
ONESTOP_HOME (.onestop) is where the bench's own city lies, in `bench/`.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import psutil
from rich.console import Console

from tests.bench import seals, search
from tests.bench.figures import Figure, Report
from tests.bench.ground import Bench, open_bench

SUITES: dict[str, Callable[[Bench], Iterable[Figure]]] = {
    "licence": search.measure,
    "eseal": seals.measure,
}


def main() -> int:
    """Exit code 0 when everything that was asked for has been measured, whatever the figures."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    wanted = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(SUITES)
    unknown = sorted(set(wanted) - SUITES.keys())
    if unknown:
        console.print(f"ONLY: there is no {', '.join(unknown)}; choose from {', '.join(SUITES)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = open_bench(console)
    report = Report(bench.folder.parent / "bench.json", facts=_facts(bench))
    city = bench.city
    try:
        bench.say(f"starting the city of {bench.people:,} people in {city.home}; the first start loads it")
        city.start(wait=False)
        city.wait_ready(LOAD_SECONDS)
        for name in wanted:
            report.add(SUITES[name](bench), console)
    finally:
        if city.process is not None and city.process.poll() is None:
            city.stop()
    console.print(f"{len(report.figures)} figures in {report.path}")
    return 0


LOAD_SECONDS = 3600.0


def _facts(bench: Bench) -> dict[str, object]:
    """What a figure was measured on."""
    return {
        "people": bench.people,
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    sys.exit(main())
