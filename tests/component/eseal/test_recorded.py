"""Checks of our own files are answered from our record, and say what a full check says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2 as pb
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec, append_signature_field

from services.eseal.confined.workshop import Workshop
from services.eseal.verifying.finding import Finding
from tests.component.eseal.harness import Desk
from tests.unit.eseal.documents import plain
from tests.unit.eseal.forms_filled import DECISION
from tests.unit.eseal.ofds import letter_ofd, plain_ofd

SPOT = pb.SealPlace(page=1, x_mm=120, y_mm=200)


@pytest.fixture
def read_in_full(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The files that were read since."""
    read: list[bytes] = []
    inspect = workshop.inspect

    async def counting(document: bytes, **how: Any) -> list[Finding]:
        read.append(document)
        return await inspect(document, **how)

    monkeypatch.setattr(workshop, "inspect", counting)
    return read


async def check_both_ways(desk: Desk, document: bytes, read_in_full: list[bytes]) -> pb.VerifyDocumentAnswer:
    """The answer from the record, which is compared with that of a full check. Afterwards it is forgotten."""
    before = len(read_in_full)
    recorded = await desk.verify(document)
    assert len(read_in_full) == before
    await desk.execute("UPDATE signature SET facts = NULL")
    full = await desk.verify(document)
    assert read_in_full[before:] == [document]
    assert recorded == full
    return recorded


async def know(desk: Desk, *seals: Any) -> None:
    """Lets a full check say what is to be said of the seals' certificates."""
    for seal in seals:
        await desk.verify((await desk.sign(seal, plain(), place=SPOT)).document)


@pytest.mark.parametrize(
    "place",
    [
        None,
        SPOT,
        pb.SealPlace(every_page=True, x_mm=120, y_mm=200),
        pb.SealPlace(over_edges=True, y_mm=100),
    ],
    ids=["usual", "spot", "every page", "over edges"],
)
async def test_one_seal(desk: Desk, read_in_full: list[bytes], place: pb.SealPlace | None) -> None:
    seal = await desk.make_seal()
    await know(desk, seal)
    signed = await desk.sign(seal, plain(pages=2), place=place)

    answer = await check_both_ways(desk, signed.document, read_in_full)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert answer.seals[0].seal_id == str(seal)


async def test_a_decision_from_a_template(desk: Desk, read_in_full: list[bytes]) -> None:
    seal = await desk.make_seal()
    await know(desk, seal)
    signed = await desk.sign_template(seal, "permit_decision", DECISION)

    answer = await check_both_ways(desk, signed.document, read_in_full)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID


async def test_a_certifying_seal(desk: Desk, read_in_full: list[bytes]) -> None:
    seal = await desk.make_seal()
    await know(desk, seal)
    signed = await desk.sign(seal, plain(), place=SPOT, certify=True)

    answer = await check_both_ways(desk, signed.document, read_in_full)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert answer.seals[0].certifies


@pytest.mark.parametrize(
    "second", [SPOT, pb.SealPlace(every_page=True, x_mm=60, y_mm=60)], ids=["one", "more"]
)
async def test_several_seals_of_ours(desk: Desk, read_in_full: list[bytes], second: pb.SealPlace) -> None:
    mine, other = await desk.make_seal(), await desk.make_seal(kind="合同专用章")
    await know(desk, mine, other)
    document = plain(pages=2)
    for seal, place in ((mine, SPOT), (other, second), (mine, pb.SealPlace(page=2, x_mm=90, y_mm=90))):
        document = (await desk.sign(seal, document, place=place)).document

    answer = await check_both_ways(desk, document, read_in_full)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert [found.seal_id for found in answer.seals] == [str(mine), str(other), str(mine)]


async def know_ofd(desk: Desk, *seals: Any) -> None:
    """The same of seals with SM2."""
    for seal in seals:
        await desk.verify((await desk.sign(seal, plain_ofd())).document)


@pytest.mark.parametrize("place", [None, SPOT], ids=["usual", "spot"])
async def test_an_ofd(desk: Desk, read_in_full: list[bytes], place: pb.SealPlace | None) -> None:
    seal = await desk.make_seal(sm2=True)
    await know_ofd(desk, seal)
    signed = await desk.sign(seal, letter_ofd(), place=place)

    answer = await check_both_ways(desk, signed.document, read_in_full)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert answer.seals[0].structure == "GB/T 38540-2020"


async def test_an_ofd_from_a_template_with_two_seals_of_which_one_was_revoked(
    desk: Desk, read_in_full: list[bytes]
) -> None:
    mine, other = await desk.make_seal(sm2=True), await desk.make_seal(sm2=True, kind="合同专用章")
    await know_ofd(desk, mine, other)
    first = await desk.sign_template(mine, "permit_decision", DECISION)
    twice = await desk.sign(other, first.document)

    assert (await desk.verify(twice.document)).verdict == pb.DOCUMENT_VERDICT_VALID
    await desk.execute("UPDATE seal SET standing = 3 WHERE id = $1", other)
    answer = await check_both_ways(desk, twice.document, read_in_full)

    assert [found.seal_id for found in answer.seals] == [str(mine), str(other)]
    assert [found.revoked for found in answer.seals] == [False, True]


async def test_an_ofd_whose_own_seal_has_ended_or_that_was_changed_is_read(
    desk: Desk, read_in_full: list[bytes]
) -> None:
    seal = await desk.make_seal(sm2=True)
    await know_ofd(desk, seal)
    signed = await desk.sign(seal, plain_ofd())
    changed = signed.document + b"\n"
    before = len(read_in_full)

    with pytest.raises(grpc.aio.AioRpcError):
        await desk.verify(changed)
    await desk.execute("UPDATE seal SET valid_until = $1", desk.clock())
    await desk.verify(signed.document)

    assert read_in_full[before:] == [changed, signed.document]


@pytest.mark.parametrize("standing", [2, 3])
async def test_what_became_of_the_seal_since(desk: Desk, read_in_full: list[bytes], standing: int) -> None:
    seal = await desk.make_seal()
    await know(desk, seal)
    signed = await desk.sign(seal, plain())
    await desk.execute("UPDATE seal SET standing = $1", standing)

    answer = await check_both_ways(desk, signed.document, read_in_full)

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert answer.seals[0].revoked


async def _another_file(_desk: Desk, document: bytes) -> bytes:
    return document + b"\n"


async def _later(desk: Desk, document: bytes) -> bytes:
    desk.clock.advance(timedelta(seconds=61))
    return document


async def _after_the_certificate(desk: Desk, document: bytes) -> bytes:
    desk.clock.advance(timedelta(days=400))
    return document


def _rewritten(change: str) -> Callable[[Desk, bytes], Any]:
    async def rewrite(desk: Desk, document: bytes) -> bytes:
        await desk.execute(f"UPDATE signature SET {change} WHERE facts IS NOT NULL")
        return document

    return rewrite


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(_another_file, id="another file"),
        pytest.param(_later, id="longer ago than a minute"),
        pytest.param(_after_the_certificate, id="after the certificate's end"),
        pytest.param(_rewritten("facts = set_byte(facts, 50, 65)"), id="other facts"),
        pytest.param(_rewritten("facts = set_byte(facts, 0, get_byte(facts, 0) # 1)"), id="another hash"),
        pytest.param(_rewritten("signed_at = signed_at - interval '1 day'"), id="another time"),
        pytest.param(_rewritten("facts = NULL"), id="no facts"),
    ],
)
async def test_everything_else_is_checked_in_full(
    desk: Desk, read_in_full: list[bytes], changed: Callable[[Desk, bytes], Any]
) -> None:
    seal = await desk.make_seal()
    await know(desk, seal)
    signed = await desk.sign(seal, plain())
    document = await changed(desk, signed.document)
    before = len(read_in_full)

    await desk.verify(document)

    assert read_in_full[before:] == [document]


async def test_record_of_a_file_that_never_left_is_no_proof(desk: Desk, read_in_full: list[bytes]) -> None:
    seal = await desk.make_seal()
    await know(desk, seal)
    signed = await desk.sign(seal, plain())
    forged = signed.document.replace(b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 595 841]")
    digest = hashlib.sha256(forged).digest()
    await desk.execute("UPDATE signature SET sealed_sha256 = $1 WHERE id = $2", digest, signed.signature_id)

    answer = await desk.verify(forged)

    assert answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert read_in_full[-1] == forged


async def test_seal_in_a_field_of_the_file_is_read(desk: Desk, read_in_full: list[bytes]) -> None:
    seal = await desk.make_seal()
    await know(desk, seal)
    writer = IncrementalPdfFileWriter(BytesIO(plain()))
    append_signature_field(writer, SigFieldSpec("approver", on_page=0, box=(100, 100, 300, 160)))
    out = BytesIO()
    writer.write(out)
    signed = await desk.sign(seal, out.getvalue(), place=pb.SealPlace(field_name="approver"))

    answer = await desk.verify(signed.document)

    assert answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert read_in_full[-1] == signed.document
