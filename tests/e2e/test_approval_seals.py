"""The approval platform seals letters with the office's own seal, and checks sealed ones."""

from __future__ import annotations

import base64
import json
import uuid

import httpx2
import pytest
from fpdf import FPDF

from cli.demo.client import receipt_in
from tests.city import City
from tests.e2e.contract import faults, refused
from tests.story import (
    Json,
    Machine,
    case_of,
    citizen_of,
    entry_of,
    letter,
    letter_ofd,
    proved_file,
)

SEALS = "/approval/v1/seals"
VERIFY = "/approval/v1/documents:verify"
POLICE = "11440299MB2L01014Q"
"""武江's police, an office of its own."""


def parts(request: Json, document: bytes | None = None) -> Json:
    """The parts of an upload, as httpx takes them; of the letter unless of another document."""
    return {
        "document": ("letter.pdf", letter() if document is None else document, "application/pdf"),
        "request": (None, json.dumps(request).encode(), "application/json"),
    }


def many_pages(count: int) -> bytes:
    """A document that says on each page which one it is."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=14)
    for number in range(count):
        pdf.add_page()
        pdf.text(60, 200, f"page {number + 1}")
    return bytes(pdf.output())


def sign(platform: Machine, seal: str, case: Json, key: str = "", **request: object) -> httpx2.Response:
    """Asks for the letter to be sealed."""
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return platform.ask("POST", f"{SEALS}/{seal}:sign", headers, files=parts({"case": case, **request}))


@pytest.fixture(scope="module")
def seal(platform: Machine, cast: Json) -> str:
    """The seal of the demo's office."""
    return str(platform.get(SEALS, office=cast["office"]["code"])["seals"][0]["id"])


@pytest.fixture(scope="module")
def sealed(city: City, platform: Machine, seal: str) -> bytes:
    """A sealed letter."""
    return sign(platform, seal, case_of(city)).content


def test_an_office_sees_its_own_seals(platform: Machine, cast: Json) -> None:
    ours = platform.get(SEALS, office=cast["office"]["code"])
    theirs = platform.get(SEALS, office=POLICE)

    assert {one["owner_code"] for one in ours["seals"]} == {cast["office"]["code"]}
    assert {one["owner_code"] for one in theirs["seals"]} == {POLICE}
    assert ours["seals"][0]["state"] == "in_force"
    assert ours["next_page_token"] == ""


def test_an_office_is_named_by_its_right_code(platform: Machine, cast: Json) -> None:
    code = cast["office"]["code"]
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")

    nobody = refused(platform.ask("GET", SEALS), 400, "REQUEST_INVALID")
    mistyped = refused(platform.ask("GET", SEALS, params={"office": wrong}), 400, "CHECK_DIGIT_WRONG")

    assert faults(nobody) == {"office": "required"}
    assert faults(mistyped) == {"office": "gb32100.check_digit"}


def test_a_letter_is_sealed_and_the_seal_proved(city: City, platform: Machine, seal: str) -> None:
    answer = sign(platform, seal, case_of(city))
    receipt = receipt_in(answer.headers["Receipt"])

    report = platform.upload(VERIFY, answer.content, {"case": case_of(city)}).json()

    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Receipt-Id"] == receipt["id"]
    assert uuid.UUID(answer.headers["Signature-Id"])
    proof = proved_file(city, answer.content, receipt)
    assert proof.answer_proved
    assert (proof.entry["kind"], proof.entry["method"]) == ("outcome", "eseal.sign")
    assert report["verdict"] == "valid"
    (found,) = report["seals"]
    assert found["seal_id"] == seal
    whole = ("intact", "valid", "trusted", "covers_whole_document", "revoked")
    assert [found[name] for name in whole] == [True, True, True, True, False]
    assert entry_of(city, report)["method"] == "eseal.verify"


def test_an_ofd_is_sealed_with_sm2_and_the_seal_proved(city: City, platform: Machine, cast: Json) -> None:
    seals = platform.get(SEALS, office=cast["office"]["code"])["seals"]
    (national,) = [one for one in seals if one["document_type"] == "application/ofd"]
    request = {"case": case_of(city), "place": {"page": 1, "x_mm": 60, "y_mm": 60}}
    headers = {"Idempotency-Key": uuid.uuid4().hex}

    answer = platform.ask(
        "POST", f"{SEALS}/{national['id']}:sign", headers, files=parts(request, letter_ofd())
    )
    report = platform.upload(VERIFY, answer.content, {"case": case_of(city)}).json()

    assert national["algorithm"] == "sm3_sm2"
    assert answer.headers["Content-Type"] == "application/ofd"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sealed.ofd"'
    assert proved_file(city, answer.content, receipt_in(answer.headers["Receipt"])).answer_proved
    assert report["verdict"] == "valid"
    (found,) = report["seals"]
    assert found["seal_id"] == national["id"]
    whole = ("intact", "valid", "trusted", "seal_genuine", "covers_whole_document", "revoked")
    assert [found[name] for name in whole] == [True, True, True, True, True, False]
    assert (found["structure"], found["algorithm"]) == ("GB/T 38540-2020", "sm3_sm2")
    cut = {"document": ("cut.ofd", answer.content[:-40], "application/ofd")}
    request_part = parts({"case": case_of(city)})["request"]
    refused(platform.ask("POST", VERIFY, files={**cut, "request": request_part}), 400, "DOCUMENT_MALFORMED")


def test_an_ofd_takes_no_seal_that_is_for_pdf(city: City, platform: Machine, seal: str) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    answer = platform.ask(
        "POST", f"{SEALS}/{seal}:sign", headers, files=parts({"case": case_of(city)}, letter_ofd())
    )

    refused(answer, 422, "SEAL_NOT_FOR_FORMAT")


def test_the_sealed_file_comes_as_json_where_that_is_asked_for(
    city: City, platform: Machine, seal: str
) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex, "Accept": "application/json"}

    answer = platform.ask(
        "POST", f"{SEALS}/{seal}:sign", headers, files=parts({"case": case_of(city)})
    ).json()

    document = base64.b64decode(answer["document"])
    assert proved_file(city, document, answer["receipt"]).answer_proved
    assert answer["signed_at"].endswith("Z")


def test_a_seal_stands_at_its_keyword_and_a_second_over_the_edges(
    city: City, platform: Machine, seal: str
) -> None:
    case, two_pages = case_of(city), many_pages(2)

    def put(document: bytes, **place: object) -> httpx2.Response:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        files = parts({"case": case, "place": place}, document)
        return platform.ask("POST", f"{SEALS}/{seal}:sign", headers, files=files)

    at_keyword = put(two_pages, keyword="page 2")
    both = put(at_keyword.content, over_edges=True)
    report = platform.upload(VERIFY, both.content, {"case": case}).json()

    assert at_keyword.status_code == both.status_code == 200, both.text
    assert report["verdict"] == "valid"
    assert [found["seal_id"] for found in report["seals"]] == [seal, seal]
    assert report["seals"][1]["covers_whole_document"]
    refused(put(two_pages, keyword="page 3"), 422, "KEYWORD_NOT_FOUND")
    refused(put(two_pages, field_name="approver"), 422, "FIELD_NOT_FOUND")
    unclear = refused(put(two_pages, keyword="page", over_edges=True), 400, "REQUEST_INVALID")
    assert faults(unclear) == {"request.place.over_edges": "alone"}


def test_a_retry_gets_the_same_file_and_receipt(city: City, platform: Machine, seal: str) -> None:
    case, key = case_of(city), uuid.uuid4().hex

    first, again = sign(platform, seal, case, key), sign(platform, seal, case, key)
    other = sign(platform, seal, case, key, place={"page": 1, "x_mm": 50, "y_mm": 50})

    assert first.content == again.content
    assert first.headers["Receipt"] == again.headers["Receipt"]
    assert first.headers["Signature-Id"] == again.headers["Signature-Id"]
    refused(other, 409, "IDEMPOTENCY_KEY_REUSED")


def test_the_seal_of_another_office_is_refused(city: City, platform: Machine, seal: str) -> None:
    case, key = case_of(city, office=POLICE), uuid.uuid4().hex

    refused(sign(platform, seal, case, key), 403, "SEAL_NOT_ALLOWED")
    refused(sign(platform, seal, case, key), 403, "SEAL_NOT_ALLOWED")


def test_a_seal_that_does_not_exist_is_not_found(city: City, platform: Machine) -> None:
    refused(sign(platform, str(uuid.uuid4()), case_of(city)), 404, "SEAL_NOT_FOUND")
    malformed = refused(sign(platform, "round-one", case_of(city)), 400, "REQUEST_INVALID")

    assert list(faults(malformed)) == ["id"]


def test_a_changed_letter_is_found_out(city: City, platform: Machine, sealed: bytes) -> None:
    place = len(sealed) // 3
    changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
    grown = sealed + b"\n% one line more\n"

    for document in (changed, grown):
        answer = platform.ask("POST", VERIFY, files=parts({"case": case_of(city)}, document))
        assert answer.status_code == 400 or answer.json()["verdict"] == "invalid", answer.text


def test_anybody_checks_a_sealed_letter_without_signing_in(city: City, seal: str, sealed: bytes) -> None:
    with citizen_of(city) as anybody:

        def check(document: bytes, **more: object) -> httpx2.Response:
            files = {"document": ("letter.pdf", document, "application/pdf"), **more}
            return anybody.ask("POST", "/public/v1/documents:verify", files=files)

        genuine, unsealed, changed = check(sealed), check(letter()), check(sealed + b"\n% one line more\n")
        no_pdf, surprise = check(b"hello"), check(sealed, request=(None, b"{}", "application/json"))

    assert genuine.status_code == 200, genuine.text
    assert genuine.json()["verdict"] == "valid"
    assert genuine.json()["seals"][0]["seal_id"] == seal
    assert unsealed.json()["verdict"] == "unsealed"
    assert changed.json()["verdict"] == "invalid"
    refused(no_pdf, 400, "DOCUMENT_MALFORMED")
    assert faults(refused(surprise, 400, "REQUEST_INVALID")) == {"request": "unknown"}


def test_a_letter_without_a_seal_proves_nothing(city: City, platform: Machine) -> None:
    report = platform.upload(VERIFY, letter(), {"case": case_of(city)}).json()

    assert (report["verdict"], report["seals"]) == ("unsealed", [])


def test_what_is_no_document_is_refused(city: City, platform: Machine, seal: str) -> None:
    case = case_of(city)
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    path = f"{SEALS}/{seal}:sign"

    no_pdf = platform.ask("POST", path, headers, files=parts({"case": case}, b"hello"))
    no_page = sign(platform, seal, case, place={"page": 99})
    outside = sign(platform, seal, case, place={"page": 1, "x_mm": 4000, "y_mm": 10})
    surprise = sign(platform, seal, case, colour="red")
    no_file = platform.ask("POST", path, headers, files={"request": parts({"case": case})["request"]})

    refused(no_pdf, 400, "DOCUMENT_MALFORMED")
    refused(no_page, 400, "PAGE_NOT_FOUND")
    refused(outside, 400, "PAGE_NOT_FOUND")
    assert faults(refused(surprise, 400, "REQUEST_INVALID")) == {"request.colour": "unknown"}
    assert faults(refused(no_file, 400, "REQUEST_INVALID")) == {"document": "required"}


def test_sealing_needs_a_key(city: City, platform: Machine, seal: str) -> None:
    answer = platform.ask("POST", f"{SEALS}/{seal}:sign", files=parts({"case": case_of(city)}))

    assert faults(refused(answer, 400, "IDEMPOTENCY_KEY_MISSING")) == {"Idempotency-Key": "required"}
