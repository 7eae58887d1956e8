"""Asks the data node; what waits for the same resource goes together in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import grpc
from onestop.common.v1 import context_pb2, subject_pb2
from onestop.datanode.v1 import datanode_pb2 as pb
from onestop.datanode.v1 import datanode_pb2_grpc as pb_grpc

from core.clock import Clock
from core.coalesce import Coalescer
from core.errors import Kind, ServiceError
from core.identity import Subject
from core.log import get_logger
from core.status import from_rpc_error, from_status
from core.trace import current_trace_parent
from core.wire import Relay, json_of
from services.agricredit.refusals import SourceDownError, SourceLateError
from services.agricredit.registers import SOURCE_FIELDS, SourceRecord

PART = "datanode"
RETRY_SECONDS = 2.0

log = get_logger()


@dataclass
class Outgoing:
    """One read on its way to the data node."""

    credential: context_pb2.Credential = field(repr=False)
    item: pb.ReadRecordsItem = field(repr=False)
    deadline: datetime


class DataNode:
    """The data node as the fetch desk sees it. Each resource has slots of its own."""

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub = pb_grpc.DataNodeServiceStub(channel)
        self._clock = clock
        self._coalescers: dict[str, Coalescer[Outgoing, pb.ReadRecordsAnswer]] = {}

    async def read(
        self, resource: str, farmer: Subject, deadline: datetime, relay: object
    ) -> Sequence[SourceRecord]:
        """The farmer's records of a resource, with the fields that the bank is shown and no others.

        Raises SourceDownError or SourceLateError, both SOURCE_DOWN, where the data node does not answer;
        what it refuses is passed on as it came.
        """
        outgoing = _outgoing(resource, farmer, deadline, cast(Relay, relay))
        coalescer = self._coalescers.setdefault(resource, Coalescer(self._send))
        try:
            async with asyncio.timeout((deadline - self._clock()).total_seconds()):
                answer = await coalescer.submit(outgoing)
        except TimeoutError:
            raise _failed(resource, Kind.LATE) from None
        except ServiceError as error:
            if error.kind in {Kind.UNAVAILABLE, Kind.LATE, Kind.INTERNAL, Kind.EXHAUSTED}:
                raise _failed(resource, error.kind) from error
            raise
        return [_record(resource, record) for record in answer.records]

    async def _send(self, items: Sequence[Outgoing]) -> Sequence[pb.ReadRecordsAnswer | ServiceError]:
        """One batch call, each distinct credential once; it may take as long as its latest item."""
        request = pb.BatchReadRecordsRequest()
        positions: dict[bytes, int] = {}
        for outgoing in items:
            proof = outgoing.credential.SerializeToString(deterministic=True)
            if proof not in positions:
                positions[proof] = len(positions)
                request.credentials.append(outgoing.credential)
            outgoing.item.context.credential_index = positions[proof]
            request.items.append(outgoing.item)
        left = (max(outgoing.deadline for outgoing in items) - self._clock()).total_seconds()
        try:
            response = await self._stub.BatchReadRecords(request, timeout=max(left, 0.001))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, PART) from error
        return [
            from_status(result.error, PART) if result.HasField("error") else result.answer
            for result in response.results
        ]


def _outgoing(resource: str, farmer: Subject, deadline: datetime, relay: Relay) -> Outgoing:
    """The read with the caller's context and a shorter deadline; an inner read is no request of its own."""
    context = context_pb2.RequestContext()
    context.CopyFrom(relay.context)
    context.ClearField("request_id")
    context.deadline.FromDatetime(deadline)
    context.trace_parent = current_trace_parent() or relay.context.trace_parent
    item = pb.ReadRecordsItem(context=context)
    item.query.resource = resource
    item.query.subject.CopyFrom(subject_pb2.Subject(code_type=farmer.code_type, code=farmer.code))
    item.query.field_names.extend(SOURCE_FIELDS[resource])
    return Outgoing(relay.credential, item, deadline)


def _record(resource: str, record: pb.Record) -> SourceRecord:
    """Of what came, only what was asked for: a field too many stops here."""
    values = {name: json_of(record.fields[name]) for name in SOURCE_FIELDS[resource] if name in record.fields}
    as_of = record.provenance.as_of.ToDatetime(tzinfo=UTC)
    return SourceRecord(resource, record.provenance.record_version, as_of, values)


def _failed(resource: str, kind: Kind) -> ServiceError:
    """What the bank is told of a source that did not answer."""
    log.warning("source_failed", resource=resource, kind=kind.value)
    if kind is Kind.LATE:
        return SourceLateError("the data node did not answer in time; ask again", part=PART)
    return SourceDownError(
        "the data node is down or cannot be reached; ask again", part=PART, retry_after=RETRY_SECONDS
    )
