"""Sealing and verifying documents: multipart in, a file or JSON out."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.component.gateway.asserting import assert_problem
from tests.component.gateway.conftest import CASE, Gateway, GatewayMaker

SEAL = "/approval/v1/seals/0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c:sign"
PDF = b"%PDF-1.7 a letter"
KEY = {"Idempotency-Key": "seal-1"}
BOUNDED = "multipart/form-data; boundary=here"


def parts(document: bytes | None = PDF, request: Any = None, **more: Any) -> dict[str, Any]:
    """The parts of an upload."""
    said = request if request is not None else {"case": CASE}
    made: dict[str, Any] = {"request": (None, json.dumps(said).encode(), "application/json"), **more}
    if document is not None:
        made["document"] = ("letter.pdf", document, "application/pdf")
    return made


async def test_a_sealed_ofd_is_called_one(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answer = await platform.post(SEAL, files=parts(b"PK an OFD"), headers=KEY)
    narrow = await platform.post(
        SEAL,
        files=parts(b"PK an OFD"),
        headers={**KEY, "Idempotency-Key": "seal-2", "Accept": "application/ofd"},
    )

    assert answer.headers["Content-Type"] == narrow.headers["Content-Type"] == "application/ofd"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sealed.ofd"'
    assert answer.content == b"PK an OFDsealed"


async def test_sealed_file_comes_with_its_receipt_in_the_header(gateway: Gateway) -> None:
    platform = await gateway.machine()
    said = {"case": CASE, "place": {"page": 1, "x_mm": 150.5, "y_mm": 40}}

    answer = await platform.post(SEAL, files=parts(request=said), headers=KEY)

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content == PDF + b"sealed"
    header = answer.headers["Receipt"]
    receipt = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    assert receipt["id"] == answer.headers["Receipt-Id"]
    assert receipt["entry"]["version"] == 1
    assert answer.headers["Signature-Id"] == "sig-1"
    (request,) = gateway.behind.asked["sign"]
    assert request.document == PDF
    assert (request.place.page, request.place.x_mm) == (1, 150.5)
    assert request.context.request_id == "seal-1"
    assert request.context.basis.matter_code == CASE["matter_code"]


async def test_uploads_have_bounded_room_of_which_nobody_takes_all(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(most_uploads=4)
    platform, other = await gateway.machine(), await gateway.machine("other-platform")
    begun = [asyncio.Event() for _ in range(2)]
    go_on = asyncio.Event()

    async def slow(started: asyncio.Event) -> httpx2.Response:
        async def drips() -> AsyncIterator[bytes]:
            whole = httpx2.Request("POST", "https://x", files=parts(), headers={"Content-Type": BOUNDED})
            text = whole.read()
            yield text[:40]
            started.set()
            await go_on.wait()
            yield text[40:]

        return await platform.post(SEAL, content=drips(), headers={**KEY, "Content-Type": BOUNDED})

    under_way = [asyncio.create_task(slow(started)) for started in begun]
    for started in begun:
        await started.wait()
    await asyncio.sleep(0.1)

    refused = await platform.post(SEAL, files=parts(), headers=KEY)
    others = await other.post(SEAL, files=parts(), headers=KEY)
    go_on.set()
    finished = await asyncio.gather(*under_way)
    afterwards = await platform.post(SEAL, files=parts(), headers=KEY)

    assert_problem(refused, 503, "UPLOADS_FULL")
    assert refused.headers["Retry-After"] == "1"
    assert [one.status_code for one in (others, *finished, afterwards)] == [200] * 4


async def test_sealed_document_as_json_where_the_caller_asks_for_it(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answer = await platform.post(SEAL, files=parts(), headers={**KEY, "Accept": "application/json"})
    neither = await platform.post(SEAL, files=parts(), headers={**KEY, "Accept": "image/png"})

    document = answer.json()
    assert base64.b64decode(document["document"]) == PDF + b"sealed"
    assert document["signature_id"] == "sig-1"
    assert document["signed_at"].endswith("Z")
    assert document["receipt"]["id"]
    assert neither.status_code == 406
    assert len(gateway.behind.asked["sign"]) == 1


async def test_sealing_needs_an_idempotency_key(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answer = await platform.post(SEAL, files=parts())

    assert answer.json()["reason"] == "IDEMPOTENCY_KEY_MISSING"


async def test_document_is_verified(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answer = await platform.post("/approval/v1/documents:verify", files=parts())

    assert answer.json()["verdict"] == "valid"
    assert answer.json()["receipt"]["id"]


@pytest.mark.parametrize(
    ("files", "field"),
    [
        (parts(document=None), "document"),
        (parts(document=b""), "document"),
        (parts(request={}), "case"),
        (parts(request=[]), "request"),
        (parts(request={"case": CASE, "colour": "red"}), "request.colour"),
        (parts(request={"case": CASE, "place": {"page": -1}}), "request.place.page"),
        (parts(request={"case": CASE, "place": {"x_mm": 6000}}), "request.place.x_mm"),
        (parts(extra=("x", b"x", "text/plain")), "extra"),
    ],
)
async def test_faulty_upload_names_its_part(gateway: Gateway, files: dict[str, Any], field: str) -> None:
    platform = await gateway.machine()

    answer = await platform.post(SEAL, files=files, headers=KEY)

    assert answer.status_code == 400, answer.text
    assert field in {fault["field"] for fault in answer.json()["errors"]}
    assert not gateway.behind.asked["sign"]


@pytest.mark.parametrize(
    "content_type", ["application/pdf", "multipart/form-data", "multipart/mixed; boundary=x"]
)
async def test_what_is_no_form_upload_is_refused(gateway: Gateway, content_type: str) -> None:
    platform = await gateway.machine()

    answer = await platform.post(SEAL, content=PDF, headers={**KEY, "Content-Type": content_type})

    assert answer.status_code in {400, 415}, answer.text
    assert answer.json()["reason"] in {"REQUEST_INVALID", "CONTENT_TYPE_UNSUPPORTED"}


async def test_cut_off_multipart_is_malformed(gateway: Gateway) -> None:
    platform = await gateway.machine()
    body = b'--x\r\nContent-Disposition: form-data; name="document"\r\n\r\nabc'

    answer = await platform.post(
        SEAL, content=body, headers={**KEY, "Content-Type": "multipart/form-data; boundary=x"}
    )

    assert answer.status_code == 400, answer.text


async def test_too_large_document_is_refused_while_it_arrives(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(largest_document=1000, largest_json=2000)
    platform = await gateway.machine()

    async def streamed() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="document"\r\n\r\n'
        for _ in range(20):
            yield b"y" * 100
        yield b"\r\n--x--\r\n"

    told = await platform.post(SEAL, files=parts(document=b"x" * 1001), headers=KEY)
    far_too_large = await platform.post(SEAL, files=parts(document=b"x" * 50_000), headers=KEY)
    unannounced = await platform.post(
        SEAL, content=streamed(), headers={**KEY, "Content-Type": "multipart/form-data; boundary=x"}
    )

    for answer in (told, far_too_large, unannounced):
        assert (answer.status_code, answer.json()["reason"]) == (413, "BODY_TOO_LARGE")
    assert not gateway.behind.asked["sign"]


async def test_encoded_part_is_refused(gateway: Gateway) -> None:
    platform = await gateway.machine()
    body = (
        b'--x\r\nContent-Disposition: form-data; name="document"\r\nContent-Encoding: gzip\r\n\r\nabc'
        b"\r\n--x--\r\n"
    )

    answer = await platform.post(
        SEAL, content=body, headers={**KEY, "Content-Type": "multipart/form-data; boundary=x"}
    )

    assert (answer.status_code, answer.json()["reason"]) == (415, "CONTENT_ENCODING_UNSUPPORTED")


async def test_seals_are_listed_for_an_office(gateway: Gateway) -> None:
    platform = await gateway.machine()

    listed = await platform.get("/approval/v1/seals", params={"office": CASE["office"]})
    without = await platform.get("/approval/v1/seals")
    wrong = await platform.get("/approval/v1/seals", params={"office": "x"})

    assert listed.json()["seals"][0]["name"] == "专用章"
    assert gateway.behind.asked["list_seals"][0].context.office == CASE["office"]
    for answer in (without, wrong):
        assert answer.json()["errors"][0]["field"] == "office"


def test_upload_helper_is_a_real_multipart() -> None:
    assert isinstance(httpx2.Request("POST", "https://x/", files=parts()).headers["Content-Type"], str)
