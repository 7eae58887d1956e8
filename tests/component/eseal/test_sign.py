from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from cli.letter import make_letter
from core.disclosure import EntryKind, Outcome
from services.eseal.domain import SUITES, Format
from services.eseal.sealing.prepared import PreparedDocument
from tests.component.eseal.harness import OTHER_OFFICE, Asking, Desk, reason
from tests.unit.eseal import attacks
from tests.unit.eseal.documents import (
    HEAD,
    KIND,
    OFFICE,
    OFFICE_CODE,
    PAGE,
    TREE,
    encrypted,
    pdf_of,
    plain,
    stream_of,
)


async def refused(desk: Desk, seal_id: UUID, document: bytes, asking: Asking | None = None) -> str:
    """The reason for which sealing is refused; nothing may have been recorded of it."""
    before = len(await desk.signatures())
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign(seal_id, document, asking)
    assert len(await desk.signatures()) == before
    return reason(failure.value)


async def test_a_letter_is_sealed_recorded_and_found_valid(desk: Desk, tmp_path: Path) -> None:
    seal_id = await desk.make_seal()
    path = tmp_path / "letter.pdf"
    make_letter(path, OFFICE, "林小满", "武江区小满小吃店", "2026-0001", date(2026, 3, 2))

    signed = await desk.sign(seal_id, path.read_bytes(), replace(desk.asking, request_id="key-1"))
    answer = await desk.verify(signed.document)

    assert signed.document.startswith(path.read_bytes())
    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    (found,) = answer.seals
    assert found.seal_id == str(seal_id)
    assert found.seal_name == OFFICE + KIND
    assert (found.intact, found.valid, found.trusted, found.revoked) == (True, True, True, False)
    assert found.covers_whole_document
    assert found.signed_at == signed.signed_at
    assert answer.document_sha256 == hashlib.sha256(signed.document).hexdigest()
    (record,) = await desk.signatures()
    assert str(record["id"]) == signed.signature_id
    assert record["document_sha256"] == hashlib.sha256(path.read_bytes()).digest()
    assert record["sealed_sha256"] == hashlib.sha256(signed.document).digest()
    assert (record["office_code"], record["matter_code"]) == (OFFICE_CODE, "sole-trader-registration")
    assert record["case_number"] == "2026-0001"


async def test_intent_and_outcome_frame_the_signature_and_commit_to_the_files_bytes(desk: Desk) -> None:
    seal_id = await desk.make_seal()

    signed = await desk.sign(seal_id, plain())

    intent, outcome = desk.ledger.entries
    (record,) = await desk.signatures()
    assert (intent.kind, outcome.kind) == (EntryKind.INTENT, EntryKind.OUTCOME)
    assert intent.method == outcome.method == "eseal.sign"
    assert outcome.outcome is Outcome.COMPLETED
    assert outcome.intent_id == intent.item_id == record["intent_id"]
    assert intent.records[0].resource == f"seal:{seal_id}"
    assert outcome.records[1].version == signed.signature_id
    assert signed.receipt.answer_salt == outcome.answer_salt
    commitment = hmac.new(signed.receipt.answer_salt, signed.document, hashlib.sha256).digest()
    assert commitment == outcome.answer_commitment


async def test_the_same_key_gives_the_same_bytes_and_one_signature(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, request_id="key-1")

    first = await desk.sign(seal_id, plain(), asking)
    desk.clock.advance(timedelta(minutes=3))
    again = await desk.sign(seal_id, plain(), asking)

    assert again == first
    assert len(await desk.signatures()) == 1
    assert len(desk.ledger.entries) == 2


async def test_the_same_key_for_something_else_is_refused(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, request_id="key-1")
    await desk.sign(seal_id, plain(), asking)

    assert await refused(desk, seal_id, plain(2), asking) == "IDEMPOTENCY_KEY_REUSED"
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign(seal_id, plain(), asking, pb.SealPlace(page=1, x_mm=50, y_mm=50))
    assert reason(failure.value) == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("change", [{"case_number": "2026-0002"}, {"matter_code": "company-change"}])
async def test_the_same_key_for_another_case_is_refused(desk: Desk, change: dict[str, str]) -> None:
    """Else the answer's receipt would say that the seal was put for a case which it was not put for."""
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, request_id="key-1")
    other = replace(asking, **change)  # type: ignore[arg-type]  # the two fields are texts
    sealed = await desk.sign(seal_id, plain(), asking)
    await desk.verify(sealed.document, asking)

    assert await refused(desk, seal_id, plain(), other) == "IDEMPOTENCY_KEY_REUSED"
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.verify(sealed.document, other)
    assert reason(failure.value) == "IDEMPOTENCY_KEY_REUSED"


async def test_many_at_once_under_one_key_put_one_seal(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, request_id="key-1")

    outcomes = await asyncio.gather(
        *(desk.sign(seal_id, plain(), asking) for _ in range(6)), return_exceptions=True
    )

    documents = {it.document for it in outcomes if isinstance(it, pb.SignDocumentResponse)}
    refusals = {reason(it) for it in outcomes if isinstance(it, grpc.aio.AioRpcError)}
    assert len(documents) == 1
    assert refusals <= {"REQUEST_IN_PROGRESS"}
    assert len(await desk.signatures()) == 1


async def test_a_replay_is_authorised_afresh(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, request_id="key-1")
    await desk.sign(seal_id, plain(), asking)
    await desk.execute("UPDATE seal SET standing = 3")

    assert await refused(desk, seal_id, plain(), asking) == "SEAL_NOT_IN_FORCE"


async def test_without_a_key_nothing_is_sealed(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    request = pb.SignDocumentRequest(**desk.about(None), seal_id=str(seal_id), document=plain())

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.gateway.SignDocument(request)

    assert reason(failure.value) == "IDEMPOTENCY_KEY_MISSING"
    assert desk.ledger.entries == []


async def test_rights_are_checked(desk: Desk) -> None:
    seal_id = await desk.make_seal(users=[(OFFICE_CODE, "company-change")])
    allowed = replace(desk.asking, matter_code="company-change")

    assert await refused(desk, seal_id, plain()) == "SEAL_NOT_ALLOWED"
    assert await refused(desk, seal_id, plain(), replace(allowed, office=OTHER_OFFICE)) == "SEAL_NOT_ALLOWED"
    assert await refused(desk, seal_id, plain(), replace(allowed, office="")) == "REQUEST_INVALID"
    assert await refused(desk, seal_id, plain(), replace(allowed, matter_code="")) == "BASIS_NOT_PERMITTED"
    assert await refused(desk, uuid4(), plain(), allowed) == "SEAL_NOT_FOUND"
    verify_only = replace(allowed, scopes=("document.verify",))
    assert await refused(desk, seal_id, plain(), verify_only) == "SCOPE_MISSING"
    assert desk.ledger.entries == []
    await desk.sign(seal_id, plain(), allowed)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM seal_user", "SEAL_NOT_ALLOWED"),
        ("UPDATE seal SET standing = 2", "SEAL_NOT_IN_FORCE"),
    ],
)
async def test_what_is_withdrawn_while_the_file_is_laid_out_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, change: str, told: str
) -> None:
    seal_id = await desk.make_seal()
    prepare = desk.workshop.prepare

    async def meanwhile(*args: Any, **named: Any) -> PreparedDocument:
        made = await prepare(*args, **named)
        await desk.execute(change)
        return made

    monkeypatch.setattr(desk.workshop, "prepare", meanwhile)

    assert await refused(desk, seal_id, plain()) == told


@pytest.mark.parametrize("standing", [2, 3])
async def test_a_seal_that_was_taken_out_of_force_seals_nothing(desk: Desk, standing: int) -> None:
    seal_id = await desk.make_seal()
    await desk.execute("UPDATE seal SET standing = $1", standing)

    assert await refused(desk, seal_id, plain()) == "SEAL_NOT_IN_FORCE"


async def test_a_seal_past_its_validity_seals_nothing(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    desk.clock.advance(timedelta(days=365))

    assert await refused(desk, seal_id, plain()) == "SEAL_NOT_IN_FORCE"


async def test_when_the_ledger_is_down_nothing_is_sealed(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    desk.ledger.down = True

    assert await refused(desk, seal_id, plain()) == "PART_DOWN"


async def test_a_file_that_cannot_be_sealed_leaves_no_intent(desk: Desk) -> None:
    seal_id = await desk.make_seal()

    assert await refused(desk, seal_id, encrypted()) == "DOCUMENT_ENCRYPTED"
    assert await refused(desk, seal_id, b"no pdf at all") == "DOCUMENT_MALFORMED"
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign(seal_id, plain(), place=pb.SealPlace(page=2))
    assert reason(failure.value) == "PAGE_NOT_FOUND"
    assert desk.ledger.entries == []


async def test_what_was_changed_after_a_seal_takes_none_and_leaves_no_record(desk: Desk) -> None:
    """Neither an intent nor a signature: the seal that was asked for was never on its way."""
    seal_id = await desk.make_seal()
    sealed = (await desk.sign(seal_id, attacks.letter())).document
    recorded = len(desk.ledger.entries)

    for attack in (attacks.other_amount, attacks.filled_field, attacks.other_picture):
        assert await refused(desk, seal_id, attack(sealed)) == "DOCUMENT_LOCKED", attack.__name__
    changed = sealed.replace(b"pay 100", b"pay 900")
    assert await refused(desk, seal_id, changed) == "DOCUMENT_LOCKED"

    assert len(desk.ledger.entries) == recorded
    assert (await desk.verify(changed)).verdict == pb.DOCUMENT_VERDICT_INVALID
    assert (await desk.sign(seal_id, sealed)).document.startswith(sealed)


def with_attachment(content: bytes) -> bytes:
    """A page, and a stream beside it."""
    return pdf_of([HEAD, TREE, PAGE, stream_of(content)])


async def test_sixteen_mebibytes_are_sealed_and_replayed(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    overhead = len(with_attachment(b"")) + 12
    document = with_attachment(random.Random(1).randbytes(16 * 1024 * 1024 - overhead))
    assert len(document) == 16 * 1024 * 1024
    asking = replace(desk.asking, request_id="large")

    signed = await desk.sign(seal_id, document, asking)
    again = await desk.sign(seal_id, document, asking)

    assert signed.document[: len(document)] == document
    assert again.document == signed.document


async def test_what_is_kept_for_a_retry_is_what_the_seal_appended_and_not_the_file(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    document = with_attachment(random.Random(2).randbytes(1_000_000))
    asking = replace(desk.asking, request_id="key-1")

    first = await desk.sign(seal_id, document, asking)
    again = await desk.sign(seal_id, document, asking)

    connection = await desk.owner()
    kept = await connection.fetchval("SELECT length(answer) FROM reply")
    await connection.close()
    assert again.document == first.document == document + first.document[len(document) :]
    assert kept < len(first.document) - len(document) + 500


async def test_one_byte_more_is_too_large(desk: Desk) -> None:
    seal_id = await desk.make_seal()

    assert await refused(desk, seal_id, bytes(16 * 1024 * 1024 + 1)) == "REQUEST_INVALID"


async def test_a_second_office_seals_after_the_first(desk: Desk) -> None:
    ours = await desk.make_seal()
    theirs = await desk.make_seal(
        owner_code=OTHER_OFFICE, owner_name="韶关市公安局", users=[(OTHER_OFFICE, "")]
    )

    once = await desk.sign(ours, plain())
    twice = await desk.sign(
        theirs,
        once.document,
        replace(desk.asking, office=OTHER_OFFICE),
        pb.SealPlace(page=1, x_mm=60, y_mm=60),
    )
    answer = await desk.verify(twice.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert [seal.seal_id for seal in answer.seals] == [str(ours), str(theirs)]
    assert "2枚" in answer.summary_zh


async def test_a_seal_of_each_algorithm_is_put_and_found_valid(desk: Desk) -> None:
    for number, (algorithm, suite) in enumerate(SUITES.items()):
        if suite.format is Format.PDF:
            seal_id = await desk.make_seal(kind=f"业务专用章{number}", algorithm=algorithm)

            signed = await desk.sign(seal_id, plain())

            answer = await desk.verify(signed.document)
            assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
            assert [(one.seal_id, one.algorithm) for one in answer.seals] == [(str(seal_id), algorithm.value)]
