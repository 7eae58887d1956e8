"""What is not well-formed HTTP, spoken over a raw TLS connection."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.component.gateway.conftest import Gateway, GatewayMaker


async def speak(gateway: Gateway, text: bytes, *, seconds: float = 5.0) -> bytes:
    """Everything that the people's listener answers until it hangs up."""
    reader, writer = await asyncio.open_connection(
        "localhost", gateway.ports["people"], ssl=gateway.authority.trusting_context()
    )
    try:
        writer.write(text)
        await writer.drain()
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "text",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /docs HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /docs HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nabcde",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /docs HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A-%d: b\r\n" % n for n in range(200)) + b"\r\n",
        b"GET /docs HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000 + b"\r\n\r\n",
        b"GET /docs HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A-%d: b\r\n" % n for n in range(10_000)) + b"\r\n",
        b"GET /docs HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=[
        "nonsense",
        "version",
        "header",
        "both-lengths",
        "two-lengths",
        "negative",
        "line",
        "headers",
        "field",
        "ten-thousand",
        "folded",
        "http-2",
        "coding-and-length",
        "underscore",
        "null",
    ],
)
async def test_malformed_request_is_told_as_a_problem_and_the_connection_ends(
    gateway: Gateway, text: bytes
) -> None:
    answer = await speak(gateway, text)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.splitlines()[0].split()[1] == b"400", head
    assert b"aiohttp" not in head
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert problem["reason"] == "HTTP_MALFORMED"
    assert b"aaaa" not in body


async def test_connection_that_says_nothing_is_closed(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(idle_seconds=0.3)

    silent = await speak(gateway, b"")
    dripping = await speak(gateway, b"GET /docs HTTP/1.1\r\nHost: x\r\nSlow: ")

    assert silent == dripping == b""


async def test_plain_http_on_a_tls_port_gets_nothing(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("localhost", gateway.ports["people"])
    writer.write(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n")

    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()

    assert b"200" not in answer
