from __future__ import annotations

import asyncio
import hashlib
import hmac
import shutil
from asyncio.subprocess import PIPE
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2
from onestop.eseal.v1 import template_pb2 as pb
from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from core.disclosure import EntryKind, Outcome
from tests.component.eseal.harness import LINKS, OTHER_OFFICE, Asking, Desk, reason
from tests.unit.eseal.documents import KIND, OFFICE
from tests.unit.eseal.forms_filled import DECISION, LICENCE, long_penalty


async def refused(
    desk: Desk, seal_id: UUID, template: str, asking: Asking | None = None, **fields: str
) -> str:
    """The reason for which filling is refused; nothing may have been recorded of it."""
    before = len(desk.ledger.entries)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign_template(seal_id, template, {**DECISION, **fields}, asking)
    assert len(desk.ledger.entries) == before
    assert not await desk.signatures()
    return reason(failure.value)


async def test_a_decision_is_filled_sealed_recorded_and_found_valid(desk: Desk) -> None:
    seal_id = await desk.make_seal()

    signed = await desk.sign_template(seal_id, "permit_decision", DECISION)
    answer = await desk.verify(signed.document)

    assert (signed.media_type, answer.verdict) == ("application/pdf", eseal_pb2.DOCUMENT_VERDICT_VALID)
    (found,) = answer.seals
    assert (found.seal_id, found.seal_name) == (str(seal_id), OFFICE + KIND)
    assert (found.covers_whole_document, found.modification) == (True, "none")
    assert (found.time_proof, found.level) == ("record", eseal_pb2.SEAL_LEVEL_B_B)
    (record,) = await desk.signatures()
    assert record["sealed_sha256"] == hashlib.sha256(signed.document).digest()
    assert signed.verification_link == LINKS + UUID(signed.signature_id).hex
    intent, outcome = desk.ledger.entries[:2]
    assert (intent.kind, outcome.kind, outcome.outcome) == (
        EntryKind.INTENT,
        EntryKind.OUTCOME,
        Outcome.COMPLETED,
    )
    opened = hmac.digest(outcome.answer_salt, signed.document, "sha256")
    assert opened == outcome.answer_commitment


async def test_pyhanko_and_poppler_find_the_seal_valid(desk: Desk, pki: Path, tmp_path: Path) -> None:
    signed = await desk.sign_template(await desk.make_seal(), "business_licence", LICENCE)
    root = load_cert_from_pemder(str(pki / "seals" / "seal-ca.crt"))

    (embedded,) = PdfFileReader(BytesIO(signed.document), strict=True).embedded_signatures
    status = await asyncio.to_thread(
        validate_pdf_signature,
        embedded,
        ValidationContext(trust_roots=[root], moment=desk.clock()),
        key_usage_settings=KeyUsageConstraints(key_usage={"digital_signature"}),
    )

    assert (status.intact, status.valid, status.trusted, status.bottom_line) == (True, True, True, True)
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    if shutil.which("pdfsig"):
        path = tmp_path / "licence.pdf"
        path.write_bytes(signed.document)
        process = await asyncio.create_subprocess_exec("pdfsig", "-nocert", path, stdout=PIPE)
        said, _ = await process.communicate()
        assert b"Signature is Valid" in said
        assert b"Total document signed" in said


async def test_a_seal_with_sm2_makes_an_ofd_of_the_same_template(desk: Desk) -> None:
    seal_id = await desk.make_seal(sm2=True)
    asking = replace(desk.asking, request_id="form-2")

    signed = await desk.sign_template(seal_id, "permit_decision", DECISION, asking)
    again = await desk.sign_template(seal_id, "permit_decision", DECISION, asking)
    answer = await desk.verify(signed.document)

    assert again == signed
    assert (signed.media_type, answer.verdict) == ("application/ofd", eseal_pb2.DOCUMENT_VERDICT_VALID)
    (found,) = answer.seals
    assert (found.seal_id, found.structure) == (str(seal_id), "GB/T 38540-2020")
    assert (list(found.altered_parts), list(found.uncovered_parts)) == ([], [])
    (record,) = await desk.signatures()
    assert record["sealed_sha256"] == hashlib.sha256(signed.document).digest()


async def test_a_retry_gets_the_same_bytes_also_when_nothing_is_left_in_memory(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, request_id="form-1")

    first = await desk.sign_template(seal_id, "permit_decision", DECISION, asking)
    # The seal's picture is another one since: what the first answer was made of is found all the same.
    await desk.execute("UPDATE seal SET picture = picture || '\\x0a'::bytea")
    desk.plates._ready.clear()
    again = await desk.sign_template(seal_id, "permit_decision", DECISION, asking)

    assert again == first
    assert len(await desk.signatures()) == 1
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign_template(seal_id, "permit_decision", {**DECISION, "applicant": "林大满"}, asking)
    assert reason(failure.value) == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("sm2", [False, True], ids=["pdf", "ofd"])
async def test_a_decision_of_several_pages_is_sealed_and_given_again(desk: Desk, sm2: bool) -> None:
    seal_id = await desk.make_seal(sm2=sm2)
    asking = replace(desk.asking, request_id=f"pages-{sm2}")

    first = await desk.sign_template(seal_id, "penalty_decision", long_penalty(), asking)
    desk.plates._ready.clear()
    again = await desk.sign_template(seal_id, "penalty_decision", long_penalty(), asking)
    answer = await desk.verify(first.document)

    assert again == first
    assert answer.verdict == eseal_pb2.DOCUMENT_VERDICT_VALID
    assert answer.seals[0].covers_whole_document


async def test_what_cannot_be_filled_leaves_no_trace_of_a_seal(desk: Desk) -> None:
    seal_id = await desk.make_seal()

    assert await refused(desk, seal_id, "permit_decision", applicant="") == "TEMPLATE_FIELDS_INVALID"
    assert await refused(desk, seal_id, "permit_decision", content="行\n" * 250) == "TEMPLATE_FIELDS_INVALID"
    assert await refused(desk, seal_id, "no_such_template") == "TEMPLATE_NOT_FOUND"
    assert await refused(desk, uuid4(), "permit_decision") == "SEAL_NOT_FOUND"
    elsewhere = replace(desk.asking, office=OTHER_OFFICE)
    assert await refused(desk, seal_id, "permit_decision", elsewhere) == "SEAL_NOT_ALLOWED"


async def test_a_quota_counts_filled_templates_too(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    await desk.execute("INSERT INTO seal_quota (rule_id, in_all) SELECT rule_id, 1 FROM seal_user")

    await desk.sign_template(seal_id, "permit_decision", DECISION)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign_template(seal_id, "permit_decision", DECISION)

    assert reason(failure.value) == "SEAL_QUOTA_SPENT"


async def test_a_number_tells_of_the_seal_and_nothing_of_the_document(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    signed = await desk.sign_template(seal_id, "permit_decision", DECISION)
    number = UUID(signed.signature_id).hex

    found = await desk.templates.FindSealedDocument(pb.FindSealedDocumentRequest(number=number))
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.templates.FindSealedDocument(pb.FindSealedDocumentRequest(number=uuid4().hex))

    assert (found.seal_name, found.signed_at) == (OFFICE + KIND, signed.signed_at)
    assert found.seal_state == eseal_pb2.SEAL_STATE_IN_FORCE
    assert DECISION["applicant"] not in str(found)
    assert reason(failure.value) == "DOCUMENT_NOT_FOUND"


async def test_templates_are_listed_page_by_page(desk: Desk) -> None:
    first = await desk.list_templates(page_size=2)
    second = await desk.list_templates(page_size=2, page_token=first.next_page_token)

    assert [one.name for one in (*first.templates, *second.templates)] == [
        "business_licence",
        "equipment_operator",
        "penalty_decision",
        "permit_decision",
    ]
    assert [one.most_pages for one in (*first.templates, *second.templates)] == [1, 2, 40, 1]
    assert not second.next_page_token
    photo = {field.name: field for field in first.templates[1].fields}["photo"]
    assert (photo.type, photo.max_length) == (pb.TEMPLATE_FIELD_TYPE_PICTURE, 0)
    fields = {field.name: field for field in second.templates[1].fields}
    assert fields["decided_on"].type == pb.TEMPLATE_FIELD_TYPE_DATE
    assert fields.keys() == DECISION.keys()
