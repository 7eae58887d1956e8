"""A person sees who used her data."""

from __future__ import annotations

from aiohttp import web
from onestop.ledger.v1 import ledger_pb2 as pb

from gateway.call import Call
from gateway.citizen.consents import holder
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import PAGING, Answer, Key, Listener, Parameter, Who

SERVICE = "onestop.ledger.v1.LedgerService"
PART = "ledger"

_INSTANT = {"type": "string", "format": "date-time"}


async def list_disclosures(call: Call) -> web.StreamResponse:
    """A page of the uses of one's data."""
    request = pb.ListDisclosuresRequest(
        credential=call.credential,
        context=call.context(basis=holder()),
        page_size=call.page_size(),
        page_token=call.argument("page_token"),
        since=call.instant("since"),
        until=call.instant("until"),
        own_reads=call.flag("own_reads"),
    )
    response = await call.ask(PART, call.parts.clients.ledger.ListDisclosures, request)
    return call.answer(response.answer, response.receipt)


ROUTES = (
    Route(
        listener=Listener.PEOPLE,
        method="GET",
        path="/citizen/v1/disclosures",
        name="listDisclosures",
        summary="See who used my data, with a receipt for each use",
        handler=list_disclosures,
        who=Who.CITIZEN,
        answer=Answer(pb.ListDisclosuresAnswer, receipt=True, description="A page of uses, newest first."),
        rpc=f"{SERVICE}.ListDisclosures",
        limit=Limit.CITIZEN,
        key=Key.OPTIONAL,
        parameters=(
            *PAGING,
            Parameter(
                "since",
                "query",
                "Only what was recorded at this moment (RFC 3339) or later.",
                schema=_INSTANT,
            ),
            Parameter("until", "query", "Only what was recorded before this moment.", schema=_INSTANT),
            Parameter(
                "own_reads",
                "query",
                "Also what I looked up about myself, such as this list; `false` unless told.",
                schema={"type": "boolean"},
            ),
        ),
        tag="citizen",
    ),
)
