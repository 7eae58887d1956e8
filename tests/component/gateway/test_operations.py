"""The operators' listener, and the gateway's end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from onestop.ledger.v1 import ledger_pb2

from core.errors import UnavailableError
from gateway.server import refuse_open_operations
from tests.component.gateway.conftest import CASE, HOLDER, TYPE_CODE, Gateway, GatewayMaker

SEARCH = {"case": CASE, "holder": HOLDER, "type_codes": [TYPE_CODE]}


async def operations(gateway: Gateway, path: str) -> httpx2.Response:
    """What the operators' listener answers."""
    async with httpx2.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{gateway.ports['operations']}{path}")


async def test_alive_and_ready_when_every_part_is_well(gateway: Gateway) -> None:
    alive, ready = await operations(gateway, "/healthz"), await operations(gateway, "/readyz")

    assert alive.json() == {"status": "ok"}
    assert ready.status_code == 200
    assert set(ready.json()["parts"]) == {
        "ledger",
        "issuer",
        "licence",
        "datanode",
        "autofill",
        "eseal",
        "agricredit",
        "sessions",
    }


async def test_not_ready_while_a_part_is_down_but_alive(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(down=("datanode",))

    ready, alive = await operations(gateway, "/readyz"), await operations(gateway, "/healthz")

    assert ready.status_code == 503
    assert ready.json()["parts"]["datanode"] == "down"
    assert ready.json()["parts"]["licence"] == "ok"
    assert alive.status_code == 200


async def test_not_ready_while_the_ledger_cannot_prove(gateway: Gateway) -> None:
    gateway.behind.failures["checkpoint"] = UnavailableError("read-only")

    ready = await operations(gateway, "/readyz")

    assert (ready.status_code, ready.json()["parts"]["ledger"]) == (503, "down")


async def test_witness_that_refuses_is_shown_and_takes_no_traffic_away(gateway: Gateway) -> None:
    witnesses = [
        ledger_pb2.WitnessStanding(name="north", state=ledger_pb2.WITNESS_STATE_COSIGNS, size=9),
        ledger_pb2.WitnessStanding(name="south", state=ledger_pb2.WITNESS_STATE_REFUSES, size=5),
    ]
    gateway.behind.answers["witnesses"] = ledger_pb2.ListWitnessesResponse(witnesses=witnesses, size=9)

    ready, metrics = await operations(gateway, "/readyz"), await operations(gateway, "/metrics")

    assert ready.status_code == 200
    assert ready.json()["witnesses"] == {"north": "cosigns", "south": "refuses"}
    assert 'onestop_gateway_witness_cosigns{witness="north"} 1.0' in metrics.text
    assert 'onestop_gateway_witness_cosigns{witness="south"} 0.0' in metrics.text
    assert 'onestop_gateway_witness_size{witness="south"} 5.0' in metrics.text
    assert "onestop_gateway_ledger_size 9.0" in metrics.text


async def test_ledger_that_says_nothing_of_witnesses_is_ready_all_the_same(gateway: Gateway) -> None:
    gateway.behind.failures["witnesses"] = UnavailableError("an older ledger")

    ready = await operations(gateway, "/readyz")

    assert (ready.status_code, ready.json()["witnesses"]) == (200, {})


async def test_draining_gateway_is_not_ready(gateway: Gateway) -> None:
    gateway.operations.drain()

    ready = await operations(gateway, "/readyz")

    assert (ready.status_code, ready.json()["status"]) == (503, "draining")


async def test_metrics_name_routes_and_never_what_was_asked_about(gateway: Gateway) -> None:
    platform = await gateway.machine()
    await platform.get("/approval/v1/matters/residence-permit")
    await platform.get(f"/approval/v1/{HOLDER['code']}")
    await platform.request("PROPFIND", "/approval/v1/matters")

    text = (await operations(gateway, "/metrics")).text

    assert 'route="/approval/v1/matters/{code}"' in text
    assert 'method="OTHER"' in text
    assert "onestop_gateway_part_seconds" in text
    assert HOLDER["code"] not in text
    assert "residence-permit" not in text


async def test_operations_are_on_no_other_listener(gateway: Gateway) -> None:
    platform, nobody = await gateway.machine(), await gateway.person()

    answers = [await client.get("/metrics") for client in (platform, nobody)]

    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize("address", ["0.0.0.0:8445", "192.0.2.1:8445", "[::]:8445"])
def test_operations_listen_on_loopback_only(address: str) -> None:
    with pytest.raises(SystemExit, match="loopback"):
        refuse_open_operations(address)


async def test_a_body_that_is_still_arriving_when_the_gateway_stops_is_read_and_answered(
    make_gateway: GatewayMaker,
) -> None:
    gateway = await make_gateway(drain_seconds=5.0)
    platform = await gateway.machine()
    body = json.dumps(SEARCH).encode()
    stopping = asyncio.Event()
    half_sent = asyncio.Event()

    async def halves() -> AsyncIterator[bytes]:
        yield body[:20]
        half_sent.set()
        await stopping.wait()
        yield body[20:]

    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    sending = asyncio.create_task(
        platform.post("/approval/v1/licences:search", content=halves(), headers=headers)
    )
    await half_sent.wait()
    await asyncio.sleep(0.2)
    began = time.monotonic()
    closing = asyncio.create_task(gateway.stop())
    await asyncio.sleep(0.2)
    ready = await operations(gateway, "/readyz")
    stopping.set()
    answer = await sending
    await closing

    assert answer.status_code == 200, answer.text
    assert answer.headers["Connection"] == "close"
    assert time.monotonic() - began < 4.0, "it waited for nobody"
    assert ready.status_code in {200, 503}, "the operators are told until the end"


async def test_request_in_flight_is_finished_when_the_gateway_stops(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(drain_seconds=5.0)
    platform = await gateway.machine()
    gateway.behind.delays["search"] = 0.8

    request = asyncio.create_task(platform.post("/approval/v1/licences:search", json=SEARCH))
    await asyncio.sleep(0.4)
    assert gateway.behind.asked["search"]
    closing = asyncio.create_task(gateway.stop())
    answer = await request
    await closing

    assert answer.status_code == 200
    with pytest.raises(httpx2.TransportError):
        await platform.get("/approval/v1/matters")
