"""Errors as RFC 9457 problem details; the only table from the services' words to HTTP's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

from core.errors import FieldFault, Kind, ServiceError
from core.log import redact

TYPE_BASE = "https://onestop.example/problems/"
CONTENT_TYPE = "application/problem+json"
QUIET = {"Server": "onestop", "X-Content-Type-Options": "nosniff"}
"""On every answer: no word about what we are built with, and no guessing of types."""

STATUS_OF: Mapping[Kind, HTTPStatus] = {
    Kind.INVALID: HTTPStatus.BAD_REQUEST,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.PRECONDITION: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.LATE: HTTPStatus.GATEWAY_TIMEOUT,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}

STATE_CONFLICTS = frozenset(
    {"CONSENT_REQUEST_CLOSED", "CONSENT_TEXT_CHANGED", "REQUEST_IN_PROGRESS", "REQUEST_UNDER_WAY"}
)
"""Preconditions about the state of a thing that someone changed meanwhile: 409 (RFC 9110 section 15.5.10)."""

HTTP_REASONS: Mapping[int, tuple[str, str]] = {
    400: ("HTTP_MALFORMED", "the request is not well-formed HTTP"),
    404: ("PATH_UNKNOWN", "there is nothing at this path"),
    405: ("METHOD_NOT_ALLOWED", "this path takes another method; see the header Allow"),
    406: ("NOT_ACCEPTABLE", "none of the forms in which this can be answered is in the header Accept"),
    411: ("LENGTH_REQUIRED", "the request needs a length"),
    413: ("BODY_TOO_LARGE", "the request body is larger than this path takes"),
    415: ("CONTENT_TYPE_UNSUPPORTED", "the request body is of a type that this path does not take"),
    417: ("EXPECTATION_FAILED", "the header Expect asks for what this server does not do"),
}

# The rest of the body is still to come, and nobody wants it.
_BODY_UNREAD = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})

_WITHHELD = "an internal error; the trace id finds it in the logs"
_LATE_BY_DEFAULT = "the deadline passed before the answer was ready"


@dataclass(frozen=True)
class Problem:
    """One problem, before it is written down. `reason` is stable and for programs."""

    status: int
    reason: str
    detail: str
    part: str = ""
    faults: tuple[FieldFault, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The same for every problem of a type."""
        return self.reason.replace("_", " ").capitalize()

    @property
    def type(self) -> str:
        """The type's URI."""
        return TYPE_BASE + self.reason.lower().replace("_", "-")


class ProblemError(Exception):
    """A refusal by the gateway itself for which the services have no word."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


def refused(status: int, reason: str, detail: str, **headers: str) -> ProblemError:
    """A refusal; underscores in header names stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ProblemError(Problem(status, reason, detail, headers=named))


def problem_of(error: BaseException) -> Problem:
    """What the caller is told of an error. Of what was not foreseen, nothing but the trace id."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, ServiceError):
        return _service_problem(error)
    if isinstance(error, web.HTTPException):
        return _http_problem(error)
    if isinstance(error, TimeoutError):
        return Problem(504, "DEADLINE_PASSED", _LATE_BY_DEFAULT)
    return Problem(500, "INTERNAL", _WITHHELD)


def problem_document(problem: Problem, trace_id: str) -> dict[str, object]:
    """The problem as JSON."""
    document: dict[str, object] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": redact(problem.detail),
        "reason": problem.reason,
    }
    if problem.part:
        document["part"] = problem.part
    if problem.faults:
        document["errors"] = [
            {"field": redact(fault.field), "rule": fault.rule, "message": redact(fault.message)}
            for fault in problem.faults
        ]
    if trace_id:
        document["trace_id"] = trace_id
    return document


def problem_response(problem: Problem, trace_id: str) -> web.Response:
    """The problem document."""
    document = problem_document(problem, trace_id)
    response = web.Response(
        body=json.dumps(document, ensure_ascii=False).encode(),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers={**QUIET, "Cache-Control": "no-store", **problem.headers},
    )
    if problem.status in _BODY_UNREAD:
        response.force_close()
    return response


def rename_faults(error: ServiceError, renames: Mapping[str, str]) -> None:
    """Gives the faults of a call's error the names that its caller knows."""
    error.faults = tuple(
        FieldFault(public_field(fault.field, renames), fault.rule, fault.message) for fault in error.faults
    )


def public_field(path: str, renames: Mapping[str, str]) -> str:
    """A contract's field path as the public request has it; `renames` are the path's own exceptions."""
    for inner, public in (*renames.items(), *_PUBLIC_NAMES):
        if path == inner:
            return public
        if path.startswith((f"{inner}.", f"{inner}[")):
            return f"{public}{path[len(inner) :]}".lstrip(".")
    return path


# Where the public request keeps what the contract keeps elsewhere; the first that fits wins.
_PUBLIC_NAMES = (
    ("query", ""),
    ("context.basis.consent_id", "consent_id"),
    ("context.basis", "case"),
    ("context.request_id", "Idempotency-Key"),
    ("context", "case"),
    ("credential", "Authorization"),
    ("office", "case.office"),  # core/context.py checks it after it has left the contract's message
)


def _service_problem(error: ServiceError) -> Problem:
    status: int = STATUS_OF[error.kind]
    if error.kind is Kind.PRECONDITION and error.reason in STATE_CONFLICTS:
        status = HTTPStatus.CONFLICT
    detail = error.message
    if error.kind is Kind.INTERNAL:
        detail = _WITHHELD
    elif error.faults and error.reason == "REQUEST_INVALID":
        detail = f"the request is malformed: {_summary(error.faults)}"
    return Problem(
        status,
        error.reason,
        detail,
        part=error.part,
        faults=error.faults,
        headers=dict(_headers(error, status)),
    )


def _headers(error: ServiceError, status: int) -> Iterable[tuple[str, str]]:
    if error.retry_after is not None or status in {429, 503}:
        yield "Retry-After", str(max(1, math.ceil(error.retry_after or 1.0)))
    if status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750 section 3: without a credential the challenge carries no error code.
        bare = error.reason in {"TOKEN_MISSING", "SIGN_IN_NEEDED"}
        yield "WWW-Authenticate", "Bearer" if bare else 'Bearer error="invalid_token"'
    if error.reason == "SCOPE_MISSING":
        yield "WWW-Authenticate", 'Bearer error="insufficient_scope"'


def _http_problem(error: web.HTTPException) -> Problem:
    reason, detail = HTTP_REASONS.get(error.status, ("REQUEST_REFUSED", "the request was refused"))
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return Problem(error.status, reason, detail, headers=headers)


def _summary(faults: tuple[FieldFault, ...]) -> str:
    return "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:3])
