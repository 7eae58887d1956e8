"""The gRPC face of bulk sealing: a stream of documents in, a stream of what became of each out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import grpc
from onestop.common.v1 import context_pb2, receipt_pb2
from onestop.eseal.v1 import bulk_pb2 as pb
from onestop.eseal.v1 import bulk_pb2_grpc as pb_grpc
from onestop.eseal.v1 import eseal_pb2, template_pb2

from core import log
from core.context import ContextReader, request_body
from core.db import is_outage
from core.disclosure import BasisKind, RequestContext
from core.errors import FieldFault, InvalidError, ServiceError, fault_error
from core.identity import Scope
from core.release import Answered, answer_of, refused, releasing_stream, together
from core.status import reason_in, to_status
from core.validation import item_faults
from services.eseal.bulk.desk import BulkDesk, Piece
from services.eseal.bulk.flow import Flow
from services.eseal.domain import with_update
from services.eseal.refusals import BulkBusyError
from services.eseal.rpc import placing_from, whole
from services.eseal.sealing.pressing import sha256_of
from services.eseal.sealing.putting import FoundSeal, LaidOut, Putting, Wish
from services.eseal.templates.rpc import body_of, wish_of

SERVICE = "onestop.eseal.v1.BulkSealService"
MOST_STREAMS = 8
"""Streams at a time; each holds as much as MOST_BYTES of documents, and as much again of answers."""
MOST_IN_HAND = 512
MOST_BYTES = 32 * 1024 * 1024
MOST_RESULTS = 64
MOST_ANSWER = 1024 * 1024
"""Bytes of results in one message; a single one may be larger."""

Context = grpc.aio.ServicerContext[Any, Any]
Requests = AsyncIterator[pb.SealDocumentsRequest]
Result = Answered[pb.SealedItem]


@dataclass
class Stream:
    """A stream as far as it has come."""

    flow: Flow[Result] = field(
        default_factory=lambda: Flow(
            most=MOST_IN_HAND, most_bytes=MOST_BYTES, size_of=lambda result: result.message.ByteSize()
        )
    )
    credential: context_pb2.Credential | None = None
    seal_id: str = ""
    taken: int = 0
    sealed: int = 0
    failed: int = 0

    def open(self, message: pb.SealDocumentsRequest) -> None:
        """Takes up what a message says of the whole stream. Raises InvalidError."""
        if message.HasField("credential"):
            self.credential = message.credential
        if self.credential is None:
            raise fault_error("credential", "required", "the first message says whose documents they are")
        if message.seal_id and message.seal_id != (self.seal_id or message.seal_id):
            raise fault_error("seal_id", "same", "every document of a stream gets the same seal")
        self.seal_id = self.seal_id or message.seal_id
        if not self.seal_id:
            raise fault_error("seal_id", "required", "the first message names the seal")

    def answer(self, results: Sequence[Result]) -> Answered[pb.SealDocumentsResponse]:
        """Results in one message, and how far the stream has come with them."""

        def make(items: list[pb.SealedItem]) -> pb.SealDocumentsResponse:
            failed = sum(item.HasField("error") for item in items)
            self.failed += failed
            self.sealed += len(items) - failed
            progress = pb.BulkProgress(taken=self.taken, sealed=self.sealed, failed=self.failed)
            return pb.SealDocumentsResponse(results=items, progress=progress)

        return together(results, make)


class BulkServicer(pb_grpc.BulkSealServiceServicer):
    """Reads documents as there is room for them, and answers each when it is ready."""

    def __init__(
        self,
        desk: BulkDesk,
        putting: Putting,
        contexts: ContextReader,
        plate: Callable[[bytes], Awaitable[bytes]],
    ) -> None:
        self._desk = desk
        self._putting = putting
        self._plate = plate
        self._contexts = contexts
        self._streams = 0
        self._going_on: set[asyncio.Task[Result]] = set()

    @releasing_stream
    async def SealDocuments(
        self, requests: Requests, context: Context
    ) -> AsyncIterator[Answered[pb.SealDocumentsResponse]]:
        """Seals the documents of a stream. Whoever goes away stops it; what has begun comes to its end."""
        if self._streams >= MOST_STREAMS:
            raise BulkBusyError("as many streams as there is room for are being sealed", retry_after=2.0)
        self._streams += 1
        stream = Stream()
        reading = asyncio.create_task(self._read(requests, stream))
        try:
            async for results in stream.flow.results(most=MOST_RESULTS, most_bytes=MOST_ANSWER):
                yield stream.answer(results)
            await reading  # It ended the flow; what it failed with is the stream's error.
        finally:
            self._streams -= 1
            reading.cancel()
            for task in stream.flow.abandon():
                self._going_on.add(task)
                task.add_done_callback(self._going_on.discard)

    async def drain(self) -> None:
        """Waits for what has begun and whose callers are gone."""
        while self._going_on:
            await asyncio.wait(set(self._going_on))

    async def _read(self, requests: Requests, stream: Stream) -> None:
        """Takes documents for as long as they come."""
        try:
            async for message in requests:
                faults = item_faults()
                stream.open(message)
                for place, item in enumerate(message.items):
                    stream.taken += 1
                    await self._take(stream, item, stream.taken, faults.get(place, []))
        finally:
            stream.flow.end()

    async def _take(
        self, stream: Stream, item: pb.SealItem, position: int, faults: Sequence[FieldFault]
    ) -> None:
        """Takes one document, once there is room for it."""
        pieces: list[Piece] = []
        credential, seal_id = stream.credential, stream.seal_id
        assert credential is not None

        async def work() -> Result:
            began = time.monotonic()
            try:
                if faults:
                    raise InvalidError("the document breaks the contract's rules", faults=faults)
                piece = await self._piece(credential, UUID(seal_id), item)
                pieces.append(piece)
                released = await self._desk.seal(piece)
                kept = released.wire
                original = (
                    await self._plate(kept.plate_sha256)
                    if isinstance(kept, template_pb2.KeptTemplateAnswer)
                    else item.upload.document
                )
                answered = answer_of(
                    released, lambda kept, receipt: _sealed(item, position, original, kept, receipt)
                )
            except Exception as error:
                if not isinstance(error, (ServiceError, TimeoutError)) and not is_outage(error):
                    log.get_logger().exception("item_failed")
                status = to_status(error)
                log.answered(reason_in(status), began)
                return refused(
                    pb.SealedItem(request_id=item.context.request_id, position=position, error=status)
                )
            log.answered("ok", began)
            return answered

        await stream.flow.take(item.ByteSize(), work, lambda: not (pieces and pieces[0].began))

    async def _piece(self, credential: context_pb2.Credential, seal_id: UUID, item: pb.SealItem) -> Piece:
        """An item whose caller is proved, and how it comes to be laid out."""
        context = await self._contexts.read(
            credential, item.context, scope=Scope.SEAL_USE, basis=frozenset({BasisKind.MATTER})
        )
        if item.HasField("fill"):
            return self._form(context, seal_id, item)
        upload = item.upload
        taken_in = await sha256_of(upload.document)
        wish = Wish(upload.document, placing_from(upload.place), upload.level, upload.certify, taken_in)

        async def lay_out(found: FoundSeal) -> LaidOut:
            return await self._putting.lay_out(found, wish)

        # The same words as of a document that is sealed alone: a key counts for both.
        said = eseal_pb2.SignDocumentRequest(
            context=item.context,
            seal_id=str(seal_id),
            place=upload.place if upload.HasField("place") else None,
            level=upload.level,
            certify=upload.certify,
        )
        return Piece(context, taken_in.digest() + request_body(said), seal_id, lay_out)

    def _form(self, context: RequestContext, seal_id: UUID, item: pb.SealItem) -> Piece:
        """A template that is to be filled."""
        wish = wish_of(item.fill)

        async def lay_out(found: FoundSeal) -> LaidOut:
            return await self._putting.lay_out_form(found, wish, context.office)

        said = template_pb2.SignTemplateRequest(context=item.context, seal_id=str(seal_id), fill=item.fill)
        return Piece(context, body_of(said), seal_id, lay_out)


def register(servicer: BulkServicer, server: grpc.aio.Server) -> Sequence[str]:
    """Adds the servicer to a server; answers the service's name."""
    pb_grpc.add_BulkSealServiceServicer_to_server(servicer, server)
    return [SERVICE]


def _sealed(
    item: pb.SealItem,
    position: int,
    original: bytes,
    kept: eseal_pb2.SignDocumentResponse | template_pb2.KeptTemplateAnswer,
    receipt: receipt_pb2.Receipt,
) -> pb.SealedItem:
    """What a document's caller gets; `original` is what came, or what a template's documents share."""
    if isinstance(kept, template_pb2.KeptTemplateAnswer):
        return pb.SealedItem(
            request_id=item.context.request_id,
            position=position,
            document=with_update(original, kept.update),
            signature_id=kept.signature_id,
            signed_at=kept.signed_at,
            media_type=kept.media_type,
            receipt=receipt,
            verification_link=kept.verification_link,
        )
    answer = whole(original, kept, receipt)
    return pb.SealedItem(
        request_id=item.context.request_id,
        position=position,
        document=answer.document,
        signature_id=answer.signature_id,
        signed_at=answer.signed_at,
        media_type=answer.media_type,
        receipt=receipt,
    )
