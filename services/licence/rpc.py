"""The licence service's gRPC face: messages in, use cases called, messages out."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from onestop.common.v1 import subject_pb2
from onestop.licence.v1 import licence_pb2 as pb
from onestop.licence.v1 import licence_pb2_grpc as pb_grpc

from core.batch import answer_batch, answer_inner_batch
from core.context import ContextReader, request_body
from core.disclosure import BasisKind
from core.identity import Scope, Subject
from core.release import Answered, answer_of
from services.licence.answers import fields_answer
from services.licence.service import (
    LicenceDesk,
)

FOR_A_CASE = frozenset({BasisKind.MATTER})
CARRIED_BY_THE_USE_CODE: frozenset[BasisKind] = frozenset()

_Item = pb.SearchLicencesItem | pb.GetLicenceItem | pb.VerifyLicenceItem


class LicenceServicer(pb_grpc.LicenceServiceServicer):
    """Answers batches item by item; each item has its own context, deadline and ledger entry."""

    def __init__(self, desk: LicenceDesk, contexts: ContextReader) -> None:
        self._desk = desk
        self._contexts = contexts

    async def BatchSearchLicences(
        self, request: pb.BatchSearchLicencesRequest, context: object
    ) -> pb.BatchSearchLicencesResponse:
        async def one(item: pb.SearchLicencesItem) -> Answered[pb.SearchLicencesResult]:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.LICENCE_READ, basis=FOR_A_CASE
            )
            released = await self._desk.search(
                asked, _subject(item.query.holder), list(item.query.type_codes), body=request_body(item)
            )
            return answer_of(
                released, lambda wire, receipt: pb.SearchLicencesResult(answer=wire, receipt=receipt)
            )

        results = await answer_batch(request.items, pb.SearchLicencesResult, one)
        return pb.BatchSearchLicencesResponse(results=results)

    async def BatchGetLicences(
        self, request: pb.BatchGetLicencesRequest, context: object
    ) -> pb.BatchGetLicencesResponse:
        async def one(item: pb.GetLicenceItem) -> Answered[pb.GetLicenceResult]:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.LICENCE_READ, basis=CARRIED_BY_THE_USE_CODE
            )
            released = await self._desk.get(
                asked, item.query.id, item.query.use_code, body=request_body(item)
            )
            return answer_of(
                released, lambda wire, receipt: pb.GetLicenceResult(answer=wire, receipt=receipt)
            )

        results = await answer_batch(request.items, pb.GetLicenceResult, one)
        return pb.BatchGetLicencesResponse(results=results)

    async def BatchVerifyLicences(
        self, request: pb.BatchVerifyLicencesRequest, context: object
    ) -> pb.BatchVerifyLicencesResponse:
        async def one(item: pb.VerifyLicenceItem) -> Answered[pb.VerifyLicenceResult]:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.LICENCE_VERIFY, basis=FOR_A_CASE
            )
            released = await self._desk.verify(asked, item.query.identifier, body=request_body(item))
            return answer_of(
                released, lambda wire, receipt: pb.VerifyLicenceResult(answer=wire, receipt=receipt)
            )

        results = await answer_batch(request.items, pb.VerifyLicenceResult, one)
        return pb.BatchVerifyLicencesResponse(results=results)

    async def BatchReadLicenceFields(
        self, request: pb.BatchReadLicenceFieldsRequest, context: object
    ) -> pb.BatchReadLicenceFieldsResponse:
        async def one(item: pb.ReadLicenceFieldsItem) -> pb.ReadLicenceFieldsResult:
            asked = await self._contexts.read(
                request.credentials,
                item.context,
                scope=(Scope.AUTOFILL_FILL, Scope.AUTOFILL_VERIFY),
                basis=FOR_A_CASE,
            )
            query = item.query
            found = await self._desk.read_fields(
                asked, _subject(query.holder), query.type_code, list(query.field_names)
            )
            return pb.ReadLicenceFieldsResult(answer=fields_answer(found))

        results = await answer_inner_batch(request.items, pb.ReadLicenceFieldsResult, one)
        return pb.BatchReadLicenceFieldsResponse(results=results)


def register(desk: LicenceDesk, contexts: ContextReader, server: grpc.aio.Server) -> Sequence[str]:
    """Adds the servicer; answers the full name of its service."""
    pb_grpc.add_LicenceServiceServicer_to_server(LicenceServicer(desk, contexts), server)
    return [pb.DESCRIPTOR.services_by_name["LicenceService"].full_name]


def _subject(subject: subject_pb2.Subject) -> Subject:
    return Subject(subject.code_type, subject.code)
