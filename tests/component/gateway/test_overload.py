"""More than can be served: who is turned away is told so at once, the others are served."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx2

from tests.component.gateway.asserting import SEARCH, assert_problem
from tests.component.gateway.conftest import CASE, Gateway, GatewayMaker

FILL = "/approval/v1/matters/sole-trader-registration:autofill"
FORM = {
    "case": {name: value for name, value in CASE.items() if name != "matter_code"},
    "subjects": {"applicant": {"code_type": "111", "code": "440299198001010012"}},
}
SEARCHES = "/approval/v1/licences:search"


async def ask(
    client: httpx2.AsyncClient, path: str, body: Any, **headers: str
) -> tuple[httpx2.Response, float]:
    began = time.monotonic()
    answer = await client.post(path, json=body, headers=headers)
    return answer, time.monotonic() - began


def asked(gateway: Gateway, name: str) -> int:
    return len(gateway.behind.asked[name])


async def under_way(gateway: Gateway, fillings: int) -> None:
    """Waits until so many have reached the part."""
    async with asyncio.timeout(5):
        while asked(gateway, "autofill") < fillings:  # noqa: ASYNC110  # the part behind has no event to wait for
            await asyncio.sleep(0.01)


async def test_beyond_places_and_queue_one_is_told_when_to_come_back(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(most_at_part=2, most_waiting=1, wait_seconds=0.2)
    platform = await gateway.machine()
    gateway.behind.delays["autofill"] = 1.0

    answers = await asyncio.gather(*(ask(platform, FILL, FORM) for _ in range(8)))

    served = [one for one, _ in answers if one.status_code == 200]
    shed = [(one, seconds) for one, seconds in answers if one.status_code != 200]
    assert len(served) == 2
    for one, seconds in shed:
        assert assert_problem(one, 503, "OVERLOADED")["part"] == "autofill"
        assert int(one.headers["Retry-After"]) >= 1
        assert seconds < 0.9, "it was told no sooner than the others were served"
    assert asked(gateway, "autofill") == 2, "what was turned away was worked on"
    async with httpx2.AsyncClient() as operator:
        shown = (await operator.get(f"http://127.0.0.1:{gateway.ports['operations']}/metrics")).text
    assert 'onestop_gateway_shed_total{part="autofill"} 6.0' in shown


async def test_a_part_that_hangs_fills_its_own_places_alone(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(most_at_part=1, most_waiting=0)
    platform = await gateway.machine()
    gateway.behind.delays["autofill"] = 1.0
    hanging = asyncio.create_task(ask(platform, FILL, FORM))
    await under_way(gateway, 1)

    refused, _ = await ask(platform, FILL, FORM)
    found, seconds = await ask(platform, SEARCHES, SEARCH)

    assert_problem(refused, 503, "OVERLOADED")
    assert found.status_code == 200, found.text
    assert seconds < 0.9
    assert (await hanging)[0].status_code == 200
    assert (await ask(platform, FILL, FORM))[0].status_code == 200, "its place was not given back"


async def test_a_deadline_that_passes_in_the_queue_is_not_worked_on(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(most_at_part=1, most_waiting=4)
    platform = await gateway.machine()
    gateway.behind.delays["autofill"] = 0.8
    first = asyncio.create_task(ask(platform, FILL, FORM))
    await under_way(gateway, 1)

    late, seconds = await ask(platform, FILL, FORM, **{"Deadline-Ms": "200"})
    await first
    await asyncio.sleep(0.1)

    assert_problem(late, 504, "DEADLINE_PASSED")
    assert seconds < 0.7
    assert asked(gateway, "autofill") == 1, "it was worked on after its deadline"


async def test_a_part_that_is_late_with_everything_is_asked_less_until_it_is_well(
    make_gateway: GatewayMaker,
) -> None:
    gateway = await make_gateway(most_at_part=32, most_waiting=0)
    platform = await gateway.machine()
    gateway.behind.delays["autofill"] = 5.0

    first = await asyncio.gather(*(ask(platform, FILL, FORM, **{"Deadline-Ms": "1100"}) for _ in range(32)))
    reached = asked(gateway, "autofill")
    second = await asyncio.gather(*(ask(platform, FILL, FORM, **{"Deadline-Ms": "1100"}) for _ in range(32)))
    reached_later = asked(gateway, "autofill") - reached
    gateway.behind.delays.clear()
    well = [await ask(platform, FILL, FORM) for _ in range(4)]

    assert {one.status_code for one, _ in first} == {504}
    assert reached == 32
    assert reached_later < 16, "it was asked as much as before"
    assert sorted({one.status_code for one, _ in second}) == [503, 504]
    assert {one.status_code for one, _ in well} == {200}


async def test_one_caller_reads_no_more_than_half(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(most_requests=4)
    platform, other = await gateway.machine(), await gateway.machine("other-platform")
    gateway.behind.delays["autofill"] = 0.6
    hanging = [asyncio.create_task(ask(platform, FILL, FORM)) for _ in range(2)]
    await under_way(gateway, 2)

    refused, _ = await ask(platform, SEARCHES, SEARCH)
    served, _ = await ask(other, SEARCHES, SEARCH)

    assert assert_problem(refused, 503, "OVERLOADED")["part"] == "gateway"
    assert served.status_code == 200, served.text
    for task in hanging:
        assert (await task)[0].status_code == 200
