"""Verifying an identifier: genuine, unknown, malformed or oddly checked, without contents."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import uuid4

import pytest
from onestop.licence.v1 import licence_pb2 as pb

from core.identity import Scope
from core.public_json import render
from tests.component.licence.harness import Asking, Desk, reason
from tests.store.licence.samples import HOLDER, ID_CARD, id_card, identifier


async def test_a_genuine_identifier_is_told_with_its_state_and_nothing_of_its_contents(desk: Desk) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    told = await desk.verify(card.identifier)

    assert told.answer == pb.VerifyLicenceAnswer(
        verdict=pb.LICENCE_VERDICT_GENUINE,
        state=pb.LICENCE_STATE_IN_FORCE,
        type_name="居民身份证",
        issuer_name="韶关市公安局",
        superseded=False,
        as_of="2026-03-02",
    )
    for secret in (HOLDER.code, card.holder_name, str(card.licence_id), str(subject_id)):
        assert secret not in str(render(told))


async def test_the_holder_can_be_told_who_verified(desk: Desk) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    await desk.verify(card.identifier)

    (entry,) = desk.ledger.entries
    assert (entry.method, entry.subject) == ("licence.verify", HOLDER)
    assert entry.field_names == ("verdict", "state", "type_name", "issuer_name", "superseded")


async def test_a_revoked_licence_is_told_as_revoked_and_a_replaced_one_as_replaced(desk: Desk) -> None:
    subject_id = uuid4()
    revoked = replace(id_card(subject_id), revoked_on=date(2026, 1, 1), revocation_kind="cancelled")
    replaced = replace(id_card(subject_id), superseded_on=date(2026, 1, 1))
    await desk.town.settle(HOLDER, [(ID_CARD, revoked), (ID_CARD, replaced)], subject_id)

    of_revoked = (await desk.verify(revoked.identifier)).answer
    of_replaced = (await desk.verify(replaced.identifier)).answer

    assert (of_revoked.state, of_revoked.superseded) == (pb.LICENCE_STATE_REVOKED, False)
    assert (of_replaced.state, of_replaced.superseded) == (pb.LICENCE_STATE_IN_FORCE, True)


async def test_what_the_register_does_not_hold(desk: Desk) -> None:
    unknown = identifier(ID_CARD)
    other_check = unknown[:-1] + ("A" if unknown[-1] != "A" else "B")

    verdicts = [
        (await desk.verify(text)).answer.verdict
        for text in (unknown, other_check, "粤A12345", "1.2.156.3005.2")
    ]

    assert verdicts == [
        pb.LICENCE_VERDICT_NOT_FOUND,
        pb.LICENCE_VERDICT_CHECK_DIFFERS,
        pb.LICENCE_VERDICT_MALFORMED,
        pb.LICENCE_VERDICT_MALFORMED,
    ]
    assert [entry.subject for entry in desk.ledger.entries] == [None] * 4


async def test_a_registered_licence_is_genuine_whatever_rule_its_check_follows(desk: Desk) -> None:
    subject_id = uuid4()
    right = identifier(ID_CARD)
    imported = right[:-1] + ("A" if right[-1] != "A" else "B")
    await desk.town.settle(HOLDER, [(ID_CARD, replace(id_card(subject_id), identifier=imported))], subject_id)

    assert (await desk.verify(imported)).answer.verdict == pb.LICENCE_VERDICT_GENUINE
    assert (await desk.verify(right)).answer.verdict == pb.LICENCE_VERDICT_NOT_FOUND


async def test_an_identifier_typed_in_lower_case_with_spaces_is_the_same(desk: Desk) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    told = await desk.verify(f" {card.identifier.lower()} ")

    assert told.answer.verdict == pb.LICENCE_VERDICT_GENUINE


@pytest.mark.parametrize(
    ("asking", "wanted"),
    [
        (Asking(scopes=(Scope.LICENCE_READ,)), "SCOPE_MISSING"),
        (Asking(matter_code=""), "BASIS_NOT_PERMITTED"),
    ],
)
async def test_verifying_is_refused_without_scope_or_basis(desk: Desk, asking: Asking, wanted: str) -> None:
    refused = await desk.verify(identifier(ID_CARD), asking)

    assert reason(refused.error) == wanted
    assert not desk.ledger.entries
