"""Searching: what a case may find, what it is refused, and what the ledger holds of it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from onestop.licence.v1 import licence_pb2 as pb

from core.disclosure import BasisKind, EntryKind
from core.identity import Scope, Subject
from core.public_json import canonical
from services.licence.domain import MOST_LICENCES_PER_ANSWER
from tests.component.licence.harness import Asking, Desk, context, fault, reason, running_desk, to_pb
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.store.licence.samples import (
    HOLDER,
    HOUSEHOLD_REGISTER,
    ID_CARD,
    REAL_ESTATE,
    TYPES,
    citizen,
    id_card,
    record,
)

CARD, BOOK = ID_CARD.type_code, HOUSEHOLD_REGISTER.type_code


async def test_search_shows_licences_with_their_states_and_names_missing_types(desk: Desk) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    found = await desk.search(HOLDER, [CARD, BOOK])

    (summary,) = found.answer.licences
    assert (summary.id, summary.type_name) == (str(card.licence_id), "居民身份证")
    assert summary.state == pb.LICENCE_STATE_IN_FORCE
    assert (summary.valid_from, summary.valid_until) == ("2020-05-01", "2040-04-30")
    assert list(found.answer.missing_type_codes) == [BOOK]
    assert found.answer.use_code_expires_at.ToDatetime(
        tzinfo=desk.clock().tzinfo
    ) == desk.clock() + timedelta(minutes=10)


async def test_search_answer_holds_no_identity_payload(desk: Desk) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    sent = str(await desk.search(HOLDER, [CARD]))

    for secret in (
        HOLDER.code,
        card.holder_name,
        str(card.face["address"]),
        str(subject_id),
        card.identifier,
    ):
        assert secret not in sent


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"revoked_on": date(2026, 1, 1), "revocation_kind": "revoked"}, pb.LICENCE_STATE_REVOKED),
        ({"valid_until": date(2026, 3, 1)}, pb.LICENCE_STATE_EXPIRED),
        ({"suspended_from": date(2026, 3, 2)}, pb.LICENCE_STATE_SUSPENDED),
        ({"valid_from": date(2026, 3, 3)}, pb.LICENCE_STATE_NOT_YET_IN_FORCE),
        (
            {"suspended_from": date(2026, 1, 1), "suspended_until": date(2026, 3, 1)},
            pb.LICENCE_STATE_IN_FORCE,
        ),
    ],
)
async def test_a_licence_is_shown_with_its_very_state(
    desk: Desk, change: dict[str, object], state: pb.LicenceState.ValueType
) -> None:
    subject_id = uuid4()
    card = replace(id_card(subject_id), **change)  # type: ignore[arg-type]  # columns of several types
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    found = await desk.search(HOLDER, [CARD])

    assert found.answer.licences[0].state == state
    assert not found.answer.missing_type_codes


async def test_unknown_holder_is_answered_like_one_without_licences(desk: Desk) -> None:
    subject_id = uuid4()
    await desk.town.settle(HOLDER, [(REAL_ESTATE, record(REAL_ESTATE, subject_id))], subject_id)

    known, unknown = await desk.search(HOLDER, [CARD]), await desk.search(citizen(2), [CARD])

    assert known.answer == unknown.answer
    assert unknown.answer == pb.SearchLicencesAnswer(missing_type_codes=[CARD])


async def test_search_is_in_the_ledger_before_it_is_answered(desk: Desk) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    found = await desk.search(HOLDER, [CARD, BOOK])

    (entry,) = desk.ledger.entries
    assert (entry.kind, entry.method, entry.caller) == (
        EntryKind.DISCLOSURE,
        "licence.search",
        "approval-platform",
    )
    assert entry.basis is not None
    assert (entry.basis.kind, entry.basis.case_number) == (BasisKind.MATTER, "2026-0001")
    assert (entry.subject, entry.operator, entry.office) == (HOLDER, "clerk7", Asking.office)
    assert [(ref.resource, ref.version) for ref in entry.records] == [
        (f"licence.{CARD}", str(card.licence_id)),
        (f"licence.{BOOK}", "none"),
    ]
    answered = canonical(found.answer)
    assert entry.answer_commitment == hmac.digest(found.receipt.answer_salt, answered, hashlib.sha256)


async def test_nothing_is_answered_while_the_ledger_is_down(desk: Desk) -> None:
    subject_id = uuid4()
    await desk.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)
    desk.ledger.down = True

    refused = await desk.search(HOLDER, [CARD])

    assert reason(refused.error) == "PART_DOWN"
    assert not refused.HasField("answer")


async def test_types_that_the_matter_may_not_see_are_refused_by_name(desk: Desk) -> None:
    driving = TYPES["driving_licence"].type_code

    refused = await desk.search(HOLDER, [CARD, driving])

    assert reason(refused.error) == "MATTER_NOT_ENTITLED"
    assert driving in refused.error.message
    assert CARD not in refused.error.message
    assert not desk.ledger.entries


async def test_unknown_matter_may_see_nothing(desk: Desk) -> None:
    refused = await desk.search(HOLDER, [CARD], Asking(matter_code="tourism-survey"))

    assert reason(refused.error) == "MATTER_NOT_ENTITLED"


async def test_wrong_check_digit_is_named_and_the_number_is_not(desk: Desk) -> None:
    wrong = HOLDER.code[:17] + ("0" if HOLDER.code[17] != "0" else "1")

    refused = await desk.search(Subject("111", wrong), [CARD])

    assert reason(refused.error) == "CHECK_DIGIT_WRONG"
    assert fault(refused.error) == "holder.code"
    assert wrong not in str(refused.error)


async def test_a_number_typed_in_full_width_is_the_same_number(desk: Desk) -> None:
    subject_id = uuid4()
    await desk.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)
    wide = "".join(chr(ord(character) + 0xFEE0) for character in HOLDER.code.lower())

    found = await desk.search(Subject("111", wide), [CARD])

    assert len(found.answer.licences) == 1


@pytest.mark.parametrize(
    ("asking", "wanted"),
    [
        (Asking(scopes=(Scope.LICENCE_VERIFY,)), "SCOPE_MISSING"),
        (Asking(matter_code=""), "BASIS_NOT_PERMITTED"),
        (Asking(office=""), "REQUEST_INVALID"),
        (Asking(office=Asking.office[:-1] + "1"), "CHECK_DIGIT_WRONG"),
    ],
)
async def test_search_is_refused_without_scope_basis_or_office(
    desk: Desk, asking: Asking, wanted: str
) -> None:
    refused = await desk.search(HOLDER, [CARD], asking)

    assert reason(refused.error) == wanted
    assert not desk.ledger.entries


async def test_a_holder_with_more_licences_than_a_use_code_can_name_is_refused(desk: Desk) -> None:
    subject_id = uuid4()
    many = [(REAL_ESTATE, record(REAL_ESTATE, subject_id)) for _ in range(MOST_LICENCES_PER_ANSWER + 1)]
    await desk.town.settle(HOLDER, many, subject_id)

    refused = await desk.search(HOLDER, [REAL_ESTATE.type_code])

    assert reason(refused.error) == "TOO_MANY_LICENCES"
    assert not desk.ledger.entries


async def test_a_repeated_request_gets_the_first_answer_and_receipt(desk: Desk) -> None:
    subject_id = uuid4()
    await desk.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)
    asking = Asking(request_id="retry-1")

    first = await desk.search(HOLDER, [CARD], asking)
    again = await desk.search(HOLDER, [CARD], asking)

    assert again == first
    assert len(desk.ledger.entries) == 1


@pytest.mark.parametrize(
    ("type_codes", "asking"),
    [
        ([CARD, BOOK], Asking()),
        ([CARD], Asking(case_number="2026-0002")),
        ([CARD], Asking(purpose="另一事由")),
    ],
)
async def test_a_key_with_another_body_is_refused(desk: Desk, type_codes: list[str], asking: Asking) -> None:
    await desk.search(HOLDER, [CARD], Asking(request_id="retry-1"))

    refused = await desk.search(HOLDER, type_codes, replace(asking, request_id="retry-1"))

    assert reason(refused.error) == "IDEMPOTENCY_KEY_REUSED"


async def test_a_replay_is_authorised_afresh(desk: Desk) -> None:
    await desk.search(HOLDER, [CARD], Asking(request_id="retry-1"))

    refused = await desk.search(HOLDER, [CARD], Asking(request_id="retry-1", scopes=()))

    assert reason(refused.error) == "SCOPE_MISSING"


async def test_one_bad_item_fails_alone(desk: Desk) -> None:
    subject_id = uuid4()
    await desk.town.settle(HOLDER, [(ID_CARD, id_card(subject_id))], subject_id)
    good = pb.SearchLicencesItem(
        context=context(Asking()), query=pb.SearchLicencesQuery(holder=to_pb(HOLDER), type_codes=[CARD])
    )
    wrong_type = pb.SearchLicencesItem(
        context=context(Asking()), query=pb.SearchLicencesQuery(holder=to_pb(HOLDER), type_codes=["short"])
    )
    no_basis = pb.SearchLicencesItem(context=context(Asking(matter_code="")), query=good.query)
    late = pb.SearchLicencesItem(context=context(Asking()), query=good.query)
    late.context.deadline.FromDatetime(desk.clock() - timedelta(seconds=1))

    response = await desk.gateway.BatchSearchLicences(
        pb.BatchSearchLicencesRequest(
            credentials=desk.credentials(Asking()), items=[good, wrong_type, no_basis, late, good]
        )
    )

    assert [reason(result.error) for result in response.results] == [
        "",
        "REQUEST_INVALID",
        "BASIS_NOT_PERMITTED",
        "DEADLINE_PASSED",
        "",
    ]
    assert fault(response.results[1].error) == "type_codes[0]"
    assert len(desk.ledger.entries) == 2
    assert response.results[0].receipt.id != response.results[4].receipt.id


async def test_a_database_that_is_away_is_told_as_such(
    city_database: CityDatabase, pool: PoolFactory, pki: Path, tmp_path: Path
) -> None:
    nowhere = asyncpg.create_pool(host=str(tmp_path), user="onestop_licence", min_size=0)
    async with nowhere, running_desk(city_database, await pool("licence"), pki, nowhere) as desk:
        refused = await desk.search(HOLDER, [CARD])

    assert reason(refused.error) == "PART_DOWN"
    assert not desk.ledger.entries
