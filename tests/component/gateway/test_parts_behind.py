"""What callers are told of a part that is down, late or wrong; and look-ups that share batches."""

from __future__ import annotations

import asyncio

from core.errors import UnavailableError, fault_error
from tests.component.gateway.asserting import SEARCH, assert_problem
from tests.component.gateway.conftest import CASE, HOLDER, Gateway, GatewayMaker


async def test_rate_limit_is_each_caller_s_own(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(approval_limit="2 per minute")
    platform, other = await gateway.machine("approval-platform"), await gateway.machine("other-platform")

    answers = [await platform.get("/approval/v1/matters") for _ in range(3)]
    elsewhere = await other.get("/approval/v1/matters")

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_problem(answers[2], 429, "RATE_LIMITED")
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 61
    assert elsewhere.status_code == 200


async def test_part_that_is_down_is_named(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(down=("licence",))
    platform = await gateway.machine()

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)
    other = await platform.get("/approval/v1/matters")

    assert assert_problem(answer, 503, "PART_DOWN")["part"] == "licence"
    assert int(answer.headers["Retry-After"]) >= 1
    assert other.status_code == 200


async def test_source_behind_a_part_that_is_down_is_named(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.failures["autofill"] = UnavailableError("down", part="datanode", retry_after=7.2)

    answer = await platform.post(
        "/approval/v1/matters/sole-trader-registration:autofill",
        json={
            "case": {name: value for name, value in CASE.items() if name != "matter_code"},
            "subjects": {"applicant": HOLDER},
        },
    )

    assert assert_problem(answer, 503, "PART_DOWN")["part"] == "datanode"
    assert answer.headers["Retry-After"] == "8"


async def test_late_part_is_named(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.delays = {"search": 3, "get_matter": 3}

    lookup = await platform.post("/approval/v1/licences:search", json=SEARCH, headers={"Deadline-Ms": "200"})
    plain = await platform.get("/approval/v1/matters/residence-permit", headers={"Deadline-Ms": "200"})

    assert assert_problem(lookup, 504, "DEADLINE_PASSED")["part"] == "licence"
    assert assert_problem(plain, 504, "DEADLINE_PASSED")["part"] == "autofill"


async def test_answer_without_a_receipt_does_not_leave(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.without_receipt = True

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    assert_problem(answer, 500, "INTERNAL")
    assert "licence-1" not in answer.text


async def test_unforeseen_failure_of_a_part_tells_nothing(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.answers["get_matter"] = None  # type: ignore[assignment]

    answer = await platform.get("/approval/v1/matters/residence-permit")

    problem = assert_problem(answer, 500, "INTERNAL")
    assert "NoneType" not in answer.text
    assert "trace id" in problem["detail"]


async def test_concurrent_look_ups_share_batches_and_fail_alone(gateway: Gateway) -> None:
    platform = await gateway.machine()
    other = await gateway.machine("other-platform")
    gateway.behind.delays["search"] = 0.05
    gateway.behind.refused_cases["N-7"] = fault_error("holder.code", "check_digit", "is wrong")
    bodies = [{**SEARCH, "case": {**CASE, "case_number": f"N-{number}"}} for number in range(12)]

    answers = await asyncio.gather(
        *(
            (platform if number % 2 else other).post("/approval/v1/licences:search", json=body)
            for number, body in enumerate(bodies)
        )
    )

    assert [answer.status_code for answer in answers] == [200] * 7 + [400] + [200] * 4
    batches = gateway.behind.asked["search_batches"]
    assert len(batches) < 12
    largest = max(batches, key=lambda batch: len(batch.items))
    assert len(largest.credentials) <= 2
    for batch in batches:
        for item in batch.items:
            number = int(item.context.basis.case_number.removeprefix("N-"))
            sender = platform if number % 2 else other
            token = batch.credentials[item.context.credential_index].token
            assert sender.headers["Authorization"] == f"Bearer {token}"
