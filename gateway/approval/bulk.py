"""Sealing many documents by one call: a line for each, and one with what became of it, as they are ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
import orjson
from aiohttp import web
from onestop.eseal.v1 import bulk_pb2 as pb
from onestop.eseal.v1 import template_pb2

from core import log
from core.config import Mode
from core.errors import FieldFault, InvalidError, ServiceError, fault_error
from core.identity import Scope
from core.public_json import render
from core.public_parse import parse
from core.receipt_json import with_receipt
from core.status import from_rpc_error, from_status
from core.trace import current_trace_id, current_trace_parent
from gateway.bodies import parse_json
from gateway.call import Call, MissingReceiptError, is_key
from gateway.cases import parse_case
from gateway.limits import Limit
from gateway.lines import NDJSON, read_lines
from gateway.observe import headers_beforehand
from gateway.problems import problem_document, problem_of, refused, rename_faults
from gateway.routes import Route
from gateway.shapes import Answer, LinesBody, Listener, Who, path_id

PART = "eseal"
MESSAGE_ITEMS = 64
MESSAGE_BYTES = 4 * 1024 * 1024
"""As much goes to the seal service at a time; a single document may be larger."""

_logger = log.get_logger()
_UPLOAD = ("document", "place", "level", "certify")
_FILL = tuple(field.name for field in template_pb2.TemplateFill.DESCRIPTOR.fields)
_OUTSIDE = {"upload": "", "fill": "", "context.request_id": "key", "Idempotency-Key": "key"}
"""Where a line keeps what the contract keeps elsewhere."""

Stream: TypeAlias = "grpc.aio.StreamStreamCall[pb.SealDocumentsRequest, pb.SealDocumentsResponse]"


@dataclass
class Talk:
    """A call as far as it has come: lines in, answers out."""

    call: Call
    stream: Stream
    lines: int = 0
    sent: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Of what is at the seal service, by its position there: the number of the line, and its key."""
    positions: int = 0
    sealed: int = 0
    failed: int = 0
    # One group of answers waits at most: whoever takes none stops what is read.
    answers: asyncio.Queue[list[bytes] | Exception | None] = field(default_factory=lambda: asyncio.Queue(1))

    async def send(self) -> None:
        """Reads lines and sends what they say, until they end."""
        parts = self.call.parts
        message = pb.SealDocumentsRequest(credential=self.call.credential, seal_id=self.call.path("id"))
        await self.stream.write(self.call.checked(message))
        lines = read_lines(
            self.call.request, longest=parts.config.longest_line, seconds=parts.config.idle_stream_seconds
        )
        async for group in lines:
            message, refusals = pb.SealDocumentsRequest(), list[bytes]()
            for line in group:
                self.lines += 1
                try:
                    key, item = self._item(line)
                except ServiceError as error:
                    refusals.append(self._refusal(self.lines, _key_in(line), error))
                    continue
                self.positions += 1
                self.sent[self.positions] = (self.lines, key)
                if message.items and message.ByteSize() + item.ByteSize() > MESSAGE_BYTES:
                    await self.stream.write(message)
                    message = pb.SealDocumentsRequest()
                message.items.append(item)
                if len(message.items) == MESSAGE_ITEMS:
                    await self.stream.write(message)
                    message = pb.SealDocumentsRequest()
            if message.items:
                await self.stream.write(message)
            if refusals:
                await self.answers.put(refusals)
            if parts.traffic.ending:
                raise refused(503, "GATEWAY_STOPS", "this gateway stops; send what is not answered again")
        await self.stream.done_writing()

    async def receive(self) -> None:
        """Takes what the seal service answers, until it has answered everything."""
        async for response in self.stream:
            group = []
            for result in response.results:
                group.append(self._answer(result))
                await asyncio.sleep(0)  # A document in base64 takes a while; others have their turn, too.
            if group:
                await self.answers.put(group)

    async def run(self) -> None:
        """Sends and receives side by side. Last in `answers` comes None, or what the call failed with."""
        sending, receiving = asyncio.ensure_future(self.send()), asyncio.ensure_future(self.receive())
        try:
            await asyncio.wait([sending, receiving], return_when=asyncio.FIRST_EXCEPTION)
            if not receiving.done():
                # What was sent before sending failed is answered all the same.
                with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await self.stream.done_writing()
                await asyncio.wait([receiving])
        finally:
            sending.cancel()
            receiving.cancel()
            done = await asyncio.gather(receiving, sending, return_exceptions=True)
        # Where the other side ended the stream it says why; that nothing could be sent then says nothing.
        failed = next((one for one in done if isinstance(one, Exception)), None)
        if isinstance(failed, grpc.aio.AioRpcError):
            failed = from_rpc_error(failed, PART)
        await self.answers.put(failed)

    def _item(self, line: bytes | None) -> tuple[str, pb.SealItem]:
        """What a line says. Raises InvalidError naming each field at fault."""
        if line is None:
            longest = self.call.parts.config.longest_line
            raise fault_error("line", "length", f"must be of {longest} bytes at most; seal it by itself")
        said = parse_json(line, "line")
        key = said.get("key")
        if not isinstance(key, str) or not is_key(key):
            raise fault_error("key", "pattern", "is required: 1 to 128 of A-Z a-z 0-9 _ . : -")
        case = parse_case(said.get("case"))
        assert case is not None
        content = {name: value for name, value in said.items() if name not in {"key", "case"}}
        taken = _FILL if "template" in content else _UPLOAD
        if unknown := [name for name in content if name not in taken]:
            faults = [FieldFault(name, "unknown", "is not a field of a line") for name in unknown]
            raise InvalidError("the line has unknown fields", faults=faults)
        context = self.call.case_context(case)
        context.request_id = key
        context.ClearField("deadline")  # Each step has its own; the whole stream has none.
        if taken is _FILL:
            return key, pb.SealItem(context=context, fill=parse(content, template_pb2.TemplateFill))
        return key, pb.SealItem(context=context, upload=parse(content, pb.UploadedDocument))

    def _answer(self, result: pb.SealedItem) -> bytes:
        """The line for what became of a document."""
        number, key = self.sent.pop(result.position)
        if result.HasField("error"):
            return self._refusal(number, key, from_status(result.error, PART))
        if not result.receipt.id:
            raise MissingReceiptError("a document was sealed without a receipt")
        self.sealed += 1
        # An audit knows by it what has left.
        _logger.info("released", receipt=result.receipt.id)
        said = render(result)
        names = ["document", "signature_id", "signed_at", "media_type"]
        if result.verification_link:
            names.append("verification_link")
        said = {"line": number, "key": key} | {name: said[name] for name in names}
        return with_receipt(orjson.dumps(said), result.receipt) + b"\n"

    def _refusal(self, number: int, key: str, error: ServiceError) -> bytes:
        """The line for a document that was not sealed."""
        self.failed += 1
        rename_faults(error, _OUTSIDE)
        problem = problem_document(problem_of(error), current_trace_id())
        return orjson.dumps({"line": number, "key": key, "error": problem}) + b"\n"


async def seal_bulk(call: Call) -> web.StreamResponse:
    """Seals the documents of the lines. Whoever goes away stops it; what has begun is finished then."""
    metadata = (("traceparent", current_trace_parent()),)
    talk = Talk(call, call.parts.clients.bulk.SealDocuments(metadata=metadata))
    running = asyncio.create_task(talk.run())
    config = call.parts.config
    response = web.StreamResponse(headers=headers_beforehand(strict=config.mode is Mode.PRODUCTION))
    response.content_type = NDJSON
    try:
        async for group in _answers(talk):
            if not response.prepared:
                await response.prepare(call.request)
            async with asyncio.timeout(config.idle_stream_seconds):
                for line in group:
                    await response.write(line)
        await response.write_eof()
    except (ConnectionError, TimeoutError):
        # Nobody reads any more. An end in order would say that this was all.
        if not response.prepared:
            raise
        if call.request.transport is not None:
            call.request.transport.abort()
    except Exception as error:
        if not response.prepared:
            raise
        _logger.exception("stream_failed", error=type(error).__name__)
        if call.request.transport is not None:
            call.request.transport.abort()
    finally:
        talk.stream.cancel()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return response


async def _answers(talk: Talk) -> AsyncIterator[list[bytes]]:
    """Groups of lines; the last one says the sums, or what the call failed with. Raises that where nothing
    was answered yet: then it is the answer to the whole call."""
    anything = False
    while isinstance(group := await talk.answers.get(), list):
        anything = True
        yield group
    last: dict[str, object]
    if group is None:
        last = {"summary": {"lines": talk.lines, "sealed": talk.sealed, "failed": talk.failed}}
    elif anything:
        last = {"problem": problem_document(problem_of(group), current_trace_id())}
    else:
        raise group
    yield [orjson.dumps(last) + b"\n"]


def _key_in(line: bytes | None) -> str:
    """The key of a line that cannot be taken, if it has one."""
    said: Any = None
    with suppress(ValueError, RecursionError):
        said = orjson.loads(line or b"null")
    key = said.get("key") if isinstance(said, Mapping) else None
    return key if isinstance(key, str) and is_key(key) else ""


ROUTES = (
    Route(
        listener=Listener.MACHINES,
        method="POST",
        path="/approval/v1/seals/{id}:sign_bulk",
        name="signBulk",
        summary="Seal many documents",
        handler=seal_bulk,
        who=Who.MACHINE,
        answer=Answer(
            pb.SealedItem,
            receipt=True,
            types=(NDJSON,),
            description="A line for each document, as they are ready (`SignBulkAnswer`): `line` and `key` say"
            " which, then `document` (base64), `signature_id`, `signed_at`, `media_type`, of a template also"
            " `verification_link`, and `receipt`, or"
            " `error`, a problem document. The last line is `summary`; or `problem`, where the stream ended"
            " before its time: send what was not answered again, under the same keys.",
            lines=True,
        ),
        rpc="onestop.eseal.v1.BulkSealService.SealDocuments",
        scope=Scope.SEAL_USE,
        limit=Limit.APPROVAL,
        body=LinesBody(pb.UploadedDocument, _UPLOAD, other=template_pb2.TemplateFill),
        parameters=(path_id("id", "Id of the seal."),),
        renames={"seal_id": "id"},
        tag="approval",
    ),
)
