"""The coalescer: fairness, one bad item, cancellation, failure of a whole call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from core.coalesce import Coalescer


class Upstream:
    """Answers twice the number, in the order asked; -1 is a bad item. Holds calls until released."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()

    async def send(self, items: Sequence[int]) -> Sequence[int | BaseException]:
        self.calls.append(list(items))
        await self.gate.wait()
        return [ValueError("bad item") if item < 0 else item * 2 for item in items]


async def test_what_arrives_during_a_call_goes_together_in_the_next() -> None:
    upstream = Upstream()
    coalescer = Coalescer(upstream.send, slots=1)

    first = asyncio.create_task(coalescer.submit(1))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(coalescer.submit(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0.01)
    upstream.gate.set()

    assert await asyncio.gather(first, *rest) == [2, 4, 6, 8]
    assert upstream.calls == [[1], [2, 3, 4]]


async def test_one_bad_item_fails_alone() -> None:
    upstream = Upstream()
    upstream.gate.set()
    coalescer = Coalescer(upstream.send)

    results = await asyncio.gather(*(coalescer.submit(n) for n in (1, -1, 3)), return_exceptions=True)

    assert results[0] == 2
    assert isinstance(results[1], ValueError)
    assert results[2] == 6


async def test_an_item_whose_caller_gave_up_is_not_sent() -> None:
    upstream = Upstream()
    coalescer = Coalescer(upstream.send, slots=1)
    first = asyncio.create_task(coalescer.submit(1))
    await asyncio.sleep(0.01)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await coalescer.submit(2)
    third = asyncio.create_task(coalescer.submit(3))
    upstream.gate.set()

    assert await first == 2
    assert await third == 6
    assert upstream.calls == [[1], [3]]


async def test_an_item_that_times_out_in_flight_leaves_its_companions_unharmed() -> None:
    upstream = Upstream()
    coalescer = Coalescer(upstream.send, slots=1)
    hurried = asyncio.create_task(coalescer.submit(1))
    patient = asyncio.create_task(coalescer.submit(2))
    await asyncio.sleep(0.01)

    hurried.cancel()
    upstream.gate.set()

    assert await patient == 4


async def test_batches_are_no_larger_than_allowed_and_first_come_first_served() -> None:
    upstream = Upstream()
    coalescer = Coalescer(upstream.send, slots=1, largest=2)
    tasks = [asyncio.create_task(coalescer.submit(n)) for n in range(5)]
    await asyncio.sleep(0.01)

    upstream.gate.set()
    await asyncio.gather(*tasks)

    assert upstream.calls == [[0, 1], [2, 3], [4]]


async def test_a_failed_call_fails_its_items_and_not_the_next() -> None:
    calls = 0

    async def send(items: Sequence[int]) -> Sequence[int | BaseException]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("down")
        return list(items)

    coalescer = Coalescer(send, slots=1)

    with pytest.raises(ConnectionError):
        await coalescer.submit(1)
    assert await coalescer.submit(2) == 2


async def test_a_call_that_answers_too_few_results_leaves_nobody_waiting() -> None:
    async def send(items: Sequence[int]) -> Sequence[int | BaseException]:
        return list(items)[:-1]

    coalescer = Coalescer(send, slots=1)

    async with asyncio.timeout(1):
        results = await asyncio.gather(*(coalescer.submit(n) for n in (1, 2)), return_exceptions=True)

    assert [type(result) for result in results] == [RuntimeError, RuntimeError]


async def test_a_call_whose_callers_have_all_gone_is_called_off_and_the_next_goes_out() -> None:
    called_off = asyncio.Event()
    upstream = Upstream()

    async def send(items: Sequence[int]) -> Sequence[int | BaseException]:
        try:
            return await upstream.send(items)
        except asyncio.CancelledError:
            called_off.set()
            raise

    coalescer = Coalescer(send, slots=1)
    gone = [asyncio.create_task(coalescer.submit(n)) for n in (1, 2)]
    await asyncio.sleep(0.01)
    next_one = asyncio.create_task(coalescer.submit(3))

    gone[0].cancel()
    await asyncio.sleep(0.01)
    assert not called_off.is_set(), "somebody still waits for it"
    gone[1].cancel()
    async with asyncio.timeout(1):
        await called_off.wait()
    upstream.gate.set()

    assert await next_one == 6
    assert upstream.calls == [[1, 2], [3]]
