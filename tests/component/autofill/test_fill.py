"""Filling a form over gRPC: what is filled, from where, what was asked, and what the ledger holds."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from onestop.autofill.v1 import autofill_pb2 as pb
from onestop.licence.v1 import licence_pb2

from core.disclosure import EntryKind, Outcome, RecordRef
from core.identity import Subject
from tests.component.autofill.harness import (
    HER,
    HIM,
    HOUSEHOLD,
    HOUSING,
    ID_CARD,
    PERSON,
    REGISTER,
    Counter,
    by_name,
    faults,
    moment_of,
    reason,
)
from tests.component.autofill.upstreams import RECORDED_AT

FILLED, NO_DATA = pb.FIELD_STATUS_FILLED, pb.FIELD_STATUS_NO_DATA
CONFLICT, NOT_ALLOWED = pb.FIELD_STATUS_CONFLICT, pb.FIELD_STATUS_NOT_ALLOWED


def value(field: pb.FilledField | pb.Candidate) -> object:
    return MessageToDict(field.value)


async def test_a_form_is_filled_and_every_value_says_where_it_came_from(counter: Counter) -> None:
    result = await counter.fill()

    fields = by_name(result)
    assert value(fields["name"]) == "买买提·吐尔逊"
    assert value(fields["sex"]) == "2"
    assert value(fields["ethnicity"]) == "05"
    assert value(fields["education"]) == "20"
    assert value(fields["household_size"]) == 2
    assert value(fields["family_members"]) == [
        {"name": "买买提·吐尔逊", "id_number": HER, "relation": "02"},
        {"name": "张三", "id_number": HIM, "relation": "10"},
    ]
    assert value(fields["owned_premises"]) == [
        {
            "location": "韶关市武江区惠民北路3号",
            "certificate_number": "粤（2020）韶关市不动产权第0000001号",
            "area": 88.5,
            "use": "住宅",
        }
    ]
    assert fields["current_address"].status == NO_DATA
    assert "signature" not in fields
    assert "agent_name" not in fields  # nobody was named in that role
    for filled in fields.values():
        assert filled.HasField("value") == (filled.status in {FILLED, CONFLICT})
        assert filled.HasField("provenance") == filled.HasField("value")
    assert fields["name"].provenance.resource == ID_CARD
    assert moment_of(result, "name") == RECORDED_AT
    assert (result.answer.matter_code, result.answer.form_version) == ("sole-trader-registration", 1)


async def test_a_form_about_two_people_is_recorded_under_both(counter: Counter) -> None:
    await counter.fill("name", "agent_name", subjects={"applicant": HER, "agent": HIM})
    await counter.fill("name", "agent_name", subjects={"agent": HER, "applicant": HER})
    await counter.fill("name", subjects={"applicant": HER, "agent": HIM})

    both, once, one = counter.ledger.entries
    assert both.subject == Subject("111", HER)
    assert both.further_subjects == (Subject("111", HIM),)
    assert (once.subject, once.further_subjects) == (Subject("111", HER), ())
    assert (one.subject, one.further_subjects) == (Subject("111", HER), ())


async def test_registers_that_disagree_are_a_conflict_told_with_each_source(counter: Counter) -> None:
    field = by_name(await counter.fill("registered_address"))["registered_address"]

    assert field.status == CONFLICT
    assert value(field) == "韶关市武江区惠民北路３号"
    assert [(c.provenance.resource, value(c)) for c in field.candidates] == [
        (HOUSEHOLD, "韶关市武江区惠民北路３号"),
        (PERSON, "韶关市武江区惠民北路 3 号"),
        (ID_CARD, "韶关市浈江区风度北路1号"),
    ]


async def test_formats_alone_are_no_conflict(counter: Counter) -> None:
    counter.upstream.hold(ID_CARD, HER)

    fields = by_name(await counter.fill("registered_address", "name", "sex"))

    assert {field.status for field in fields.values()} == {FILLED}


async def test_the_ledger_holds_one_entry_with_names_and_records_and_no_value(counter: Counter) -> None:
    result = await counter.fill("name", "registered_address", "current_address")

    (entry,) = counter.ledger.entries
    assert (entry.kind, entry.outcome, entry.method) == (
        EntryKind.DISCLOSURE,
        Outcome.RELEASED,
        "autofill.fill",
    )
    assert (entry.caller, entry.operator) == ("approval-platform", "clerk7")
    assert entry.field_names == ("name", "registered_address", "current_address")
    assert entry.records == (
        RecordRef(ID_CARD, "version-1"),
        RecordRef(HOUSEHOLD, "1"),
        RecordRef(PERSON, "1"),
    )
    assert entry.subject is not None
    assert entry.subject.code == HER
    assert entry.basis is not None
    assert entry.basis.case_number == "2026-0001"
    assert "吐尔逊" not in repr(entry)
    assert result.receipt.id == str(entry.item_id)


async def test_only_what_the_wanted_fields_need_is_asked_once_a_resource(counter: Counter) -> None:
    await counter.fill("name", "phone", "sex")

    assert sorted(counter.upstream.asked) == [
        (ID_CARD, ("holder_name", "sex")),
        (PERSON, ("name", "phone", "sex")),
    ]


async def test_the_upstreams_get_the_callers_own_proof_and_ground(counter: Counter) -> None:
    await counter.fill("name", asking=replace(counter.asking, request_id="key-1"))

    assert {c.SerializeToString() for c in counter.upstream.credentials} == {
        counter.upstream.credentials[0].SerializeToString()
    }
    assert counter.upstream.credentials[0].certificate_thumbprint
    for context in counter.upstream.contexts:
        assert context.basis.matter_code == "sole-trader-registration"
        assert (context.office, context.operator) == (counter.asking.office, "clerk7")
        assert context.request_id == ""
        assert context.HasField("deadline")


async def test_forms_that_arrive_together_share_calls_and_stay_apart(counter: Counter) -> None:
    counter.upstream.hold(ID_CARD, HIM, {"holder_name": "张三"})
    people = [HER, HIM] * 20

    results = await counter.fill_batch(
        [counter.fill_item("name", subjects={"applicant": person}) for person in people]
    )

    assert [value(by_name(result)["name"]) for result in results] == ["买买提·吐尔逊", "张三"] * 20
    assert sum(items for resource, items in counter.upstream.calls if resource == ID_CARD) == 40
    assert len(counter.upstream.calls) <= 8
    assert len(counter.ledger.entries) == 40


async def test_forms_that_ask_alike_share_one_call_for_all_their_sources(counter: Counter) -> None:
    results = await counter.fill_batch([counter.fill_item() for _ in range(20)])

    assert all(by_name(result)["phone"].status == FILLED for result in results)
    assert {resource for resource, _ in counter.upstream.asked} >= {PERSON, HOUSEHOLD, ID_CARD, REGISTER}
    assert len(counter.upstream.calls) <= 6


async def test_a_refusal_of_one_field_leaves_the_resources_other_fields(counter: Counter) -> None:
    counter.upstream.refused_fields[PERSON] = frozenset({"phone"})

    result = await counter.fill("phone", "current_address", "education")

    fields = by_name(result)
    assert (fields["phone"].status, fields["phone"].source) == (NOT_ALLOWED, PERSON)
    assert fields["education"].status == FILLED
    assert fields["current_address"].status == NO_DATA
    assert {r.resource: r.outcome for r in result.answer.sources} == {
        PERSON: "not_allowed",
        REGISTER: "answered",
    }
    assert counter.ledger.entries[0].field_names == ("current_address", "education")


@pytest.mark.parametrize(
    "state",
    [
        licence_pb2.LICENCE_STATE_EXPIRED,
        licence_pb2.LICENCE_STATE_SUSPENDED,
        licence_pb2.LICENCE_STATE_REVOKED,
        licence_pb2.LICENCE_STATE_NOT_YET_IN_FORCE,
    ],
)
async def test_a_licence_that_is_not_in_force_fills_nothing(
    counter: Counter, state: licence_pb2.LicenceState.ValueType
) -> None:
    counter.upstream.states[ID_CARD] = state

    result = await counter.fill("name")

    assert by_name(result)["name"].provenance.resource == PERSON
    assert {r.resource: r.outcome for r in result.answer.sources}[ID_CARD] == "no_data"


async def test_nobody_in_the_registers_is_no_data_not_an_error(counter: Counter) -> None:
    result = await counter.fill("name", "phone", subjects={"applicant": HIM})

    assert {field.status for field in by_name(result).values()} == {NO_DATA}
    assert len(counter.ledger.entries) == 1


async def test_bad_items_fail_alone_and_name_what_is_wrong(counter: Counter) -> None:
    elsewhere = replace(counter.asking, matter_code="moon-landing")
    items = [
        counter.fill_item("name"),
        counter.fill_item("name", asking=elsewhere),
        counter.fill_item("name", "shoe_size", "signature"),
        counter.fill_item("name", subjects={"applicant": HER[:-1] + "3"}),
        counter.fill_item("agent_name"),
        counter.fill_item("name", subjects={"applicant": HER, "neighbour": HIM}),
        counter.fill_item(subjects={"agent": HIM}),
        counter.fill_item("name", subjects={"applicant": "91440299MA0000000X"}),
    ]

    results = await counter.fill_batch(items)

    assert by_name(results[0])["name"].status == FILLED
    assert [(reason(result.error), faults(result.error)) for result in results[1:]] == [
        ("MATTER_NOT_FOUND", []),
        ("FIELD_UNKNOWN", ["field_names.shoe_size", "field_names.signature"]),
        ("CHECK_DIGIT_WRONG", ["subjects.applicant.code"]),
        ("SUBJECT_MISSING", ["subjects.agent"]),
        ("REQUEST_INVALID", ["subjects.neighbour"]),
        ("SUBJECT_MISSING", ["subjects.applicant"]),
        ("REQUEST_INVALID", ["subjects.applicant.code_type"]),
    ]
    assert all(HER[:-1] not in result.error.message for result in results)
    assert len(counter.ledger.entries) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"scopes": ("autofill.verify", "matter.read")}, "SCOPE_MISSING"),
        ({"matter_code": ""}, "BASIS_NOT_PERMITTED"),
        ({"seconds": -1.0}, "DEADLINE_PASSED"),
    ],
)
async def test_a_call_without_scope_basis_or_time_reaches_no_source(
    counter: Counter, change: dict[str, object], expected: str
) -> None:
    result = await counter.fill("name", asking=replace(counter.asking, **change))  # type: ignore[arg-type]  # of its own fields

    assert reason(result.error) == expected
    assert counter.upstream.asked == []
    assert counter.ledger.entries == []


async def test_only_the_gateway_may_call(counter: Counter) -> None:
    request = pb.BatchAutofillRequest(credentials=[counter.credential()], items=[counter.fill_item("name")])

    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await counter.stranger.BatchAutofill(request, timeout=10)

    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_without_the_ledger_nothing_is_released(counter: Counter) -> None:
    counter.ledger.down = True

    result = await counter.fill("name")

    assert not result.HasField("answer")
    assert reason(result.error) == "PART_DOWN"


async def test_a_repeated_request_gets_the_first_answer_and_the_first_receipt(counter: Counter) -> None:
    asking = replace(counter.asking, request_id="key-1")
    first = await counter.fill("name", asking=asking)
    counter.upstream.hold(ID_CARD, HER, {"holder_name": "另一个人"})

    again = await counter.fill("name", asking=asking)
    other = await counter.fill("phone", asking=asking)
    elsewhere = await counter.fill("name", asking=replace(asking, case_number="2026-0002"))

    assert again == first
    assert reason(other.error) == "IDEMPOTENCY_KEY_REUSED"
    assert reason(elsewhere.error) == "IDEMPOTENCY_KEY_REUSED"
    assert len(counter.ledger.entries) == 1


async def test_a_replay_is_authorised_afresh(counter: Counter) -> None:
    asking = replace(counter.asking, request_id="key-1")
    await counter.fill("name", asking=asking)

    result = await counter.fill("name", asking=replace(asking, scopes=("matter.read",)))

    assert reason(result.error) == "SCOPE_MISSING"


async def test_a_request_without_a_key_is_a_new_disclosure_each_time(counter: Counter) -> None:
    await counter.fill("name")
    await counter.fill("name")

    assert len(counter.ledger.entries) == 2


async def test_owned_houses_that_are_cancelled_are_left_out(counter: Counter) -> None:
    counter.upstream.hold(HOUSING, HER, {"location": "旧宅", "state": "cancelled"})

    assert by_name(await counter.fill("owned_premises"))["owned_premises"].status == NO_DATA
