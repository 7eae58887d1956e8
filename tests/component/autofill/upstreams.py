"""Stand-ins for the licence service and the data node: real gRPC servers that behave as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2
from onestop.common.v1 import context_pb2, provenance_pb2, subject_pb2
from onestop.datanode.v1 import datanode_pb2 as node
from onestop.datanode.v1 import datanode_pb2_grpc as node_grpc
from onestop.licence.v1 import licence_pb2 as licence
from onestop.licence.v1 import licence_pb2_grpc as licence_grpc

from core.errors import FieldFault, Kind, RelayedError
from core.status import to_status
from core.wire import put
from services.autofill.comparison import Json

RECORDED_AT = datetime(2026, 2, 1, tzinfo=UTC)


class Mood(Enum):
    """How a resource behaves."""

    SLOW = "slow"
    """Does not answer while anybody waits."""
    BROKEN = "broken"
    """Ends the whole call with an error."""
    REFUSING = "refusing"
    """Refuses the item as a whole."""


@dataclass
class Upstream:
    """What both upstreams hold, how each resource behaves, and what they were asked."""

    records: dict[tuple[str, str], list[dict[str, Json]]] = field(default_factory=dict)
    """(resource, number) → records."""
    moods: dict[str, Mood] = field(default_factory=dict)
    refused_fields: dict[str, frozenset[str]] = field(default_factory=dict)
    """Resource → fields that nobody is entitled to."""
    states: dict[str, licence.LicenceState.ValueType] = field(default_factory=dict)
    """Licence resource → its state; in force where none is said."""
    calls: list[tuple[str, int]] = field(default_factory=list)
    """Each call's first resource and number of items."""
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Each item's resource and field names."""
    credentials: list[context_pb2.Credential] = field(default_factory=list)
    contexts: list[context_pb2.RequestContext] = field(default_factory=list)

    def hold(self, resource: str, number: str, *records: dict[str, Json]) -> None:
        """Puts a subject's records into a resource."""
        self.records[resource, number] = list(records)

    async def judge(self, resource: str, names: Sequence[str], context: object) -> status_pb2.Status | None:
        """Behaves as the resource is told to; the item's error, if it gets one."""
        mood = self.moods.get(resource)
        if mood is Mood.SLOW:
            await asyncio.sleep(60)
        if mood is Mood.BROKEN:
            ending = cast("grpc.aio.ServicerContext[Any, Any]", context)
            await ending.abort(grpc.StatusCode.UNAVAILABLE, "the register is being repaired")
        refused = sorted(set(names) & self.refused_fields.get(resource, frozenset()))
        if mood is Mood.REFUSING or refused:
            faults = [FieldFault(f"field_names.{name}", "entitled", "not entitled") for name in refused]
            error = RelayedError(
                "not entitled",
                relayed_kind=Kind.FORBIDDEN,
                relayed_reason="FIELD_NOT_ENTITLED",
                faults=faults,
            )
            return to_status(error)
        return None

    def notice(self, resource: str, names: Sequence[str], context: context_pb2.RequestContext) -> None:
        """Remembers an item that was asked."""
        self.asked.append((resource, tuple(names)))
        self.contexts.append(context)

    def found(self, resource: str, subject: subject_pb2.Subject) -> list[dict[str, Json]]:
        """The subject's records."""
        return self.records.get((resource, subject.code), [])


class FakeDataNode(node_grpc.DataNodeServiceServicer):
    """The data node's stand-in."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def ListResources(self, request: node.ListResourcesRequest, context: object) -> NoReturn:
        """Never called by autofill."""
        raise NotImplementedError

    async def BatchReadRecords(
        self, request: node.BatchReadRecordsRequest, context: object
    ) -> node.BatchReadRecordsResponse:
        """Items side by side, each as its resource behaves."""
        self._upstream.calls.append((request.items[0].query.resource, len(request.items)))
        self._upstream.credentials.extend(request.credentials)

        async def one(item: node.ReadRecordsItem) -> node.ReadRecordsResult:
            query = item.query
            self._upstream.notice(query.resource, query.field_names, item.context)
            refusal = await self._upstream.judge(query.resource, query.field_names, context)
            if refusal is not None:
                return node.ReadRecordsResult(error=refusal)
            answer = node.ReadRecordsAnswer()
            for number, values in enumerate(self._upstream.found(query.resource, query.subject), 1):
                made = answer.records.add(provenance=provenance(query.resource, str(number)))
                for name in query.field_names:
                    put(made.fields[name], values.get(name))
            return node.ReadRecordsResult(answer=answer)

        return node.BatchReadRecordsResponse(results=await asyncio.gather(*map(one, request.items)))


class FakeLicences(licence_grpc.LicenceServiceServicer):
    """The licence service's stand-in."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def BatchSearchLicences(self, request: object, context: object) -> NoReturn:
        """The gateway's."""
        raise NotImplementedError

    async def BatchGetLicences(self, request: object, context: object) -> NoReturn:
        """The gateway's."""
        raise NotImplementedError

    async def BatchVerifyLicences(self, request: object, context: object) -> NoReturn:
        """The gateway's."""
        raise NotImplementedError

    async def BatchReadLicenceFields(
        self, request: licence.BatchReadLicenceFieldsRequest, context: object
    ) -> licence.BatchReadLicenceFieldsResponse:
        """Items side by side, each as its type behaves."""
        self._upstream.calls.append((f"licence.{request.items[0].query.type_code}", len(request.items)))
        self._upstream.credentials.extend(request.credentials)

        async def one(item: licence.ReadLicenceFieldsItem) -> licence.ReadLicenceFieldsResult:
            query = item.query
            resource = f"licence.{query.type_code}"
            self._upstream.notice(resource, query.field_names, item.context)
            refusal = await self._upstream.judge(resource, query.field_names, context)
            if refusal is not None:
                return licence.ReadLicenceFieldsResult(error=refusal)
            held = self._upstream.found(resource, query.holder)
            if not held:
                return licence.ReadLicenceFieldsResult(answer=licence.ReadLicenceFieldsAnswer(found=False))
            answer = licence.ReadLicenceFieldsAnswer(
                found=True,
                state=self._upstream.states.get(resource, licence.LICENCE_STATE_IN_FORCE),
                provenance=provenance(resource, "version-1"),
            )
            for name in query.field_names:
                put(answer.fields[name], held[0].get(name))
            return licence.ReadLicenceFieldsResult(answer=answer)

        return licence.BatchReadLicenceFieldsResponse(results=await asyncio.gather(*map(one, request.items)))


def provenance(resource: str, version: str) -> provenance_pb2.Provenance:
    """The provenance of a record."""
    as_of = Timestamp()
    as_of.FromDatetime(RECORDED_AT)
    return provenance_pb2.Provenance(resource=resource, record_version=version, as_of=as_of)
