"""The command `onestop`."""

from core.garbage import collect_rarely

collect_rarely()  # Before the rest is imported.
