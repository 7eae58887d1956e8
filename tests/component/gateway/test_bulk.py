"""Many documents by one call: lines in, lines out as documents are ready."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import httpx2
import pytest

from core.errors import UnavailableError
from tests.component.gateway.asserting import assert_problem
from tests.component.gateway.conftest import CASE, Gateway, GatewayMaker, thumbprint

BULK = "/approval/v1/seals/0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c:sign_bulk"
LINES = {"Content-Type": "application/x-ndjson"}


def line(number: int, document: bytes = b"%PDF a letter", **more: object) -> bytes:
    """A document under a key of its own."""
    said = {
        "key": f"key-{number}",
        "case": {**CASE, "case_number": f"A-{number}"},
        "document": base64.b64encode(document).decode(),
        **more,
    }
    return json.dumps(said).encode() + b"\n"


def answers(text: str) -> list[Any]:
    return [json.loads(one) for one in text.splitlines()]


async def ask(
    platform: httpx2.AsyncClient, body: bytes, headers: Mapping[str, str] = LINES
) -> httpx2.Response:
    return await platform.post(BULK, content=body, headers=dict(headers))


async def test_each_line_is_answered_by_its_number_and_key_and_the_sums_come_last(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answer = await ask(platform, b"".join(line(number) for number in range(1, 101)))

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    *sealed, last = answers(answer.text)
    assert [(one["line"], one["key"]) for one in sealed] == [(n, f"key-{n}") for n in range(1, 101)]
    assert {base64.b64decode(one["document"]) for one in sealed} == {b"%PDF a lettersealed"}
    assert all(one["receipt"]["id"] and one["signature_id"] == "sig-1" for one in sealed)
    assert last == {"summary": {"lines": 100, "sealed": 100, "failed": 0}}
    first, *rest = gateway.behind.asked["seal_documents"]
    assert first.credential.token
    assert not any(one.HasField("credential") for one in rest)
    items = [item for one in rest for item in one.items]
    assert items[6].context.basis.case_number == "A-7"
    assert items[6].context.request_id == "key-7"
    assert max(len(one.items) for one in rest) > 1


async def test_a_line_that_is_none_is_its_own_error_and_harms_no_other(gateway: Gateway) -> None:
    platform = await gateway.machine()
    lines = [
        line(1),
        b"no json\n",
        b"\n",
        line(3, extra=1),
        line(4, case={}),
        b'{"key":"key-5"}\n',
        json.dumps({"case": CASE}).encode() + b"\n",
        line(7, document=b"bad"),
        line(8, place={"page": "first"}),
        line(9).rstrip(),
    ]

    answer = await ask(platform, b"".join(lines))

    *told, last = answers(answer.text)
    by_line = {one["line"]: one for one in told}
    assert sorted(by_line) == list(range(1, 10))
    assert [number for number, one in sorted(by_line.items()) if "receipt" in one] == [1, 9]
    wrong = {
        number: [fault["field"] for fault in one["error"]["errors"]]
        for number, one in by_line.items()
        if "error" in one
    }
    assert wrong == {
        2: ["line"],
        3: ["extra"],
        4: ["case.matter_code", "case.case_number", "case.office"],
        5: ["case"],
        6: ["key"],
        7: ["document"],
        8: ["place.page"],
    }
    assert {one["error"]["reason"] for one in told if "error" in one} == {"REQUEST_INVALID"}
    assert (by_line[5]["key"], by_line[6]["key"]) == ("key-5", "")
    assert last == {"summary": {"lines": 9, "sealed": 2, "failed": 7}}


async def test_a_line_that_is_too_long_is_refused_alone_and_not_kept(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(longest_line=2000)
    platform = await gateway.machine()

    answer = await ask(platform, line(1) + line(2, document=bytes(300_000)) + line(3))

    by_line = {one["line"]: one for one in answers(answer.text)[:-1]}
    assert "receipt" in by_line[1]
    assert by_line[2]["error"]["errors"][0]["rule"] == "length"
    assert "receipt" in by_line[3]


async def test_answers_come_while_lines_are_sent(gateway: Gateway) -> None:
    """Whoever sends the next line when the last one is answered gets on; nothing waits for the end."""
    pair = gateway.authority.issue("approval-platform")
    turn: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while (piece := await turn.get()) is not None:
            yield piece

    headers = {**LINES, "Authorization": f"Bearer {gateway.behind.token(thumbprint(pair))}"}
    tls = pair.client_context(gateway.authority.root)
    async with aiohttp.ClientSession() as session:
        turn.put_nowait(line(1))
        async with session.post(gateway.machines_url + BULK, data=body(), headers=headers, ssl=tls) as answer:
            for number in range(1, 6):
                assert json.loads(await answer.content.readline())["line"] == number
                turn.put_nowait(line(number + 1) if number < 5 else None)
            assert "summary" in json.loads(await answer.content.readline())


async def test_nothing_sent_is_answered_by_the_sums_alone(gateway: Gateway) -> None:
    platform = await gateway.machine()

    assert answers((await ask(platform, b"\n")).text) == [{"summary": {"lines": 0, "sealed": 0, "failed": 0}}]


async def test_what_fails_before_anything_is_answered_is_the_answer_and_later_the_last_line(
    gateway: Gateway,
) -> None:
    platform = await gateway.machine()

    half = await ask(platform, line(1) + line(2, document=b"die"))
    gateway.behind.failures["seal_documents"] = UnavailableError("no", retry_after=3.0)
    refused = await ask(platform, line(1))

    assert half.status_code == 200
    *told, last = answers(half.text)
    assert [one["line"] for one in told] == [1, 2]
    assert (last["problem"]["reason"], last["problem"]["status"]) == ("PART_DOWN", 503)
    assert_problem(refused, 503, "PART_DOWN")
    assert refused.headers["Retry-After"] == "3"


async def test_an_answer_without_a_receipt_does_not_leave(gateway: Gateway) -> None:
    platform = await gateway.machine()
    gateway.behind.without_receipt = True

    assert_problem(await ask(platform, line(1)), 500, "INTERNAL")


async def test_another_type_another_scope_or_no_id_is_refused(gateway: Gateway) -> None:
    platform = await gateway.machine()
    other = await gateway.machine(scope="licence.read")
    bad = BULK.replace("0b4c2a8e", "no")

    assert_problem(
        await ask(platform, line(1), {"Content-Type": "application/json"}), 415, "CONTENT_TYPE_UNSUPPORTED"
    )
    assert_problem(await ask(other, line(1)), 403, "SCOPE_MISSING")
    refused = await platform.post(bad, content=line(1), headers=LINES)
    assert_problem(refused, 400, "REQUEST_INVALID")
    assert refused.json()["errors"][0]["field"] == "id"


async def test_a_stream_of_which_no_line_comes_is_ended(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(idle_stream_seconds=0.2)
    platform = await gateway.machine()

    async def slow() -> AsyncIterator[bytes]:
        yield line(1)
        await asyncio.sleep(1.0)

    answer = await platform.post(BULK, content=slow(), headers=LINES)

    told, last = answers(answer.text)
    assert told["line"] == 1
    assert last["problem"]["reason"] == "BODY_LATE"


async def test_one_caller_holds_half_of_the_streams(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(most_streams=2)
    platform = await gateway.machine()
    asked, end = asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield line(1)
        asked.set()
        await end.wait()

    first = asyncio.ensure_future(platform.post(BULK, content=held(), headers=LINES))
    await asked.wait()
    while not gateway.behind.asked["seal_documents"]:  # noqa: ASYNC110  # it sets no event
        await asyncio.sleep(0.01)
    second = await ask(platform, line(2))
    end.set()

    assert_problem(second, 503, "UPLOADS_FULL")
    assert (await first).status_code == 200


@pytest.mark.parametrize("lines", [1, 3])
async def test_whoever_goes_away_ends_the_stream_behind(gateway: Gateway, lines: int) -> None:
    pair = gateway.authority.issue("approval-platform")
    headers = {**LINES, "Authorization": f"Bearer {gateway.behind.token(thumbprint(pair))}"}

    async def endless() -> AsyncIterator[bytes]:
        for number in range(lines):
            yield line(number)
        await asyncio.Event().wait()

    async with aiohttp.ClientSession() as session:
        tls = pair.client_context(gateway.authority.root)
        answer = await session.post(gateway.machines_url + BULK, data=endless(), headers=headers, ssl=tls)
        await answer.content.readline()
        answer.close()

    async with asyncio.timeout(5):
        while gateway.parts.streams._held:  # noqa: ASYNC110  # it sets no event
            await asyncio.sleep(0.01)
