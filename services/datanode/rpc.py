"""The data node's contract: messages in, use cases, messages out."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from onestop.datanode.v1 import datanode_pb2 as pb
from onestop.datanode.v1 import datanode_pb2_grpc as pb_grpc

from core.batch import answer_inner_batch
from core.context import ContextReader
from core.disclosure import BasisKind
from core.identity import Scope, Subject
from core.wire import put, set_instant
from services.datanode.domain import ReadQuery, Record, Resource, SharingClass
from services.datanode.service import DataNode

SERVICE = pb.DESCRIPTOR.services_by_name["DataNodeService"].full_name

_READING = (Scope.AUTOFILL_FILL, Scope.AUTOFILL_VERIFY, Scope.CREDIT_FETCH)
_GROUNDS = frozenset({BasisKind.MATTER, BasisKind.CONSENT})
_CLASSES = {
    SharingClass.UNCONDITIONAL: pb.SHARING_CLASS_UNCONDITIONAL,
    SharingClass.CONDITIONAL: pb.SHARING_CLASS_CONDITIONAL,
    SharingClass.NOT_SHARED: pb.SHARING_CLASS_NOT_SHARED,
}


class DataNodeServicer(pb_grpc.DataNodeServiceServicer):
    """Speaks for the data node. Errors leave as its ServiceErrors, in a batch item by item."""

    def __init__(self, node: DataNode, contexts: ContextReader) -> None:
        self._node = node
        self._contexts = contexts

    async def BatchReadRecords(
        self,
        request: pb.BatchReadRecordsRequest,
        context: grpc.aio.ServicerContext[pb.BatchReadRecordsRequest, pb.BatchReadRecordsResponse],
    ) -> pb.BatchReadRecordsResponse:
        """Each item's records, or the item's own error."""

        async def one(item: pb.ReadRecordsItem) -> pb.ReadRecordsResult:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=_READING, basis=_GROUNDS
            )
            query = ReadQuery(item.query.resource, tuple(item.query.field_names))
            subject = Subject(item.query.subject.code_type, item.query.subject.code)
            records = await self._node.read(asked, query, subject)
            return pb.ReadRecordsResult(answer=_answer(query.resource, records))

        return pb.BatchReadRecordsResponse(
            results=await answer_inner_batch(request.items, pb.ReadRecordsResult, one)
        )

    async def ListResources(
        self,
        request: pb.ListResourcesRequest,
        context: grpc.aio.ServicerContext[pb.ListResourcesRequest, pb.ListResourcesResponse],
    ) -> pb.ListResourcesResponse:
        """A page of the catalogue, which holds no personal data and so needs no basis."""
        asked = await self._contexts.read(
            request.credential, request.context, scope=(*_READING, Scope.MATTER_READ), basis=frozenset()
        )
        page = await self._node.list_resources(asked, request.page_size, request.page_token)
        return pb.ListResourcesResponse(
            resources=[_resource(resource) for resource in page.resources],
            next_page_token=page.next_page_token,
        )


def _answer(resource: str, records: Sequence[Record]) -> pb.ReadRecordsAnswer:
    answer = pb.ReadRecordsAnswer()
    for record in records:
        made = answer.records.add()
        for name, value in record.values.items():
            put(made.fields[name], value)
        made.provenance.resource = resource
        made.provenance.record_version = record.version
        set_instant(made.provenance.as_of, record.as_of)
    return answer


def _resource(resource: Resource) -> pb.Resource:
    made = pb.Resource(
        code=resource.code,
        name=resource.name,
        provider_name=resource.provider_name,
        provider_code=resource.provider_code,
        sharing_class=_CLASSES[resource.sharing_class],
        update_cycle=resource.update_cycle,
        fields=[
            pb.ResourceField(
                name=field.name,
                label=field.label,
                data_type=field.data_type.value,
                unit=field.unit,
                identifying=field.identifying,
            )
            for field in resource.fields.values()
        ],
    )
    set_instant(made.updated_at, resource.updated_at)
    return made
