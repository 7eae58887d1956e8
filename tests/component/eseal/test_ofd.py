"""OFD documents through the running service: sealed with SM2, recorded as a PDF is, and checked."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from core.disclosure import EntryKind, Outcome
from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Format, Picture, Place, Stamp, format_of
from services.eseal.refusals import DocumentMalformedError, DocumentTooLargeError, Sm2UnavailableError
from tests.component.eseal.harness import Asking, Desk, reason
from tests.unit.eseal import ofds
from tests.unit.eseal.documents import KIND, OFFICE, plain
from tests.unit.eseal.ofds import letter_ofd, package, plain_ofd, plain_parts, unpacked


async def refused(desk: Desk, seal_id: UUID, document: bytes, asking: Asking | None = None) -> str:
    """The reason for which sealing is refused; nothing may have been recorded of it."""
    before = len(await desk.signatures()), len(desk.ledger.entries)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign(seal_id, document, asking)
    assert (len(await desk.signatures()), len(desk.ledger.entries)) == before
    return reason(failure.value)


async def test_an_ofd_letter_is_sealed_recorded_and_found_valid(desk: Desk) -> None:
    seal_id = await desk.make_seal(sm2=True)

    signed = await desk.sign(seal_id, letter_ofd())
    answer = await desk.verify(signed.document)

    assert signed.media_type == "application/ofd"
    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert "真实可信" in answer.summary_zh
    (found,) = answer.seals
    assert (found.seal_id, found.seal_name) == (str(seal_id), OFFICE + KIND + "（国密）")
    assert (found.intact, found.valid, found.trusted, found.seal_genuine, found.revoked) == (
        *[True] * 4,
        False,
    )
    assert found.covers_whole_document
    assert (found.algorithm, found.structure) == ("sm3_sm2", "GB/T 38540-2020")
    assert found.signed_at == signed.signed_at
    assert found.field_name == "Doc_0/Signs/Sign_0/Signature.xml"
    (record,) = await desk.signatures()
    assert str(record["id"]) == signed.signature_id
    assert record["document_sha256"] == hashlib.sha256(letter_ofd()).digest()
    assert record["sealed_sha256"] == hashlib.sha256(signed.document).digest()
    value = unpacked(signed.document)["Doc_0/Signs/Sign_0/SignedValue.dat"]
    assert record["cms_sha256"] == hashlib.sha256(value).digest()


async def test_intent_and_outcome_frame_the_signature_and_commit_to_the_files_bytes(desk: Desk) -> None:
    seal_id = await desk.make_seal(sm2=True)

    signed = await desk.sign(seal_id, plain_ofd())

    intent, outcome = desk.ledger.entries
    assert (intent.kind, outcome.kind) == (EntryKind.INTENT, EntryKind.OUTCOME)
    assert intent.method == outcome.method == "eseal.sign"
    assert (outcome.outcome, outcome.intent_id) == (Outcome.COMPLETED, intent.item_id)
    commitment = hmac.new(signed.receipt.answer_salt, signed.document, hashlib.sha256).digest()
    assert commitment == outcome.answer_commitment


async def test_the_same_key_gives_the_same_bytes_and_one_signature(desk: Desk) -> None:
    """An SM2 signature differs each time it is made: the same bytes come from what is kept."""
    seal_id = await desk.make_seal(sm2=True)
    asking = replace(desk.asking, request_id="key-1")

    first = await desk.sign(seal_id, letter_ofd(), asking)
    desk.clock.advance(timedelta(minutes=3))
    again = await desk.sign(seal_id, letter_ofd(), asking)

    assert again == first
    assert len(await desk.signatures()) == 1
    assert await refused(desk, seal_id, plain_ofd(), asking) == "IDEMPOTENCY_KEY_REUSED"


async def test_a_second_seal_leaves_the_first_one_valid(desk: Desk) -> None:
    first = await desk.make_seal(sm2=True)
    second = await desk.make_seal(sm2=True, kind="业务专用章（国密）")

    once = await desk.sign(first, letter_ofd())
    twice = await desk.sign(second, once.document, None, pb.SealPlace(page=1, x_mm=60, y_mm=60))
    answer = await desk.verify(twice.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert [it.seal_id for it in answer.seals] == [str(first), str(second)]
    assert [it.covers_whole_document for it in answer.seals] == [False, True]


async def test_a_seal_is_put_on_its_own_format_alone(desk: Desk) -> None:
    for_pdf, for_ofd = await desk.make_seal(), await desk.make_seal(sm2=True)

    assert await refused(desk, for_pdf, plain_ofd()) == "SEAL_NOT_FOR_FORMAT"
    assert await refused(desk, for_ofd, plain()) == "SEAL_NOT_FOR_FORMAT"
    listed = {seal.id: (seal.algorithm, seal.document_type) for seal in (await desk.seals()).seals}
    assert listed == {
        str(for_pdf): ("sha256_ecdsa_p256", "application/pdf"),
        str(for_ofd): ("sm3_sm2", "application/ofd"),
    }


async def test_anybody_may_check_an_ofd(desk: Desk) -> None:
    signed = await desk.sign(await desk.make_seal(sm2=True), plain_ofd())
    recorded = len(desk.ledger.entries)

    checked = await desk.gateway.CheckDocument(pb.CheckDocumentRequest(document=signed.document))

    assert checked.answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert checked.answer.seals[0].seal_genuine
    assert len(desk.ledger.entries) == recorded


async def test_an_ofd_takes_one_seal_on_several_pages_but_none_at_a_keyword(desk: Desk) -> None:
    seal_id = await desk.make_seal(sm2=True)

    signed = await desk.sign(seal_id, plain_ofd(2), None, pb.SealPlace(pages=[1, 2], x_mm=60, y_mm=60))

    said = unpacked(signed.document)["Doc_0/Signs/Sign_0/Signature.xml"]
    assert said.count(b"<ofd:StampAnnot ") == 2
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign(seal_id, plain_ofd(), None, pb.SealPlace(keyword="盖章处"))
    assert reason(failure.value) == "PLACE_NOT_FOR_FORMAT"
    assert len(await desk.signatures()) == 1


async def test_a_suspended_seal_puts_nothing_and_is_told_of_what_it_put(desk: Desk) -> None:
    seal_id = await desk.make_seal(sm2=True)
    signed = await desk.sign(seal_id, plain_ofd())
    await desk.execute("UPDATE seal SET standing = 2")

    assert await refused(desk, seal_id, plain_ofd()) == "SEAL_NOT_IN_FORCE"
    answer = await desk.verify(signed.document)
    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert answer.seals[0].revoked


async def test_a_changed_page_and_an_added_part_are_named(desk: Desk) -> None:
    signed = await desk.sign(await desk.make_seal(sm2=True), plain_ofd())
    page = "Doc_0/Pages/Page_0/Content.xml"
    parts = unpacked(signed.document)

    changed = await desk.verify(package({**parts, page: parts[page] + b" "}))
    added = await desk.verify(package({**parts, "Doc_0/Annots/a.xml": b"<a/>"}))

    assert (changed.verdict, added.verdict) == (pb.DOCUMENT_VERDICT_INVALID,) * 2
    assert list(changed.seals[0].altered_parts) == [page]
    assert list(added.seals[0].uncovered_parts) == ["Doc_0/Annots/a.xml"]
    assert "未被签章覆盖" in added.summary_zh
    assert "does not cover" in added.summary_en


async def test_a_document_without_a_seal_proves_nothing(desk: Desk) -> None:
    answer = await desk.verify(plain_ofd())

    assert answer.verdict == pb.DOCUMENT_VERDICT_UNSEALED


async def test_a_seal_of_nobody_known_is_not_believed(desk: Desk) -> None:
    foreign = ofds.sealer()

    answer = await desk.verify(await foreign.put(plain_ofd()))

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    (found,) = answer.seals
    assert (found.intact, found.valid, found.trusted, found.seal_genuine) == (True, True, False, False)


async def test_a_seal_that_ran_out_since_is_believed_for_what_our_record_proves(desk: Desk) -> None:
    seal_id = await desk.make_seal(sm2=True)
    signed = await desk.sign(seal_id, plain_ofd())
    desk.clock.advance(timedelta(days=400))

    assert (await desk.verify(signed.document)).verdict == pb.DOCUMENT_VERDICT_VALID
    await desk.execute("DELETE FROM signature")
    unproved = await desk.verify(signed.document)
    assert unproved.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert (unproved.seals[0].trusted, unproved.seals[0].seal_genuine) == (False, False)


@pytest.mark.parametrize(
    "document",
    [
        b"PK\x03\x04",
        b"PK\x03\x04" + bytes(100),
        package({"a.txt": b"no OFD"}),
        package({**plain_parts(), "OFD.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}),
        package({**plain_parts(), "Doc_0/Document.xml": "<a/>"}),
        plain_ofd()[:-30],
    ],
)
async def test_a_document_out_of_form_is_refused_and_leaves_no_trace(desk: Desk, document: bytes) -> None:
    seal_id = await desk.make_seal(sm2=True)

    assert await refused(desk, seal_id, document) == "DOCUMENT_MALFORMED"


@pytest.mark.parametrize("document", [b"PK\x03\x04" + bytes(100), plain_ofd()[:-30]])
async def test_a_document_out_of_form_is_not_checked(desk: Desk, document: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.verify(document)
    assert reason(failure.value) == "DOCUMENT_MALFORMED"


async def test_a_bomb_is_refused_in_bounded_memory_and_the_worker_lives(workshop: Workshop) -> None:
    bomb = package({**plain_parts(), **{f"Doc_0/Res/{it}.bin": bytes(30 << 20) for it in range(5)}})
    huge = package({**plain_parts(), "Doc_0/Res/0.bin": bytes((32 << 20) + 1)})
    many = package({f"{it}.xml": b"" for it in range(5000)})
    stamp = Stamp(Picture(b"", 42, 42), ofds.sealer().seal)

    for document in (bomb, huge, many):
        with pytest.raises(DocumentTooLargeError):
            await workshop.prepare_ofd(document, Place(), stamp, moment=ofds.NOW)
    prepared = await workshop.prepare_ofd(plain_ofd(), Place(), stamp, moment=ofds.NOW)
    assert prepared.path == "/Doc_0/Signs/Sign_0/Signature.xml"


async def test_a_workshop_without_sm2_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "libnothing.so"
    empty.write_bytes(b"")
    opened = Workshop(workers=1, libcrypto=empty)
    await opened.open()
    try:
        with pytest.raises(Sm2UnavailableError, match="libnothing"):
            await opened.inspect(plain_ofd(), roots=[], moment=ofds.NOW)
        with pytest.raises(DocumentMalformedError):
            await opened.inspect(b"no PDF", roots=[], moment=ofds.NOW)
    finally:
        await opened.close()


def test_formats_are_told_by_content() -> None:
    assert format_of(plain_ofd()) is Format.OFD
    assert format_of(plain()) is Format.PDF
    assert format_of(b"") is Format.PDF
