"""The verifiable record: checkpoint, tiles and keys to everybody, a receipt to its caller or holder."""

from __future__ import annotations

from aiohttp import web
from onestop.common.v1 import context_pb2
from onestop.ledger.v1 import ledger_pb2 as pb

from core.errors import fault_error
from core.identity import Scope
from core.receipt_json import receipt_json
from gateway.call import Call, MissingReceiptError, raw_json_response
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, Listener, Parameter, Who, path_id
from gateway.tiles import TILE_WIDTH, TileNotFoundError, tile_at

SERVICE = "onestop.ledger.v1.LedgerService"
PART = "ledger"

RECEIPT_SCHEMA = {"$ref": "#/components/schemas/Receipt"}
RECEIPT_ID = path_id("id", "Id of the receipt.")


COSIGNED = Parameter(
    "cosigned",
    "query",
    "`true`: only what the witnesses have cosigned as `/ledger/v1/policy` wants it, which they do within"
    " seconds; 503 `NOT_COSIGNED` until then.",
    schema={"type": "string", "enum": ["true", "false"]},
)

FULL_TILE = "public, max-age=31536000, immutable"
PARTIAL_TILE = "public, max-age=60"
"""It never changes either, but nobody needs it for long: a wider one takes its place."""
POLICY_LIFE = "public, max-age=60"


async def checkpoint(call: Call) -> web.StreamResponse:
    """The newest checkpoint as it was signed, and cosigned so far."""
    request = pb.GetCheckpointRequest(cosigned=_cosigned(call))
    newest = await call.ask(PART, call.parts.clients.ledger.GetCheckpoint, request)
    return web.Response(
        text=newest.checkpoint,
        content_type="text/plain",
        headers={
            "Cache-Control": "no-cache",
            "Verifier-Key": newest.verifier_key,
        },
    )


async def tile(call: Call) -> web.StreamResponse:
    """A tile of hashes."""
    wanted = tile_at(call.path("level"), call.path("index"))
    if wanted is None:
        raise TileNotFoundError("there is no tile at this path", part="gateway")
    found = await call.ask(PART, call.parts.clients.ledger.GetTile, wanted)
    return web.Response(
        body=found.hashes,
        content_type="application/octet-stream",
        headers={"Cache-Control": FULL_TILE if wanted.width == TILE_WIDTH else PARTIAL_TILE},
    )


async def policy(call: Call) -> web.StreamResponse:
    """The keys of the log and its witnesses."""
    found = await call.ask(PART, call.parts.clients.ledger.GetPolicy, pb.GetPolicyRequest())
    return web.Response(text=found.policy, content_type="text/plain", headers={"Cache-Control": POLICY_LIFE})


async def continuations(call: Call) -> web.StreamResponse:
    """The receipts of the entries by which the log continues others."""
    method = call.parts.clients.ledger.ListContinuations
    found = await call.ask(PART, method, pb.ListContinuationsRequest())
    receipts = b",".join(receipt_json(one) for one in found.receipts)
    return raw_json_response(b'{"continuations":[%s]}' % receipts, headers={"Cache-Control": POLICY_LIFE})


async def receipt(call: Call) -> web.StreamResponse:
    """A receipt again."""
    citizen = call.route.who is Who.CITIZEN
    kind = context_pb2.BASIS_KIND_HOLDER if citizen else context_pb2.BASIS_KIND_AGREEMENT
    request = pb.GetReceiptRequest(
        credential=call.credential,
        context=call.context(basis=context_pb2.Basis(kind=kind)),
        id=call.path("id"),
        cosigned=_cosigned(call),
    )
    found = await call.ask(PART, call.parts.clients.ledger.GetReceipt, request)
    if not found.receipt.id:
        raise MissingReceiptError("the ledger answered without the receipt")
    return raw_json_response(receipt_json(found.receipt))


def _cosigned(call: Call) -> bool:
    text = call.argument("cosigned")
    if text not in {"", "true", "false"}:
        raise fault_error("cosigned", "in", "must be true or false")
    return text == "true"


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
            description="A C2SP signed note: the newest, with the cosignatures that it has so far. The"
            " header `Verifier-Key` names the key that it verifies with.",
            schema={"type": "string"},
        ),
        rpc=f"{SERVICE}.GetCheckpoint",
        limit=Limit.APPROVAL,
        parameters=(COSIGNED,),
        tag="ledger",
    )


TILE = Route(
    listener=Listener.PEOPLE,
    method="GET",
    path="/ledger/v1/tile/{level}/{index}",
    pattern="/ledger/v1/tile/{level}/{index:.+}",
    name="getTile",
    summary="A tile of the log's hashes",
    handler=tile,
    who=Who.ANYBODY,
    answer=Answer(
        types=("application/octet-stream",),
        description="Hashes of 32 bytes each, 256 of them in a full tile. A full tile never changes.",
        schema={"type": "string"},
    ),
    rpc=f"{SERVICE}.GetTile",
    limit=Limit.ADDRESS,
    parameters=(
        Parameter("level", "path", "From 0 at the leaves' hashes, to 63.", required=True),
        Parameter(
            "index",
            "path",
            "The tile's index in groups of three digits, all but the last one beginning with `x` and each a"
            " path segment of its own (`x001/x234/067`); `.p/` and the width after it for a tile that is not"
            " full yet.",
            required=True,
            schema={"type": "string", "pattern": r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$"},
        ),
    ),
    tag="ledger",
)


def _policy_on(listener: Listener) -> Route:
    return Route(
        listener=listener,
        method="GET",
        path="/ledger/v1/policy",
        name="getPolicy",
        summary="The keys of the log and its witnesses",
        handler=policy,
        who=Who.ANYBODY,
        answer=Answer(
            types=("text/plain",),
            description="A C2SP tlog-policy: a line for the log, one for each log that it continues, its"
            " witnesses, and how many of them are wanted.",
            schema={"type": "string"},
        ),
        rpc=f"{SERVICE}.GetPolicy",
        limit=Limit.APPROVAL,
        tag="ledger",
    )


def _continuations_on(listener: Listener) -> Route:
    return Route(
        listener=listener,
        method="GET",
        path="/ledger/v1/continuations",
        name="listContinuations",
        summary="How the log continues others",
        handler=continuations,
        who=Who.ANYBODY,
        answer=Answer(
            description="Receipts, oldest first. Each entry names in `continues` the log before it: its"
            " origin, keys and last known checkpoint, and the size and root of what was left of it.",
            schema={
                "type": "object",
                "required": ["continuations"],
                "properties": {"continuations": {"type": "array", "items": RECEIPT_SCHEMA}},
            },
        ),
        rpc=f"{SERVICE}.ListContinuations",
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
        parameters=(RECEIPT_ID, COSIGNED),
        tag="ledger",
    )


ROUTES = (
    _checkpoint_on(Listener.MACHINES),
    _checkpoint_on(Listener.PEOPLE),
    _policy_on(Listener.MACHINES),
    _policy_on(Listener.PEOPLE),
    _continuations_on(Listener.MACHINES),
    _continuations_on(Listener.PEOPLE),
    TILE,
    _receipt_on(Listener.MACHINES, Who.MACHINE, Scope.LEDGER_READ),
    _receipt_on(Listener.PEOPLE, Who.CITIZEN, Scope.CITIZEN),
)
