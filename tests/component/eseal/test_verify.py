from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from core.disclosure import EntryKind, Outcome
from tests.component.eseal.harness import Desk, reason
from tests.unit.eseal.documents import encrypted, make_kit, plain


async def test_a_document_without_a_seal_is_unsealed_and_the_check_recorded(desk: Desk) -> None:
    answer = await desk.verify(plain())

    assert answer.verdict == pb.DOCUMENT_VERDICT_UNSEALED
    assert list(answer.seals) == []
    (entry,) = desk.ledger.entries
    assert (entry.kind, entry.outcome) == (EntryKind.DISCLOSURE, Outcome.RELEASED)
    assert entry.method == "eseal.verify"


async def test_a_changed_byte_is_told(desk: Desk) -> None:
    signed = await desk.sign(
        await desk.make_seal(), plain(page_entries=b"/MediaBox [0 0 595 842] /Note (100)")
    )

    answer = await desk.verify(signed.document.replace(b"(100)", b"(900)"))

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert not answer.seals[0].intact
    assert answer.seals[0].trusted
    assert "被改动" in answer.summary_zh


async def test_bytes_added_afterwards_are_told(desk: Desk) -> None:
    signed = await desk.sign(await desk.make_seal(), plain())

    answer = await desk.verify(signed.document + b"\n% something more\n")

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert answer.seals[0].intact
    assert not answer.seals[0].covers_whole_document


@pytest.mark.parametrize("standing", [2, 3])
async def test_a_seal_revoked_or_suspended_since_is_told(desk: Desk, standing: int) -> None:
    signed = await desk.sign(await desk.make_seal(), plain())
    await desk.execute("UPDATE seal SET standing = $1", standing)

    answer = await desk.verify(signed.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    (found,) = answer.seals
    assert (found.intact, found.valid, found.trusted, found.revoked) == (True, True, True, True)
    assert "撤销" in answer.summary_zh


async def test_a_stranger_is_not_believed_even_under_our_names(desk: Desk) -> None:
    await desk.make_seal()

    answer = await desk.verify(await make_kit().seal(plain()))

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    (found,) = answer.seals
    assert (found.intact, found.valid, found.trusted) == (True, True, False)
    assert not found.HasField("seal_id")


async def test_after_the_certificates_end_our_record_bears_out_the_time(desk: Desk) -> None:
    signed = await desk.sign(await desk.make_seal(), plain())
    desk.clock.advance(timedelta(days=400))

    assert (await desk.verify(signed.document)).verdict == pb.DOCUMENT_VERDICT_VALID
    await desk.execute("DELETE FROM signature")
    assert (await desk.verify(signed.document)).verdict == pb.DOCUMENT_VERDICT_INVALID


@pytest.mark.parametrize(
    ("document", "expected"),
    [(b"no pdf", "DOCUMENT_MALFORMED"), (encrypted(), "DOCUMENT_ENCRYPTED"), (b"", "REQUEST_INVALID")],
)
async def test_what_cannot_be_read_is_refused_by_name(desk: Desk, document: bytes, expected: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.verify(document)

    assert reason(failure.value) == expected
    assert desk.ledger.entries == []


async def test_checking_needs_its_scope_and_a_case(desk: Desk) -> None:
    for asking, expected in (
        (replace(desk.asking, scopes=("seal.use",)), "SCOPE_MISSING"),
        (replace(desk.asking, matter_code=""), "BASIS_NOT_PERMITTED"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await desk.verify(plain(), asking)
        assert reason(failure.value) == expected


async def test_when_the_ledger_is_down_no_verdict_leaves(desk: Desk) -> None:
    desk.ledger.down = True

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.verify(plain())

    assert reason(failure.value) == "PART_DOWN"
