"""The verifiable record: the newest checkpoint, and a receipt to its caller or holder."""

from __future__ import annotations

from aiohttp import web
from onestop.common.v1 import context_pb2
from onestop.ledger.v1 import ledger_pb2 as pb

from core.identity import Scope
from core.receipt_json import receipt_json
from gateway.call import Call, MissingReceiptError, raw_json_response
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, Listener, Who, path_id

SERVICE = "onestop.ledger.v1.LedgerService"
PART = "ledger"

RECEIPT_SCHEMA = {"$ref": "#/components/schemas/Receipt"}
RECEIPT_ID = path_id("id", "Id of the receipt.")


async def checkpoint(call: Call) -> web.StreamResponse:
    """The newest checkpoint as it was signed."""
    newest = await call.ask(PART, call.parts.clients.ledger.GetCheckpoint, pb.GetCheckpointRequest())
    return web.Response(
        text=newest.checkpoint,
        content_type="text/plain",
        headers={
            "Cache-Control": "no-cache",
            "Verifier-Key": newest.verifier_key,
        },
    )


async def receipt(call: Call) -> web.StreamResponse:
    """A receipt again."""
    citizen = call.route.who is Who.CITIZEN
    kind = context_pb2.BASIS_KIND_HOLDER if citizen else context_pb2.BASIS_KIND_AGREEMENT
    request = pb.GetReceiptRequest(
        credential=call.credential,
        context=call.context(basis=context_pb2.Basis(kind=kind)),
        id=call.path("id"),
    )
    found = await call.ask(PART, call.parts.clients.ledger.GetReceipt, request)
    if not found.receipt.id:
        raise MissingReceiptError("the ledger answered without the receipt")
    return raw_json_response(receipt_json(found.receipt))


def _checkpoint_on(listener: Listener) -> Route:
    return Route(
        listener=listener,
        method="GET",
        path="/ledger/v1/checkpoint",
        name="getCheckpoint",
        summary="The ledger's newest signed checkpoint",
        handler=checkpoint,
        who=Who.ANYBODY,
        answer=Answer(
            types=("text/plain",),
            description="A C2SP signed note. The header `Verifier-Key` names the key that it verifies with.",
            schema={"type": "string"},
        ),
        rpc=f"{SERVICE}.GetCheckpoint",
        limit=Limit.APPROVAL,
        tag="ledger",
    )


def _receipt_on(listener: Listener, who: Who, scope: Scope) -> Route:
    return Route(
        listener=listener,
        method="GET",
        path="/ledger/v1/receipts/{id}",
        name="getReceipt",
        summary="A receipt, to its caller or holder",
        handler=receipt,
        who=who,
        answer=Answer(description="The receipt.", schema=RECEIPT_SCHEMA),
        rpc=f"{SERVICE}.GetReceipt",
        scope=scope,
        limit=Limit.APPROVAL,
        parameters=(RECEIPT_ID,),
        tag="ledger",
    )


ROUTES = (
    _checkpoint_on(Listener.MACHINES),
    _checkpoint_on(Listener.PEOPLE),
    _receipt_on(Listener.MACHINES, Who.MACHINE, Scope.LEDGER_READ),
    _receipt_on(Listener.PEOPLE, Who.CITIZEN, Scope.CITIZEN),
)
