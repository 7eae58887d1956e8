"""The inner read for forms: entitled fields of a licence in force, for autofill alone, without an entry."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import uuid4

import grpc
import pytest
from onestop.licence.v1 import licence_pb2 as pb

from core.identity import Scope, Subject
from tests.component.licence.harness import Asking, Desk, context, fault, reason, to_pb
from tests.store.licence.samples import HOLDER, ID_CARD, TYPES, citizen, id_card, identifier

CARD = ID_CARD.type_code


async def test_fields_asked_for_are_given_with_provenance_and_without_an_entry(desk: Desk) -> None:
    subject_id = uuid4()
    card = id_card(subject_id)
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    read = await desk.read_fields(HOLDER, CARD, ["number", "nation", "valid_until"])

    assert (read.answer.found, read.answer.state) == (True, pb.LICENCE_STATE_IN_FORCE)
    assert {name: value.string_value for name, value in read.answer.fields.items()} == {
        "number": HOLDER.code,
        "nation": "汉",
        "valid_until": "2040-04-30",
    }
    assert read.answer.provenance.resource == f"licence.{CARD}"
    assert read.answer.provenance.record_version == str(card.licence_id)
    assert not desk.ledger.entries


async def test_a_licence_without_end_says_so(desk: Desk) -> None:
    subject_id = uuid4()
    await desk.town.settle(HOLDER, [(ID_CARD, replace(id_card(subject_id), valid_until=None))], subject_id)

    read = await desk.read_fields(HOLDER, CARD, ["valid_until"])

    assert read.answer.fields["valid_until"].string_value == "长期"


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"revoked_on": date(2026, 1, 1), "revocation_kind": "revoked"}, pb.LICENCE_STATE_REVOKED),
        ({"suspended_from": date(2026, 1, 1)}, pb.LICENCE_STATE_SUSPENDED),
        ({"valid_until": date(2026, 3, 1)}, pb.LICENCE_STATE_EXPIRED),
        ({"valid_from": date(2026, 3, 3)}, pb.LICENCE_STATE_NOT_YET_IN_FORCE),
    ],
)
async def test_a_licence_not_in_force_is_not_offered_for_autofill(
    desk: Desk, change: dict[str, object], state: pb.LicenceState.ValueType
) -> None:
    subject_id = uuid4()
    card = replace(id_card(subject_id), **change)  # type: ignore[arg-type]  # columns of several types
    await desk.town.settle(HOLDER, [(ID_CARD, card)], subject_id)

    read = await desk.read_fields(HOLDER, CARD, ["number", "nation", "valid_until"])

    assert (read.answer.found, read.answer.state) == (True, state)
    assert not read.answer.fields


async def test_the_licence_in_force_is_read_where_there_are_several(desk: Desk) -> None:
    subject_id = uuid4()
    lost = replace(
        id_card(subject_id),
        valid_from=date(2024, 1, 1),
        revoked_on=date(2025, 1, 1),
        revocation_kind="cancelled",
    )
    card = replace(id_card(subject_id), identifier=identifier(ID_CARD))
    await desk.town.settle(HOLDER, [(ID_CARD, lost), (ID_CARD, card)], subject_id)

    read = await desk.read_fields(HOLDER, CARD, ["nation"])

    assert read.answer.provenance.record_version == str(card.licence_id)


async def test_no_licence_is_told_from_an_error(desk: Desk) -> None:
    read = await desk.read_fields(citizen(2), CARD, ["nation"])

    assert read.answer == pb.ReadLicenceFieldsAnswer(found=False)


async def test_fields_that_the_matter_may_not_read_are_refused_by_name(desk: Desk) -> None:
    asking = Asking(matter_code="company-change")

    refused = await desk.read_fields(HOLDER, CARD, ["sex", "birth_date"], asking)

    assert reason(refused.error) == "MATTER_NOT_ENTITLED"
    assert "birth_date" in refused.error.message
    assert "sex" not in refused.error.message


async def test_a_type_that_the_matter_may_not_read_is_refused(desk: Desk) -> None:
    refused = await desk.read_fields(HOLDER, TYPES["driving_licence"].type_code, ["valid_until"])

    assert reason(refused.error) == "MATTER_NOT_ENTITLED"


async def test_wrong_check_digit_is_named(desk: Desk) -> None:
    wrong = HOLDER.code[:17] + ("0" if HOLDER.code[17] != "0" else "1")

    refused = await desk.read_fields(Subject("111", wrong), CARD, ["nation"])

    assert (reason(refused.error), fault(refused.error)) == ("CHECK_DIGIT_WRONG", "holder.code")


@pytest.mark.parametrize(
    ("asking", "wanted"),
    [
        (Asking(scopes=(Scope.LICENCE_READ,)), "SCOPE_MISSING"),
        (Asking(matter_code=""), "BASIS_NOT_PERMITTED"),
    ],
)
async def test_the_inner_read_is_refused_without_scope_or_basis(
    desk: Desk, asking: Asking, wanted: str
) -> None:
    assert reason((await desk.read_fields(HOLDER, CARD, ["nation"], asking)).error) == wanted


async def test_checking_what_was_typed_needs_no_right_to_fill(desk: Desk) -> None:
    read = await desk.read_fields(HOLDER, CARD, ["nation"], Asking(scopes=(Scope.AUTOFILL_VERIFY,)))

    assert reason(read.error) == ""


async def test_the_gateway_may_not_make_inner_reads_nor_autofill_outer_ones(desk: Desk) -> None:
    query = pb.ReadLicenceFieldsQuery(holder=to_pb(HOLDER), type_code=CARD, field_names=["nation"])
    inner = pb.BatchReadLicenceFieldsRequest(
        credentials=desk.credentials(Asking()),
        items=[pb.ReadLicenceFieldsItem(context=context(Asking()), query=query)],
    )

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desk.gateway.BatchReadLicenceFields(inner)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desk.autofill.BatchSearchLicences(pb.BatchSearchLicencesRequest())
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
