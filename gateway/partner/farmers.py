"""The consented data of a farmer, signed by the city and encrypted to the partner."""

from __future__ import annotations

from aiohttp import web
from onestop.agricredit.v1 import agricredit_pb2 as pb
from onestop.common.v1 import context_pb2

from core.identity import Scope
from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, JsonBody, Key, Listener, Who

SERVICE = "onestop.agricredit.v1.AgriCreditService"


def consent_context(call: Call) -> context_pb2.RequestContext:
    """The consent that the body names, as the ground for an answer."""
    return call.context(
        basis=context_pb2.Basis(kind=context_pb2.BASIS_KIND_CONSENT, consent_id=call.text("consent_id"))
    )


async def land_rights(call: Call) -> web.StreamResponse:
    """The farmer's land rights."""
    query = call.query(pb.FetchQuery)
    item = call.checked(pb.FetchLandRightsItem(context=consent_context(call), query=query))
    result = await call.parts.clients.fetch_land_rights(call.credential, item)
    call.leaves_with(result.receipt_id)
    return call.answer(result.answer)


async def subsidies(call: Call) -> web.StreamResponse:
    """The farmer's subsidies."""
    query = call.query(pb.FetchQuery)
    item = call.checked(pb.FetchSubsidiesItem(context=consent_context(call), query=query))
    result = await call.parts.clients.fetch_subsidies(call.credential, item)
    call.leaves_with(result.receipt_id)
    return call.answer(result.answer)


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/partner/v1/farmers:land_rights",
        name="fetchLandRights",
        summary="Fetch a farmer's land rights, under her consent",
        handler=land_rights,
        who=Who.MACHINE,
        answer=Answer(
            pb.SealedAnswer,
            description="The answer, encrypted to the partner's key; inside, signed by the city, a"
            " `LandRightsAnswerWithReceipt`.",
            inside=pb.LandRightsAnswer,
        ),
        rpc=f"{SERVICE}.BatchFetchLandRights",
        scope=Scope.CREDIT_FETCH,
        limit=Limit.PARTNER,
        key=Key.OPTIONAL,
        body=JsonBody(pb.FetchQuery, consent=True, without=("years",)),
        tag="partner",
    ),
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/partner/v1/farmers:subsidies",
        name="fetchSubsidies",
        summary="Fetch a farmer's subsidies, under her consent",
        handler=subsidies,
        who=Who.MACHINE,
        answer=Answer(
            pb.SealedAnswer,
            description="The answer, encrypted to the partner's key; inside, signed by the city, a"
            " `SubsidiesAnswerWithReceipt`.",
            inside=pb.SubsidiesAnswer,
        ),
        rpc=f"{SERVICE}.BatchFetchSubsidies",
        scope=Scope.CREDIT_FETCH,
        limit=Limit.PARTNER,
        key=Key.OPTIONAL,
        body=JsonBody(pb.FetchQuery, consent=True),
        tag="partner",
    ),
)
