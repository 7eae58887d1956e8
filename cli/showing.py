"""How far a command is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_SECONDS = 5.0

Tell = Callable[[float, float], None]
"""Is told how much is done, of how much; 0 of 0 where that is not known."""


@contextmanager
def step(what: str) -> Iterator[Tell]:
    """Says that a step has begun, shows how far it is as it is told, and says how long it took."""
    began = time.monotonic()
    if sys.stdout.isatty():
        bar = Progress(
            TextColumn(what),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            transient=True,
        )
        task = bar.add_task(what, total=None)
        with bar:
            yield lambda done, whole: bar.update(task, completed=done, total=whole or None)
    else:
        yield _lines(what)
    print(f"{what}: done in {time.monotonic() - began:.1f} s", flush=True)


def _lines(what: str) -> Tell:
    told_at = time.monotonic()

    def tell(done: float, whole: float) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= LINE_SECONDS:
            told_at = time.monotonic()
            share = f"{100 * min(done, whole) / whole:.0f} %" if whole else "going on"
            print(f"{what}: {share}", flush=True)

    return tell
