"""Asks the data node; what waits for the same resources goes together in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
from core.wire import Relay, instant_of, json_of, set_instant
from services.agricredit.refusals import SourceDownError, SourceLateError
from services.agricredit.registers import SOURCE_FIELDS, SourceRecord

PART = "datanode"
RETRY_SECONDS = 2.0

LARGEST_CALL = 256
"""Items of one call, by the contract."""

Answers = Sequence[pb.ReadRecordsAnswer]
"""One for each resource that was asked for."""

log = get_logger()


@dataclass(frozen=True)
class Outgoing:
    """The reads of one fetch on their way to the data node."""

    credential: context_pb2.Credential = field(repr=False)
    context: context_pb2.RequestContext = field(repr=False)
    subject: subject_pb2.Subject = field(repr=False)
    resources: tuple[str, ...]
    deadline: datetime


class DataNode:
    """The data node as the fetch desk sees it.

    What one answer is made of is asked for in one call, with what others ask of the same resources: each of
    them would wait for the slowest anyway. Other resources have slots of their own.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub = pb_grpc.DataNodeServiceStub(channel)
        self._clock = clock
        self._coalescers: dict[tuple[str, ...], Coalescer[Outgoing, Answers]] = {}

    async def read(
        self, resources: Sequence[str], farmer: Subject, deadline: datetime, relay: object
    ) -> dict[str, Sequence[SourceRecord]]:
        """The farmer's records of each resource, with the fields that the bank is shown and no others.

        Raises SourceDownError or SourceLateError, both SOURCE_DOWN, where the data node does not answer;
        what it refuses is passed on as it came.
        """
        outgoing = _outgoing(tuple(resources), farmer, deadline, cast(Relay, relay))
        coalescer = self._coalescers.get(outgoing.resources)
        if coalescer is None:
            largest = LARGEST_CALL // len(resources)
            coalescer = self._coalescers[outgoing.resources] = Coalescer(self._send, largest=largest)
        try:
            async with asyncio.timeout((deadline - self._clock()).total_seconds()):
                answers = await coalescer.submit(outgoing)
        except TimeoutError:
            raise _failed(resources, Kind.LATE) from None
        except ServiceError as error:
            if error.kind in {Kind.UNAVAILABLE, Kind.LATE, Kind.INTERNAL, Kind.EXHAUSTED}:
                raise _failed(resources, error.kind) from error
            raise
        return {
            resource: [_record(resource, record) for record in answer.records]
            for resource, answer in zip(resources, answers, strict=True)
        }

    async def _send(self, fetches: Sequence[Outgoing]) -> Sequence[Answers | ServiceError]:
        """One batch call, each distinct credential once; it may take as long as its latest item."""
        request = pb.BatchReadRecordsRequest()
        positions: dict[tuple[str, str], int] = {}
        for one in fetches:
            proof = (one.credential.token, one.credential.certificate_thumbprint)
            position = positions.setdefault(proof, len(positions))
            if position == len(request.credentials):
                request.credentials.append(one.credential)
            for resource in one.resources:
                item = request.items.add(context=one.context)
                item.context.credential_index = position
                item.query.resource = resource
                item.query.subject.CopyFrom(one.subject)
                item.query.field_names.extend(SOURCE_FIELDS[resource])
        left = (max(one.deadline for one in fetches) - self._clock()).total_seconds()
        try:
            response = await self._stub.BatchReadRecords(request, timeout=max(left, 0.001))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, PART) from error
        size = len(fetches[0].resources)
        results = response.results
        return [_answers(results[start : start + size]) for start in range(0, len(results), size)]


def _answers(results: Sequence[pb.ReadRecordsResult]) -> Answers | ServiceError:
    """What one fetch asked for, or why a part of it is missing."""
    for result in results:
        if result.HasField("error"):
            return from_status(result.error, PART)
    return [result.answer for result in results]


def _outgoing(resources: tuple[str, ...], farmer: Subject, deadline: datetime, relay: Relay) -> Outgoing:
    """The reads with the caller's context and a shorter deadline; an inner read is no request of its own."""
    context = context_pb2.RequestContext()
    context.CopyFrom(relay.context)
    context.ClearField("request_id")
    set_instant(context.deadline, deadline)
    context.trace_parent = current_trace_parent() or relay.context.trace_parent
    subject = subject_pb2.Subject(code_type=farmer.code_type, code=farmer.code)
    return Outgoing(relay.credential, context, subject, resources, deadline)


def _record(resource: str, record: pb.Record) -> SourceRecord:
    """Of what came, only what was asked for: a field too many stops here."""
    values = {name: json_of(record.fields[name]) for name in SOURCE_FIELDS[resource] if name in record.fields}
    as_of = instant_of(record.provenance.as_of)
    return SourceRecord(resource, record.provenance.record_version, as_of, values)


def _failed(resources: Sequence[str], kind: Kind) -> ServiceError:
    """What the bank is told of a source that did not answer."""
    log.warning("source_failed", resource=" ".join(resources), kind=kind.value)
    if kind is Kind.LATE:
        return SourceLateError("the data node did not answer in time; ask again", part=PART)
    return SourceDownError(
        "the data node is down or cannot be reached; ask again", part=PART, retry_after=RETRY_SECONDS
    )
