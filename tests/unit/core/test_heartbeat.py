"""How long a loop was held up is told, and forgotten in time."""

from __future__ import annotations

import asyncio
import time

import pytest

from core.heartbeat import EVERY, HELD, Heartbeat


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock says that never jumps."""
    now = [1000.0]
    monkeypatch.setattr("core.heartbeat.time.monotonic", lambda: now[0])
    return now


async def test_the_longest_delay_is_told_for_half_a_minute_and_then_forgotten(steady: list[float]) -> None:
    heart = Heartbeat()
    heart.start()
    heart.stop()

    def beat(late: float = 0.0) -> float:
        steady[0] += EVERY + late
        heart.note(steady[0])
        return round(heart.longest, 6)

    assert beat() == 0.0
    assert beat(0.020) == 0.020
    assert beat(0.007) == 0.020
    steady[0] += HELD - EVERY
    heart.note(steady[0])  # A pause of the test's own, which counts as well.
    assert round(heart.longest, 3) == pytest.approx(HELD - 2 * EVERY, abs=0.01)
    for _ in range(2):
        steady[0] += HELD
        heart._due = steady[0]
        heart.note(steady[0])
    assert heart.longest == 0.0


async def test_a_loop_that_is_held_up_shows_it() -> None:
    heart = Heartbeat()
    heart.start()
    await asyncio.sleep(0)

    time.sleep(0.05)  # noqa: ASYNC251  # Holds up the loop: this is what is tried.
    await asyncio.sleep(2 * EVERY)
    heart.stop()

    assert 0.05 - EVERY <= heart.longest < 5
