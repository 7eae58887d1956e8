"""The city's public keys, by which partners check signed answers."""

from __future__ import annotations

import json

from aiohttp import web
from onestop.agricredit.v1 import agricredit_pb2 as pb

from gateway.call import Call
from gateway.limits import Limit
from gateway.routes import Route
from gateway.shapes import Answer, Listener, Who


async def answer_keys(call: Call) -> web.StreamResponse:
    """The JWK set."""
    method = call.parts.clients.agricredit.GetAnswerKeys
    keys = await call.ask("agricredit", method, pb.GetAnswerKeysRequest())
    return web.json_response(
        json.loads(keys.jwks),
        headers={"Cache-Control": "public, max-age=300"},
    )


def _on(listener: Listener) -> Route:
    return Route(
        listener=listener,
        method="GET",
        path="/.well-known/onestop-answer-keys.json",
        name="getAnswerKeys",
        summary="The public keys that sign answers to partners",
        handler=answer_keys,
        who=Who.ANYBODY,
        answer=Answer(
            description="A JWK set (RFC 7517).",
            schema={
                "type": "object",
                "required": ["keys"],
                "properties": {"keys": {"type": "array", "items": {"type": "object"}}},
            },
        ),
        rpc="onestop.agricredit.v1.AgriCreditService.GetAnswerKeys",
        limit=Limit.PARTNER,
        tag="keys",
    )


ROUTES = (_on(Listener.MACHINES), _on(Listener.PEOPLE))
