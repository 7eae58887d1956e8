"""How far an audit is, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

STEP = 1000
LINE_SECONDS = 10.0


class Shown(Protocol):
    """Is told how far the audit is."""

    def begin(self, entries: int) -> None:
        """So many entries are to be read."""

    def step(self) -> None:
        """One more has been read."""

    def next(self, what: str) -> None:
        """Now something else is looked at."""

    def end(self) -> None:
        """Everything has been looked at."""


class Silent:
    """Shows nothing."""

    def begin(self, entries: int) -> None:
        """So many entries are to be read."""

    def step(self) -> None:
        """One more has been read."""

    def next(self, what: str) -> None:
        """Now something else is looked at."""

    def end(self) -> None:
        """Everything has been looked at."""


class Bar:
    """A progress bar."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("the log")
        self._read = 0

    def begin(self, entries: int) -> None:
        """Shows the empty bar."""
        self._bar.update(self._task, total=entries)
        self._bar.start()

    def step(self) -> None:
        """One more entry."""
        self._read += 1
        if self._read % STEP == 0:
            self._bar.update(self._task, completed=self._read)

    def next(self, what: str) -> None:
        """What follows has no known length."""
        self._bar.update(self._task, completed=self._read)
        self._task = self._bar.add_task(what, total=None)

    def end(self) -> None:
        """Takes the bar away."""
        self._bar.stop()


class Lines:
    """Plain lines: none where the audit is quick, at most one in LINE_SECONDS elsewhere."""

    def __init__(self) -> None:
        self._entries = self._read = 0
        self._told_at = time.monotonic()

    def begin(self, entries: int) -> None:
        """Remembers what is to come."""
        self._entries = entries

    def step(self) -> None:
        """One more entry."""
        self._read += 1
        if self._read % STEP == 0:
            self._tell(f"read {self._read:,} of {self._entries:,} entries")

    def next(self, what: str) -> None:
        """What is looked at now."""
        self._tell(what)

    def end(self) -> None:
        """Says nothing: the report follows."""

    def _tell(self, line: str) -> None:
        if time.monotonic() - self._told_at >= LINE_SECONDS:
            self._told_at = time.monotonic()
            print(line, file=sys.stderr, flush=True)


def progress() -> Bar | Lines:
    """What fits where the messages go."""
    return Bar() if sys.stderr.isatty() else Lines()
