"""The bank asks a farmer for a consent, and looks what became of it."""

from __future__ import annotations

from aiohttp import web
from onestop.agricredit.v1 import agricredit_pb2 as pb
from onestop.common.v1 import context_pb2

from core.identity import Scope
from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, JsonBody, Key, Listener, Who, path_id

SERVICE = "onestop.agricredit.v1.AgriCreditService"
PART = "agricredit"


def agreement() -> context_pb2.Basis:
    """A partner's standing agreement with the city."""
    return context_pb2.Basis(kind=context_pb2.BASIS_KIND_AGREEMENT)


async def create(call: Call) -> web.StreamResponse:
    """Asks for a consent."""
    request = pb.CreateConsentRequestRequest(
        credential=call.credential,
        context=call.context(basis=agreement()),
        query=call.query(pb.CreateConsentRequestQuery),
    )
    response = await call.ask(PART, call.parts.clients.agricredit.CreateConsentRequest, request)
    return call.answer(response.answer, response.receipt)


async def get(call: Call) -> web.StreamResponse:
    """The state of a consent request of one's own."""
    request = pb.GetConsentRequestRequest(
        credential=call.credential, context=call.context(basis=agreement()), id=call.path("id")
    )
    response = await call.ask(PART, call.parts.clients.agricredit.GetConsentRequest, request)
    return call.answer(response.answer, response.receipt)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/partner/v1/consent_requests",
        name="createConsentRequest",
        summary="Ask a farmer for a consent",
        handler=create,
        who=Who.MACHINE,
        answer=Answer(pb.ConsentRequestAnswer, receipt=True, status=201, description="The consent request."),
        rpc=f"{SERVICE}.CreateConsentRequest",
        scope=Scope.CONSENT_REQUEST,
        limit=Limit.PARTNER,
        key=Key.REQUIRED,
        body=JsonBody(pb.CreateConsentRequestQuery),
        tag="partner",
    ),
    Route(
        listener=Listener.MACHINES,
        method="GET",
        path="/partner/v1/consent_requests/{id}",
        name="getConsentRequest",
        summary="Read the state of a consent request",
        handler=get,
        who=Who.MACHINE,
        answer=Answer(pb.ConsentRequestAnswer, receipt=True, description="The consent request."),
        rpc=f"{SERVICE}.GetConsentRequest",
        scope=Scope.CONSENT_REQUEST,
        limit=Limit.PARTNER,
        key=Key.OPTIONAL,
        parameters=(path_id("id", "Id of the consent request."),),
        tag="partner",
    ),
)
