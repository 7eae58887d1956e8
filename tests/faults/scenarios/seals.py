"""kill -9 of the seal service again and again, at random moments between intent and release."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.faults.account import rows
from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import PATIENCE_SECONDS, Fault, Strike

TIMES = 200
LONGEST_OFFSET_SECONDS = 0.15
"""Sealing a letter takes less: the kill falls anywhere between the request and its answer."""

ENDED = (
    "SELECT count(*) FILTER (WHERE completed), count(*) FILTER (WHERE NOT completed)"
    " FROM eseal.intent_terminal"
)


def killed(times: int = TIMES) -> Iterator[Fault]:
    """Each sealing is done once, however often the service dies over it."""
    crowd = ("seal", "seal", "seal", "once_more", "search", "fill", "consent")
    yield Fault(f"kill -9 eseal, {times} times", _killing(times), crowd=crowd)


def _killing(times: int) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        before = rows(ground.city, ENDED)[0]
        for _ in range(times):
            _wait_for_a_sealing(load)
            time.sleep(ground.chance.uniform(0.0, LONGEST_OFFSET_SECONDS))
            ground.strike("eseal")
        completed, aborted = (
            now - then for now, then in zip(rows(ground.city, ENDED)[0], before, strict=True)
        )
        ground.say(f"  {times} kills; {completed} sealings completed, {aborted} closed as aborted so far")
        return time.monotonic()

    return strike


def _wait_for_a_sealing(load: Load) -> None:
    """Until a letter has been sealed anew: then the next one is under way."""
    since = time.monotonic()
    while not any(one.kind == "sign" and one.ok and one.began > since for one in load.tries[-200:]):
        assert time.monotonic() < since + PATIENCE_SECONDS, "no letter is sealed any more"
        load.check_alive()
        time.sleep(0.005)
