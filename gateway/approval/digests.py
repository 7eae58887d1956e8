"""Checking sealed files by their digests alone: the files stay where they are."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import orjson
from aiohttp import web
from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import eseal_pb2 as pb

from core import log
from core.identity import Scope
from core.public_json import render
from core.receipt_json import with_receipt
from core.status import from_status
from core.trace import current_trace_id
from gateway.call import Call, MissingReceiptError, raw_json_response
from gateway.limits import Limit
from gateway.problems import problem_document, problem_of
from gateway.routes import Route
from gateway.shapes import Answer, CaseIn, JsonBody, Key, Listener, Who

PART = "eseal"
AT_ONCE = 32
"""Results that are written in one turn of the event loop."""

_logger = log.get_logger()


async def verify(call: Call) -> web.StreamResponse:
    """What can be said of each file, or that only the file itself can say it."""
    query = call.checked(call.query(pb.VerifyDigestsQuery))
    context = call.case_context(call.case())
    request = pb.BatchVerifyDigestsRequest(
        credentials=[call.credential],
        items=[
            pb.VerifyDigestItem(context=_of_one(context, place), query=pb.VerifyDigestQuery(sha256=digest))
            for place, digest in enumerate(query.sha256)
        ],
    )
    checked = await call.ask(PART, call.parts.clients.eseal.BatchVerifyDigests, request)
    results: list[bytes] = []
    for digest, result in zip(query.sha256, checked.results, strict=True):
        results.append(_result(digest, result))
        if len(results) % AT_ONCE == 0:
            await asyncio.sleep(0)
    return raw_json_response(_listed(results))


def _of_one(context: context_pb2.RequestContext, place: int) -> context_pb2.RequestContext:
    """The context of one of the files: the key of the whole call, if it has one, made its own. Another list
    under the same key is another body."""
    if not context.request_id:
        return context
    own = context_pb2.RequestContext()
    own.CopyFrom(context)
    own.request_id = hashlib.sha256(f"{context.request_id}\n{place}".encode()).hexdigest()
    return own


def _result(digest: str, result: pb.VerifyDigestResult) -> bytes:
    """What is said of one file, as of a file that was sent."""
    if result.HasField("error"):
        problem = problem_document(problem_of(from_status(result.error, PART)), current_trace_id())
        return orjson.dumps({"document_sha256": digest, "error": problem})
    receipt = result.receipt
    if not receipt.id:
        raise MissingReceiptError("a digest was answered without a receipt")
    # An audit knows by it what has left.
    _logger.info("released", receipt=receipt.id)
    return with_receipt(receipt.answer_json or orjson.dumps(render(result.answer)), receipt)


def _listed(results: Sequence[bytes]) -> bytes:
    return b'{"results":[' + b",".join(results) + b"]}"


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/documents:verify_digests",
        name="verifyDigests",
        summary="Check sealed documents by their digests",
        handler=verify,
        who=Who.MACHINE,
        answer=Answer(
            pb.VerifyDocumentAnswer,
            receipt=True,
            each=("document_sha256",),
            description="For each digest, in their order: what would be said of the file, or why the file"
            " itself is needed (`DOCUMENT_NOT_RECORDED`).",
        ),
        rpc="onestop.eseal.v1.EsealService.BatchVerifyDigests",
        scope=Scope.DOCUMENT_VERIFY,
        limit=Limit.APPROVAL,
        key=Key.OPTIONAL,
        body=JsonBody(pb.VerifyDigestsQuery, case=CaseIn.BODY),
        tag="approval",
    ),
)
