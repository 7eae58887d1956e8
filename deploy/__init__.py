"""What starts a city, here or elsewhere, and what it is furnished with."""

from core.garbage import collect_rarely

collect_rarely()  # Before the rest is imported.
