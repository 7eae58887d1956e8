"""What a request must look like, and how it is told when it does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import Kind, ServiceError, fault_error
from tests.component.gateway.asserting import SEARCH, assert_problem
from tests.component.gateway.conftest import CASE, HOLDER, Gateway, GatewayMaker


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        (b"{not json", "body", "json"),
        (b"[]", "body", "type"),
        (b'{"a": 1, "a": 2}', "body", "json"),
        (b'{"a": NaN}', "body", "json"),
        (b"\xff\xfe", "body", "json"),
        (b"[" * 100_000, "body", "json"),
        (b'{"a": ' + b"9" * 400 + b"}", "body", "json"),
        (b'{"case": {"purpose": "\\ud800"}}', "body", "json"),
        (b'{"\\uDFFF": 1}', "body", "json"),
    ],
)
async def test_malformed_json_is_told(gateway: Gateway, body: bytes, field: str, rule: str) -> None:
    platform = await gateway.machine()

    answer = await platform.post(
        "/approval/v1/licences:search", content=body, headers={"Content-Type": "application/json"}
    )

    (fault,) = assert_problem(answer, 400, "REQUEST_INVALID")["errors"]
    assert (fault["field"], fault["rule"]) == (field, rule)


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"surprise": 1}, "surprise", "unknown"),
        ({"holder": {"code_type": "111", "code": "x", "more": 1}}, "holder.more", "unknown"),
        ({"holder": {"code_type": "xx", "code": "x"}}, "holder.code_type", "string.pattern"),
        ({"type_codes": []}, "type_codes", "repeated.min_items"),
        ({"type_codes": ["short"]}, "type_codes[0]", "string.pattern"),
        ({"case": None}, "case", "required"),
        ({"case": {**CASE, "case_number": "?"}}, "case.case_number", "string.pattern"),
        ({"case": {**CASE, "office": ""}}, "case.office", "required"),
        ({"case": {**CASE, "office": 7}}, "case.office", "type"),
        ({"case": {**CASE, "colour": "red"}}, "case.colour", "unknown"),
    ],
)
async def test_field_at_fault_is_named_as_the_caller_knows_it(
    gateway: Gateway, change: dict[str, Any], field: str, rule: str
) -> None:
    platform = await gateway.machine()

    answer = await platform.post("/approval/v1/licences:search", json={**SEARCH, **change})

    faults = assert_problem(answer, 400, "REQUEST_INVALID")["errors"]
    assert (field, rule) in {(fault["field"], fault["rule"]) for fault in faults}
    assert not gateway.behind.asked["search"]


async def test_service_s_refusal_keeps_its_reason_and_field(gateway: Gateway) -> None:
    platform = await gateway.machine()
    failure = fault_error("query.holder.code", "check_digit", "the check digit is wrong")
    gateway.behind.failures["search"] = failure

    answer = await platform.post("/approval/v1/licences:search", json=SEARCH)

    (fault,) = assert_problem(answer, 400, "REQUEST_INVALID")["errors"]
    assert (fault["field"], fault["rule"]) == ("holder.code", "check_digit")


async def test_idempotency_key_reused_with_another_body_is_a_conflict(gateway: Gateway) -> None:
    class KeyReusedError(ServiceError):
        kind = Kind.CONFLICT
        reason = "IDEMPOTENCY_KEY_REUSED"

    platform = await gateway.machine()
    gateway.behind.failures["search"] = KeyReusedError("the key was used with another body")

    answer = await platform.post(
        "/approval/v1/licences:search", json=SEARCH, headers={"Idempotency-Key": "k-1"}
    )

    assert_problem(answer, 409, "IDEMPOTENCY_KEY_REUSED")
    assert gateway.behind.asked["search"][0].context.request_id == "k-1"


async def test_state_changing_call_needs_an_idempotency_key(gateway: Gateway) -> None:
    bank = await gateway.machine("rural-bank")
    body = {
        "farmer": HOLDER,
        "purpose_code": "loan_application",
        "items": ["land_rights"],
        "validity_days": 30,
        "max_uses": 3,
    }

    without = await bank.post("/partner/v1/consent_requests", json=body)
    bad = await bank.post("/partner/v1/consent_requests", json=body, headers={"Idempotency-Key": "a b"})
    good = await bank.post("/partner/v1/consent_requests", json=body, headers={"Idempotency-Key": "a:b"})

    problem = assert_problem(without, 400, "IDEMPOTENCY_KEY_MISSING")
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert assert_problem(bad, 400, "REQUEST_INVALID")["errors"][0]["field"] == "Idempotency-Key"
    assert good.status_code == 201
    assert good.json()["consent_request"]["state"] == "pending"
    (request,) = gateway.behind.asked["create_consent_request"]
    assert request.context.request_id == "a:b"
    assert request.context.basis.kind == 4


async def test_body_that_is_not_json_is_refused_by_its_type(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answers = [
        await platform.post("/approval/v1/licences:search", content=b"{}", headers=headers)
        for headers in (
            {"Content-Type": "text/plain"},
            {},
            {"Content-Type": "application/json; charset=gbk"},
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        )
    ]

    assert [answer.status_code for answer in answers] == [415] * 4
    assert_problem(answers[0], 415, "CONTENT_TYPE_UNSUPPORTED")


async def test_too_large_json_is_refused_with_and_without_a_length(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(largest_json=1000)
    platform = await gateway.machine()
    body = b'{"a":"' + b"x" * 1000 + b'"}'

    async def pieces() -> Any:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    told = await platform.post(
        "/approval/v1/licences:search", content=body, headers={"Content-Type": "application/json"}
    )
    streamed = await platform.post(
        "/approval/v1/licences:search", content=pieces(), headers={"Content-Type": "application/json"}
    )

    assert_problem(told, 413, "BODY_TOO_LARGE")
    assert_problem(streamed, 413, "BODY_TOO_LARGE")


async def test_slow_body_is_given_up(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(body_seconds=0.2)
    platform = await gateway.machine()

    async def drips() -> Any:
        for _ in range(5):
            yield b"{"
            await asyncio.sleep(0.1)

    answer = await platform.post(
        "/approval/v1/licences:search", content=drips(), headers={"Content-Type": "application/json"}
    )

    assert_problem(answer, 408, "BODY_LATE")


async def test_unknown_path_method_and_query_parameter(gateway: Gateway) -> None:
    platform = await gateway.machine()

    path = await platform.get("/approval/v2/licences")
    method = await platform.get("/approval/v1/licences:search")
    parameter = await platform.get("/approval/v1/matters", params={"id_number": "440299198001010012"})

    assert_problem(path, 404, "PATH_UNKNOWN")
    assert_problem(method, 405, "METHOD_NOT_ALLOWED")
    assert method.headers["Allow"] == "POST"
    assert assert_problem(parameter, 400, "REQUEST_INVALID")["errors"][0]["field"] == "id_number"
    assert "440299198001010012" not in parameter.text


async def test_answer_in_another_form_is_not_acceptable(gateway: Gateway) -> None:
    platform = await gateway.machine()

    refused = await platform.get("/approval/v1/matters", headers={"Accept": "text/csv"})
    taken = await platform.get("/approval/v1/matters", headers={"Accept": "text/csv, application/*;q=0.1"})

    assert_problem(refused, 406, "NOT_ACCEPTABLE")
    assert taken.status_code == 200
