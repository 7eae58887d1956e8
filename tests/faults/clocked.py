"""Runs a part's module from a tree of the code, under a clock that a file moves.

`python clocked.py TREE FILE MODULE`: FILE holds the seconds by which the clock is off, and may change at any
time; without a FILE the clock is the machine's. What measures spans (`time.monotonic`) stays as it is, as it
does on a machine whose clock is set.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

LOOKED_EVERY_SECONDS = 0.05


class Offset:
    """By how many seconds the clock is off now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_at = -1.0
        self._seconds = 0.0

    def __call__(self) -> float:
        """Seconds; 0 while the file says nothing."""
        now = time.monotonic()
        if now - self._looked_at > LOOKED_EVERY_SECONDS:
            self._looked_at = now
            try:
                self._seconds = float(self._path.read_text())
            except (OSError, ValueError):
                self._seconds = 0.0
        return self._seconds


def move_clock(offset: Offset) -> None:
    """From now on the program's own code sees the moved clock."""
    real = time.time
    time.time = lambda: real() + offset()

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=offset())

    importlib.import_module("core.clock").datetime = Moved  # type: ignore[attr-defined]


def main() -> None:
    """Becomes the part."""
    tree, clock, module = sys.argv[1:4]
    os.chdir(tree)
    sys.path[:] = [tree, f"{tree}/gen", *sys.path[1:]]
    if clock:
        move_clock(Offset(Path(clock)))
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
