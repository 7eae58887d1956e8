"""What a call leaves in the log of the part that answered it: one line, under the trace of who asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import structlog
from onestop.common.v1 import context_pb2
from onestop.issuer.v1 import issuer_pb2
from onestop.licence.v1 import licence_pb2 as pb
from structlog.testing import capture_logs
from structlog.typing import EventDict

from core import log
from core.batch import answer_batch
from core.entries import Receipt, Released
from core.errors import Kind, ServiceError
from core.merkle import leaf_hash
from core.release import Answered, answer_of
from core.rpc import build_server, channel
from tests.component.core.test_access import SERVER, peer, pki, service_config

__all__ = ["pki"]

ONE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "0af7651916cd43dd8448eb211c80319c"
SEARCH = "/onestop.licence.v1.LicenceService/BatchSearchLicences"
GET_KEYS = "/onestop.issuer.v1.IssuerService/GetKeys"

RECEIPT = Receipt("0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c", b'{"a":1}', 4, 5, (), "", b"")
ROUND_THE_PROTOCOL = "an answer that nobody released"

Context = grpc.aio.ServicerContext[Any, Any]


class MissingError(ServiceError):
    """An error of a part's own."""

    kind = Kind.NOT_FOUND
    reason = "THING_MISSING"


async def search(request: pb.BatchSearchLicencesRequest, context: Context) -> pb.BatchSearchLicencesResponse:
    """Answers every item whose context has no office."""

    async def one(item: pb.SearchLicencesItem) -> Answered[pb.SearchLicencesResult]:
        if item.context.office:
            raise MissingError("it is not there")
        released = Released(pb.SearchLicencesAnswer(), RECEIPT)
        return answer_of(released, lambda wire, kept: pb.SearchLicencesResult(answer=wire, receipt=kept))

    results = await answer_batch(request.items, pb.SearchLicencesResult, one)
    if any(item.context.purpose == ROUND_THE_PROTOCOL for item in request.items):
        results[-1] = pb.SearchLicencesResult(answer=pb.SearchLicencesAnswer(use_code="u" * 20))
    return pb.BatchSearchLicencesResponse(results=results)


async def get_keys(request: issuer_pb2.GetKeysRequest, context: Context) -> issuer_pb2.GetKeysResponse:
    """Has no keys."""
    return issuer_pb2.GetKeysResponse()


@pytest.fixture
async def port(pki: Path) -> AsyncIterator[int]:
    def register(server: grpc.aio.Server) -> list[str]:
        for path, answer, asked in (
            (SEARCH, search, pb.BatchSearchLicencesRequest),
            (GET_KEYS, get_keys, issuer_pb2.GetKeysRequest),
        ):
            _, service, method = path.split("/")
            handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
                cast(Any, answer), asked.FromString, lambda response: response.SerializeToString()
            )
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {method: handler}),)
            )
        return []

    server, bound, _ = build_server(service_config(pki), register)
    await server.start()
    yield bound
    await server.stop(None)


def traceparent(trace_id: str) -> str:
    return f"00-{trace_id}-00f067aa0ba902b7-01"


async def lines_of(
    pki: Path, port: int, name: str, method: str, request: bytes, trace: str
) -> list[EventDict]:
    """What the server writes while `name` asks it, under a trace or (empty) none."""
    every_line = (structlog.contextvars.merge_contextvars, log.add_trace)
    with capture_logs(processors=every_line) as lines:
        async with channel(peer(pki, name, port), SERVER) as connected:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = connected.unary_unary(method, bytes, bytes)
            with suppress(grpc.aio.AioRpcError):
                metadata = (("traceparent", traceparent(trace)),) if trace else ()
                await call(request, timeout=5, metadata=metadata)
    return lines


def searches(office: str = "", purpose: str = "") -> bytes:
    """Two searches, of which the second says something else in its context."""
    contexts = [
        context_pb2.RequestContext(trace_parent=traceparent(ONE)),
        context_pb2.RequestContext(trace_parent=traceparent(OTHER), office=office, purpose=purpose),
    ]
    items = [pb.SearchLicencesItem(context=context) for context in contexts]
    for item in items:
        item.query.holder.code_type, item.query.holder.code = "111", "440299199005189806"
        item.query.type_codes.append("11100000000013127D001")
    credential = context_pb2.Credential(token="x" * 16)
    return pb.BatchSearchLicencesRequest(credentials=[credential], items=items).SerializeToString()


async def test_each_item_of_a_batch_is_told_under_its_own_trace(pki: Path, port: int) -> None:
    request = searches(office="11440299MB2L01030E")

    lines = await lines_of(pki, port, "gateway", SEARCH, request, "ab" * 16)

    told = [
        (line["event"], line["trace_id"], line["outcome"], line["method"], line["peer"]) for line in lines
    ]
    assert sorted(told) == sorted(
        [("call", ONE, "ok", SEARCH, "gateway"), ("call", OTHER, "THING_MISSING", SEARCH, "gateway")]
    )
    assert all(line["milliseconds"] >= 0 for line in lines)
    # An answer's line names its receipt, for audits; a refusal's names none.
    named = {line["outcome"]: (line.get("receipt"), line.get("entry"), line.get("leaf")) for line in lines}
    assert named["ok"] == (RECEIPT.id, RECEIPT.index, leaf_hash(RECEIPT.entry).hex())
    assert named["THING_MISSING"] == (None, None, None)


async def test_an_answer_that_went_round_the_protocol_does_not_leave(pki: Path, port: int) -> None:
    lines = await lines_of(pki, port, "gateway", SEARCH, searches(purpose=ROUND_THE_PROTOCOL), ONE)

    assert "call_failed" in [line["event"] for line in lines]
    assert lines[-1]["outcome"] == "INTERNAL"


async def test_a_call_by_itself_is_told_under_its_trace(pki: Path, port: int) -> None:
    (line,) = await lines_of(pki, port, "licence", GET_KEYS, b"", ONE)

    assert (line["trace_id"], line["outcome"], line["method"]) == (ONE, "ok", GET_KEYS)


async def test_upkeep_that_nobody_asked_for_leaves_no_line(pki: Path, port: int) -> None:
    assert await lines_of(pki, port, "licence", GET_KEYS, b"", "") == []


async def test_a_refused_peer_is_told(pki: Path, port: int) -> None:
    (refused,) = await lines_of(pki, port, "rural-bank", SEARCH, b"", ONE)

    assert (refused["event"], refused["peer"], refused["log_level"]) == (
        "peer_refused",
        "rural-bank",
        "warning",
    )
