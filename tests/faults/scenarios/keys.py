"""Keys rotated under load."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

from deploy.local.migrate import ROOT
from deploy.local.settings import PORTS
from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import Fault, Strike

ROTATION_SECONDS = 120


def rotated() -> Iterator[Fault]:
    """The ledger's keys of data at rest: nobody who calls notices."""
    for kind in ("kek", "data", "index"):
        yield Fault(f"ledger's {kind} key rotated", _rotating(kind))


def _rotating(kind: str) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        refused = sum(not one.ok for one in load.tries if one.status != 409 and not one.rightly_refused)
        code, said = onestop(ground, "keys", "rotate", kind, "--part", "ledger", "--settle", "2")
        assert code == 0, f"keys rotate {kind} ended with {code}: {said[-300:]}"
        after = sum(not one.ok for one in load.tries if one.status != 409 and not one.rightly_refused)
        assert after == refused, f"{after - refused} requests were refused during the rotation"
        return time.monotonic()

    return strike


def onestop(ground: Ground, *arguments: str) -> tuple[int, str]:
    """The `onestop` command beside the running city: its exit code and what it printed."""
    city = ground.city
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=ROTATION_SECONDS,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "ONESTOP_HOME": str(city.home),
            "ONESTOP_PORT_OFFSET": str(city.settings.ports["ledger"] - PORTS["ledger"]),
            "DATABASE_URL": "",
        },
    )
    return done.returncode, done.stdout
