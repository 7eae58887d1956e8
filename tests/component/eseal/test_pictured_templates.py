"""Documents of templates with a picture of their holder: read out of reach of keys, sealed, given again."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from hashlib import sha256
from io import BytesIO

import grpc
import pytest
from onestop.eseal.v1 import bulk_pb2, eseal_pb2, template_pb2
from pyhanko.pdf_utils.reader import PdfFileReader

from core.status import from_rpc_error
from services.eseal.photo import Photo, photo_of
from tests.component.eseal.bulk import reasons, seal_all
from tests.component.eseal.harness import Desk, reason
from tests.unit.eseal.forms_filled import CAMERA, OPERATOR, photograph

PHOTO = {"photo": photograph()}


async def test_a_licence_with_a_photograph_is_sealed_and_a_retry_gets_the_same_bytes(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, request_id="photo-1")

    first = await desk.sign_template(seal_id, "equipment_operator", OPERATOR, asking, pictures=PHOTO)
    desk.plates._ready.clear()
    again = await desk.sign_template(seal_id, "equipment_operator", OPERATOR, asking, pictures=PHOTO)
    answer = await desk.verify(first.document)

    assert again == first
    assert answer.verdict == eseal_pb2.DOCUMENT_VERDICT_VALID
    assert len(await desk.signatures()) == 1
    other = {"photo": photograph(size=(700, 981))}
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign_template(seal_id, "equipment_operator", OPERATOR, asking, pictures=other)
    assert reason(failure.value) == "IDEMPOTENCY_KEY_REUSED"


async def test_the_photograph_stands_in_the_document_alone_and_in_nothing_that_is_shared(desk: Desk) -> None:
    seal_id = await desk.make_seal()

    signed = await desk.sign_template(seal_id, "equipment_operator", OPERATOR, pictures=PHOTO)

    pdf = PdfFileReader(BytesIO(signed.document), strict=True)
    image = pdf.root["/Pages"]["/Kids"][0]["/Resources"]["/XObject"]["/Photo0"]
    shown = image.encoded_data
    assert (image["/Filter"], image["/ColorSpace"]) == ("/DCTDecode", "/DeviceRGB")
    assert CAMERA.encode() not in signed.document
    said = json.loads(pdf.root["/AF"][0].get_object()["/EF"]["/F"].data)
    assert said["pictures"] == {"photo": sha256(PHOTO["photo"]).hexdigest()}
    connection = await desk.owner()
    plates = [row["content"] for row in await connection.fetch("SELECT content FROM template_plate")]
    await connection.close()
    assert plates
    assert not any(shown in plate for plate in plates)


async def test_an_ofd_has_the_photograph_too(desk: Desk) -> None:
    signed = await desk.sign_template(
        await desk.make_seal(sm2=True), "equipment_operator", OPERATOR, pictures=PHOTO
    )

    answer = await desk.verify(signed.document)

    assert (signed.media_type, answer.verdict) == ("application/ofd", eseal_pb2.DOCUMENT_VERDICT_VALID)
    assert list(answer.seals[0].uncovered_parts) == []


async def test_a_picture_that_is_none_is_refused_by_its_field_and_leaves_no_trace(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    before = len(desk.ledger.entries)

    for pictures, field, rule in (
        ({"photo": b"\xff\xd8\xff\xe0 and nothing more"}, "pictures.photo", "form"),
        ({"photo": b"GIF89a"}, "pictures.photo", "form"),
        ({}, "pictures.photo", "required"),
        ({**PHOTO, "logo": b"x"}, "pictures.logo", "unknown"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await desk.sign_template(seal_id, "equipment_operator", OPERATOR, pictures=pictures)
        error = from_rpc_error(failure.value, "eseal")
        assert (error.reason, error.faults[0].field, error.faults[0].rule) == (
            "TEMPLATE_FIELDS_INVALID",
            field,
            rule,
        )
    assert len(desk.ledger.entries) == before
    assert not await desk.signatures()


async def test_pictures_go_through_a_stream_as_alone(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    items = []
    for number, picture in enumerate((PHOTO["photo"], photograph("PNG"), b"none")):
        asked = replace(desk.asking, case_number=f"2026-{number:04}", request_id=f"bulk-photo-{number}")
        fill = template_pb2.TemplateFill(
            template="equipment_operator", fields=OPERATOR, pictures={"photo": picture}
        )
        items.append(bulk_pb2.SealItem(context=desk.context(asked), fill=fill))

    results = await seal_all(desk, seal_id, items)
    alone = await desk.templates.SignTemplate(
        template_pb2.SignTemplateRequest(
            **{**desk.about(None), "context": items[0].context}, seal_id=str(seal_id), fill=items[0].fill
        )
    )

    assert reasons(results) == ["", "", "TEMPLATE_FIELDS_INVALID"]
    assert alone.document == results[0].document


async def test_the_dots_of_a_picture_are_counted_beside_the_event_loop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that takes a whole page there are millions: to count them takes 50 ms."""
    counted_in: list[int] = []

    def counting(content: bytes, room: tuple[int, int]) -> Photo:
        counted_in.append(threading.get_ident())
        return photo_of(content, room)

    monkeypatch.setattr("services.eseal.confined.photo_job.photo_of", counting)
    await desk.workshop.read_photo(PHOTO["photo"], (2520, 3564))

    assert len(counted_in) == 1
    assert counted_in != [threading.get_ident()]
