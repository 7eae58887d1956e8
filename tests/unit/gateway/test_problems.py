"""From the services' errors to problem documents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from google.rpc import code_pb2

from core.errors import FieldFault, InvalidError, Kind, ServiceError
from core.status import CODES, from_status, to_status
from gateway.problems import (
    STATUS_OF,
    Problem,
    problem_of,
    problem_response,
    public_field,
    rename_faults,
)

EXPECTED = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 422,
    Kind.EXHAUSTED: 429,
    Kind.UNAVAILABLE: 503,
    Kind.LATE: 504,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED: 415,
    Kind.INTERNAL: 500,
}


def error_of(kind: Kind, reason: str = "SOME_REASON", **values: Any) -> ServiceError:
    """An error of this kind, as it arrives from a service."""
    made = type("MadeError", (ServiceError,), {"kind": kind, "reason": reason})("what went wrong", **values)
    return from_status(to_status(made), "licence")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_its_status_across_the_wire(kind: Kind) -> None:
    assert STATUS_OF[kind] == EXPECTED[kind]
    assert problem_of(error_of(kind)).status == EXPECTED[kind]


def test_every_grpc_code_becomes_some_problem() -> None:
    for name, code in code_pb2.Code.items():
        if code == code_pb2.OK:
            continue
        status = to_status(error_of(Kind.INVALID))
        status.code = code
        assert 400 <= problem_of(from_status(status, "x")).status < 600, name
    assert set(CODES) == set(Kind)


@pytest.mark.parametrize("reason", ["CONSENT_REQUEST_CLOSED", "CONSENT_TEXT_CHANGED", "REQUEST_IN_PROGRESS"])
def test_precondition_about_changed_state_is_a_conflict(reason: str) -> None:
    assert problem_of(error_of(Kind.PRECONDITION, reason)).status == 409


@pytest.mark.parametrize(("after", "header"), [(None, "1"), (0.2, "1"), (7.2, "8")])
@pytest.mark.parametrize("kind", [Kind.UNAVAILABLE, Kind.EXHAUSTED])
def test_retry_after_is_always_told_in_whole_seconds(kind: Kind, after: float | None, header: str) -> None:
    assert problem_of(error_of(kind, retry_after=after)).headers["Retry-After"] == header


def test_internal_error_is_withheld() -> None:
    problem = problem_of(error_of(Kind.INTERNAL))
    unforeseen = problem_of(KeyError("password"))

    assert "what went wrong" not in problem.detail
    assert "password" not in unforeseen.detail
    assert unforeseen.reason == "INTERNAL"


def test_document_has_the_form_of_rfc_9457() -> None:
    fault = FieldFault("holder.code", "check_digit", "the check digit is wrong")
    problem = problem_of(error_of(Kind.INVALID, "CHECK_DIGIT_WRONG", faults=[fault]))

    response = problem_response(problem, "ab" * 16)

    assert response.status == 400
    assert response.content_type == "application/problem+json"
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {
        "type": "https://onestop.example/problems/check-digit-wrong",
        "title": "Check digit wrong",
        "status": 400,
        "detail": "what went wrong",
        "reason": "CHECK_DIGIT_WRONG",
        "part": "licence",
        "errors": [{"field": "holder.code", "rule": "check_digit", "message": "the check digit is wrong"}],
        "trace_id": "ab" * 16,
    }


def test_number_never_leaves_in_a_problem() -> None:
    number = "440299198001010012"
    problem = Problem(
        400, "X", f"no {number}", faults=(FieldFault(number, "unknown", f"{number} is unknown"),)
    )

    response = problem_response(problem, "")

    assert isinstance(response.body, bytes)
    assert number.encode() not in response.body


def test_aiohttp_s_own_errors_are_problems_too() -> None:
    refused = web.HTTPMethodNotAllowed("GET", ["POST"])

    problem = problem_of(refused)

    assert (problem.status, problem.reason) == (405, "METHOD_NOT_ALLOWED")
    assert problem.headers == {"Allow": "POST"}


def test_challenge_has_an_error_code_only_when_a_token_came() -> None:
    missing = problem_of(error_of(Kind.UNAUTHENTICATED, "TOKEN_MISSING"))
    invalid = problem_of(error_of(Kind.UNAUTHENTICATED, "TOKEN_INVALID"))
    scope = problem_of(error_of(Kind.FORBIDDEN, "SCOPE_MISSING"))

    assert missing.headers["WWW-Authenticate"] == "Bearer"
    assert invalid.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert scope.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'


@pytest.mark.parametrize(
    ("inner", "public"),
    [
        ("query.holder.code", "holder.code"),
        ("query.type_codes[3]", "type_codes[3]"),
        ("query", ""),
        ("context.basis.case_number", "case.case_number"),
        ("context.basis", "case"),
        ("context.basis.consent_id", "consent_id"),
        ("context.office", "case.office"),
        ("context.request_id", "Idempotency-Key"),
        ("holder.code", "holder.code"),
        ("office", "case.office"),
        ("queryable", "queryable"),
    ],
)
def test_contract_s_path_becomes_the_caller_s(inner: str, public: str) -> None:
    assert public_field(inner, {}) == public


def test_route_s_own_names_come_first() -> None:
    error = InvalidError(
        "x", faults=[FieldFault("context.office", "r", "m"), FieldFault("place.page", "r", "m")]
    )

    rename_faults(error, {"context.office": "office", "place": "request.place"})

    assert [fault.field for fault in error.faults] == ["office", "request.place.page"]
