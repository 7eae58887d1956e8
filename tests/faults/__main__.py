"""`make faults`: breaks the city in every way that is listed, and checks the books after each.

Environment: SEED (440200) makes the same choices again; MINUTES (10) of blows at random; TIMES (200) that the
seal service is killed; ONLY=kills,network tries those groups alone. The table is printed;
`.onestop/faults.json` holds the same for programs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from deploy.local.migrate import ROOT
from tests.faults.ground import Ground
from tests.faults.report import Report
from tests.faults.scenarios import clocks, keys, kills, network, overload, seals, storage, versions
from tests.faults.shake import Fault, shake

Group = Callable[[float], Iterable[Fault]]

GROUPS: dict[str, Group] = {
    "kills": lambda _: kills.in_turn(),
    "still": lambda _: kills.still(),
    "drain": lambda _: kills.draining(),
    "network": lambda _: network.upstreams(),
    "database": lambda _: network.databases(),
    "partition": lambda _: network.partition(),
    "clocks": lambda _: clocks.jumps(),
    "keys": lambda _: keys.rotated(),
    "overload": lambda _: overload.flooded(),
    "versions": lambda _: versions.replaced(),
    "random": lambda minutes: [kills.at_random(minutes)],
    "seals": lambda _: seals.killed(int(os.environ.get("TIMES", seals.TIMES))),
    "disk": lambda _: storage.full(),
}

ON_A_SMALL_DISK = {"disk"}
APART = {"clocks", *ON_A_SMALL_DISK}
"""Groups with a city of their own: what they leave in its log is found by every later audit."""


def main() -> int:
    """Exit code 0 when every promise was kept, 1 when one was not, 2 when ONLY names no group."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    wanted = [name for name in os.environ.get("ONLY", "").split(",") if name] or list(GROUPS)
    unknown = sorted(set(wanted) - GROUPS.keys())
    if unknown:
        console.print(f"ONLY: there is no {', '.join(unknown)}; choose from {', '.join(GROUPS)}")
        return 2
    seed, minutes = int(os.environ.get("SEED", "440200")), float(os.environ.get("MINUTES", "10"))
    home = Path(os.environ.get("ONESTOP_HOME", ROOT / ".onestop"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report(home / "faults.json", {"seed": seed, "minutes": minutes})

    def try_all(ground: Ground, names: Iterable[str]) -> None:
        for name in names:
            for fault in GROUPS[name](minutes):
                console.print(f"[bold]{name}[/bold] {fault.name}")
                report.add(name, shake(ground, fault))
                console.print(report.last_line(), highlight=False)

    usual = [name for name in wanted if name not in APART]
    if usual:
        with Ground(console, seed=seed) as ground:
            try_all(ground, usual)
    for name in wanted:
        if name in APART:
            with ExitStack() as stack:
                small = name in ON_A_SMALL_DISK and not storage.missing()
                where = stack.enter_context(storage.small_disk()) if small else None
                try_all(stack.enter_context(Ground(console, seed=seed, home=where)), [name])
    console.print(report.table())
    console.print(f"{report.summary()}; all of it in {report.path}")
    return 0 if report.kept else 1


if __name__ == "__main__":
    sys.exit(main())
