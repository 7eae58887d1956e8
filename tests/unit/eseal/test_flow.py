"""What a stream holds in hand, and what becomes of it when nobody wants it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from services.eseal.bulk.flow import Flow


def work(gate: asyncio.Event, answer: str) -> Callable[[], Coroutine[Any, Any, str]]:
    async def wait() -> str:
        await gate.wait()
        return answer

    return wait


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_room_is_given_back_when_a_result_has_been_handed_on_and_not_before() -> None:
    flow, gate = Flow[str](most=2, most_bytes=100, size_of=len), asyncio.Event()
    gate.set()
    await flow.take(1, work(gate, "a"), lambda: True)
    await flow.take(1, work(gate, "b"), lambda: True)
    third = asyncio.ensure_future(flow.take(1, work(gate, "c"), lambda: True))
    results = flow.results(most=1, most_bytes=100)

    assert await anext(results) == ["a"]
    await turns()
    assert not third.done()
    assert await anext(results) == ["b"]
    await turns()
    assert third.done()
    flow.end()
    assert [one async for one in results] == [["c"]]


async def test_bytes_count_and_one_alone_may_be_of_any_size() -> None:
    flow, gate = Flow[str](most=9, most_bytes=100, size_of=len), asyncio.Event()
    gate.set()
    await flow.take(500, work(gate, "large"), lambda: True)
    second = asyncio.ensure_future(flow.take(1, work(gate, "small"), lambda: True))
    await turns()
    assert not second.done()

    results = flow.results(most=9, most_bytes=100)
    assert await anext(results) == ["large"]
    following = asyncio.ensure_future(anext(results))
    await second
    assert await following == ["small"]


async def test_results_come_as_they_are_ready() -> None:
    flow = Flow[str](most=9, most_bytes=100, size_of=len)
    slow, quick = asyncio.Event(), asyncio.Event()
    await flow.take(1, work(slow, "slow"), lambda: True)
    await flow.take(1, work(quick, "quick"), lambda: True)
    flow.end()
    results = flow.results(most=9, most_bytes=100)

    quick.set()
    assert await anext(results) == ["quick"]
    slow.set()
    assert [one async for one in results] == [["slow"]]


async def test_what_is_abandoned_is_left_undone_unless_it_has_begun() -> None:
    flow, gate = Flow[str](most=9, most_bytes=100, size_of=len), asyncio.Event()
    await flow.take(1, work(gate, "waiting"), lambda: True)
    await flow.take(1, work(gate, "begun"), lambda: False)

    going_on = flow.abandon()
    gate.set()

    assert [await task for task in going_on] == ["begun"]
    assert [one async for one in flow.results(most=9, most_bytes=100)] == [["begun"]]


async def test_results_go_together_as_far_as_their_own_sizes_allow() -> None:
    flow, gate = Flow[str](most=9, most_bytes=100, size_of=len), asyncio.Event()
    gate.set()
    for answer in ("a" * 30, "b" * 30, "c" * 30, "d" * 500):
        await flow.take(1, work(gate, answer), lambda: True)
    flow.end()
    await turns()

    together = [[len(one) for one in batch] async for batch in flow.results(most=9, most_bytes=70)]

    assert together == [[30, 30], [30], [500]]
