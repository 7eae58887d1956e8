"""What is no message, or far too large a one, sent to every part by peers whom it listens to."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from core.access import CALLERS
from core.config import PARTS
from core.rpc import LARGEST_MESSAGE
from tests.city import City

MIB = 1024 * 1024
SECONDS = 20.0
HEALTH = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"

TELLABLE = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.NOT_FOUND}
"""Refused as the caller's fault, by name."""


@contextmanager
def connected(city: City, part: str, name: str) -> Iterator[grpc.Channel]:
    """To a part, with the certificate of `name`; the sender itself has no limit."""
    pki = city.settings.pki
    pair = (pki / f"{name}.key").read_bytes(), (pki / f"{name}.crt").read_bytes()
    credentials = grpc.ssl_channel_credentials((pki / "ca.crt").read_bytes(), *pair)
    options = [("grpc.max_send_message_length", -1)]
    with grpc.secure_channel(
        f"localhost:{city.settings.ports[part]}", credentials, options=options
    ) as opened:
        yield opened


def answer(
    channel: grpc.Channel, method: str, body: bytes, packed: bool = False
) -> tuple[grpc.StatusCode, str]:
    """How a call with this body ends: its code, and what is told."""
    call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
    compression = grpc.Compression.Gzip if packed else None
    try:
        call(body, timeout=SECONDS, compression=compression)
    except grpc.RpcError as error:
        return grpc.StatusCode(error.code()), str(error.details())
    return grpc.StatusCode.OK, ""


def methods(part: str) -> list[tuple[str, str]]:
    """The part's own methods, and somebody who may call each."""
    return [
        (method, sorted(names)[0])
        for method, names in CALLERS.items()
        if method.startswith(f"/onestop.{part}.")
    ]


def varint(number: int) -> bytes:
    """A length as the wire has it (protobuf encoding, base 128 varints)."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def nested(tag: int, depth: int) -> bytes:
    """A message inside a message inside a message."""
    body = b""
    for _ in range(depth):
        body = bytes([tag]) + varint(len(body)) + body
    return body


def malformed() -> Iterator[tuple[str, bytes]]:
    """What cannot be a message, whichever the method."""
    yield "cut off", b"\x0a\x05ab"
    yield "a length past the end of memory", b"\x0a\xff\xff\xff\xff\x0f"
    yield "a varint without end", b"\x08" + b"\xff" * 64
    yield "a group that is closed and was never opened", b"\x0c"
    yield "100,000 groups, one in another", b"\x0b" * 100_000
    yield "a wire type that does not exist", b"\x0f"


def strange() -> Iterator[tuple[str, bytes]]:
    """What can be a message by its form, and says nothing that a method could mean."""
    yield "nothing", b""
    yield "field number 0", b"\x00\x00"
    yield "unknown fields alone", b"\xfa\x7f\x03abc" * 1000
    yield "4 MiB and a byte", b"\xfa\x7f" + varint(4 * MIB + 1) + b"a" * (4 * MIB + 1)
    for tag in (0x0A, 0x12, 0x1A):
        yield f"5,000 messages, one in another, field {tag >> 3}", nested(tag, 5_000)
    for tag in (0x08, 0x10, 0x18):
        yield f"a number where a message is meant, field {tag >> 3}", bytes([tag, 1])
    chance = random.Random(20_261_128)
    for number in range(40):
        yield f"random bytes {number}", chance.randbytes(chance.randrange(1, 400))


@pytest.fixture(params=PARTS)
def part(request: pytest.FixtureRequest, city: City) -> Iterator[str]:
    """Each part in turn; afterwards it is the process that it was, and well."""
    name: str = request.param
    before = city.pid(name)
    yield name
    with connected(city, name, "supervisor") as channel:
        call = channel.unary_unary(HEALTH, request_serializer=bytes, response_deserializer=bytes)
        assert call(b"", timeout=SECONDS) == SERVING
    assert city.pid(name) == before


def log_of(city: City, part: str) -> bytes:
    return (city.settings.logs / f"{part}.log").read_bytes()


def test_what_is_no_message_is_refused_by_name_and_leaves_no_traceback(city: City, part: str) -> None:
    start = len(log_of(city, part))

    for method, name in methods(part):
        with connected(city, part, name) as channel:
            for what, body in malformed():
                code, told = answer(channel, method, body)
                assert code is grpc.StatusCode.INVALID_ARGUMENT, (method, what, code, told)
                assert told == "request: must be a message of the contract", (method, what)

    assert b"Traceback" not in log_of(city, part)[start:]


def test_strange_messages_are_the_callers_fault_and_never_ours(city: City, part: str) -> None:
    """A method that asks for nothing answers whatever comes, once witnesses have signed: that is no fault."""
    start = len(log_of(city, part))

    for method, name in methods(part):
        with connected(city, part, name) as channel:
            for what, body in strange():
                code, told = answer(channel, method, body)
                not_yet = code is grpc.StatusCode.UNAVAILABLE and method.endswith("/GetCheckpoint")
                answered = code is grpc.StatusCode.OK and _asks_nothing(method)
                assert code in TELLABLE or answered or not_yet, (
                    method,
                    what,
                    code,
                    told,
                )

    assert b"Traceback" not in log_of(city, part)[start:]


def test_a_stranger_s_malformed_message_is_a_stranger_s(city: City, part: str) -> None:
    """Who may not call is told so, whatever the bytes are."""
    with connected(city, part, "approval-platform") as channel:
        for method, _ in methods(part):
            for what, body in malformed():
                assert answer(channel, method, body)[0] is grpc.StatusCode.PERMISSION_DENIED, (method, what)


def test_a_message_beyond_the_limit_is_refused_also_when_it_is_packed(city: City, part: str) -> None:
    method, name = methods(part)[0]
    body = b"\xfa\x7f" + varint(LARGEST_MESSAGE) + bytes(LARGEST_MESSAGE)

    with connected(city, part, name) as channel:
        plain = answer(channel, method, body)
        packed = answer(channel, method, bytes(100 * MIB), packed=True)

    assert plain[0] is grpc.StatusCode.RESOURCE_EXHAUSTED, plain
    assert packed[0] is grpc.StatusCode.RESOURCE_EXHAUSTED, packed


def test_health_is_answered_while_a_message_of_100_mb_arrives(city: City, part: str) -> None:
    """And the part does not take it into memory."""
    method, name = methods(part)[0]
    before = _peak(city, part)
    ends: list[tuple[grpc.StatusCode, str]] = []

    def send() -> None:
        with connected(city, part, name) as channel:
            ends.extend(answer(channel, method, bytes(100 * MIB)) for _ in range(3))

    sender = threading.Thread(target=send)
    waits: list[float] = []
    with connected(city, part, "supervisor") as channel:
        check = channel.unary_unary(HEALTH, request_serializer=bytes, response_deserializer=bytes)
        assert check(b"", timeout=SECONDS) == SERVING
        sender.start()
        while sender.is_alive():
            began = time.monotonic()
            assert check(b"", timeout=SECONDS) == SERVING
            waits.append(time.monotonic() - began)
            time.sleep(0.01)

    sender.join()
    assert [code for code, _ in ends] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 3, ends
    assert len(waits) >= 3
    assert max(waits) < 2.0
    assert _peak(city, part) - before < 60 * MIB


def _asks_nothing(method: str) -> bool:
    """Whether a method has something to answer to a request without fields."""
    return method.rpartition("/")[2] in {
        "GetAnswerKeys",
        "GetCheckpoint",
        "GetKeys",
        "GetLastReleased",
        "GetPolicy",
        "GetTile",
        "ListContinuations",
        "ListOpenIntents",
        "ListWitnesses",
    }


def _peak(city: City, part: str) -> int:
    """The most memory that the part's process ever had, in bytes."""
    status = Path(f"/proc/{city.pid(part)}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
