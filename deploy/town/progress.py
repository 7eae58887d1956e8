"""How far the loading is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_SECONDS = 5.0


class Bar:
    """A progress bar."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("the town"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("people"),
            TimeRemainingColumn(compact=True),
        )
        self._task = self._bar.add_task("people", total=None)

    def begin(self, people: int) -> None:
        """Shows the empty bar."""
        self._bar.update(self._task, total=people)
        self._bar.start()

    def step(self, people: float) -> None:
        """Some more people are in."""
        self._bar.advance(self._task, people)

    def end(self) -> None:
        """Leaves the full bar behind."""
        self._bar.stop()


class Lines:
    """Plain lines, at most one in LINE_SECONDS."""

    def __init__(self) -> None:
        self._people = 0
        self._done = self._told_at = 0.0

    def begin(self, people: int) -> None:
        """Says what is to come."""
        self._people = people
        self._told_at = time.monotonic()
        print(f"loading a town of {people:,} people", flush=True)

    def step(self, people: float) -> None:
        """Some more people are in."""
        self._done += people
        if time.monotonic() - self._told_at >= LINE_SECONDS:
            self._told_at = time.monotonic()
            share = self._done * 100 / max(self._people, 1)
            print(f"  {self._done:,.0f} people ({share:.0f} %)", flush=True)

    def end(self) -> None:
        """Says nothing: what was done is told at the end."""


def progress() -> Bar | Lines:
    """What fits where the output goes."""
    return Bar() if sys.stdout.isatty() else Lines()
