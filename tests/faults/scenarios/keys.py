"""Keys rotated under load."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import Fault, Strike

MOST_TRIES = 3
AGAIN = "run the command again"
"""What the command says where it could not be finished beside what was written meanwhile; nothing is lost."""


def rotated() -> Iterator[Fault]:
    """The ledger's keys of data at rest: nobody who calls notices."""
    for kind in ("kek", "data", "index"):
        yield Fault(f"ledger's {kind} key rotated", _rotating(kind))


def _rotating(kind: str) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        before = _refused(load)
        for _ in range(MOST_TRIES):
            code, said = ground.onestop("keys", "rotate", kind, "--part", "ledger", "--settle", "2")
            if code == 0 or AGAIN not in said:
                break
        assert code == 0, f"keys rotate {kind} ended with {code}: {' '.join(said.split())[-400:]}"
        assert _refused(load) == before, f"{_refused(load) - before} requests were refused meanwhile"
        return time.monotonic()

    return strike


def _refused(load: Load) -> int:
    """Requests that were not answered; that the same request is under way is our own doing."""
    return sum(not one.ok and not one.rightly_refused and one.status != 409 for one in load.tries)
