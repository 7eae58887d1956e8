"""The licence service's gRPC face: messages in, use cases called, messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import grpc
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from onestop.common.v1 import provenance_pb2, subject_pb2
from onestop.licence.v1 import licence_pb2 as pb
from onestop.licence.v1 import licence_pb2_grpc as pb_grpc

from core.batch import answer_batch
from core.context import ContextReader, request_body
from core.disclosure import BasisKind
from core.identity import Scope, Subject
from core.ledger import receipt_to_pb
from core.wire import put
from services.licence.domain import HOLDER_NAME, NUMBER, FieldValue, Licence, LicenceState, Verdict
from services.licence.service import (
    FieldsAnswer,
    GetAnswer,
    LicenceDesk,
    SearchAnswer,
    Summary,
    VerifyAnswer,
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
        async def one(item: pb.SearchLicencesItem) -> pb.SearchLicencesResult:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.LICENCE_READ, basis=FOR_A_CASE
            )
            released = await self._desk.search(
                asked, _subject(item.query.holder), list(item.query.type_codes), body=request_body(item)
            )
            answer = cast(pb.SearchLicencesAnswer, released.wire)
            return pb.SearchLicencesResult(answer=answer, receipt=receipt_to_pb(released.receipt))

        results = await answer_batch(request.items, pb.SearchLicencesResult, one)
        return pb.BatchSearchLicencesResponse(results=results)

    async def BatchGetLicences(
        self, request: pb.BatchGetLicencesRequest, context: object
    ) -> pb.BatchGetLicencesResponse:
        async def one(item: pb.GetLicenceItem) -> pb.GetLicenceResult:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.LICENCE_READ, basis=CARRIED_BY_THE_USE_CODE
            )
            released = await self._desk.get(
                asked, item.query.id, item.query.use_code, body=request_body(item)
            )
            answer = cast(pb.GetLicenceAnswer, released.wire)
            return pb.GetLicenceResult(answer=answer, receipt=receipt_to_pb(released.receipt))

        results = await answer_batch(request.items, pb.GetLicenceResult, one)
        return pb.BatchGetLicencesResponse(results=results)

    async def BatchVerifyLicences(
        self, request: pb.BatchVerifyLicencesRequest, context: object
    ) -> pb.BatchVerifyLicencesResponse:
        async def one(item: pb.VerifyLicenceItem) -> pb.VerifyLicenceResult:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.LICENCE_VERIFY, basis=FOR_A_CASE
            )
            released = await self._desk.verify(asked, item.query.identifier, body=request_body(item))
            answer = cast(pb.VerifyLicenceAnswer, released.wire)
            return pb.VerifyLicenceResult(answer=answer, receipt=receipt_to_pb(released.receipt))

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
            return pb.ReadLicenceFieldsResult(answer=_fields_answer(found))

        results = await answer_batch(request.items, pb.ReadLicenceFieldsResult, one)
        return pb.BatchReadLicenceFieldsResponse(results=results)


def register(desk: LicenceDesk, contexts: ContextReader, server: grpc.aio.Server) -> Sequence[str]:
    """Adds the servicer; answers the full name of its service."""
    pb_grpc.add_LicenceServiceServicer_to_server(LicenceServicer(desk, contexts), server)
    return [pb.DESCRIPTOR.services_by_name["LicenceService"].full_name]


def answer_to_pb(answer: object) -> Message:
    """An answer of the desk as the contract has it."""
    match answer:
        case SearchAnswer():
            return _search_answer(answer)
        case GetAnswer():
            return _get_answer(answer)
        case VerifyAnswer():
            return _verify_answer(answer)
    raise TypeError(f"the licence desk answers nothing of type {type(answer).__name__}")


def _search_answer(answer: SearchAnswer) -> pb.SearchLicencesAnswer:
    message = pb.SearchLicencesAnswer(
        licences=[_summary(one) for one in answer.licences],
        missing_type_codes=answer.missing_type_codes,
        use_code=answer.use_code,
    )
    if answer.use_code_expires_at is not None:
        message.use_code_expires_at.FromDatetime(answer.use_code_expires_at)
    return message


def _get_answer(answer: GetAnswer) -> pb.GetLicenceAnswer:
    licence = answer.summary.licence
    face = dict(answer.fields)
    number, holder_name = face.pop(NUMBER, None), face.pop(HOLDER_NAME, None)
    message = pb.GetLicenceAnswer(
        licence=_summary(answer.summary),
        identifier=licence.identifier,
        number=None if number is None else str(number),
        holder_name=None if holder_name is None else str(holder_name),
        issuer_code=licence.issuer_code,
        issued_on=licence.issued_on.isoformat(),
        provenance=_provenance(licence),
    )
    _set_fields(message.fields, face)
    return message


def _verify_answer(answer: VerifyAnswer) -> pb.VerifyLicenceAnswer:
    message = pb.VerifyLicenceAnswer(verdict=_verdict(answer.verdict), as_of=answer.as_of.isoformat())
    if answer.summary is not None:
        message.state = _state(answer.summary.state)
        message.type_name = answer.summary.type_name
        message.issuer_name = answer.summary.licence.issuer_name
        message.superseded = answer.summary.licence.superseded
    return message


def _fields_answer(answer: FieldsAnswer | None) -> pb.ReadLicenceFieldsAnswer:
    if answer is None:
        return pb.ReadLicenceFieldsAnswer(found=False)
    message = pb.ReadLicenceFieldsAnswer(
        found=True, state=_state(answer.summary.state), provenance=_provenance(answer.summary.licence)
    )
    _set_fields(message.fields, answer.fields)
    return message


def _summary(summary: Summary) -> pb.LicenceSummary:
    licence = summary.licence
    return pb.LicenceSummary(
        id=str(licence.key.licence_id),
        type_code=licence.type_code,
        type_name=summary.type_name,
        issuer_name=licence.issuer_name,
        state=_state(summary.state),
        valid_from=licence.valid_from.isoformat(),
        valid_until=licence.valid_until.isoformat() if licence.valid_until else None,
        version=licence.version,
    )


def _provenance(licence: Licence) -> provenance_pb2.Provenance:
    message = provenance_pb2.Provenance(resource=licence.resource, record_version=str(licence.key.licence_id))
    message.as_of.FromDatetime(licence.recorded_at)
    return message


def _set_fields(target: object, fields: Mapping[str, FieldValue]) -> None:
    values = cast("dict[str, Value]", target)  # a protobuf map makes a missing value when it is looked up
    for name, value in fields.items():
        put(values[name], value)


def _state(state: LicenceState) -> pb.LicenceState.ValueType:
    return cast("pb.LicenceState.ValueType", state.value)


def _verdict(verdict: Verdict) -> pb.LicenceVerdict.ValueType:
    return cast("pb.LicenceVerdict.ValueType", verdict.value)


def _subject(subject: subject_pb2.Subject) -> Subject:
    return Subject(subject.code_type, subject.code)
