"""Templates of decision letters and licences, and documents made of them."""

from __future__ import annotations

from aiohttp import web
from onestop.eseal.v1 import template_pb2 as pb

from core.identity import Scope
from gateway.approval.seals import JSON, OFD, PART, PDF, sealed_file
from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import PAGING, Answer, CaseIn, JsonBody, Key, Listener, Parameter, Who, path_id

SERVICE = "onestop.eseal.v1.TemplateService"
LARGEST_FILL = 3 * 1024 * 1024
"""Bytes of a request: 2 MiB of pictures in base64, and its texts."""


async def list_templates(call: Call) -> web.StreamResponse:
    """A page of the templates that an office may use."""
    request = pb.ListTemplatesRequest(
        credential=call.credential,
        context=call.context(office=call.argument("office", required=True)),
        page_size=call.page_size(),
        page_token=call.argument("page_token"),
    )
    page = await call.ask(PART, call.parts.clients.templates.ListTemplates, request)
    return call.answer(page)


async def sign_template(call: Call) -> web.StreamResponse:
    """The filled and sealed document with its receipt in the header; or both as JSON."""
    request = pb.SignTemplateRequest(
        credential=call.credential,
        context=call.case_context(call.case()),
        seal_id=call.path("id"),
        fill=call.query(pb.TemplateFill),
    )
    sealed = await call.ask(PART, call.parts.clients.templates.SignTemplate, request)
    return sealed_file(call, sealed, **{"Verification-Link": sealed.verification_link})


async def find_sealed(call: Call) -> web.StreamResponse:
    """What stands under a document's number."""
    request = pb.FindSealedDocumentRequest(number=call.path("number"))
    found = await call.ask(PART, call.parts.clients.templates.FindSealedDocument, request)
    return call.answer(found)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="GET",
        path="/approval/v1/seal_templates",
        name="listTemplates",
        summary="List the templates that an office may use",
        handler=list_templates,
        who=Who.MACHINE,
        answer=Answer(pb.ListTemplatesResponse, description="A page of templates with their fields."),
        rpc=f"{SERVICE}.ListTemplates",
        scope=Scope.SEAL_USE,
        limit=Limit.APPROVAL,
        parameters=(
            Parameter("office", "query", "USCC of the office (GB 32100), 18 characters.", required=True),
            *PAGING,
        ),
        renames={"context.office": "office", "office": "office"},
        tag="approval",
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/seals/{id}:sign_template",
        name="signTemplate",
        summary="Fill a template and seal what it gives",
        handler=sign_template,
        who=Who.MACHINE,
        answer=Answer(
            pb.SignTemplateResponse,
            receipt=True,
            types=(PDF, OFD, JSON),
            description="The sealed document, a PDF or an OFD as the seal is for: the file with the headers"
            " `Receipt-Id`, `Receipt` (base64url of the receipt's JSON), `Signature-Id` and"
            " `Verification-Link`; or, by `Accept`, all of it as JSON.",
        ),
        rpc=f"{SERVICE}.SignTemplate",
        scope=Scope.SEAL_USE,
        limit=Limit.APPROVAL,
        key=Key.REQUIRED,
        body=JsonBody(pb.TemplateFill, case=CaseIn.BODY, largest=LARGEST_FILL),
        parameters=(path_id("id", "Id of the seal."),),
        renames={"fill": "", "seal_id": "id"},
        tag="approval",
    ),
    Route(
        listener=Listener.PEOPLE,
        method="GET",
        path="/public/v1/sealed_documents/{number}",
        name="findSealedDocument",
        summary="What stands under the number in a document's QR code",
        handler=find_sealed,
        who=Who.ANYBODY,
        answer=Answer(pb.FindSealedDocumentResponse, description="The seal, when it was put, its state."),
        rpc=f"{SERVICE}.FindSealedDocument",
        parameters=(path_id("number", "The document's number, 32 hexadecimal digits."),),
        tag="public",
    ),
)
