"""Many documents by one stream: each sealed once, with its own intent, outcome and receipt."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import bulk_pb2 as pb
from onestop.eseal.v1 import eseal_pb2

from core.disclosure import EntryKind, Outcome
from services.eseal.sealing.prepared import PreparedDocument
from tests.component.eseal.bulk import item, messages, reasons, seal_all
from tests.component.eseal.harness import OTHER_OFFICE, Desk, reason
from tests.unit.eseal.documents import OFFICE_CODE, encrypted, plain
from tests.unit.eseal.ofds import plain_ofd


def outcomes(desk: Desk) -> list[Outcome]:
    return [one.outcome for one in desk.ledger.entries if one.kind is EntryKind.OUTCOME]


async def test_each_document_is_sealed_with_an_intent_an_outcome_and_a_receipt_of_its_own(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    items = [item(desk, number, plain(1 + number % 2)) for number in range(12)]

    responses = [one async for one in desk.bulk.SealDocuments(messages(desk, seal_id, items, 5))]

    results = sorted(
        (one for response in responses for one in response.results), key=lambda one: one.position
    )
    assert [one.request_id for one in results] == [one.context.request_id for one in items]
    assert [one.position for one in results] == list(range(1, 13))
    assert reasons(results) == [""] * 12
    progress = responses[-1].progress
    assert (progress.taken, progress.sealed, progress.failed) == (12, 12, 0)
    entries = {str(one.item_id): one for one in desk.ledger.entries}
    assert len(entries) == 24
    records = {str(one["id"]): one for one in await desk.signatures()}
    for asked, result in zip(items, results, strict=True):
        record, outcome = records.pop(result.signature_id), entries[result.receipt.id]
        assert result.document.startswith(asked.upload.document)
        assert record["sealed_sha256"] == hashlib.sha256(result.document).digest()
        assert record["case_number"] == asked.context.basis.case_number
        assert outcome.intent_id == record["intent_id"]
        assert outcome.basis is not None
        assert outcome.basis.case_number == asked.context.basis.case_number
        committed = hmac.digest(result.receipt.answer_salt, result.document, "sha256")
        assert outcome.answer_commitment == committed
    assert not records
    assert (await desk.verify(results[0].document)).verdict == eseal_pb2.DOCUMENT_VERDICT_VALID
    assert max(desk.ledger.calls) > 1


async def test_what_was_sealed_is_answered_again_as_it_was_and_the_rest_is_sealed(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    items = [item(desk, number) for number in range(6)]
    first = await seal_all(desk, seal_id, items[:4])

    again = await seal_all(desk, seal_id, items)

    assert again[:4] == first
    assert reasons(again) == [""] * 6
    assert len(await desk.signatures()) == 6
    assert outcomes(desk) == [Outcome.COMPLETED] * 6


async def test_a_key_counts_the_same_for_a_document_alone_and_among_many(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    asking = replace(desk.asking, case_number="2026-0007", request_id="key-1")
    alone = await desk.sign(seal_id, plain(), asking)

    (among,) = await seal_all(desk, seal_id, [item(desk, 7, plain(), asking)])

    assert among.document == alone.document
    assert among.receipt == alone.receipt
    assert len(await desk.signatures()) == 1


async def test_one_bad_document_harms_no_other(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    keyless = item(desk, 5)
    keyless.context.request_id = ""
    places = [eseal_pb2.SealPlace(page=2), eseal_pb2.SealPlace(keyword="nowhere to be found")]
    items = [
        item(desk, 0),
        item(desk, 1, b"no pdf at all"),
        item(desk, 2, encrypted()),
        item(desk, 3, place=places[0]),
        item(desk, 4, place=places[1]),
        keyless,
        item(desk, 6, level=eseal_pb2.SEAL_LEVEL_B_T),
        item(desk, 7, plain_ofd()),
        pb.SealItem(context=item(desk, 8).context),
        item(desk, 9),
    ]

    results = await seal_all(desk, seal_id, items)

    assert reasons(results) == [
        "",
        "DOCUMENT_MALFORMED",
        "DOCUMENT_ENCRYPTED",
        "PAGE_NOT_FOUND",
        "KEYWORD_NOT_FOUND",
        "IDEMPOTENCY_KEY_MISSING",
        "LEVEL_UNAVAILABLE",
        "SEAL_NOT_FOR_FORMAT",
        "REQUEST_INVALID",
        "",
    ]
    assert len(desk.ledger.entries) == 4
    assert len(await desk.signatures()) == 2


async def test_rights_are_those_of_each_document(desk: Desk) -> None:
    seal_id = await desk.make_seal(users=[(OFFICE_CODE, "company-change")])
    allowed = replace(desk.asking, matter_code="company-change")
    items = [
        item(desk, 0, asking=allowed),
        item(desk, 1),
        item(desk, 2, asking=replace(allowed, office=OTHER_OFFICE)),
        item(desk, 3, asking=replace(allowed, office="")),
        item(desk, 4, asking=replace(allowed, matter_code="")),
        item(desk, 5, asking=allowed),
    ]

    assert reasons(await seal_all(desk, seal_id, items)) == [
        "",
        "SEAL_NOT_ALLOWED",
        "SEAL_NOT_ALLOWED",
        "REQUEST_INVALID",
        "BASIS_NOT_PERMITTED",
        "",
    ]
    assert reasons(await seal_all(desk, uuid4(), items[:2])) == ["SEAL_NOT_FOUND"] * 2
    assert len(await desk.signatures()) == 2


async def test_a_quota_is_used_document_by_document_and_never_overrun(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    await desk.execute(
        "INSERT INTO seal_quota (rule_id, per_day) SELECT rule_id, 5 FROM seal_user WHERE seal_id = $1",
        seal_id,
    )
    items = [item(desk, number, b"bad" if number == 1 else b"") for number in range(9)]

    first = await seal_all(desk, seal_id, items)
    # What was sealed is answered again, though nothing is left; what was not is refused still.
    again = await seal_all(desk, seal_id, items)

    assert sorted(reasons(first)) == ["", "", "", "", "", "DOCUMENT_MALFORMED"] + ["SEAL_QUOTA_SPENT"] * 3
    sealed = [one for one in first if not one.HasField("error")]
    assert [one for one in again if not one.HasField("error")] == sealed
    assert len(await desk.signatures()) == 5
    connection = await desk.owner()
    uses = await connection.fetch("SELECT day_uses, all_uses FROM seal_quota")
    await connection.close()
    assert [tuple(one) for one in uses] == [(5, 5)]


async def test_what_is_withdrawn_while_documents_are_laid_out_counts(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal_id = await desk.make_seal()
    prepare = desk.workshop.prepare

    async def meanwhile(*args: Any, **named: Any) -> PreparedDocument:
        made = await prepare(*args, **named)
        await desk.execute("UPDATE seal SET standing = 2")
        return made

    monkeypatch.setattr(desk.workshop, "prepare", meanwhile)

    assert reasons(await seal_all(desk, seal_id, [item(desk, 0), item(desk, 1)])) == ["SEAL_NOT_IN_FORCE"] * 2
    await desk.settled()
    assert await desk.signatures() == []
    assert Outcome.COMPLETED not in outcomes(desk)


async def test_while_the_ledger_is_down_nothing_is_sealed_and_the_stream_goes_on(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    items = [item(desk, number) for number in range(3)]
    desk.ledger.down = True

    assert reasons(await seal_all(desk, seal_id, items)) == ["PART_DOWN"] * 3
    await desk.settled()

    assert await desk.signatures() == []
    desk.ledger.down = False
    desk.clock.advance(timedelta(seconds=20))
    assert reasons(await seal_all(desk, seal_id, items)) == [""] * 3
    assert len(await desk.signatures()) == 3


async def test_a_stream_says_first_whose_it_is_and_which_seal(desk: Desk) -> None:
    seal_id = str(await desk.make_seal())
    credential = desk.about(None)["credential"]
    told = []
    for first in (
        pb.SealDocumentsRequest(seal_id=seal_id),
        pb.SealDocumentsRequest(credential=credential),
        pb.SealDocumentsRequest(credential=credential, seal_id="no id"),
        pb.SealDocumentsRequest(credential=credential, seal_id=seal_id, items=[item(desk, 1)] * 65),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            async for _ in desk.bulk.SealDocuments(iter([first])):
                pass
        told.append(reason(failure.value))

    assert told == ["REQUEST_INVALID"] * 4
    assert desk.ledger.entries == []


async def test_a_token_is_looked_at_for_each_document_and_may_be_renewed_meanwhile(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    bad = context_pb2.Credential(token="not.a.token.of.anybody", certificate_thumbprint="A" * 43)

    async def stream() -> AsyncIterator[pb.SealDocumentsRequest]:
        yield pb.SealDocumentsRequest(credential=bad, seal_id=str(seal_id), items=[item(desk, 0)])
        yield pb.SealDocumentsRequest(credential=desk.about(None)["credential"], items=[item(desk, 1)])

    results = [one async for said in desk.bulk.SealDocuments(stream()) for one in said.results]

    assert reasons(sorted(results, key=lambda one: one.position)) == ["TOKEN_INVALID", ""]


async def test_whoever_goes_away_stops_the_stream_and_what_began_is_finished(desk: Desk) -> None:
    seal_id = await desk.make_seal()
    sent = asyncio.Event()

    async def endless() -> AsyncIterator[pb.SealDocumentsRequest]:
        async for first in messages(desk, seal_id, [item(desk, 0)]):
            yield first
        for number in range(1, 200):
            yield pb.SealDocumentsRequest(items=[item(desk, number)])
        sent.set()
        await asyncio.Event().wait()

    call = desk.bulk.SealDocuments(endless())
    async for _ in call:
        break
    await sent.wait()
    call.cancel()
    await asyncio.sleep(0.05)
    await desk.settled()

    # Nothing is half done: as many signatures as intents, each with its outcome, and no more come.
    intents = [one for one in desk.ledger.entries if one.kind is EntryKind.INTENT]
    assert len(intents) == len(outcomes(desk)) == len(await desk.signatures()) < 200
    assert set(outcomes(desk)) == {Outcome.COMPLETED}
    alone = await desk.sign(seal_id, plain())
    assert alone.signature_id
