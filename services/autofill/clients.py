"""Asks the licence service and the data node. What several forms ask alike goes in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
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
from core.wire import Relay, instant_of, json_of, set_instant
from services.autofill.comparison import Json
from services.autofill.matter import Ask, Provenance, SourceAnswer, SourceOutcome, SourceRecord
from services.autofill.service import SourceRequest

LICENCE_PREFIX = "licence."
"""Resources of this prefix are licence types, kept by the licence service; all others are the data node's."""

LARGEST_CALL = 256
"""Items of one call, by the contract."""

PATIENCE = 1 / 3
"""Share of a form's time after which sources that were asked together are asked apart."""

APART_SECONDS = 5.0
"""How long sources are asked apart after one of them held the others up."""

_REFUSED_FIELD = "field_names."

log = get_logger()


@dataclass(frozen=True)
class Outgoing:
    """One item on its way to an upstream."""

    ask: Ask
    credential: context_pb2.Credential = field(repr=False)
    proof: tuple[str, str] = field(repr=False)
    """What tells credentials apart."""
    context: context_pb2.RequestContext = field(repr=False)
    """Shared by all items of a form."""
    subject: subject_pb2.Subject = field(repr=False)
    field_names: tuple[str, ...]
    deadline: datetime


R = TypeVar("R", licence_pb2.ReadLicenceFieldsResult, datanode_pb2.ReadRecordsResult)

Sender = Callable[
    [Sequence[context_pb2.Credential], Sequence[tuple[Outgoing, int]], float], Awaitable[Sequence[R]]
]
"""One call: each distinct credential once, the items with the position of theirs, the seconds it may take."""

Found = dict[Ask, SourceAnswer]
"""Answers as they come."""


class Upstream(Generic[R]):
    """One upstream.

    A form waits for all of its sources anyway, so those that it asks here travel in one call, with those of
    other forms that ask for exactly the same resources. A call that is not answered promptly, or fails as a
    whole, is waited for no longer: each of its sources is then asked in slots of its own, so that a slow one
    takes nothing from the others.
    """

    def __init__(
        self, part: str, send: Sender[R], read_answer: Callable[[R], SourceAnswer], clock: Clock
    ) -> None:
        self._part = part
        self._send: Sender[R] = send
        self._read_answer: Callable[[R], SourceAnswer] = read_answer
        self._clock = clock
        self._alone: dict[str, Coalescer[Outgoing, R]] = {}
        self._together: dict[tuple[str, ...], Coalescer[Sequence[Outgoing], Sequence[R | ServiceError]]] = {}
        self._apart_until: dict[tuple[str, ...], float] = {}

    async def read(self, items: Sequence[Outgoing], found: Found) -> None:
        """Puts each item's answer into `found` as it comes. A failing source is an outcome, not an error."""
        began = _time()
        results = await self._prompt(items) if len(items) > 1 else None
        if results is None:
            await _side_by_side([self._look(item, None, began, found) for item in items])
            return
        again = []
        for item, result in zip(items, results, strict=True):
            if isinstance(result, ServiceError):
                again.append(self._look(item, result, began, found))
            else:
                found[item.ask] = _timed(self._read_answer(result), began)
        await _side_by_side(again)

    async def _prompt(self, items: Sequence[Outgoing]) -> Sequence[R | ServiceError] | None:
        """What one call for all items gave; None where they are to be asked apart."""
        key = tuple(item.ask.resource for item in items)
        if _time() < self._apart_until.get(key, 0.0):
            return None
        lane = self._together.get(key)
        if lane is None:
            lane = self._together[key] = Coalescer(self._call_for_all, largest=LARGEST_CALL // len(key))
        left = (items[0].deadline - self._clock()).total_seconds()
        try:
            async with asyncio.timeout(left * PATIENCE):
                return await lane.submit(items)
        except (TimeoutError, ServiceError):
            self._apart_until[key] = _time() + APART_SECONDS
            return None

    async def _look(self, item: Outgoing, refusal: ServiceError | None, began: float, found: Found) -> None:
        """The answer of one source. Where some fields are refused by name, the others are asked without."""
        refused: frozenset[str] = frozenset()
        try:
            try:
                if refusal is not None:
                    raise refusal
                result = await self._slot(item.ask.resource).submit(item)
            except ServiceError as error:
                refused = _refused(error) & set(item.field_names)
                rest = tuple(name for name in item.field_names if name not in refused)
                if not refused or not rest:
                    raise
                result = await self._slot(item.ask.resource).submit(replace(item, field_names=rest))
            answer = self._read_answer(result)
        except ServiceError as error:
            answer = SourceAnswer(_outcome(item.ask, error))
        found[item.ask] = _timed(replace(answer, refused_fields=refused), began)

    def _slot(self, resource: str) -> Coalescer[Outgoing, R]:
        coalescer = self._alone.get(resource)
        if coalescer is None:
            coalescer = self._alone[resource] = Coalescer(self._call, largest=LARGEST_CALL)
        return coalescer

    async def _call_for_all(
        self, forms: Sequence[Sequence[Outgoing]]
    ) -> Sequence[Sequence[R | ServiceError]]:
        results = await self._call([item for items in forms for item in items])
        size = len(forms[0])
        return [results[start : start + size] for start in range(0, len(results), size)]

    async def _call(self, items: Sequence[Outgoing]) -> Sequence[R | ServiceError]:
        left = (max(item.deadline for item in items) - self._clock()).total_seconds()
        if left <= 0:
            raise LateError(f"{self._part} was not asked: the time was up")
        positions: dict[tuple[str, str], int] = {}
        credentials: list[context_pb2.Credential] = []
        placed = []
        for item in items:
            position = positions.setdefault(item.proof, len(credentials))
            if position == len(credentials):
                credentials.append(item.credential)
            placed.append((item, position))
        try:
            results = await self._send(credentials, placed, left)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self._part) from error
        return [from_status(r.error, self._part) if r.HasField("error") else r for r in results]


class Upstreams:
    """Both upstreams as the form desk sees them: sources by resource, whose failures are outcomes."""

    def __init__(self, licence: grpc.aio.Channel, datanode: grpc.aio.Channel, clock: Clock) -> None:
        self._licences = Upstream("licence", _licence_sender(licence), _licence_answer, clock)
        self._registers = Upstream("datanode", _register_sender(datanode), _register_answer, clock)

    async def read(self, requests: Sequence[SourceRequest], relay: object, found: Found) -> None:
        """Asks all sources of a form side by side; `found` has the answers that are there so far."""
        items = _outgoing(requests, cast(Relay, relay))
        licences = [item for item in items if item.ask.resource.startswith(LICENCE_PREFIX)]
        registers = [item for item in items if not item.ask.resource.startswith(LICENCE_PREFIX)]
        reads = []
        if licences:
            reads.append(self._licences.read(licences, found))
        if registers:
            reads.append(self._registers.read(registers, found))
        await _side_by_side(reads)


async def _side_by_side(reads: Sequence[Coroutine[object, object, None]]) -> None:
    """Waits for all; one alone takes no task of its own."""
    if len(reads) == 1:
        await reads[0]
    elif reads:
        async with asyncio.TaskGroup() as group:
            for read in reads[1:]:
                group.create_task(read)
            await reads[0]


def _time() -> float:
    return asyncio.get_running_loop().time()


def _timed(answer: SourceAnswer, began: float) -> SourceAnswer:
    return replace(answer, elapsed_ms=int((_time() - began) * 1000))


def _outgoing(requests: Sequence[SourceRequest], relay: Relay) -> list[Outgoing]:
    """The items with the caller's context and a shorter deadline; an inner read is no request of its own.

    In the order of the resources, whatever the order of the form's fields.
    """
    context = context_pb2.RequestContext()
    context.CopyFrom(relay.context)
    context.ClearField("request_id")
    set_instant(context.deadline, requests[0].deadline)
    context.trace_parent = current_trace_parent() or relay.context.trace_parent
    proof = (relay.credential.token, relay.credential.certificate_thumbprint)
    return [
        Outgoing(
            request.ask,
            relay.credential,
            proof,
            context,
            subject_pb2.Subject(code_type=request.subject.code_type, code=request.subject.code),
            request.field_names,
            request.deadline,
        )
        for request in sorted(requests, key=_by_resource)
    ]


def _by_resource(request: SourceRequest) -> Ask:
    return request.ask


def _licence_sender(channel: grpc.aio.Channel) -> Sender[licence_pb2.ReadLicenceFieldsResult]:
    stub = licence_pb2_grpc.LicenceServiceStub(channel)

    async def send(
        credentials: Sequence[context_pb2.Credential], items: Sequence[tuple[Outgoing, int]], timeout: float
    ) -> Sequence[licence_pb2.ReadLicenceFieldsResult]:
        request = licence_pb2.BatchReadLicenceFieldsRequest(credentials=credentials)
        for item, position in items:
            made = request.items.add(context=item.context)
            made.context.credential_index = position
            made.query.holder.CopyFrom(item.subject)
            made.query.type_code = item.ask.resource.removeprefix(LICENCE_PREFIX)
            made.query.field_names.extend(item.field_names)
        response = await stub.BatchReadLicenceFields(request, timeout=timeout)
        return response.results

    return send


def _register_sender(channel: grpc.aio.Channel) -> Sender[datanode_pb2.ReadRecordsResult]:
    stub = datanode_pb2_grpc.DataNodeServiceStub(channel)

    async def send(
        credentials: Sequence[context_pb2.Credential], items: Sequence[tuple[Outgoing, int]], timeout: float
    ) -> Sequence[datanode_pb2.ReadRecordsResult]:
        request = datanode_pb2.BatchReadRecordsRequest(credentials=credentials)
        for item, position in items:
            made = request.items.add(context=item.context)
            made.context.credential_index = position
            made.query.resource = item.ask.resource
            made.query.subject.CopyFrom(item.subject)
            made.query.field_names.extend(item.field_names)
        response = await stub.BatchReadRecords(request, timeout=timeout)
        return response.results

    return send


def _licence_answer(result: licence_pb2.ReadLicenceFieldsResult) -> SourceAnswer:
    """A licence in force as the one record; one that is not in force stands for nothing."""
    answer = result.answer
    if not answer.found or answer.state != licence_pb2.LICENCE_STATE_IN_FORCE:
        return SourceAnswer(SourceOutcome.NO_DATA)
    record = SourceRecord(_values(answer.fields), _provenance(answer.provenance))
    return SourceAnswer(SourceOutcome.ANSWERED, (record,))


def _register_answer(result: datanode_pb2.ReadRecordsResult) -> SourceAnswer:
    records = tuple(SourceRecord(_values(r.fields), _provenance(r.provenance)) for r in result.answer.records)
    return SourceAnswer(SourceOutcome.ANSWERED if records else SourceOutcome.NO_DATA, records)


def _values(fields: Mapping[str, Value]) -> dict[str, Json]:
    return {name: json_of(value) for name, value in fields.items()}


def _provenance(provenance: provenance_pb2.Provenance) -> Provenance:
    return Provenance(provenance.resource, provenance.record_version, instant_of(provenance.as_of))


def _refused(error: ServiceError) -> frozenset[str]:
    """The fields that a refusal names, each as `field_names.<name>`."""
    if error.kind is not Kind.FORBIDDEN:
        return frozenset()
    named = (fault.field for fault in error.faults if fault.field.startswith(_REFUSED_FIELD))
    return frozenset(name.removeprefix(_REFUSED_FIELD) for name in named)


def _outcome(ask: Ask, error: ServiceError) -> SourceOutcome:
    """What a failure means for the form."""
    match error.kind:
        case Kind.FORBIDDEN | Kind.UNAUTHENTICATED:
            outcome = SourceOutcome.NOT_ALLOWED
        case Kind.LATE:
            outcome = SourceOutcome.LATE
        case _:
            outcome = SourceOutcome.DOWN
    log.warning("source_failed", resource=ask.resource, outcome=outcome.value, reason=error.reason)
    return outcome
