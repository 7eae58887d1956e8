"""Anybody checks a sealed document."""

from __future__ import annotations

from aiohttp import web
from onestop.eseal.v1 import eseal_pb2 as pb

from gateway.call import Call
from gateway.routes import Route
from gateway.shapes import Answer, Listener, UploadBody, Who

PART = "eseal"


async def verify(call: Call) -> web.StreamResponse:
    """What can be said of a sealed document, by the file itself and by the state of our seals."""
    assert call.upload is not None
    request = pb.CheckDocumentRequest(document=call.upload.document)
    checked = await call.ask(PART, call.parts.clients.eseal.CheckDocument, request)
    return call.answer(checked.answer)


ROUTES = (
    Route(
        listener=Listener.PEOPLE,
        method="POST",
        path="/public/v1/documents:verify",
        name="verifyPublicDocument",
        summary="Check a sealed document, as anybody",
        handler=verify,
        who=Who.ANYBODY,
        answer=Answer(pb.VerifyDocumentAnswer, description="Verdict, and a report on each seal."),
        rpc="onestop.eseal.v1.EsealService.CheckDocument",
        body=UploadBody(document_alone=True),
        tag="public",
    ),
)
