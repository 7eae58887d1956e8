"""How many documents take a step together, and who goes apart so that he keeps nobody waiting."""

from __future__ import annotations

from dataclasses import dataclass

MOST_LASTING = 4
"""Seals above B-B that are put at once; a transaction and its connection wait for each."""
LASTING_CHUNK = 16
"""Documents above B-B that a step is taken for at a time: others are asked for each in the transaction."""


@dataclass(frozen=True)
class Turns:
    """How many documents go together, and how many steps are under way at a time."""

    slots: int = 3
    lasting: int = LASTING_CHUNK
    """Of those above B-B so many go together, in so many steps at a time."""
    lasting_slots: int = 1
    apart: bool = False
    """Whether what may keep others waiting goes apart, as those above B-B do: with a key in a device, and by
    a permission with a quota, whose row others may hold."""


STREAMS = Turns()
CALLS = Turns(slots=1, lasting=1, lasting_slots=MOST_LASTING, apart=True)
"""Of calls one by one each waits for its own answer: none for another's authority, device or quota."""
MOST_IN_DEVICES = 2
MOST_LIMITED = 2
"""Steps at a time of what goes apart: each holds a connection while it waits, of which others need some."""
