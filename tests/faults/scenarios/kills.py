"""kill -9 of each part in turn and at random, of the database, and parts that stand still."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from deploy.local.settings import PROCESSES
from tests.faults.ground import Ground
from tests.faults.load import Load
from tests.faults.shake import RECOVERY_SECONDS, Fault, Strike

HELD_SECONDS = 2.0
STILL_SECONDS = 4.0


def in_turn() -> Iterator[Fault]:
    """Each part killed and kept away for a while, then the database."""
    for part in (*PROCESSES, "postgres"):
        yield Fault(f"kill -9 {part}", _killing(part))


def still() -> Iterator[Fault]:
    """Each part that others wait for stands still for a while, as on a machine that hangs."""
    for part in ("ledger", "licence", "datanode", "agricredit", "eseal", "issuer"):
        yield Fault(f"standing still: {part}", _freezing(part))


def at_random(minutes: float) -> Fault:
    """Any part at any time, for so long: killed, told to stop, or stood still."""

    def strike(ground: Ground, load: Load) -> float:
        until = time.monotonic() + minutes * 60
        worst, blows = 0.0, 0
        while time.monotonic() < until:
            part = ground.chance.choice((*PROCESSES, "postgres"))
            how = ground.chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP))
            if part == "postgres":
                how = signal.SIGKILL
            if how is signal.SIGSTOP:
                _freezing(part, ground.chance.uniform(0.2, 3.0))(ground, load)
            else:
                ground.strike(part, how=how)
            since = time.monotonic()
            worst = max(worst, load.must_answer_everything(since, 45.0))
            blows += 1
            time.sleep(ground.chance.uniform(0.0, 3.0))
        ground.say(f"  {blows} blows; the slowest recovery took {worst:.1f} s")
        assert worst <= RECOVERY_SECONDS, f"one recovery took {worst:.1f} s"
        return time.monotonic()

    return Fault(f"at random, {minutes:g} min", strike)


def draining() -> Iterator[Fault]:
    """SIGTERM under load: what is in flight is answered, and nobody is told of an error of ours."""
    for part in ("gateway", "eseal", "ledger"):

        def strike(ground: Ground, load: Load, part: str = part) -> float:
            return ground.strike(part, how=signal.SIGTERM)

        yield Fault(f"SIGTERM {part}", strike)


def _killing(part: str) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        return ground.strike(part, held=HELD_SECONDS)

    return strike


def _freezing(part: str, seconds: float = STILL_SECONDS) -> Strike:
    def strike(ground: Ground, load: Load) -> float:
        pid = ground.city.kill(part, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
        return time.monotonic()

    return strike
