"""Files are checked by their digests alone: what is said is what is said of the file, or nothing."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from core.disclosure import EntryKind, Outcome
from core.identity import Scope
from services.eseal.domain import Algorithm
from tests.component.eseal.bulk import reasons
from tests.component.eseal.harness import Asking, Desk, reason
from tests.unit.eseal.documents import plain


def digest_of(document: bytes) -> str:
    return hashlib.sha256(document).hexdigest()


async def sealed(desk: Desk, seal: UUID, document: bytes = b"") -> bytes:
    """A file of ours, and no check has been made of any."""
    return (await desk.sign(seal, document or plain())).document


async def test_a_digest_is_answered_as_its_file_would_be(desk: Desk) -> None:
    mine, other = await desk.make_seal(), await desk.make_seal(kind="合同专用章")
    once = await sealed(desk, mine)
    twice = await sealed(desk, other, once)

    # Nobody has checked a file yet: the certificates alone were asked about.
    alone = await desk.verify_digests([digest_of(once), digest_of(twice)])

    await desk.execute("UPDATE signature SET facts = NULL")
    assert [one.answer for one in alone] == [await desk.verify(once), await desk.verify(twice)]
    assert alone[1].answer.verdict == pb.DOCUMENT_VERDICT_VALID
    assert [found.seal_id for found in alone[1].answer.seals] == [str(mine), str(other)]


@pytest.mark.parametrize(
    "algorithm", [Algorithm.ECDSA_P384_SHA384, Algorithm.RSA_2048_SHA256, Algorithm.ED25519]
)
async def test_a_certificate_says_the_same_alone_as_in_a_file(desk: Desk, algorithm: Algorithm) -> None:
    document = await sealed(desk, await desk.make_seal(algorithm=algorithm))

    (alone,) = await desk.verify_digests([digest_of(document)])

    await desk.execute("UPDATE signature SET facts = NULL")
    assert alone.answer == await desk.verify(document)


async def test_each_answer_has_an_entry_of_its_own_that_commits_to_it(desk: Desk) -> None:
    seal = await desk.make_seal()
    files = [await sealed(desk, seal) for _ in range(3)]
    before = len(desk.ledger.entries)

    results = await desk.verify_digests([digest_of(one) for one in files])

    entries = {str(one.item_id): one for one in desk.ledger.entries[before:]}
    assert len(entries) == 3
    for result in results:
        entry = entries[result.receipt.id]
        assert (entry.kind, entry.method, entry.outcome) == (
            EntryKind.DISCLOSURE,
            "eseal.verify",
            Outcome.RELEASED,
        )
        committed = hmac.digest(result.receipt.answer_salt, result.receipt.answer_json, "sha256")
        assert entry.answer_commitment == committed
        assert [ref.resource for ref in entry.records] == [f"seal:{seal}"]


async def _unknown(_desk: Desk, document: bytes) -> str:
    return digest_of(document + b"\n")


async def _before_the_seal(_desk: Desk, _document: bytes) -> str:
    return digest_of(plain())


async def _after_the_certificate(desk: Desk, document: bytes) -> str:
    desk.clock.advance(timedelta(days=400))
    return digest_of(document)


def _rewritten(change: str) -> Callable[[Desk, bytes], Any]:
    async def rewrite(desk: Desk, document: bytes) -> str:
        await desk.execute(change)
        return digest_of(document)

    return rewrite


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(_unknown, id="another file"),
        pytest.param(_before_the_seal, id="the file before its seal"),
        pytest.param(_after_the_certificate, id="after the certificate's end"),
        pytest.param(_rewritten("UPDATE signature SET facts = NULL"), id="no facts"),
        pytest.param(
            _rewritten("UPDATE signature SET facts = set_byte(facts, 0, get_byte(facts, 0) # 1)"),
            id="a row that somebody else wrote",
        ),
        pytest.param(
            _rewritten("UPDATE seal_key SET certificate = certificate || '\\x00'"), id="another certificate"
        ),
    ],
)
async def test_where_only_the_file_can_say_it_nothing_is_said_or_recorded(
    desk: Desk, changed: Callable[[Desk, bytes], Any]
) -> None:
    document = await sealed(desk, await desk.make_seal())
    digest = await changed(desk, document)
    before = len(desk.ledger.entries)

    results = await desk.verify_digests([digest])

    assert reasons(results) == ["DOCUMENT_NOT_RECORDED"]
    assert "send the file" in results[0].error.message
    assert not results[0].HasField("answer")
    assert len(desk.ledger.entries) == before


async def test_a_seal_that_was_revoked_since_is_told_as_revoked(desk: Desk) -> None:
    document = await sealed(desk, await desk.make_seal())
    await desk.execute("UPDATE seal SET standing = 3")

    (result,) = await desk.verify_digests([digest_of(document)])

    assert result.answer.verdict == pb.DOCUMENT_VERDICT_INVALID
    assert result.answer.seals[0].revoked


async def test_one_bad_digest_harms_no_other(desk: Desk) -> None:
    document = await sealed(desk, await desk.make_seal())
    digests = [digest_of(document), "0" * 64, digest_of(document).upper(), digest_of(document)]

    results = await desk.verify_digests(digests)

    assert reasons(results) == ["", "DOCUMENT_NOT_RECORDED", "REQUEST_INVALID", ""]
    assert results[0].answer == results[3].answer


async def test_a_key_counts_the_same_for_a_file_and_for_its_digest(desk: Desk) -> None:
    document = await sealed(desk, await desk.make_seal())
    asking = replace(desk.asking, request_id="check-1")
    first = await desk.gateway.VerifyDocument(
        pb.VerifyDocumentRequest(**desk.about(asking), document=document)
    )

    (again,) = await desk.verify_digests([digest_of(document)], asking)
    (reused,) = await desk.verify_digests(["0" * 64], asking)

    assert (again.answer, again.receipt) == (first.answer, first.receipt)
    assert reasons([reused]) == ["IDEMPOTENCY_KEY_REUSED"]


@pytest.mark.parametrize(
    ("asking", "why"),
    [
        (Asking(scopes=(Scope.SEAL_USE,)), "SCOPE_MISSING"),
        (Asking(matter_code=""), "BASIS_NOT_PERMITTED"),
    ],
)
async def test_a_digest_is_asked_about_by_whoever_may_ask_about_the_file(
    desk: Desk, asking: Asking, why: str
) -> None:
    document = await sealed(desk, await desk.make_seal())

    results = await desk.verify_digests([digest_of(document)], asking)

    assert reasons(results) == [why]
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await desk.verify(document, asking)
    assert reason(refusal.value) == why
