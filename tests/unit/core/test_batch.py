"""Items of a batch under their own deadlines: what nobody waits for any more is not begun."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from onestop.licence.v1 import licence_pb2 as pb

from core.batch import answer_inner_batch
from core.status import from_status
from core.wire import set_instant


def item(seconds: float, case_number: str) -> pb.SearchLicencesItem:
    made = pb.SearchLicencesItem()
    made.context.basis.case_number = case_number
    set_instant(made.context.deadline, datetime.now(UTC) + timedelta(seconds=seconds))
    return made


async def test_an_item_whose_deadline_has_passed_is_not_begun() -> None:
    begun: list[str] = []

    async def one(asked: pb.SearchLicencesItem) -> pb.SearchLicencesResult:
        begun.append(asked.context.basis.case_number)
        return pb.SearchLicencesResult()

    items = [item(-0.001, "late"), item(30, "in time")]
    late, in_time = await answer_inner_batch(items, pb.SearchLicencesResult, one)

    assert begun == ["in time"]
    assert from_status(late.error).reason == "DEADLINE_PASSED"
    assert not in_time.HasField("error")


async def test_an_item_ends_at_its_deadline_and_holds_up_no_other() -> None:
    ended: list[str] = []

    async def one(asked: pb.SearchLicencesItem) -> pb.SearchLicencesResult:
        number = asked.context.basis.case_number
        try:
            await asyncio.sleep(5 if number == "slow" else 0)
        finally:
            ended.append(number)
        return pb.SearchLicencesResult()

    async with asyncio.timeout(2):
        slow, quick = await answer_inner_batch(
            [item(0.05, "slow"), item(30, "quick")], pb.SearchLicencesResult, one
        )

    assert from_status(slow.error).reason == "DEADLINE_PASSED"
    assert not quick.HasField("error")
    assert ended == ["quick", "slow"]
