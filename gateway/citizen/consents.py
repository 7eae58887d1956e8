"""A person sees what was asked of her, grants it, revokes it."""

from __future__ import annotations

from aiohttp import web
from onestop.agricredit.v1 import agricredit_pb2 as pb
from onestop.common.v1 import context_pb2

from core.errors import FieldFault, InvalidError
from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import PAGING, Answer, JsonBody, Key, Listener, Who, path_id

SERVICE = "onestop.agricredit.v1.AgriCreditService"
PART = "agricredit"


def holder() -> context_pb2.Basis:
    """The person asks about herself."""
    return context_pb2.Basis(kind=context_pb2.BASIS_KIND_HOLDER)


async def list_requests(call: Call) -> web.StreamResponse:
    """A page of one's consent requests."""
    request = pb.ListConsentRequestsRequest(
        credential=call.credential,
        context=call.context(basis=holder()),
        page_size=call.page_size(),
        page_token=call.argument("page_token"),
    )
    response = await call.ask(PART, call.parts.clients.agricredit.ListConsentRequests, request)
    return call.answer(response.answer, response.receipt)


async def grant(call: Call) -> web.StreamResponse:
    """Grants what was asked, or a part of it."""
    request = pb.GrantConsentRequest(
        credential=call.credential,
        context=call.context(basis=holder()),
        query=call.query(pb.GrantConsentQuery),
    )
    response = await call.ask(PART, call.parts.clients.agricredit.GrantConsent, request)
    return call.answer(response.answer, response.receipt)


async def revoke(call: Call) -> web.StreamResponse:
    """Revokes a consent, at once."""
    if call.body:
        faults = [FieldFault(name, "unknown", "is not a field of this request") for name in call.body]
        raise InvalidError("this request takes an empty object", faults=faults)
    request = pb.RevokeConsentRequest(
        credential=call.credential, context=call.context(basis=holder()), consent_id=call.path("id")
    )
    response = await call.ask(PART, call.parts.clients.agricredit.RevokeConsent, request)
    return call.answer(response.answer, response.receipt)


ROUTES = (
    Route(
        listener=Listener.PEOPLE,
        method="GET",
        path="/citizen/v1/consent_requests",
        name="listConsentRequests",
        summary="See what partners ask me to consent to, and what I granted",
        handler=list_requests,
        who=Who.CITIZEN,
        answer=Answer(pb.ListConsentRequestsAnswer, receipt=True, description="A page of consent requests."),
        rpc=f"{SERVICE}.ListConsentRequests",
        limit=Limit.CITIZEN,
        key=Key.OPTIONAL,
        parameters=PAGING,
        tag="citizen",
    ),
    Route(
        listener=Listener.PEOPLE,
        method="POST",
        path="/citizen/v1/consents",
        name="grantConsent",
        summary="Grant a consent",
        handler=grant,
        who=Who.CITIZEN,
        answer=Answer(pb.ConsentAnswer, receipt=True, status=201, description="The consent."),
        rpc=f"{SERVICE}.GrantConsent",
        limit=Limit.CITIZEN,
        key=Key.REQUIRED,
        body=JsonBody(pb.GrantConsentQuery),
        tag="citizen",
    ),
    Route(
        listener=Listener.PEOPLE,
        method="POST",
        path="/citizen/v1/consents/{id}:revoke",
        name="revokeConsent",
        summary="Revoke a consent",
        handler=revoke,
        who=Who.CITIZEN,
        answer=Answer(pb.ConsentAnswer, receipt=True, description="The consent, revoked."),
        rpc=f"{SERVICE}.RevokeConsent",
        limit=Limit.CITIZEN,
        key=Key.REQUIRED,
        body=JsonBody(),
        parameters=(path_id("id", "Id of the consent."),),
        renames={"consent_id": "id"},
        tag="citizen",
    ),
)
