"""The parts: each in a package of its own, which no other imports."""

from core.garbage import collect_rarely

collect_rarely()  # Before the rest is imported.
