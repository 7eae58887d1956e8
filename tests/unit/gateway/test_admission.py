"""The gates: bounded places and queues, order, time limits, and no place that is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from core.errors import LateError
from gateway import admission
from gateway.admission import STANDING_SECONDS, Gate, OverloadedError

LONG = 30.0


def gate(places: int, queue: int = 8, wait: float = 1.0) -> Gate:
    return Gate("licence", places, queue, wait)


async def begun(*works: asyncio.Task[None]) -> None:
    """Lets tasks run until they wait."""
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(work.done() for work in works)


async def test_as_many_enter_as_there_are_places_and_the_next_waits_its_turn() -> None:
    door = gate(1)
    order: list[int] = []

    async def come(number: int) -> None:
        await door.enter(LONG)
        order.append(number)

    await door.enter(LONG)
    first, second = (asyncio.create_task(come(number)) for number in (1, 2))
    await begun(first, second)
    door.leave()
    await first
    assert order == [1]
    door.leave()
    await second

    assert order == [1, 2]


async def test_beyond_the_queue_one_is_told_at_once_and_when_to_come_back() -> None:
    door = gate(1, queue=1)
    await door.enter(LONG)
    waiting = asyncio.create_task(door.enter(LONG))
    await begun(waiting)

    began = time.monotonic()
    with pytest.raises(OverloadedError) as refusal:
        await door.enter(LONG)

    assert time.monotonic() - began < 0.1
    assert (refusal.value.part, refusal.value.retry_after) == ("licence", 1.0)
    door.leave()
    await waiting


async def test_nobody_waits_longer_than_the_setting_and_the_place_is_not_lost() -> None:
    door = gate(1, wait=0.05)
    await door.enter(LONG)

    with pytest.raises(OverloadedError):
        await door.enter(LONG)
    door.leave()

    await door.enter(LONG)


async def test_whoever_runs_out_of_time_in_the_queue_is_late_and_is_not_let_in() -> None:
    door = gate(1)
    await door.enter(LONG)

    with pytest.raises(LateError):
        await door.enter(0.02)
    with pytest.raises(LateError):
        await door.enter(-1.0)
    door.leave()

    assert door.in_hand == 0


async def test_a_caller_that_goes_while_it_is_let_in_hands_its_place_on() -> None:
    door = gate(1)
    await door.enter(LONG)
    gone, next_one = (asyncio.create_task(door.enter(LONG)) for _ in range(2))
    await begun(gone, next_one)

    door.leave()
    gone.cancel()

    with pytest.raises(asyncio.CancelledError):
        await gone
    await asyncio.wait_for(next_one, 1)
    door.leave()
    assert door.in_hand == 0


async def test_a_caller_that_has_gone_is_passed_over_and_no_place_is_lost() -> None:
    door = gate(1)
    await door.enter(LONG)
    gone, next_one = (asyncio.create_task(door.enter(LONG)) for _ in range(2))
    await begun(gone, next_one)

    gone.cancel()
    door.leave()

    with pytest.raises(asyncio.CancelledError):
        await gone
    await asyncio.wait_for(next_one, 1)
    door.leave()
    assert door.in_hand == 0


async def test_late_answers_make_the_places_fewer_and_answers_in_time_make_them_more() -> None:
    door = gate(32)

    for _ in range(100):
        await door.enter(LONG)
        door.leave(in_time=False)
    assert door.places == admission.FEWEST_PLACES
    for _ in range(200):
        await door.enter(LONG)
        door.leave(in_time=True)

    assert door.places == 32, "it is itself again, and no more than the setting"


async def test_with_fewer_places_who_waits_is_let_in_only_as_they_come_free() -> None:
    door = gate(9)
    for _ in range(9):
        await door.enter(LONG)
    waiting = [asyncio.create_task(door.enter(LONG)) for _ in range(2)]
    await begun(*waiting)

    door.leave(in_time=False)
    await begun(*waiting)
    assert (door.places, door.in_hand) == (8, 8)
    door.leave()
    await waiting[0]

    assert not waiting[1].done()
    door.leave()
    await waiting[1]


async def test_in_a_standing_overload_the_wait_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("gateway.admission.time.monotonic", clock)
    door = gate(1, wait=20.0)
    await door.enter(LONG)
    burst = asyncio.create_task(door.enter(LONG))
    await begun(burst)
    clock.seconds += admission.BURST_SECONDS + 1

    async with asyncio.timeout(STANDING_SECONDS * 40):
        with pytest.raises(OverloadedError):
            await door.enter(LONG)

    assert not burst.done(), "who came in the burst may wait it out"
    door.leave()
    await burst


class Clock:
    def __init__(self, real: Callable[[], float] = time.monotonic) -> None:
        self.seconds = 0.0
        self._real = real

    def __call__(self) -> float:
        return self._real() + self.seconds
