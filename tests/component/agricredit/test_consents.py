"""Asking, seeing, granting and revoking, as partners and farmers do it."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from onestop.agricredit.v1 import agricredit_pb2 as pb
from onestop.common.v1 import context_pb2

from core.disclosure import EntryKind, Outcome
from core.errors import Kind
from core.identifiers import citizen_check_digit
from core.identity import Subject
from services.agricredit.domain import Item
from tests.component.agricredit.harness import PURPOSE, Town, error_of
from tests.fakes import FakeLedger
from tests.store.agricredit.conftest import person


async def test_the_whole_way_from_asking_to_revoking(town: Town, farmer: Subject, ledger: FakeLedger) -> None:
    asked = (await town.ask(farmer)).answer.consent_request
    seen = (await town.list(farmer)).answer.consent_requests
    granted = (await town.grant(farmer, seen[0], items=[Item.SUBSIDIES])).answer.consent
    looked = (await town.look(asked.id)).answer.consent_request
    revoked = (await town.revoke(farmer, granted.id)).answer.consent

    assert asked.state == pb.CONSENT_STATE_PENDING
    assert [one.id for one in seen] == [asked.id]
    assert seen[0].text_sha256 == hashlib.sha256(seen[0].text.encode()).hexdigest()
    assert granted.state == pb.CONSENT_STATE_GRANTED
    assert list(granted.items) == [pb.CONSENT_ITEM_SUBSIDIES]
    assert (looked.state, looked.consent_id, looked.uses) == (pb.CONSENT_STATE_GRANTED, granted.id, 0)
    assert list(looked.granted_items) == [pb.CONSENT_ITEM_SUBSIDIES]
    assert list(asked.granted_items) == []
    assert revoked.state == pb.CONSENT_STATE_REVOKED
    assert revoked.HasField("revoked_at")
    told = [(entry.method, entry.kind, entry.caller) for entry in ledger.entries]
    assert told == [
        ("consent.request", EntryKind.INTENT, "rural-bank"),
        ("consent.request", EntryKind.OUTCOME, "rural-bank"),
        ("consent.list", EntryKind.DISCLOSURE, "citizen"),
        ("consent.grant", EntryKind.INTENT, "citizen"),
        ("consent.grant", EntryKind.OUTCOME, "citizen"),
        ("consent.look", EntryKind.DISCLOSURE, "rural-bank"),
        ("consent.revoke", EntryKind.INTENT, "citizen"),
        ("consent.revoke", EntryKind.OUTCOME, "citizen"),
    ]
    assert {entry.subject for entry in ledger.entries} == {farmer}
    assert ledger.entries[0].purpose == PURPOSE


async def test_an_unknown_farmer_looks_exactly_like_a_known_one(town: Town, farmer: Subject) -> None:
    known = (await town.ask(farmer)).answer.consent_request
    unknown = (await town.ask(person(77))).answer.consent_request

    for request in (known, unknown):
        # Only these may differ: ids are random, and the clock goes on.
        for name in ("id", "requested_at", "valid_until", "text", "text_sha256"):
            request.ClearField(name)
    assert known == unknown
    assert town.datanode.calls == 0


@pytest.mark.parametrize(
    ("change", "kind", "reason", "fields"),
    [
        ({"purpose": "insurance_offer"}, Kind.FORBIDDEN, "PURPOSE_NOT_AGREED", []),
        ({"days": 366}, Kind.INVALID, "REQUEST_INVALID", ["query.validity_days"]),
        ({"uses": 1001}, Kind.INVALID, "REQUEST_INVALID", ["query.max_uses"]),
        ({"items": []}, Kind.INVALID, "REQUEST_INVALID", ["query.items"]),
        ({"items": [Item.SUBSIDIES] * 2}, Kind.INVALID, "REQUEST_INVALID", ["query.items"]),
    ],
)
async def test_what_is_not_agreed_or_malformed_is_refused_by_name(
    town: Town,
    farmer: Subject,
    ledger: FakeLedger,
    change: dict[str, object],
    kind: Kind,
    reason: str,
    fields: list[str],
) -> None:
    error = await error_of(town.ask(farmer, **change))  # type: ignore[arg-type]  # arguments by name

    assert (error.kind, error.reason) == (kind, reason)
    assert [fault.field for fault in error.faults] == fields
    assert ledger.entries == []


async def test_a_wrong_check_digit_is_named_and_the_number_is_not(town: Town, farmer: Subject) -> None:
    right = citizen_check_digit(farmer.code[:17])
    wrong = replace(farmer, code=farmer.code[:17] + ("1" if right != "1" else "2"))

    error = await error_of(town.ask(wrong))

    assert (error.reason, [fault.field for fault in error.faults]) == ("CHECK_DIGIT_WRONG", ["farmer.code"])
    assert farmer.code[:17] not in repr(error) + error.message


async def test_a_company_is_no_farmer(town: Town) -> None:
    error = await error_of(town.ask(Subject("001", "91440299MA0000000X")))

    assert error.faults[0].field == "farmer.code_type"


async def test_a_caller_without_agreement_or_scope_is_refused(town: Town, farmer: Subject) -> None:
    stranger = town.machine("some-bank")
    unscoped = town.machine(scopes="credit.fetch")
    person_herself = town.citizen(farmer)

    assert (await error_of(town.ask(farmer, credential=stranger))).reason == "PARTNER_UNKNOWN"
    assert (await error_of(town.ask(farmer, credential=unscoped))).reason == "SCOPE_MISSING"
    assert (await error_of(town.ask(farmer, credential=person_herself))).reason == "SCOPE_MISSING"


async def test_asking_twice_with_one_key_asks_once(town: Town, farmer: Subject, ledger: FakeLedger) -> None:
    first = await town.ask(farmer, key="k-1")
    again = await town.ask(farmer, key="k-1")
    other = await error_of(town.ask(farmer, key="k-1", uses=11))

    assert again == first
    assert (other.kind, other.reason) == (Kind.CONFLICT, "IDEMPOTENCY_KEY_REUSED")
    assert len((await town.list(farmer)).answer.consent_requests) == 1
    assert len([entry for entry in ledger.entries if entry.method == "consent.request"]) == 2


async def test_a_farmer_is_not_flooded_with_requests(town: Town, farmer: Subject, neighbour: Subject) -> None:
    results = await asyncio.gather(*(town.ask(farmer) for _ in range(5)), return_exceptions=True)

    assert sum(isinstance(one, pb.CreateConsentRequestResponse) for one in results) == 3
    error = await error_of(town.ask(farmer))
    assert (error.kind, error.reason) == (Kind.EXHAUSTED, "CONSENT_REQUESTS_OPEN")
    await town.ask(neighbour)


async def test_another_partner_s_request_is_not_there(town: Town, farmer: Subject) -> None:
    asked = (await town.ask(farmer)).answer.consent_request

    foreign = await error_of(town.look(asked.id, "other-bank"))
    missing = await error_of(town.look(str(uuid.uuid4()), "other-bank"))

    assert foreign.reason == missing.reason == "CONSENT_REQUEST_NOT_FOUND"
    assert foreign.message == missing.message


async def test_another_person_s_requests_and_consents_are_not_there(
    town: Town, farmer: Subject, neighbour: Subject
) -> None:
    asked = (await town.ask(farmer)).answer.consent_request
    consent_id = await town.consented(farmer)

    assert list((await town.list(neighbour)).answer.consent_requests) == []
    assert (await error_of(town.grant(neighbour, asked))).reason == "CONSENT_REQUEST_NOT_FOUND"
    foreign = await error_of(town.revoke(neighbour, consent_id))
    missing = await error_of(town.revoke(neighbour, str(uuid.uuid4())))
    assert foreign.reason == missing.reason == "CONSENT_NOT_FOUND"
    assert foreign.message == missing.message
    await town.fetch(consent_id)


async def test_a_machine_cannot_grant_or_list(town: Town, farmer: Subject) -> None:
    asked = (await town.ask(farmer)).answer.consent_request
    request = pb.GrantConsentRequest(
        credential=town.machine(),
        query=pb.GrantConsentQuery(
            consent_request_id=asked.id, text_sha256=asked.text_sha256, items=[pb.CONSENT_ITEM_SUBSIDIES]
        ),
    )
    request.context.request_id = "k"
    request.context.basis.kind = context_pb2.BASIS_KIND_HOLDER

    assert (await error_of(town.stub.GrantConsent(request))).reason == "SCOPE_MISSING"


async def test_a_grant_binds_to_the_text_that_was_shown(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    asked = (await town.ask(farmer)).answer.consent_request

    error = await error_of(town.grant(farmer, asked, digest="0" * 64))
    await town.disclosure.drain()

    assert (error.kind, error.reason) == (Kind.PRECONDITION, "CONSENT_TEXT_CHANGED")
    assert ledger.entries[-1].outcome is Outcome.ABORTED
    assert (await town.look(asked.id)).answer.consent_request.state == pb.CONSENT_STATE_PENDING
    await town.grant(farmer, asked)


async def test_more_than_asked_is_not_granted(town: Town, farmer: Subject) -> None:
    asked = (await town.ask(farmer, items=[Item.SUBSIDIES])).answer.consent_request

    error = await error_of(town.grant(farmer, asked))

    assert (error.kind, error.reason) == (Kind.INVALID, "ITEM_NOT_REQUESTED")


async def test_a_request_is_granted_once(town: Town, farmer: Subject) -> None:
    asked = (await town.ask(farmer)).answer.consent_request

    results = await asyncio.gather(
        *(error_or_consent(town, farmer, asked, f"k-{number}") for number in range(5))
    )

    assert sorted(results)[:4] == ["CONSENT_REQUEST_CLOSED"] * 4
    assert sorted(results)[4] == "granted"


async def error_or_consent(town: Town, farmer: Subject, asked: pb.ConsentRequest, key: str) -> str:
    try:
        await town.grant(farmer, asked, key=key)
    except Exception:
        return (await error_of(town.grant(farmer, asked, key=f"{key}-again"))).reason
    return "granted"


async def test_granting_again_with_the_same_key_is_the_first_answer(town: Town, farmer: Subject) -> None:
    asked = (await town.ask(farmer)).answer.consent_request

    first = await town.grant(farmer, asked, key="k-1")

    assert await town.grant(farmer, asked, key="k-1") == first


async def test_a_request_that_was_not_answered_in_time_is_closed(town: Town, farmer: Subject) -> None:
    asked = (await town.ask(farmer)).answer.consent_request
    town.clock.advance(timedelta(days=30))

    assert (await error_of(town.grant(farmer, asked))).reason == "CONSENT_REQUEST_CLOSED"
    assert (await town.look(asked.id)).answer.consent_request.state == pb.CONSENT_STATE_EXPIRED


async def test_revoking_again_changes_nothing(town: Town, farmer: Subject) -> None:
    consent_id = await town.consented(farmer)

    first = (await town.revoke(farmer, consent_id)).answer.consent
    town.clock.advance(timedelta(hours=1))
    again = (await town.revoke(farmer, consent_id)).answer.consent

    assert again == first


async def test_pages_of_a_farmer_s_requests(town: Town, farmer: Subject) -> None:
    made = [(await town.ask(farmer)).answer.consent_request.id for _ in range(3)]

    first = (await town.list(farmer, 2)).answer
    second = (await town.list(farmer, 2, first.next_page_token)).answer

    listed = [one.id for one in (*first.consent_requests, *second.consent_requests)]
    assert listed == made[::-1]
    assert second.next_page_token == ""
    assert (await error_of(town.list(farmer, 2, "rubbish"))).reason == "PAGE_TOKEN_INVALID"


async def test_nothing_is_granted_while_the_ledger_is_away(
    town: Town, farmer: Subject, ledger: FakeLedger
) -> None:
    asked = (await town.ask(farmer)).answer.consent_request
    ledger.down = True

    error = await error_of(town.grant(farmer, asked))
    ledger.down = False

    assert (error.kind, error.part) == (Kind.UNAVAILABLE, "ledger")
    assert (await town.look(asked.id)).answer.consent_request.state == pb.CONSENT_STATE_PENDING
