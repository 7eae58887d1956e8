"""Clocks that jump by a quarter of an hour, and come back."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import PATIENCE_SECONDS, Fault, Strike

OFF_SECONDS = 16 * 60
HELD_SECONDS = 3.0

DISBELIEF = frozenset({401, 403, 422})
"""Where clocks differ by more than a token lives, nobody's proof of identity holds, and a certificate may not
be valid yet: that is refused, not waved through."""


def jumps() -> Iterator[Fault]:
    """One part's clock jumps ahead, then behind, then is right again."""
    for part in ("gateway", "issuer", "licence", "ledger", "agricredit", "eseal"):
        name = f"clock of {part} 16 min off"
        yield Fault(name, _jumping(part), tolerates=DISBELIEF, back_dates=part == "ledger")


def _jumping(part: str) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        file = ground.city.home / f"clock-of-{part}"
        file.write_text("0")
        ground.wish("clocks", part, str(file))
        ground.restart(part)
        ground.afterwards.callback(ground.restart, part)
        ground.afterwards.callback(ground.wish, "clocks", part, None)
        load.must_answer_everything(time.monotonic(), PATIENCE_SECONDS)
        for offset in (OFF_SECONDS, -OFF_SECONDS):
            file.write_text(str(offset))
            time.sleep(HELD_SECONDS)
        file.write_text("0")
        return time.monotonic()

    return strike
