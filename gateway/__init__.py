"""The HTTP edge of the city: proves callers, checks requests, renders answers; decides nothing."""

from core.garbage import collect_rarely

collect_rarely()  # Before the rest is imported.
