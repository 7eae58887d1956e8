"""The gRPC face of the seal desk: messages in, domain calls, messages out."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.common.v1 import receipt_pb2
from onestop.eseal.v1 import eseal_pb2 as pb
from onestop.eseal.v1 import eseal_pb2_grpc as pb_grpc
from onestop.eseal.v1 import keeping_pb2 as keeping_pb

from core.batch import answer_batch
from core.clock import Clock
from core.context import ContextReader, request_body
from core.disclosure import BasisKind, Presented
from core.errors import fault_error
from core.identity import Scope
from core.present import AnswerPresenter
from core.release import Answered, answer_of, releasing
from services.eseal.domain import SUITES, Format, Seal, SealedDocument, with_update
from services.eseal.operating.keeping import KeptAct
from services.eseal.reports import present_report, report_to_pb
from services.eseal.sealing.placing import Placing, placing_of
from services.eseal.service import SealDesk
from services.eseal.templates.rpc import present_form
from services.eseal.verifying.pace import Pace

SERVICE = "onestop.eseal.v1.EsealService"
_MATTER = frozenset({BasisKind.MATTER})

_LARGE = 1024 * 1024
"""Bytes of a document that are worth a turn of the event loop for each step over it."""

DIGESTS_AT_ONCE = 16
"""Digests that take a step in one turn of the event loop; the longest step is some 0.2 ms."""

LONGEST_CHECK = 20.0
"""Seconds that a public check may take, whose caller names no deadline."""

Context = grpc.aio.ServicerContext[Any, Any]


class EsealServicer(pb_grpc.EsealServiceServicer):
    """Reads contexts, and hands the work to the desk."""

    def __init__(self, desk: SealDesk, contexts: ContextReader, clock: Clock) -> None:
        self._desk = desk
        self._contexts = contexts
        self._clock = clock
        self._pace = Pace(DIGESTS_AT_ONCE)

    async def ListSeals(self, request: pb.ListSealsRequest, context: Context) -> pb.ListSealsResponse:
        """Lists the seals that the context's office may use. They are no personal data: no basis needed."""
        caller = await self._contexts.read(
            request.credential, request.context, scope=Scope.SEAL_USE, basis=frozenset()
        )
        seals, after = await self._desk.list_seals(
            caller, page_size=request.page_size, after=_page_of(request.page_token)
        )
        moment = self._clock()
        return pb.ListSealsResponse(
            seals=[_seal(seal, moment) for seal in seals], next_page_token=_token_of(after)
        )

    @releasing
    async def SignDocument(
        self, request: pb.SignDocumentRequest, context: Context
    ) -> Answered[pb.SignDocumentResponse]:
        """Seals a PDF or an OFD."""
        document = request.document
        await _give_way(document)
        caller = await self._contexts.read(
            request.credential, request.context, scope=Scope.SEAL_USE, basis=_MATTER
        )
        released = await self._desk.sign(
            caller,
            seal_id=UUID(request.seal_id),
            document=document,
            place=placing_from(request.place),
            body=request_body(
                pb.SignDocumentRequest(
                    context=request.context,
                    seal_id=request.seal_id,
                    place=request.place if request.HasField("place") else None,
                    level=request.level,
                    certify=request.certify,
                )
            ),
            level=request.level,
            certify=request.certify,
        )
        answered = answer_of(released, lambda kept, receipt: whole(document, kept, receipt))
        await _give_way(document)
        return answered

    @releasing
    async def VerifyDocument(
        self, request: pb.VerifyDocumentRequest, context: Context
    ) -> Answered[pb.VerifyDocumentResponse]:
        """Checks a document."""
        caller = await self._contexts.read(
            request.credential, request.context, scope=Scope.DOCUMENT_VERIFY, basis=_MATTER
        )
        released = await self._desk.verify(
            caller,
            document=request.document,
            body=request_body(pb.VerifyDocumentRequest(context=request.context)),
        )
        return answer_of(
            released, lambda wire, receipt: pb.VerifyDocumentResponse(answer=wire, receipt=receipt)
        )

    async def BatchVerifyDigests(
        self, request: pb.BatchVerifyDigestsRequest, context: Context
    ) -> pb.BatchVerifyDigestsResponse:
        """Checks files by their digests alone."""

        async def one(item: pb.VerifyDigestItem) -> Answered[pb.VerifyDigestResult]:
            await self._pace.turn()
            asked = await self._contexts.read(
                request.credentials, item.context, scope=Scope.DOCUMENT_VERIFY, basis=_MATTER
            )
            # The same words as of the file itself: a key counts for both.
            body = request_body(pb.VerifyDocumentRequest(context=item.context))
            digest = bytes.fromhex(item.query.sha256)
            released = await self._desk.verify_digest(asked, sha256=digest, body=body, pace=self._pace)
            await self._pace.turn()
            return answer_of(
                released, lambda wire, receipt: pb.VerifyDigestResult(answer=wire, receipt=receipt)
            )

        results = await answer_batch(request.items, pb.VerifyDigestResult, one)
        return pb.BatchVerifyDigestsResponse(results=results)

    async def CheckDocument(
        self, request: pb.CheckDocumentRequest, context: Context
    ) -> pb.CheckDocumentResponse:
        """Checks a document for anybody."""
        left = context.time_remaining()
        report = await self._desk.check(request.document, seconds=LONGEST_CHECK if left is None else left)
        return pb.CheckDocumentResponse(answer=report_to_pb(report))


def register(desk: SealDesk, contexts: ContextReader, clock: Clock, server: grpc.aio.Server) -> Sequence[str]:
    """Adds the servicer to a server; answers the service's name."""
    pb_grpc.add_EsealServiceServicer_to_server(EsealServicer(desk, contexts, clock), server)
    return [SERVICE]


def present(answer: object) -> Presented:
    """A sealed file commits to its own bytes, a report to its RFC 8785 form.

    Of a sealed file only what the seal changed is kept for a retry: who retries sends the file again, and
    another file is refused.
    """
    if isinstance(answer, SealedDocument):
        if answer.plate:
            return present_form(answer)
        wire = pb.SignDocumentResponse(
            document=answer.update,
            signature_id=str(answer.signature_id),
            signed_at=_timestamp(answer.signed_at),
            media_type=answer.format.value,
        )
        return Presented(wire, answer.document)
    if isinstance(answer, KeptAct):
        return _present_act(answer)
    return present_report(answer)


def _act(answer: object) -> keeping_pb.SealAct:
    kept = cast(KeptAct, answer)
    asked = kept.request
    return keeping_pb.SealAct(
        seal_id=str(asked.seal_id),
        request_id=str(asked.id),
        action=asked.action.value,
        state=cast(pb.SealState.ValueType, kept.standing),
        asked_at=_timestamp(asked.asked_at),
        asked_by=asked.asked_by,
        reason=asked.reason,
        details="" if asked.details == "{}" else asked.details,
    )


_present_act = AnswerPresenter(_act)


def placing_from(place: pb.SealPlace) -> Placing:
    """Where the picture goes, as the contract says it. Raises InvalidError."""
    return placing_of(
        page=place.page,
        x_mm=place.x_mm,
        y_mm=place.y_mm,
        keyword=place.keyword,
        pages=place.pages,
        every_page=place.every_page,
        over_edges=place.over_edges,
        field_name=place.field_name,
    )


async def _give_way(document: bytes) -> None:
    """Lets other calls have their turn where every step over a document takes milliseconds."""
    if len(document) >= _LARGE:
        await asyncio.sleep(0)


def whole(
    original: bytes, kept: pb.SignDocumentResponse, receipt: receipt_pb2.Receipt
) -> pb.SignDocumentResponse:
    """The answer with the whole file, from what is kept of it: what the seal changed, or (as versions before
    this kept it) the whole file already."""
    whole = kept.document.startswith(original)
    return pb.SignDocumentResponse(
        document=kept.document if whole else with_update(original, kept.document),
        signature_id=kept.signature_id,
        signed_at=kept.signed_at,
        media_type=kept.media_type or Format.PDF.value,
        receipt=receipt,
    )


def _seal(seal: Seal, moment: datetime) -> pb.Seal:
    return pb.Seal(
        id=str(seal.id),
        name=seal.name,
        owner_code=seal.owner_code,
        owner_name=seal.owner_name,
        state=cast(pb.SealState.ValueType, seal.state_at(moment).value),
        valid_from=_timestamp(seal.valid_from),
        valid_until=_timestamp(seal.valid_until),
        certificate_sha256=seal.certificate_sha256,
        algorithm=seal.algorithm.value,
        document_type=SUITES[seal.algorithm].format.value,
        kind=seal.kind,
        code=seal.code,
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _page_of(token: str) -> UUID | None:
    """What a page token says. Raises InvalidError on a token that is not ours."""
    if not token:
        return None
    try:
        return UUID(bytes=base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise fault_error("page_token", "form", "take the next_page_token of the page before") from None


def _token_of(after: UUID | None) -> str:
    return base64.urlsafe_b64encode(after.bytes).rstrip(b"=").decode("ascii") if after else ""
