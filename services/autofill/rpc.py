"""The autofill service's gRPC face: messages in, use cases called, messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
from onestop.autofill.v1 import autofill_pb2 as pb
from onestop.autofill.v1 import autofill_pb2_grpc as pb_grpc
from onestop.common.v1 import context_pb2, subject_pb2

from core.batch import answer_batch
from core.context import ContextReader, request_body
from core.disclosure import BasisKind
from core.identity import Scope, Subject
from core.release import Answered, answer_of
from core.wire import Relay, json_of, struct_of
from services.autofill.matter import Matter
from services.autofill.service import FormDesk

FOR_A_CASE = frozenset({BasisKind.MATTER})
NO_BASIS: frozenset[BasisKind] = frozenset()
"""Matters and their forms hold no personal data."""


class AutofillServicer(pb_grpc.AutofillServiceServicer):
    """Answers batches item by item; each item has its own context, deadline and ledger entry."""

    def __init__(self, desk: FormDesk, contexts: ContextReader) -> None:
        self._desk = desk
        self._contexts = contexts

    async def ListMatters(self, request: pb.ListMattersRequest, context: object) -> pb.ListMattersResponse:
        """A page of the matters."""
        asked = await self._contexts.read(
            request.credential, request.context, scope=Scope.MATTER_READ, basis=NO_BASIS
        )
        page = self._desk.list_matters(asked, request.page_size, request.page_token)
        return pb.ListMattersResponse(
            matters=[_summary(matter) for matter in page.matters], next_page_token=page.next_page_token
        )

    async def GetMatter(self, request: pb.GetMatterRequest, context: object) -> pb.GetMatterResponse:
        """One matter with its form."""
        asked = await self._contexts.read(
            request.credential, request.context, scope=Scope.MATTER_READ, basis=NO_BASIS
        )
        return _matter(self._desk.get_matter(asked, request.code))

    async def BatchAutofill(
        self, request: pb.BatchAutofillRequest, context: object
    ) -> pb.BatchAutofillResponse:
        """Each item's filled form, or the item's own error."""

        async def one(item: pb.AutofillItem) -> Answered[pb.AutofillResult]:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.AUTOFILL_FILL, basis=FOR_A_CASE
            )
            released = await self._desk.autofill(
                asked,
                _subjects(item.query.subjects),
                list(item.query.field_names),
                relay=_relay(request.credentials, item.context),
                body=request_body(item),
            )
            return answer_of(released, lambda wire, receipt: pb.AutofillResult(answer=wire, receipt=receipt))

        results = await answer_batch(request.items, pb.AutofillResult, one)
        return pb.BatchAutofillResponse(results=results)

    async def BatchVerifyFields(
        self, request: pb.BatchVerifyFieldsRequest, context: object
    ) -> pb.BatchVerifyFieldsResponse:
        """Each item's verdicts, or the item's own error."""

        async def one(item: pb.VerifyFieldsItem) -> Answered[pb.VerifyFieldsResult]:
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.AUTOFILL_VERIFY, basis=FOR_A_CASE
            )
            released = await self._desk.verify(
                asked,
                _subjects(item.query.subjects),
                {name: json_of(value) for name, value in item.query.values.items()},
                relay=_relay(request.credentials, item.context),
                body=request_body(item),
            )
            return answer_of(
                released, lambda wire, receipt: pb.VerifyFieldsResult(answer=wire, receipt=receipt)
            )

        results = await answer_batch(request.items, pb.VerifyFieldsResult, one)
        return pb.BatchVerifyFieldsResponse(results=results)


def register(desk: FormDesk, contexts: ContextReader, server: grpc.aio.Server) -> Sequence[str]:
    """Adds the servicer; answers the full name of its service."""
    pb_grpc.add_AutofillServiceServicer_to_server(AutofillServicer(desk, contexts), server)
    return [pb.DESCRIPTOR.services_by_name["AutofillService"].full_name]


def _summary(matter: Matter) -> pb.MatterSummary:
    return pb.MatterSummary(
        code=matter.code,
        name=matter.name,
        name_en=matter.name_en,
        catalogue_code=matter.catalogue_code,
        office_name=matter.office_name,
        version=matter.version,
    )


def _matter(matter: Matter) -> pb.GetMatterResponse:
    return pb.GetMatterResponse(
        matter=_summary(matter),
        form=struct_of(matter.form),
        materials=[
            pb.Material(name=m.name, licence_type_code=m.licence_type_code, required=m.required)
            for m in matter.materials
        ],
        subject_roles=[
            pb.SubjectRole(role=r.role, code_types=r.code_types, required=r.required) for r in matter.roles
        ],
    )


def _subjects(subjects: Mapping[str, subject_pb2.Subject]) -> dict[str, Subject]:
    return {role: Subject(subject.code_type, subject.code) for role, subject in subjects.items()}


def _relay(credentials: Sequence[context_pb2.Credential], context: context_pb2.RequestContext) -> Relay:
    return Relay(credentials[context.credential_index], context)
