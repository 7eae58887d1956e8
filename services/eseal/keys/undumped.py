"""A process that works with keys leaves no image of its memory behind."""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4
"""Of prctl(2). A dump that goes into a program's pipe is bounded by nothing else."""


def forbid_dumps() -> None:
    """No core dumps of this process; on Linux nobody but root may look into its memory either."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
