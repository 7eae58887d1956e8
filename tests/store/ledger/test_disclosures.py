"""Who used my data: on a real log, over gRPC, to the person alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import grpc
import psycopg
import pytest
from onestop.common.v1 import context_pb2
from onestop.ledger.v1 import ledger_pb2 as pb

from core.clock import now
from core.entries import Basis, BasisKind, Outcome
from core.errors import RelayedError
from core.identity import Subject
from core.ledger import receipt_of
from core.public_json import canonical
from core.status import from_rpc_error
from core.wire import set_instant
from tests.fakes import FakeIssuer
from tests.store.ledger.conftest import SUBJECT, disclosure, intent, outcome, proved
from tests.store.ledger.test_rpc import Served, served

__all__ = ["served"]

NEIGHBOUR = Subject("111", "440299199001010037")
COMPANY = Subject("001", "91440200MA4X00001Y")
CONSENT = "0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c"
HOLDER = context_pb2.Basis(kind=context_pb2.BASIS_KIND_HOLDER)


async def ask(
    served: Served, who: Subject | str = SUBJECT, *, request_id: str = "", **said: Any
) -> pb.ListDisclosuresResponse:
    """What somebody sees; a text is a token."""
    token = who if isinstance(who, str) else served.issuer.citizen(who, "张三")
    thumbprint = FakeIssuer.THUMBPRINT if isinstance(who, str) else ""
    request = pb.ListDisclosuresRequest(
        credential=context_pb2.Credential(token=token, certificate_thumbprint=thumbprint),
        context=context_pb2.RequestContext(basis=said.pop("basis", HOLDER), request_id=request_id),
    )
    for name, value in said.items():
        if name in {"since", "until"}:
            set_instant(getattr(request, name), value)
        else:
            setattr(request, name, value)
    try:
        return await served.stub("gateway").ListDisclosures(request)
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, "ledger") from error


def ids(response: pb.ListDisclosuresResponse) -> list[str]:
    """The receipts' ids, in the order of the list."""
    return [use.receipt_id for use in response.answer.disclosures]


def of(*entries: Any) -> list[str]:
    """The ids of entries."""
    return [str(entry.item_id) for entry in entries]


async def test_she_sees_every_entry_about_her_newest_first_and_nobody_elses(served: Served) -> None:
    mine, others = disclosure(), disclosure(subject=NEIGHBOUR)
    together = disclosure(subject=COMPANY, further_subjects=(NEIGHBOUR, SUBJECT))
    about_nobody = disclosure(subject=None)
    await served.town.append(mine, others, together, about_nobody)

    hers, theirs = await ask(served), await ask(served, NEIGHBOUR)

    assert ids(hers) == of(together, mine)
    assert ids(theirs) == of(together, others)
    assert [use.other_subjects for use in hers.answer.disclosures] == [2, 0]
    assert ids(await ask(served, Subject("111", "440299199001010053"))) == []


async def test_a_use_says_who_for_what_and_which_fields(
    served: Served, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    admin.execute(
        "INSERT INTO known_name VALUES ('caller', 'approval-platform', '审批平台', 'approval platform'),"
        " ('office', '11440203MB2C93721K', '武江区市场监督管理局', ''),"
        " ('matter', 'sole-trader-registration', '个体工商户设立登记', 'sole trader')"
    )
    admin.execute(
        "INSERT INTO known_name VALUES ('field', 'sole-trader-registration.name', '经营者姓名', ''),"
        " ('field', 'licence.id_card.name', '姓名', ''), ('field', 'licence.id_card.sex', '性别', ''),"
        " ('field', 'state', '状态', '')"
    )
    by_consent = disclosure(
        method="credit.subsidies",
        caller="rural-bank",
        office="",
        basis=Basis(BasisKind.CONSENT, consent_id=CONSENT),
        field_names=("sex", "state", "name", "unheard_of"),
    )
    began = now()
    await served.town.append(disclosure(), by_consent)

    bank, platform = (await ask(served)).answer.disclosures

    assert (platform.caller, platform.caller_name) == ("approval-platform", "审批平台")
    assert (platform.office, platform.office_name) == ("11440203MB2C93721K", "武江区市场监督管理局")
    assert (platform.matter_code, platform.case_number) == ("sole-trader-registration", "2026-0001")
    assert (platform.matter_name, platform.matter_name_en) == ("个体工商户设立登记", "sole trader")
    assert (platform.method, platform.method_name) == ("licence.search", "查找您有哪些电子证照")
    assert platform.method_name_en == "looked up which e-licences you have"
    assert list(platform.field_names) == ["name"]
    assert list(platform.field_titles) == ["经营者姓名"]
    assert list(bank.field_titles) == ["性别", "状态", "姓名", "unheard_of"]
    assert platform.outcome == pb.USE_OUTCOME_RELEASED
    assert began.timestamp() - 1 < platform.recorded_at.seconds <= now().timestamp()
    assert (bank.caller, bank.basis) == ("rural-bank", context_pb2.BASIS_KIND_CONSENT)
    assert bank.consent_id == CONSENT
    for absent in ("caller_name", "office", "office_name", "matter_code", "matter_name", "case_number"):
        assert not bank.HasField(absent), absent
    assert "clerk.07" not in str(platform)
    assert "register a sole trader" not in str(platform)


async def test_looking_is_recorded_with_a_receipt_and_told_only_to_who_asks_for_it(served: Served) -> None:
    entry = disclosure()
    await served.town.append(entry)

    first = await ask(served)
    again = await ask(served)
    whole = await ask(served, own_reads=True)

    proof = proved(receipt_of(first.receipt), canonical(first.answer))
    assert proof.answer_proved
    assert (proof.entry["method"], proof.entry["recorder"]) == ("ledger.disclosures", "ledger")
    assert (proof.entry["caller"], proof.entry["kind"]) == ("citizen", "disclosure")
    assert proof.entry["records"] == [{"resource": "ledger.entries", "version": "0-0"}]
    assert "field_names" in cast(list[str], proof.entry["field_names"])
    assert ids(first) == ids(again) == of(entry)
    assert ids(whole) == [again.receipt.id, first.receipt.id, *of(entry)]
    assert (await served.receipt(served.issuer.citizen(SUBJECT, "张三"), "", first.receipt.id)).receipt.id
    assert ids(await ask(served, NEIGHBOUR, own_reads=True)) == []


async def test_what_she_did_herself_is_told_and_what_she_read_is_not(served: Served) -> None:
    holder = Basis(BasisKind.HOLDER)
    read = disclosure(method="consent.list", caller="citizen", basis=holder, office="")
    act = intent(method="consent.grant", caller="citizen", basis=holder, office="")
    done = outcome(act, caller="citizen", basis=holder, office="")
    await served.town.append(read, act, done)

    assert ids(await ask(served)) == of(done)
    assert of(read)[0] in ids(await ask(served, own_reads=True))


async def test_an_act_is_told_once_by_how_it_ended(served: Served) -> None:
    completed, aborted, under_way = intent(), intent(), intent()
    ends = [outcome(completed), outcome(aborted, outcome=Outcome.ABORTED)]
    await served.town.append(completed, aborted, under_way, *ends)

    told = (await ask(served)).answer.disclosures

    assert [(use.receipt_id, use.outcome) for use in told] == [
        (of(ends[1])[0], pb.USE_OUTCOME_ABORTED),
        (of(ends[0])[0], pb.USE_OUTCOME_COMPLETED),
        (of(under_way)[0], pb.USE_OUTCOME_UNDER_WAY),
    ]


async def test_an_act_whose_end_is_about_somebody_else_is_told_to_both(served: Served) -> None:
    act = intent()
    end = outcome(act, subject=NEIGHBOUR)
    await served.town.append(act, end)

    assert ids(await ask(served)) == of(act)
    assert ids(await ask(served, NEIGHBOUR)) == of(end)


async def pages(served: Served, size: int, **said: Any) -> list[list[str]]:
    """Every page, by its tokens."""
    found, token = [], ""
    while True:
        response = await ask(served, page_size=size, page_token=token, **said)
        found.append(ids(response))
        token = response.answer.next_page_token
        if not token:
            return found


async def test_pages_come_one_after_the_other_and_what_is_new_disturbs_none(served: Served) -> None:
    entries = [disclosure() for _ in range(5)]
    await served.town.append(*entries)

    first = await ask(served, page_size=2)
    await served.town.append(disclosure())
    second = await ask(served, page_size=2, page_token=first.answer.next_page_token)

    newest_first = of(*reversed(entries))
    assert ids(first) == newest_first[:2]
    assert ids(second) == newest_first[2:4]
    assert [one for page in await pages(served, 3) for one in page][1:] == newest_first
    assert [len(page) for page in await pages(served, 3)] == [3, 3]
    with pytest.raises(RelayedError) as refusal:
        await ask(served, page_token="zzz")
    assert refusal.value.reason == "PAGE_TOKEN_INVALID"


async def test_only_what_was_recorded_in_the_asked_time_is_told(
    served: Served, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    entries = [disclosure() for _ in range(3)]
    for entry in entries:
        await served.town.append(entry)
    ((middle,),) = admin.execute(
        "SELECT appended_at FROM entry WHERE item_id = %s", (entries[1].item_id,)
    ).fetchall()

    since = await ask(served, since=middle)
    until = await ask(served, until=middle)
    none = await ask(served, since=middle, until=middle + timedelta(microseconds=1))  # type: ignore[operator]

    assert ids(since) == of(entries[2], entries[1])
    assert ids(until) == of(entries[0])
    assert ids(none) == of(entries[1])


async def test_nobody_else_is_answered(served: Served) -> None:
    machine = served.issuer.machine("approval-platform", ["ledger.read"])
    matter = context_pb2.Basis(
        kind=context_pb2.BASIS_KIND_MATTER, matter_code="residence-permit", case_number="A-1"
    )
    refusals: Sequence[tuple[Subject | str, dict[str, Any], str]] = (
        (machine, {}, "SCOPE_MISSING"),
        ("no token at all that anybody signed", {}, "TOKEN_INVALID"),
        (SUBJECT, {"basis": matter}, "BASIS_NOT_PERMITTED"),
        (SUBJECT, {"page_size": 101}, "REQUEST_INVALID"),
    )

    for who, said, reason in refusals:
        with pytest.raises(RelayedError) as refusal:
            await ask(served, who, **said)
        assert refusal.value.reason == reason
    assert (await served.town.store.head()).size == 0


async def test_a_retried_look_is_one_look_and_hers_alone(served: Served) -> None:
    await served.town.append(disclosure())

    first = await ask(served, request_id="k-1")
    await served.town.append(disclosure())
    again = await ask(served, request_id="k-1")
    neighbours = await ask(served, NEIGHBOUR, request_id="k-1")

    assert (again.answer, again.receipt) == (first.answer, first.receipt)
    assert ids(neighbours) == []
    with pytest.raises(RelayedError) as refusal:
        await ask(served, request_id="k-1", page_size=1)
    assert refusal.value.reason == "IDEMPOTENCY_KEY_REUSED"


async def test_without_a_record_of_the_look_nothing_is_told(
    served: Served, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    await served.town.append(disclosure())
    served.town.task.cancel()
    served.town.sequencer._refuse_all(served.town.sequencer.state.READ_ONLY, "it has been rolled back")

    with pytest.raises(RelayedError) as refusal:
        await ask(served)

    assert refusal.value.reason == "LEDGER_READ_ONLY"


async def test_what_was_destroyed_is_told_no_more(
    served: Served, admin: psycopg.Connection[tuple[object, ...]]
) -> None:
    kept, destroyed = disclosure(), disclosure(subject=NEIGHBOUR, further_subjects=(SUBJECT,))
    await served.town.append(kept, destroyed)

    admin.execute("DELETE FROM opening WHERE item_id = %s", (destroyed.item_id,))

    assert ids(await ask(served)) == of(kept)
    assert ids(await ask(served, NEIGHBOUR)) == []


async def test_the_answer_is_committed_to_as_it_is_shown(served: Served) -> None:
    await served.town.append(disclosure())

    response = await ask(served)

    assert response.receipt.answer_json == canonical(response.answer)
    shown = json.loads(response.receipt.answer_json)["disclosures"][0]
    assert shown["outcome"] == "released"
    assert hashlib.sha256(response.receipt.answer_json).digest()
