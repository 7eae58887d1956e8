"""Many small pieces of work leave others their turn."""

from __future__ import annotations

import asyncio

from services.eseal.verifying.pace import Pace


async def test_so_many_go_in_one_turn_and_the_rest_in_their_order_in_the_next_ones() -> None:
    pace, turn, went = Pace(3), [0], list[tuple[int, int]]()

    async def work(number: int) -> None:
        await pace.turn()
        went.append((number, turn[0]))

    def count() -> None:
        turn[0] += 1
        asyncio.get_running_loop().call_soon(count)

    count()
    await asyncio.gather(*(work(number) for number in range(10)))

    assert [number for number, _ in went] == list(range(10))
    turns = [at for _, at in went]
    assert max(turns.count(at) for at in turns) == 3
    assert len(set(turns)) == 4


async def test_who_is_alone_goes_at_once_and_who_has_gone_takes_no_place() -> None:
    pace = Pace(1)
    await pace.turn()
    waiting = [asyncio.ensure_future(pace.turn()) for _ in range(3)]
    await asyncio.sleep(0)

    waiting[0].cancel()
    async with asyncio.timeout(1):
        await asyncio.gather(*waiting[1:])
        await pace.turn()
