"""Seals one may use, sealing a document, checking a sealed one."""

from __future__ import annotations

import orjson
from aiohttp import web
from onestop.eseal.v1 import eseal_pb2 as pb
from onestop.eseal.v1 import template_pb2

from core.identity import Scope
from core.public_json import render
from core.receipt_json import with_receipt
from gateway.call import Call, MissingReceiptError, raw_json_response, wanted_type
from gateway.limits import Limit
from gateway.receipts import receipt_header
from gateway.routes import Route
from gateway.shapes import PAGING, Answer, Key, Listener, Parameter, UploadBody, Who, path_id

SERVICE = "onestop.eseal.v1.EsealService"
PART = "eseal"
PDF = "application/pdf"
OFD = "application/ofd"
JSON = "application/json"


async def list_seals(call: Call) -> web.StreamResponse:
    """A page of the seals that an office may use."""
    request = pb.ListSealsRequest(
        credential=call.credential,
        context=call.context(office=call.argument("office", required=True)),
        page_size=call.page_size(),
        page_token=call.argument("page_token"),
    )
    page = await call.ask(PART, call.parts.clients.eseal.ListSeals, request)
    return call.answer(page)


async def sign(call: Call) -> web.StreamResponse:
    """The sealed PDF or OFD, as it came, with its receipt in the header; or both as JSON."""
    assert call.upload is not None
    said = call.said(pb.SignDocumentRequest)
    request = pb.SignDocumentRequest(
        credential=call.credential,
        context=call.case_context(call.case()),
        seal_id=call.path("id"),
        document=call.upload.document,
        place=said.place if said.HasField("place") else None,
        level=said.level,
        certify=said.certify,
    )
    sealed = await call.ask(PART, call.parts.clients.eseal.SignDocument, request)
    return sealed_file(call, sealed)


def sealed_file(
    call: Call, sealed: pb.SignDocumentResponse | template_pb2.SignTemplateResponse, **headers: str
) -> web.StreamResponse:
    """A sealed file with its receipt in the headers; or both as JSON, where that is asked for."""
    if not sealed.receipt.id:
        raise MissingReceiptError("a document was sealed without a receipt")
    call.leaves_with(sealed.receipt.id)
    if wanted_type(call.request, (PDF, OFD, JSON)) == JSON:
        # The entry commits to the file's bytes; this form of the answer carries them in base64.
        return raw_json_response(with_receipt(orjson.dumps(render(sealed)), sealed.receipt))
    kind, name = (OFD, "sealed.ofd") if sealed.media_type == OFD else (PDF, "sealed.pdf")
    return web.Response(
        body=sealed.document,
        content_type=kind,
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Signature-Id": sealed.signature_id,
            "Receipt-Id": sealed.receipt.id,
            "Receipt": receipt_header(sealed.receipt),
            **headers,
        },
    )


async def verify(call: Call) -> web.StreamResponse:
    """What can be said of a sealed document."""
    assert call.upload is not None
    call.said(pb.VerifyDocumentRequest)  # nothing beside the case
    request = pb.VerifyDocumentRequest(
        credential=call.credential,
        context=call.case_context(call.case()),
        document=call.upload.document,
    )
    checked = await call.ask(PART, call.parts.clients.eseal.VerifyDocument, request)
    return call.answer(checked.answer, checked.receipt)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="GET",
        path="/approval/v1/seals",
        name="listSeals",
        summary="List the seals that an office may use",
        handler=list_seals,
        who=Who.MACHINE,
        answer=Answer(pb.ListSealsResponse, description="A page of seals."),
        rpc=f"{SERVICE}.ListSeals",
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
        path="/approval/v1/seals/{id}:sign",
        name="signDocument",
        summary="Seal a document",
        handler=sign,
        who=Who.MACHINE,
        answer=Answer(
            pb.SignDocumentResponse,
            receipt=True,
            types=(PDF, OFD, JSON),
            description="The sealed document, a PDF or an OFD as it came: the file with the headers"
            " `Receipt-Id`, `Receipt` (base64url of the receipt's JSON) and `Signature-Id`; or, by `Accept`,"
            " all of it as JSON.",
        ),
        rpc=f"{SERVICE}.SignDocument",
        scope=Scope.SEAL_USE,
        limit=Limit.APPROVAL,
        key=Key.REQUIRED,
        body=UploadBody(pb.SignDocumentRequest, ("place", "level", "certify")),
        parameters=(path_id("id", "Id of the seal."),),
        renames={
            "place": "request.place",
            "level": "request.level",
            "certify": "request.certify",
            "seal_id": "id",
        },
        tag="approval",
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/documents:verify",
        name="verifyDocument",
        summary="Check a sealed document",
        handler=verify,
        who=Who.MACHINE,
        answer=Answer(
            pb.VerifyDocumentAnswer, receipt=True, description="Verdict, and a report on each seal."
        ),
        rpc=f"{SERVICE}.VerifyDocument",
        scope=Scope.DOCUMENT_VERIFY,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=UploadBody(),
        tag="approval",
    ),
)
