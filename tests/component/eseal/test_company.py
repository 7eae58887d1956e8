"""Calls that come at the same time share the steps, and nothing else: each is sealed as it would be alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import grpc
import pytest
from onestop.eseal.v1 import eseal_pb2 as pb

from core.disclosure import EntryKind, Outcome
from services.eseal.bulk.turns import MOST_LASTING
from tests.component.eseal.authority import RunningAuthority
from tests.component.eseal.harness import Desk, reason
from tests.unit.eseal.documents import OFFICE_CODE, plain
from tests.unit.eseal.forms_filled import DECISION


async def test_letters_and_files_that_come_together_are_each_sealed_for_themselves(desk: Desk) -> None:
    seal, other = await desk.make_seal(), await desk.make_seal(kind="合同专用章")
    cases = [replace(desk.asking, case_number=f"2026-{number:04}") for number in range(9)]

    letters = await asyncio.gather(
        *(desk.sign_template(seal, "permit_decision", DECISION, case) for case in cases[:6])
    )
    files = await asyncio.gather(
        *(desk.sign(one, plain(), case) for one, case in zip((seal, other, other), cases[6:], strict=True))
    )

    answers: list[Any] = [*letters, *files]
    entries = {str(one.item_id): one for one in desk.ledger.entries}
    records = {str(one["id"]): one for one in await desk.signatures()}
    for asked, answer in zip(cases, answers, strict=True):
        outcome, record = entries[answer.receipt.id], records.pop(answer.signature_id)
        assert outcome.basis is not None
        assert (outcome.kind, outcome.outcome) == (EntryKind.OUTCOME, Outcome.COMPLETED)
        assert outcome.basis.case_number == record["case_number"] == asked.case_number
        assert outcome.intent_id == record["intent_id"]
        assert (await desk.verify(answer.document)).verdict == pb.DOCUMENT_VERDICT_VALID
    assert not records
    acts = [one for one in desk.ledger.entries if one.kind is not EntryKind.DISCLOSURE]
    assert len(acts) == 2 * len(cases)
    # Nobody waited for company, and whoever had it shared calls to the ledger.
    assert max(desk.ledger.calls) > 1


async def test_what_one_of_them_is_refused_with_harms_no_other(desk: Desk) -> None:
    seal = await desk.make_seal(users=[(OFFICE_CODE, "company-change")])
    allowed = replace(desk.asking, matter_code="company-change")
    foreign = {**DECISION, "decision_code": "no such code"}

    answers = await asyncio.gather(
        desk.sign_template(seal, "permit_decision", DECISION, allowed),
        desk.sign_template(seal, "permit_decision", DECISION),
        desk.sign_template(seal, "no_such_form", DECISION, allowed),
        desk.sign_template(seal, "permit_decision", {**foreign, "colour": "red"}, allowed),
        desk.sign(seal, b"no file at all", allowed),
        desk.sign(seal, plain(), allowed),
        return_exceptions=True,
    )

    reasons = [reason(one) if isinstance(one, grpc.aio.AioRpcError) else "" for one in answers]
    assert reasons == [
        "",
        "SEAL_NOT_ALLOWED",
        "TEMPLATE_NOT_FOUND",
        "TEMPLATE_FIELDS_INVALID",
        "DOCUMENT_MALFORMED",
        "",
    ]
    assert len(await desk.signatures()) == 2
    assert len(desk.ledger.entries) == 4


async def test_the_same_key_that_comes_several_times_at_once_seals_once(desk: Desk) -> None:
    seal = await desk.make_seal()
    asking = replace(desk.asking, request_id="letter-1")

    answers = await asyncio.gather(
        *(desk.sign_template(seal, "permit_decision", DECISION, asking) for _ in range(5)),
        return_exceptions=True,
    )
    later = await desk.sign_template(seal, "permit_decision", DECISION, asking)

    refused = Counter(reason(one) for one in answers if isinstance(one, grpc.aio.AioRpcError))
    given = {one.document for one in answers if not isinstance(one, BaseException)}
    assert set(refused) <= {"REQUEST_IN_PROGRESS"}
    assert given == {later.document}
    assert len(await desk.signatures()) == 1


async def test_one_who_goes_away_among_others_leaves_them_their_seals(desk: Desk) -> None:
    seal = await desk.make_seal()
    await desk.sign_template(seal, "permit_decision", DECISION)
    calls = [asyncio.ensure_future(desk.sign_template(seal, "permit_decision", DECISION)) for _ in range(4)]
    await asyncio.sleep(0)

    calls[0].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    await desk.settled()

    sealed = [one for one in answers if not isinstance(one, BaseException)]
    assert len(sealed) == 3
    intents = {one.item_id for one in desk.ledger.entries if one.kind is EntryKind.INTENT}
    ended = {one.intent_id for one in desk.ledger.entries if one.kind is EntryKind.OUTCOME}
    assert cast(set[object], intents) == ended


async def _give_quota(desk: Desk, seal: UUID, per_day: int) -> None:
    """Every permission to use a seal, limited."""
    await desk.execute(
        "INSERT INTO seal_quota (rule_id, per_day) SELECT rule_id, $2 FROM seal_user WHERE seal_id = $1",
        seal,
        per_day,
    )


async def test_a_quota_that_somebody_holds_keeps_nobody_else_waiting(desk: Desk) -> None:
    limited, other = await desk.make_seal(), await desk.make_seal(kind="合同专用章")
    await _give_quota(desk, limited, 2)
    holder = await desk.owner()
    held = holder.transaction()
    await held.start()
    await holder.execute("SELECT FROM seal_quota FOR UPDATE")

    waiting = asyncio.ensure_future(desk.sign_template(limited, "permit_decision", DECISION))
    for _ in range(2):
        await desk.sign_template(other, "permit_decision", DECISION)

    assert not waiting.done()
    await held.rollback()
    await holder.close()
    assert (await waiting).document.startswith(b"%PDF")
    uses = [await desk.sign_template(limited, "permit_decision", DECISION)]
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await desk.sign_template(limited, "permit_decision", DECISION)
    assert (len(uses), reason(refusal.value)) == (1, "SEAL_QUOTA_SPENT")


async def test_many_who_wait_for_a_quota_keep_no_other_quota_and_no_timestamp_waiting(
    lasting_desk: Desk,
) -> None:
    desk, many = lasting_desk, 6
    held, other = await desk.make_seal(), await desk.make_seal(kind="合同专用章")
    await _give_quota(desk, held, many - 1)
    holder = await desk.owner()
    locked = holder.transaction()
    await locked.start()
    await holder.execute("SELECT FROM seal_quota FOR UPDATE")
    await _give_quota(desk, other, 1)
    in_time = replace(desk.asking, deadline=10.0)

    waiting = [
        asyncio.ensure_future(desk.sign_template(held, "permit_decision", DECISION)) for _ in range(many)
    ]
    await desk.sign(other, plain(), in_time)
    free = await desk.make_seal(kind="财务专用章")
    await desk.sign(free, plain(), in_time, level=pb.SEAL_LEVEL_B_T)

    assert not any(one.done() for one in waiting)
    await locked.rollback()
    await holder.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    # What waited together takes what is left of the quota, and not more.
    refused = [reason(one) for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    assert refused == ["SEAL_QUOTA_SPENT"]
    assert len(await desk.signatures()) == many + 1


async def test_a_timestamp_authority_that_is_slow_keeps_no_quota_waiting(
    lasting_desk: Desk, authority: RunningAuthority
) -> None:
    desk = lasting_desk
    limited, lasting = await desk.make_seal(), await desk.make_seal(kind="合同专用章")
    await _give_quota(desk, limited, 1)

    authority.may_stamp.clear()
    waiting = [
        asyncio.ensure_future(desk.sign(lasting, plain(), level=pb.SEAL_LEVEL_B_T))
        for _ in range(MOST_LASTING + 1)
    ]
    for _ in range(MOST_LASTING):
        await asyncio.to_thread(authority.waiting.acquire, timeout=5)
    await desk.sign(limited, plain(), replace(desk.asking, deadline=3.0))

    assert not any(one.done() for one in waiting)
    authority.may_stamp.set()
    await asyncio.gather(*waiting)


async def test_a_first_answer_that_cannot_be_opened_harms_none_who_shares_the_step(desk: Desk) -> None:
    seal = await desk.make_seal()
    spoilt = replace(desk.asking, request_id="letter-1")
    await desk.sign_template(seal, "permit_decision", DECISION, spoilt)
    await desk.execute("UPDATE reply SET answer = $1", bytes(64))

    answers = await asyncio.gather(
        *(
            desk.sign_template(seal, "permit_decision", DECISION, asked)
            for asked in (desk.asking, spoilt, desk.asking, spoilt, desk.asking)
        ),
        return_exceptions=True,
    )

    assert [isinstance(one, BaseException) for one in answers] == [False, True, False, True, False]
    assert len(await desk.signatures()) == 4


async def test_a_seal_that_cannot_be_read_harms_none_who_shares_the_step(desk: Desk) -> None:
    seal, spoilt = await desk.make_seal(), await desk.make_seal(kind="合同专用章")
    # As a version after this one may write it.
    await desk.execute("UPDATE seal_key SET algorithm = 'sha512_ecdsa_p521' WHERE seal_id = $1", spoilt)

    answers = await asyncio.gather(
        *(desk.sign(one, plain()) for one in (seal, spoilt, seal, spoilt, seal)), return_exceptions=True
    )

    assert [isinstance(one, BaseException) for one in answers] == [False, True, False, True, False]
