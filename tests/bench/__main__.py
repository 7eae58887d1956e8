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

from tests.bench import (
    append,
    bulk,
    chart,
    checking,
    credit,
    forms,
    herd,
    lag,
    mixture,
    price,
    proofs,
    seals,
    search,
    sm2,
    templates,
    town,
    uploads,
)
from tests.bench.figures import Figure, Report, read
from tests.bench.ground import Bench, open_bench, running

SUITES: dict[str, Callable[[Bench], Iterable[Figure]]] = {
    "licence": search.measure,
    "autofill": forms.measure,
    "agricredit": credit.measure,
    "ledger": append.measure,
    "price": price.measure,
    "herd": herd.measure,
    "slope": search.measure_slope,
    "lookup": search.measure_limit,
    "eseal": seals.measure,
    "uploads": uploads.measure,
    "lag": lag.measure,
    "sm2": sm2.measure,
    "bulk": bulk.measure,
    "templates": templates.measure,
    "checks": checking.measure,
    "city": town.measure,
    "proofs": proofs.measure,
    "soak": mixture.measure,
}
ON_WISH = {"proofs", "soak"}
"""These take long, so they are measured when ONLY names them."""


def main() -> int:
    """Exit code 0 when everything that was asked for has been measured, whatever the figures."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    wanted = [name for name in os.environ.get("ONLY", "").split(",") if name]
    wanted = wanted or [name for name in SUITES if name not in ON_WISH]
    unknown = sorted(set(wanted) - SUITES.keys())
    if unknown:
        console.print(f"ONLY: there is no {', '.join(unknown)}; choose from {', '.join(SUITES)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = open_bench(console)
    report = Report(bench.folder.parent / "bench.json", facts=_facts(bench))
    with running(bench, bench.city):
        for name in wanted:
            report.add(SUITES[name](bench), console)
    drawn = chart.draw(read(report.path), bench.folder)
    console.print(f"{len(report.figures)} figures in {report.path}")
    for picture in drawn:
        console.print(f"chart in {picture}")
    return 0


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
