"""Work that can wait leaves a worker to those who cannot, and lets them go first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from services.eseal.confined.patience import PatientWorkshop
from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Picture, Place
from tests.loops import of_the_module
from tests.unit.eseal.documents import NOW, plain

PICTURE = Picture(b"", 42, 42)


@of_the_module()
async def two() -> AsyncIterator[Workshop]:
    opened = Workshop(workers=2)
    await opened.open()
    yield opened
    await opened.close()


async def lay_out(workshop: Workshop | PatientWorkshop, done: list[str], name: str) -> None:
    await workshop.prepare(plain(), Place(), PICTURE, field_name="seal-1", signer_name="某局印章", moment=NOW)
    done.append(name)


async def test_who_cannot_wait_goes_first_whoever_came_first(workshop: Workshop) -> None:
    patient, done = PatientWorkshop(workshop), list[str]()
    waiting = [asyncio.ensure_future(lay_out(patient, done, "bulk")) for _ in range(6)]
    await asyncio.sleep(0)

    single = [asyncio.ensure_future(lay_out(workshop, done, "single")) for _ in range(3)]
    await asyncio.gather(*waiting, *single)

    # One was under way already, another may have had its turn when they came.
    assert done.index("single") <= 2
    assert done[-3:] == ["bulk"] * 3


async def test_who_can_wait_never_holds_every_worker(two: Workshop) -> None:
    patient, done = PatientWorkshop(two), list[str]()
    waiting = [asyncio.ensure_future(lay_out(patient, done, "bulk")) for _ in range(12)]

    free = []
    while not all(one.done() for one in waiting):
        free.append(two._idle.qsize())
        await asyncio.sleep(0)

    assert done == ["bulk"] * 12
    assert min(free) >= 1


async def test_who_gives_up_waiting_costs_no_worker_and_nobody_s_turn(workshop: Workshop) -> None:
    patient, done = PatientWorkshop(workshop), list[str]()
    waiting = [asyncio.ensure_future(lay_out(patient, done, str(number))) for number in range(4)]
    processes = set(workshop._all)
    while True:  # until the first is under way
        await asyncio.sleep(0)
        if workshop._idle.empty():
            break

    for one in waiting[:3]:
        one.cancel()
    await waiting[3]

    assert done == ["3"]
    assert set(workshop._all) == processes
