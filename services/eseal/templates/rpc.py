"""The gRPC face of templates: messages in, domain calls, messages out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.common.v1 import receipt_pb2
from onestop.eseal.v1 import eseal_pb2
from onestop.eseal.v1 import template_pb2 as pb
from onestop.eseal.v1 import template_pb2_grpc as pb_grpc

from core.context import ContextReader, request_body
from core.disclosure import BasisKind, Presented
from core.errors import fault_error
from core.identity import Scope
from core.release import Answered, answer_of, releasing
from services.eseal.domain import SealedDocument, with_update
from services.eseal.sealing.filling import FormWish
from services.eseal.service import SealDesk
from services.eseal.template import FieldType, Template
from services.eseal.templates.desk import Key, TemplateDesk

SERVICE = "onestop.eseal.v1.TemplateService"
_TYPES = {
    FieldType.TEXT: pb.TEMPLATE_FIELD_TYPE_TEXT,
    FieldType.DATE: pb.TEMPLATE_FIELD_TYPE_DATE,
    FieldType.AMOUNT: pb.TEMPLATE_FIELD_TYPE_AMOUNT,
    FieldType.CHOICE: pb.TEMPLATE_FIELD_TYPE_CHOICE,
    FieldType.PICTURE: pb.TEMPLATE_FIELD_TYPE_PICTURE,
}
_FORM = b"form:"
"""Stands before what a request says where no file came, in the place of a file's digest."""

Context = grpc.aio.ServicerContext[Any, Any]


class TemplateServicer(pb_grpc.TemplateServiceServicer):
    """Reads contexts, and hands the work to the desks."""

    def __init__(self, seals: SealDesk, templates: TemplateDesk, contexts: ContextReader) -> None:
        self._seals = seals
        self._templates = templates
        self._contexts = contexts

    async def ListTemplates(
        self, request: pb.ListTemplatesRequest, context: Context
    ) -> pb.ListTemplatesResponse:
        """Lists the templates that the context's office may use. They are nobody's data: no basis needed."""
        caller = await self._contexts.read(
            request.credential, request.context, scope=Scope.SEAL_USE, basis=frozenset()
        )
        found, after = self._templates.list_templates(
            caller, page_size=request.page_size, after=_page_of(request.page_token)
        )
        return pb.ListTemplatesResponse(templates=map(_template, found), next_page_token=_token_of(after))

    @releasing
    async def SignTemplate(
        self, request: pb.SignTemplateRequest, context: Context
    ) -> Answered[pb.SignTemplateResponse]:
        """Fills a template and seals what it gives."""
        caller = await self._contexts.read(
            request.credential, request.context, scope=Scope.SEAL_USE, basis=frozenset({BasisKind.MATTER})
        )
        released = await self._seals.sign_form(
            caller,
            seal_id=UUID(request.seal_id),
            wish=wish_of(request.fill),
            body=body_of(request),
        )
        plate = await self._templates.plate(cast(pb.KeptTemplateAnswer, released.wire).plate_sha256)
        return answer_of(released, lambda kept, receipt: whole(plate, kept, receipt))

    async def FindSealedDocument(
        self, request: pb.FindSealedDocumentRequest, context: Context
    ) -> pb.FindSealedDocumentResponse:
        """What stands under a number, for anybody who has it."""
        found = await self._templates.find(request.number)
        return pb.FindSealedDocumentResponse(
            seal_name=found.seal.name,
            owner_code=found.seal.owner_code,
            owner_name=found.seal.owner_name,
            signed_at=_timestamp(found.signed_at),
            seal_state=cast(eseal_pb2.SealState.ValueType, found.state.value),
            summary_zh=found.summary_zh,
            summary_en=found.summary_en,
        )


def register(
    seals: SealDesk, templates: TemplateDesk, contexts: ContextReader, server: grpc.aio.Server
) -> Sequence[str]:
    """Adds the servicer to a server; answers the service's name."""
    pb_grpc.add_TemplateServiceServicer_to_server(TemplateServicer(seals, templates, contexts), server)
    return [SERVICE]


def body_of(request: pb.SignTemplateRequest) -> bytes:
    """What a request says, for comparing a repeated one with the first: alone or among many the same."""
    return _FORM + request_body(request)


def wish_of(fill: pb.TemplateFill) -> FormWish:
    """What a request says of a template to be filled."""
    return FormWish(fill.template, fill.version, dict(fill.fields), fill.level, dict(fill.pictures))


def present_form(answer: SealedDocument) -> Presented:
    """A template's document commits to its own bytes; what it shares with others is kept once for all."""
    wire = pb.KeptTemplateAnswer(
        update=answer.update,
        plate_sha256=answer.plate,
        signature_id=str(answer.signature_id),
        signed_at=_timestamp(answer.signed_at),
        media_type=answer.format.value,
        verification_link=answer.link,
    )
    return Presented(wire, answer.document)


def whole(plate: bytes, kept: pb.KeptTemplateAnswer, receipt: receipt_pb2.Receipt) -> pb.SignTemplateResponse:
    """The answer with the whole file, from what is kept of it."""
    return pb.SignTemplateResponse(
        document=with_update(plate, kept.update),
        signature_id=kept.signature_id,
        signed_at=kept.signed_at,
        receipt=receipt,
        media_type=kept.media_type,
        verification_link=kept.verification_link,
    )


def _template(template: Template) -> pb.Template:
    return pb.Template(
        name=template.name,
        version=template.version,
        title=template.title,
        office=template.office,
        width_mm=template.width,
        height_mm=template.height,
        most_pages=template.most_pages,
        fields=[
            pb.TemplateField(
                name=field.name,
                title=field.title,
                type=_TYPES[field.type],
                required=field.required,
                max_length=0 if field.type is FieldType.PICTURE else field.longest,
                multiline=field.multiline,
                pattern=field.pattern,
                example=field.example,
                choices=field.choices,
            )
            for field in template.fields.values()
        ],
    )


def _timestamp(moment: Any) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _page_of(token: str) -> Key | None:
    """What a page token says. Raises InvalidError on a token that is not ours."""
    if not token:
        return None
    try:
        said = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        name, version = said.decode("ascii").split(":")
        return name, int(version)
    except (ValueError, binascii.Error):
        raise fault_error("page_token", "form", "take the next_page_token of the page before") from None


def _token_of(after: Key | None) -> str:
    if after is None:
        return ""
    return base64.urlsafe_b64encode(f"{after[0]}:{after[1]}".encode("ascii")).rstrip(b"=").decode("ascii")
