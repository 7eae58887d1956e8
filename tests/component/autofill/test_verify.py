"""Verifying typed values over gRPC: verdicts without values, and a budget for wrong ones."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from google.rpc import error_details_pb2
from onestop.autofill.v1 import autofill_pb2 as pb

from services.autofill.comparison import Json
from tests.component.autofill.harness import (
    HER,
    HIM,
    HOUSEHOLD,
    ID_CARD,
    PERSON,
    Counter,
    faults,
    reason,
    verdicts,
)


async def test_typed_values_get_a_verdict_and_nothing_else(counter: Counter) -> None:
    result = await counter.verify(
        {
            "name": "买买提.吐尔逊",
            "birth_date": "1990年1月1日",
            "phone": "+86 138 0013 8000",
            "sex": "男",
            "education": "大学本科",
            "current_address": "哪里都行",
        }
    )

    assert verdicts(result) == {
        "name": "match",
        "birth_date": "match",
        "phone": "match",
        "sex": "mismatch",
        "education": "match",
        "current_address": "no_data",
    }
    told = str(result.answer)
    for secret in ("吐尔逊", "1990", "138", HER, "惠民"):
        assert secret not in told
    by_field = {field.name: field for field in result.answer.fields}
    assert by_field["name"].provenance.resource == ID_CARD
    assert by_field["sex"].provenance.resource == ID_CARD
    assert not by_field["current_address"].HasField("provenance")


async def test_the_entry_names_the_fields_and_the_records_that_decided(counter: Counter) -> None:
    await counter.verify({"phone": "1", "household_size": 2})

    (entry,) = counter.ledger.entries
    assert entry.method == "autofill.verify"
    assert entry.field_names == ("household_size", "phone")
    assert {record.resource for record in entry.records} == {PERSON, HOUSEHOLD}


async def test_the_preferred_source_decides_where_registers_disagree(counter: Counter) -> None:
    new = await counter.verify({"registered_address": "韶关市武江区惠民北路3号"})
    old = await counter.verify({"registered_address": "韶关市浈江区风度北路1号"})

    assert verdicts(new) == {"registered_address": "match"}
    assert verdicts(old) == {"registered_address": "mismatch"}


@pytest.mark.parametrize(
    ("values", "expected", "fields"),
    [
        ({"shoe_size": "42"}, "FIELD_UNKNOWN", ["values.shoe_size"]),
        ({"signature": "某"}, "FIELD_UNKNOWN", ["values.signature"]),
        ({"phone": None}, "REQUEST_INVALID", ["values.phone"]),
        ({"phone": ""}, "REQUEST_INVALID", ["values.phone"]),
        ({"phone": ["1"]}, "REQUEST_INVALID", ["values.phone"]),
        ({"agent_name": "某"}, "SUBJECT_MISSING", ["subjects.agent"]),
    ],
)
async def test_what_cannot_be_verified_is_refused_by_name(
    counter: Counter, values: dict[str, Json], expected: str, fields: list[str]
) -> None:
    result = await counter.verify(values)

    assert (reason(result.error), faults(result.error)) == (expected, fields)
    assert counter.upstream.asked == []
    assert counter.ledger.entries == []


async def test_twenty_concurrent_guesses_get_five_wrong_verdicts(counter: Counter) -> None:
    results = await asyncio.gather(*(counter.verify({"phone": f"1380013{n:04d}"}) for n in range(20)))

    told = [verdicts(result)["phone"] for result in results if not result.HasField("error")]
    refused = [result for result in results if result.HasField("error")]
    assert told == ["mismatch"] * 5
    assert len(refused) == 15
    for result in refused:
        assert reason(result.error) == "GUESS_BUDGET_SPENT"
        assert faults(result.error) == ["values.phone"]
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in result.error.details)
        assert 23 * 3600 < retry.retry_delay.seconds <= 24 * 3600
    assert len(counter.ledger.entries) == 5


async def test_once_the_budget_is_spent_the_right_value_is_not_confirmed(counter: Counter) -> None:
    for n in range(5):
        await counter.verify({"phone": f"1380013{n:04d}"})

    right = await counter.verify({"phone": "13800138000"})
    another_field = await counter.verify({"household_size": 2})
    another_case = await counter.verify(
        {"phone": "13800138000"}, asking=replace(counter.asking, case_number="2026-0002")
    )

    assert reason(right.error) == "GUESS_BUDGET_SPENT"
    assert verdicts(another_field) == {"household_size": "match"}
    assert verdicts(another_case) == {"phone": "match"}


async def test_right_values_cost_nothing(counter: Counter) -> None:
    for _ in range(8):
        assert verdicts(await counter.verify({"phone": "13800138000"})) == {"phone": "match"}


async def test_a_value_that_nobody_holds_costs_nothing(counter: Counter) -> None:
    for _ in range(8):
        result = await counter.verify({"phone": "13800138000"}, subjects={"applicant": HIM})
        assert verdicts(result) == {"phone": "no_data"}


async def test_a_repeated_request_is_one_guess(counter: Counter) -> None:
    asking = replace(counter.asking, request_id="key-1")
    first = await counter.verify({"phone": "1"}, asking=asking)
    for _ in range(6):
        assert await counter.verify({"phone": "1"}, asking=asking) == first

    assert verdicts(await counter.verify({"phone": "2"})) == {"phone": "mismatch"}
    assert len(counter.ledger.entries) == 2


async def test_a_guess_whose_verdict_was_not_released_counts_all_the_same(counter: Counter) -> None:
    counter.ledger.down = True
    for n in range(5):
        assert reason((await counter.verify({"phone": str(n)})).error) == "PART_DOWN"
    counter.ledger.down = False

    assert reason((await counter.verify({"phone": "9"})).error) == "GUESS_BUDGET_SPENT"


async def test_verifying_needs_its_own_scope(counter: Counter) -> None:
    asking = replace(counter.asking, scopes=("autofill.fill",))

    assert reason((await counter.verify({"phone": "1"}, asking=asking)).error) == "SCOPE_MISSING"


async def test_the_verdict_of_a_batch_item_does_not_leak_into_another(counter: Counter) -> None:
    results = await asyncio.gather(
        counter.verify({"phone": "13800138000"}),
        counter.verify({"phone": "13800138000"}, subjects={"applicant": HIM}),
    )

    assert [verdicts(result)["phone"] for result in results] == ["match", "no_data"]
    assert all(isinstance(result, pb.VerifyFieldsResult) for result in results)
