from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from tests.component.eseal.harness import OTHER_OFFICE, Desk, reason
from tests.unit.eseal.documents import OFFICE, OFFICE_CODE


async def test_an_office_sees_the_seals_that_it_may_use(desk: Desk) -> None:
    ours = await desk.make_seal()
    lent = await desk.make_seal(
        owner_code=OTHER_OFFICE, owner_name="韶关市公安局", users=[(OTHER_OFFICE, ""), (OFFICE_CODE, "")]
    )
    await desk.make_seal(owner_code=OTHER_OFFICE, owner_name="韶关市公安局", kind="户政专用章", users=[])

    listed = await desk.seals()

    assert {seal.id for seal in listed.seals} == {str(ours), str(lent)}
    own = next(seal for seal in listed.seals if seal.id == str(ours))
    assert (own.name, own.owner_code, own.owner_name) == (OFFICE + "行政审批专用章", OFFICE_CODE, OFFICE)
    assert own.state == pb.SEAL_STATE_IN_FORCE
    assert len(own.certificate_sha256) == 64
    assert listed.next_page_token == ""
    assert desk.ledger.entries == []


async def test_a_matter_narrows_the_list(desk: Desk) -> None:
    await desk.make_seal(users=[(OFFICE_CODE, "company-change")])

    assert (await desk.seals()).seals == []
    for matter in ("company-change", ""):
        assert len((await desk.seals(replace(desk.asking, matter_code=matter))).seals) == 1


async def test_states_are_told(desk: Desk) -> None:
    await desk.make_seal()

    async def state() -> int:
        return (await desk.seals()).seals[0].state

    desk.clock.advance(timedelta(days=366))
    assert await state() == pb.SEAL_STATE_EXPIRED
    await desk.execute("UPDATE seal SET standing = 2")
    assert await state() == pb.SEAL_STATE_SUSPENDED
    await desk.execute("UPDATE seal SET standing = 3")
    assert await state() == pb.SEAL_STATE_REVOKED


async def test_pages_follow_one_another_without_gap_or_repeat(desk: Desk) -> None:
    made = {str(await desk.make_seal(kind=f"业务专用章{serial}")) for serial in range(1, 8)}

    seen: list[str] = []
    token = ""
    while True:
        page = await desk.seals(page_size=3, page_token=token)
        seen += [seal.id for seal in page.seals]
        token = page.next_page_token
        if not token:
            break
        assert len(page.seals) == 3

    assert len(seen) == 7
    assert set(seen) == made


@pytest.mark.parametrize("token", ["x", "????", "AAAA", "A" * 22 + "AA"])
async def test_a_page_token_that_is_not_ours_is_refused(desk: Desk, token: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.seals(page_token=token)

    assert reason(failure.value) == "REQUEST_INVALID"


async def test_without_an_office_there_is_no_list(desk: Desk) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.seals(replace(desk.asking, office=""))

    assert reason(failure.value) == "REQUEST_INVALID"
