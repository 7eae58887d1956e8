"""How these routes ask the seal service, on the holder's own ground, and answer: never without a receipt."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import TypeVar

import orjson
from aiohttp import web
from google.protobuf.message import Message
from onestop.common.v1 import context_pb2, receipt_pb2

from core.receipt_json import with_receipt
from gateway.bodies import SLOW_BYTES
from gateway.call import Call, MissingReceiptError, json_response, raw_json_response
from gateway.csc.answers import Told

T = TypeVar("T")

SERVICE = "onestop.eseal.v1.RemoteSigningService"
PART = "eseal"
TAG = "company"

RENAMES = {"credential_id": "credentialID", "sad": "SAD", "digests": "hashes"}
"""The contract's fields as the specification names them."""


def own_context(call: Call, key: str = "") -> context_pb2.RequestContext:
    """The context of an act that the holder authorises herself; `key` takes the place of the caller's."""
    context = call.context(basis=context_pb2.Basis(kind=context_pb2.BASIS_KIND_HOLDER))
    if key:
        context.request_id = key
    return context


def key_of(call: Call, request: Message) -> str:
    """The caller's Idempotency-Key; else a name of what is asked, so that a retry gets the first answer.

    Clients of the specification know no such header. A request to sign bears a SAD, 256 random bits that
    are told once: who sends the very same request asks for the very same signatures.
    """
    if call.key:
        return call.key
    return "csc-" + hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()


async def beside_loop(call: Call, work: Callable[[], T]) -> T:
    """What the work gives; done in a thread where the request carries documents, which are base64 in JSON."""
    if (call.request.content_length or SLOW_BYTES) >= SLOW_BYTES:
        return await asyncio.to_thread(work)
    return work()


def told(answer: Told) -> web.Response:
    """An answer that needs no receipt."""
    return json_response(answer.document())


def released(call: Call, answer: Told, receipt: receipt_pb2.Receipt) -> web.Response:
    """An answer with its receipt, as the part committed to it if the receipt has that."""
    if not receipt.id:
        raise MissingReceiptError(f"{call.route.name} was answered without a receipt")
    call.leaves_with(receipt.id)
    return raw_json_response(with_receipt(receipt.answer_json or orjson.dumps(answer.document()), receipt))
