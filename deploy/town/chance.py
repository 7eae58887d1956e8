"""Where the town's chance comes from: the same words, the same town."""

from __future__ import annotations

from random import Random


def chance(words: str) -> Random:
    """A source of chance that depends on the words alone. Nothing secret is ever made with it."""
    return Random(words)  # noqa: S311  # it has to be repeatable; keys and ids come from the system
