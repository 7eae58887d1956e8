"""Hostile files against real workers: each ends in a typed error, in bounded time, and hurts nobody else."""

from __future__ import annotations

import asyncio
import time

import pytest

from services.eseal.confined.jobs import LONGEST_TEXT, MOST_NAMED, InspectJob
from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Picture, Place
from services.eseal.frames import Json
from services.eseal.refusals import (
    DocumentError,
    DocumentMalformedError,
    FieldNotFoundError,
    KeywordNotFoundError,
    PageNotFoundError,
    TooManyPlacesError,
    WorkshopBusyError,
)
from services.eseal.sealing.placing import AtKeyword, InField, OnPages, OverEdges, Placing
from services.eseal.sealing.prepared import PreparedDocument
from tests.unit.eseal.documents import NOW, hostile, make_kit, plain
from tests.unit.eseal.ofds import package, plain_ofd, sealer, unpacked

PICTURE = Picture(b"", 42, 42)
REMARK = b"% a remark after the end\n"
"""What makes a file unusual, so that it is read by pyHanko, which reads every page."""


async def prepare(workshop: Workshop, document: bytes, place: Placing = Place()) -> PreparedDocument:  # noqa: B008  # frozen
    return await workshop.prepare(
        document, place, PICTURE, field_name="seal-1", signer_name="某局印章", moment=NOW
    )


@pytest.mark.parametrize("name", sorted(hostile()))
async def test_a_hostile_file_is_a_typed_error_within_its_time(workshop: Workshop, name: str) -> None:
    document = hostile()[name]
    began = time.monotonic()

    for placing in (Place(), AtKeyword("公章"), OverEdges(), OnPages(()), InField("seal")):
        with pytest.raises(DocumentError):
            await prepare(workshop, document, placing)
    found = await asyncio.gather(workshop.inspect(document, roots=[], moment=NOW), return_exceptions=True)

    # A check does not look at pages, so it may find some of these merely unsealed.
    assert isinstance(found[0], DocumentMalformedError) or found[0] == []
    assert time.monotonic() - began < 20
    assert (await prepare(workshop, plain())).document.startswith(plain())


async def test_a_page_that_is_not_there_keeps_its_name_across_the_pipe(workshop: Workshop) -> None:
    with pytest.raises(PageNotFoundError) as refusal:
        await prepare(workshop, plain(2), Place(3))

    assert refusal.value.faults[0].field == "place.page"
    assert "2 page" in refusal.value.message


async def test_what_is_not_there_keeps_its_name_across_the_pipe(workshop: Workshop) -> None:
    with pytest.raises(KeywordNotFoundError):
        await prepare(workshop, plain(), AtKeyword("公章"))
    with pytest.raises(FieldNotFoundError):
        await prepare(workshop, plain(), InField("approver"))
    with pytest.raises(TooManyPlacesError):
        await prepare(workshop, plain(300), OnPages(()))


async def test_a_finding_crosses_the_pipe_whole(workshop: Workshop) -> None:
    kit = make_kit()

    (finding,) = await workshop.inspect(await kit.seal(plain()), roots=[kit.root], moment=NOW)

    assert finding.trusted_now
    assert finding.signed_at == NOW
    assert len(finding.cms_sha256) == 32


async def test_a_worker_that_hangs_is_replaced_and_the_caller_told_to_come_back(workshop: Workshop) -> None:
    (process,) = workshop._all
    workshop._wall_seconds = 0.2
    process.send_signal(19)  # SIGSTOP

    with pytest.raises(WorkshopBusyError):
        await prepare(workshop, plain())
    workshop._wall_seconds = 20.0

    assert await prepare(workshop, plain())
    assert await process.wait() == -9


async def test_a_file_that_costs_too_much_work_is_refused_and_the_worker_lives(workshop: Workshop) -> None:
    (process,) = workshop._all
    workshop._cpu_seconds = 0.1

    with pytest.raises(DocumentMalformedError, match="of work"):
        await prepare(workshop, plain(5_000) + REMARK)
    workshop._cpu_seconds = 2.0

    assert await prepare(workshop, plain())
    assert workshop._all == {process}


async def test_a_worker_that_dies_at_its_work_is_replaced_and_the_work_done(workshop: Workshop) -> None:
    (process,) = workshop._all
    process.send_signal(19)
    task = asyncio.create_task(prepare(workshop, plain()))
    await asyncio.sleep(0.1)

    process.kill()

    assert (await task).document.startswith(plain())


async def test_a_worker_that_is_not_itself_any_more_is_replaced(workshop: Workshop) -> None:
    """A file may have taken it over: what it answers then is no answer, and the next file is not for it."""
    (process,) = workshop._all

    def read(head: Json, blobs: list[bytes]) -> object:
        return head["no such member"] if process in workshop._all else blobs[7]

    with pytest.raises(DocumentMalformedError, match="cannot be read"):
        await workshop._do(InspectJob(plain(), [], NOW), read)

    assert await process.wait() == -9
    assert await prepare(workshop, plain())


async def test_a_file_that_names_its_parts_without_end_is_told_with_a_few(workshop: Workshop) -> None:
    parts = unpacked(await sealer().put(plain_ofd()))
    parts |= {f"{'x' * 250}/{'长' * 70}{number}": b"" for number in range(3_000)}
    (process,) = workshop._all

    (finding,) = await workshop.inspect(package(parts), roots=[], moment=NOW)

    assert len(finding.uncovered_parts) == MOST_NAMED
    assert {len(name) for name in finding.uncovered_parts} == {LONGEST_TEXT}
    assert workshop._all == {process}


async def test_a_worker_that_dies_between_jobs_is_replaced(workshop: Workshop) -> None:
    (process,) = workshop._all
    process.kill()
    await process.wait()

    assert await prepare(workshop, plain())


async def test_a_caller_that_hangs_up_leaves_a_clean_worker(workshop: Workshop) -> None:
    task = asyncio.create_task(prepare(workshop, plain(500) + REMARK))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await prepare(workshop, plain(2))).document.startswith(plain(2))


async def test_more_than_may_wait_are_told_to_come_back() -> None:
    workshop = Workshop(workers=1, wall_seconds=1.0, waiting=2, waiting_seconds=0.3)
    await workshop.open()
    (process,) = workshop._all
    process.send_signal(19)

    results = await asyncio.gather(*(prepare(workshop, plain()) for _ in range(5)), return_exceptions=True)

    assert all(isinstance(it, WorkshopBusyError) for it in results)
    assert sum("are waiting" in str(it) for it in results) == 2
    await workshop.close()


async def test_workers_end_with_the_workshop() -> None:
    workshop = Workshop(workers=2)
    await workshop.open()
    processes = list(workshop._all)

    await workshop.close()

    assert [process.returncode for process in processes] == [-9, -9]
