"""When cycles are looked for.

What a process imports stays, and what comes and goes with a call is freed by its reference count: to look
among it after every 700 new objects, as is usual, finds nothing and costs an eighth of a start.
"""

from __future__ import annotations

import gc

RARELY = (20_000, 20, 50)
"""New objects before the young ones are looked through, and how often that comes before the older ones."""


def collect_rarely() -> None:
    """Has cycles looked for rarely from now on. To be called before anything large is imported."""
    gc.set_threshold(*RARELY)
