"""The other ledgers of this log, by gRPC: what they keep of what was released."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import grpc
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc

Ask: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[pb.GetLastReleasedRequest, pb.GetLastReleasedResponse]"

ANSWER_SECONDS = 0.75
"""A peer that has not answered by then is down, paused or cut off: it is why this one takes over."""


class GrpcPeers:
    """Asks each address of the ledger; the asking process may be among them."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self._channels = channels
        self._asks = [pb_grpc.LedgerServiceStub(one).GetLastReleased for one in channels]

    async def last_released(self) -> Sequence[str]:
        """The checkpoints that those keep which answer now."""
        told = await asyncio.gather(*(_told(ask) for ask in self._asks))
        return [checkpoint for checkpoint in told if checkpoint]

    async def close(self) -> None:
        """Closes the channels."""
        for one in self._channels:
            await one.close()


async def _told(ask: Ask) -> str:
    try:
        answer = await ask(pb.GetLastReleasedRequest(), timeout=ANSWER_SECONDS)
    except grpc.aio.AioRpcError:
        return ""
    return answer.checkpoint
