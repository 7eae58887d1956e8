"""Bodies and headers without end: given up in their time, in little memory, while others are answered."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.component.gateway.conftest import Gateway, GatewayMaker, thumbprint
from tests.component.gateway.pki import Pair
from tests.component.gateway.test_uploads import SEAL

MIB = 1024 * 1024
TOKEN = b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = TOKEN + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class End:
    """How a flood ended: what came back, if its reader was not cut off before; its time; how much more
    memory was in use; and the statuses that the gateway has counted since."""

    answer: bytes
    seconds: float
    grown: int
    counted: set[int]


async def flood(
    gateway: Gateway, context: ssl.SSLContext, head: bytes, pieces: Iterator[bytes], *, pause: float = 0.0
) -> End:
    """Sends until the gateway hangs up, whatever it answers. Fails if it never does.

    What comes after its answer is read and thrown away for a second, so that a caller sees the answer.
    """
    before, memory = counts(gateway), _resident()
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("localhost", gateway.ports["machines"], ssl=context)

    async def send() -> None:
        writer.write(head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    sending = asyncio.create_task(send())
    answer = b""
    try:
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                while piece := await reader.read(65536):
                    answer += piece
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await sending
        writer.close()
    seconds = time.monotonic() - began
    return End(answer, seconds, _resident() - memory, {int(one) for one in counts(gateway) - before})


def counts(gateway: Gateway) -> Counter[str]:
    """Requests that the gateway has answered at the machines' listener, by status."""
    found: Counter[str] = Counter()
    for family in gateway.parts.metrics.requests.collect():
        for sample in family.samples:
            if sample.name.endswith("_total") and sample.labels["listener"] == "machines":
                found[sample.labels["status"]] += int(sample.value)
    return found


def forever(piece: Callable[[int], bytes]) -> Iterator[bytes]:
    yield from map(piece, count())


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


@pytest.fixture
def context(gateway: Gateway) -> ssl.SSLContext:
    """A registered caller's."""
    return gateway.authority.issue("approval-platform").client_context(gateway.authority.root)


async def test_chunks_without_end_are_refused_when_they_are_too_many(
    gateway: Gateway, context: ssl.SSLContext
) -> None:
    end = await flood(gateway, context, CHUNKED, forever(lambda _: chunk(b"a=b&" * 4096)))

    assert end.counted == {413}
    assert end.seconds < 10
    assert end.grown < 32 * MIB


async def test_one_chunk_that_never_ends_is_refused(gateway: Gateway, context: ssl.SSLContext) -> None:
    end = await flood(gateway, context, CHUNKED + b"ffffffffff\r\n", forever(lambda _: b"a" * 65536))

    assert end.counted == {413}
    assert end.seconds < 10
    assert end.grown < 32 * MIB


@pytest.mark.parametrize(
    "garbage",
    [b"xyz\r\nab\r\n", b"-5\r\nhello\r\n", b"5" * 5000 + b"\r\n", b"5;" + b"e" * 100_000 + b"\r\nhello"],
    ids=["no-number", "negative", "many-digits", "extension"],
)
async def test_garbage_between_chunks_is_malformed_or_late(
    make_gateway: GatewayMaker, context: ssl.SSLContext, garbage: bytes
) -> None:
    gateway = await make_gateway(body_seconds=0.5)

    end = await flood(gateway, context, CHUNKED, iter([garbage]))

    assert end.counted <= {400}  # RFC 6749 section 5.2 has no other status for a body that cannot be read.
    assert end.answer == b"" or end.answer.split(b" ", 2)[1] == b"400"
    assert end.counted or end.answer
    assert end.seconds < 10


async def test_a_body_that_drips_for_ever_is_late(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(body_seconds=0.5)
    context = gateway.authority.issue("approval-platform").client_context(gateway.authority.root)

    end = await flood(gateway, context, CHUNKED, forever(lambda _: chunk(b"a")), pause=0.05)

    assert end.counted == {400}  # As above; other paths say 408.
    assert end.seconds < 10


async def test_headers_that_drip_for_ever_are_given_up(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(idle_seconds=0.5)
    context = gateway.authority.issue("approval-platform").client_context(gateway.authority.root)

    end = await flood(gateway, context, TOKEN + b"A: ", forever(lambda _: b"b"), pause=0.05)

    assert (end.answer, end.counted) == (b"", set())
    assert end.seconds < 10


PART = b'--x\r\nContent-Disposition: form-data; name="document"\r\n'
FLOODS: dict[str, tuple[bytes, Callable[[int], bytes], int]] = {
    "parts": (b"", lambda n: b'--x\r\nContent-Disposition: form-data; name="p%d"\r\n\r\ny\r\n' % n, 400),
    "the same part": (b"", lambda _: PART + b"\r\ny\r\n", 400),
    "headers of a part": (PART, lambda n: b"A-%d: b\r\n" % n, 400),
    "a header's line": (PART + b"A: ", lambda _: b"b" * 4096, 400),
    "a document": (PART + b"\r\n", lambda _: b"y" * 65536, 413),
    "what is nearly a boundary": (PART + b"\r\n", lambda _: b"\r\n--y" * 8192, 413),
    "a line before the first boundary": (b"", lambda _: b"no boundary, and no line's end " * 1000, 400),
}


@pytest.mark.parametrize("what", FLOODS)
async def test_multipart_floods_are_refused_early(make_gateway: GatewayMaker, what: str) -> None:
    gateway = await make_gateway(largest_document=MIB)
    start, piece, status = FLOODS[what]
    pair = gateway.authority.issue("approval-platform")
    context = pair.client_context(gateway.authority.root)
    pieces = (chunk(piece(number)) for number in count())

    end = await flood(gateway, context, upload_head(gateway, pair) + (chunk(start) if start else b""), pieces)

    assert end.counted == {status}
    assert end.seconds < 10
    assert end.grown < 32 * MIB
    assert not gateway.behind.asked["sign"]


async def test_a_preamble_without_end_is_late(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(body_seconds=0.5)
    pair = gateway.authority.issue("approval-platform")
    context = pair.client_context(gateway.authority.root)
    lines = forever(lambda _: chunk(b"a line before the first boundary\r\n"))

    end = await flood(gateway, context, upload_head(gateway, pair), lines, pause=0.01)

    assert end.counted == {408}
    assert end.seconds < 10


def upload_head(gateway: Gateway, pair: Pair) -> bytes:
    """The head of an upload by a machine that may make it."""
    token = gateway.behind.token(thumbprint(pair), client="approval-platform")
    lines = [
        f"POST {SEAL} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        "Idempotency-Key: flood-1",
        "Content-Type: multipart/form-data; boundary=x",
        "Transfer-Encoding: chunked",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_a_caller_that_goes_amid_its_body_is_no_fault_of_the_gateway(
    gateway: Gateway, context: ssl.SSLContext, capsys: pytest.CaptureFixture[str]
) -> None:
    before = counts(gateway)
    _, writer = await asyncio.open_connection("localhost", gateway.ports["machines"], ssl=context)
    writer.write(CHUNKED + chunk(b"grant_type="))
    await writer.drain()
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.02)
            if gateway.parts.metrics.in_flight.labels("machines")._value.get():
                break
        writer.transport.abort()
        while True:
            await asyncio.sleep(0.02)
            if ended := counts(gateway) - before:
                break

    assert dict(ended) == {"499": 1}
    assert "request_failed" not in "".join(capsys.readouterr())


async def test_others_are_answered_while_a_hundred_connections_drip(
    make_gateway: GatewayMaker, context: ssl.SSLContext
) -> None:
    gateway = await make_gateway()
    drips = []
    for number in range(100):
        opened = asyncio.open_connection("localhost", gateway.ports["machines"], ssl=context)
        _, writer = await opened
        writer.write((TOKEN if number % 2 else CHUNKED + b"5\r\nab")[: -(number % 7) or None])
        drips.append(writer)
    person = await gateway.person()
    peak = _resident()

    began = time.monotonic()
    answers = [await person.get("/openapi.json") for _ in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    assert time.monotonic() - began < 10
    assert _resident() - peak < 64 * MIB
    assert json.loads(answers[0].content)["openapi"].startswith("3.1")
    for writer in drips:
        writer.close()


def _resident() -> int:
    """Memory of this process, which the gateway runs in, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
