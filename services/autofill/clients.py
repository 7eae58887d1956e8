"""Asks the licence service and the data node; what waits for the same resource goes in one call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar, cast

import grpc
from google.protobuf.struct_pb2 import Value
from onestop.common.v1 import context_pb2, provenance_pb2, subject_pb2
from onestop.datanode.v1 import datanode_pb2, datanode_pb2_grpc
from onestop.licence.v1 import licence_pb2, licence_pb2_grpc

from core.clock import Clock
from core.coalesce import Coalescer
from core.errors import Kind, LateError, ServiceError
from core.log import get_logger
from core.status import from_rpc_error, from_status
from core.trace import current_trace_parent
from core.wire import Relay, json_of
from services.autofill.comparison import Json
from services.autofill.matter import Provenance, SourceAnswer, SourceOutcome, SourceRecord
from services.autofill.service import SourceRequest

LICENCE_PREFIX = "licence."
"""Resources of this prefix are licence types, kept by the licence service; all others are the data node's."""

MOST_CREDENTIALS = 256

_REFUSED_FIELD = "field_names."

log = get_logger()


@dataclass
class Outgoing:
    """One item on its way to an upstream."""

    credential: context_pb2.Credential = field(repr=False)
    context: context_pb2.RequestContext = field(repr=False)
    subject: subject_pb2.Subject = field(repr=False)
    resource: str
    field_names: tuple[str, ...]
    deadline: datetime


R = TypeVar("R", licence_pb2.ReadLicenceFieldsResult, datanode_pb2.ReadRecordsResult)

Sender = Callable[[Sequence[context_pb2.Credential], Sequence[Outgoing], float], Awaitable[Sequence[R]]]
"""One batch call: each distinct credential once, the items, and the seconds it may take."""


class Upstream(Generic[R]):
    """One upstream. Each of its resources has slots of its own, so a slow one holds up no other."""

    def __init__(self, part: str, send: Sender[R], clock: Clock) -> None:
        self._part = part
        self._send: Sender[R] = send
        self._clock = clock
        self._coalescers: dict[str, Coalescer[Outgoing, R]] = {}

    async def read(self, item: Outgoing) -> R:
        """The item's result. Raises the upstream's error, or the item's own."""
        coalescer = self._coalescers.get(item.resource)
        if coalescer is None:
            coalescer = self._coalescers[item.resource] = Coalescer(self._batch, largest=MOST_CREDENTIALS)
        return await coalescer.submit(item)

    async def _batch(self, items: Sequence[Outgoing]) -> Sequence[R | ServiceError]:
        left = (max(item.deadline for item in items) - self._clock()).total_seconds()
        if left <= 0:
            raise LateError(f"{self._part} was not asked: the time was up")
        credentials: dict[bytes, int] = {}
        distinct: list[context_pb2.Credential] = []
        for item in items:
            proof = item.credential.SerializeToString(deterministic=True)
            if proof not in credentials:
                credentials[proof] = len(distinct)
                distinct.append(item.credential)
            item.context.credential_index = credentials[proof]
        try:
            results = await self._send(distinct, items, left)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self._part) from error
        return [from_status(r.error, self._part) if r.HasField("error") else r for r in results]


class Upstreams:
    """Both upstreams as the form desk sees them: sources by resource, whose failures are outcomes."""

    def __init__(self, licence: grpc.aio.Channel, datanode: grpc.aio.Channel, clock: Clock) -> None:
        self._licences = Upstream("licence", _licence_sender(licence), clock)
        self._registers = Upstream("datanode", _register_sender(datanode), clock)

    async def read(self, request: SourceRequest, relay: object) -> SourceAnswer:
        """What the source gave. Where some fields are refused by name, the others are asked again without."""
        try:
            return await self._read(request, cast(Relay, relay))
        except ServiceError as error:
            refused = _refused(error) & set(request.field_names)
            rest = tuple(name for name in request.field_names if name not in refused)
            if not refused or not rest:
                return SourceAnswer(_outcome(request, error))
        try:
            answer = await self._read(replace(request, field_names=rest), cast(Relay, relay))
        except ServiceError as error:
            return SourceAnswer(_outcome(request, error), refused_fields=frozenset(refused))
        return replace(answer, refused_fields=frozenset(refused))

    async def _read(self, request: SourceRequest, relay: Relay) -> SourceAnswer:
        item = _outgoing(request, relay)
        if request.resource.startswith(LICENCE_PREFIX):
            return _licence_answer((await self._licences.read(item)).answer)
        return _register_answer((await self._registers.read(item)).answer)


def _outgoing(request: SourceRequest, relay: Relay) -> Outgoing:
    """The item with the caller's context and a shorter deadline; an inner read is no request of its own."""
    context = context_pb2.RequestContext()
    context.CopyFrom(relay.context)
    context.ClearField("request_id")
    context.deadline.FromDatetime(request.deadline)
    context.trace_parent = current_trace_parent() or relay.context.trace_parent
    subject = subject_pb2.Subject(code_type=request.subject.code_type, code=request.subject.code)
    return Outgoing(
        relay.credential, context, subject, request.resource, request.field_names, request.deadline
    )


def _licence_sender(channel: grpc.aio.Channel) -> Sender[licence_pb2.ReadLicenceFieldsResult]:
    stub = licence_pb2_grpc.LicenceServiceStub(channel)

    async def send(
        credentials: Sequence[context_pb2.Credential], items: Sequence[Outgoing], timeout: float
    ) -> Sequence[licence_pb2.ReadLicenceFieldsResult]:
        request = licence_pb2.BatchReadLicenceFieldsRequest(credentials=credentials)
        for item in items:
            made = request.items.add(context=item.context)
            made.query.holder.CopyFrom(item.subject)
            made.query.type_code = item.resource.removeprefix(LICENCE_PREFIX)
            made.query.field_names.extend(item.field_names)
        response = await stub.BatchReadLicenceFields(request, timeout=timeout)
        return response.results

    return send


def _register_sender(channel: grpc.aio.Channel) -> Sender[datanode_pb2.ReadRecordsResult]:
    stub = datanode_pb2_grpc.DataNodeServiceStub(channel)

    async def send(
        credentials: Sequence[context_pb2.Credential], items: Sequence[Outgoing], timeout: float
    ) -> Sequence[datanode_pb2.ReadRecordsResult]:
        request = datanode_pb2.BatchReadRecordsRequest(credentials=credentials)
        for item in items:
            made = request.items.add(context=item.context)
            made.query.resource = item.resource
            made.query.subject.CopyFrom(item.subject)
            made.query.field_names.extend(item.field_names)
        response = await stub.BatchReadRecords(request, timeout=timeout)
        return response.results

    return send


def _licence_answer(answer: licence_pb2.ReadLicenceFieldsAnswer) -> SourceAnswer:
    """A licence in force as the one record; one that is not in force stands for nothing."""
    if not answer.found or answer.state != licence_pb2.LICENCE_STATE_IN_FORCE:
        return SourceAnswer(SourceOutcome.NO_DATA)
    record = SourceRecord(_values(answer.fields), _provenance(answer.provenance))
    return SourceAnswer(SourceOutcome.ANSWERED, (record,))


def _register_answer(answer: datanode_pb2.ReadRecordsAnswer) -> SourceAnswer:
    records = tuple(SourceRecord(_values(r.fields), _provenance(r.provenance)) for r in answer.records)
    return SourceAnswer(SourceOutcome.ANSWERED if records else SourceOutcome.NO_DATA, records)


def _values(fields: Mapping[str, Value]) -> dict[str, Json]:
    return {name: json_of(value) for name, value in fields.items()}


def _provenance(provenance: provenance_pb2.Provenance) -> Provenance:
    as_of = provenance.as_of.ToDatetime(tzinfo=UTC)
    return Provenance(provenance.resource, provenance.record_version, as_of)


def _refused(error: ServiceError) -> frozenset[str]:
    """The fields that a refusal names, each as `field_names.<name>`."""
    if error.kind is not Kind.FORBIDDEN:
        return frozenset()
    named = (fault.field for fault in error.faults if fault.field.startswith(_REFUSED_FIELD))
    return frozenset(name.removeprefix(_REFUSED_FIELD) for name in named)


def _outcome(request: SourceRequest, error: ServiceError) -> SourceOutcome:
    """What a failure means for the form."""
    match error.kind:
        case Kind.FORBIDDEN | Kind.UNAUTHENTICATED:
            outcome = SourceOutcome.NOT_ALLOWED
        case Kind.LATE:
            outcome = SourceOutcome.LATE
        case _:
            outcome = SourceOutcome.DOWN
    log.warning("source_failed", resource=request.resource, outcome=outcome.value, reason=error.reason)
    return outcome
