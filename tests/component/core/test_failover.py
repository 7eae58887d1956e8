"""Calls find the process that leads, among real servers of which one does."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

from core import failover
from core.config import Mode, PeerConfig
from core.errors import UnavailableError
from core.failover import FailoverChannel
from core.ledger import LedgerClient
from core.status import to_status
from tests.store.ledger.conftest import disclosure


class Ledger(pb_grpc.LedgerServiceServicer):
    """A ledger that leads, stands by, says nothing, refuses, or has lost its place for the items it took."""

    def __init__(self, mood: str) -> None:
        self.mood = mood
        self.asked = 0

    async def AppendBatch(self, request: Any, context: Any) -> Any:
        self.asked += 1
        if self.mood == "silent":
            await asyncio.sleep(60)
        if self.mood == "stands by":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "another one leads")
        if self.mood == "refuses":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        response = pb.AppendBatchResponse()
        for item in request.items:
            result = response.results.add()
            if self.mood == "lost its place":
                result.error.CopyFrom(to_status(UnavailableError("another one leads", part="ledger")))
            else:
                result.receipt.id = item.item_id
        return response

    async def ListOpenIntents(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def GetReceipt(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def GetCheckpoint(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def GetTile(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def GetPolicy(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ListDisclosures(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ListContinuations(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ListWitnesses(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def GetLastReleased(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


Begin = Callable[..., Awaitable[tuple[FailoverChannel, list[Ledger]]]]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """`await begin(*moods)`: a channel to so many servers."""
    servers: list[grpc.aio.Server] = []
    opened: list[FailoverChannel] = []

    async def start(*moods: str) -> tuple[FailoverChannel, list[Ledger]]:
        ledgers, channels = [Ledger(mood) for mood in moods], []
        for ledger in ledgers:
            server = grpc.aio.server()
            pb_grpc.add_LedgerServiceServicer_to_server(ledger, server)
            port = server.add_insecure_port("127.0.0.1:0")
            if ledger.mood != "down":
                await server.start()
                servers.append(server)
            channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        opened.append(FailoverChannel(channels))
        return opened[-1], ledgers

    yield start
    for channel in opened:
        await channel.close()
    for server in servers:
        await server.stop(0)


@pytest.mark.parametrize("other", ["stands by", "down", "lost its place"])
async def test_the_one_that_leads_is_found_and_remembered(begin: Begin, other: str) -> None:
    channel, (first, second) = await begin(other, "leads")
    client = LedgerClient(channel)
    entry = disclosure()

    assert (await client.append(entry)).id == str(entry.item_id)
    asked = first.asked
    await client.append(disclosure())

    assert second.asked == 2 or other == "lost its place"
    assert first.asked == asked or other == "lost its place"


async def test_silent_one_is_not_waited_for(begin: Begin) -> None:
    channel, _ = await begin("silent", "leads")
    began = time.monotonic()

    await LedgerClient(channel).append(disclosure())

    assert failover.SILENCE_SECONDS <= time.monotonic() - began < failover.SILENCE_SECONDS + 1.5


async def test_call_waits_for_a_takeover(begin: Begin) -> None:
    channel, (_, second) = await begin("silent", "stands by")
    waiting = asyncio.create_task(LedgerClient(channel).append(disclosure()))
    await asyncio.sleep(2.0)

    second.mood = "leads"

    assert (await waiting).id
    assert second.asked < 12  # It is asked a few times a second, not all the time.


async def test_where_none_leads_for_long_calls_are_refused_at_once(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "TAKEOVER_SECONDS", 0.3)
    channel, _ = await begin("stands by", "stands by")
    client = LedgerClient(channel)
    with pytest.raises(Exception, match="down or cannot be reached"):
        await client.append(disclosure())
    began = time.monotonic()

    with pytest.raises(Exception, match="down or cannot be reached"):
        await client.append(disclosure())

    assert time.monotonic() - began < 0.3


async def test_refusal_for_another_reason_is_the_answer(begin: Begin) -> None:
    channel, (_, second) = await begin("refuses", "leads")

    with pytest.raises(Exception, match="internal error"):
        await LedgerClient(channel).append(disclosure())

    assert second.asked == 0


async def test_deadline_ends_the_search(begin: Begin) -> None:
    channel, _ = await begin("silent", "silent")
    request = pb.AppendBatchRequest(items=[pb.AppendItem(item_id=str(uuid.uuid4()))])
    began = time.monotonic()

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await pb_grpc.LedgerServiceStub(channel).AppendBatch(request, timeout=1.5)

    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 2.5


def test_only_the_ledger_has_several_addresses(tmp_path: Any) -> None:
    for name in ("ca", "crt", "key"):
        (tmp_path / name).write_text("")
    config = PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=tmp_path / "ca",
        tls_cert=tmp_path / "crt",
        tls_key=tmp_path / "key",
        ledger="a:1, b:2",
        licence="a:1,b:2",
    )

    assert config.addresses("ledger") == ["a:1", "b:2"]
    with pytest.raises(SystemExit, match="ONESTOP_LICENCE: licence has one address"):
        config.addresses("licence")
    with pytest.raises(SystemExit, match="ONESTOP_ISSUER"):
        config.addresses("issuer")
