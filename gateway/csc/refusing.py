"""Errors as the specification has them (version 2.0, section 10): not problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from core.errors import Kind, ServiceError
from core.log import redact
from gateway.call import json_response
from gateway.problems import Problem, ProblemError, problem_of

_BY_REASON: Mapping[str, tuple[int, str]] = {
    "FACTOR_INVALID": (400, "invalid_authentication_data"),
    "SCOPE_MISSING": (400, "unauthorized_client"),
    "BASIS_NOT_PERMITTED": (400, "access_denied"),
    "CERTIFICATE_UNUSABLE": (401, "access_denied"),
    "REQUEST_IN_PROGRESS": (503, "temporarily_unavailable"),
}
_BY_KIND: Mapping[Kind, tuple[int, str]] = {
    Kind.UNAUTHENTICATED: (401, "invalid_token"),
    Kind.TOO_LARGE: (413, "invalid_request"),
    Kind.EXHAUSTED: (429, "temporarily_unavailable"),
    Kind.UNAVAILABLE: (503, "temporarily_unavailable"),
    Kind.LATE: (503, "temporarily_unavailable"),
    Kind.INTERNAL: (500, "server_error"),
}
_BODY_UNREAD = frozenset({408, 413})
_LONGEST = 500

REFUSED: Mapping[str, Any] = {
    "description": "An error of the specification's section 10.2. `reason` is ours, stable, and finds its"
    " meaning in docs/remote-signing.md.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error", "error_description", "reason"],
                "properties": {
                    "error": {"type": "string"},
                    "error_description": {"type": "string", "description": "For people."},
                    "reason": {"type": "string"},
                },
            }
        }
    },
}


def refusal(error: Exception) -> web.Response:
    """The error in the specification's form. Raises what is no refusal of ours."""
    if not isinstance(error, ServiceError | ProblemError):
        raise error
    problem = problem_of(error)
    status, code = _told(error, problem)
    headers = {name: value for name, value in problem.headers.items() if name in _KEPT}
    if status in {429, 503}:
        headers.setdefault("Retry-After", "1")
    said = redact(problem.detail)[:_LONGEST]
    document = {"error": code, "error_description": said, "reason": problem.reason}
    response = json_response(document, status=status, headers=headers)
    if status in _BODY_UNREAD:
        response.force_close()
    return response


_KEPT = frozenset({"Retry-After", "WWW-Authenticate"})


def _told(error: Exception, problem: Problem) -> tuple[int, str]:
    """Status and code."""
    if isinstance(error, ServiceError):
        return _BY_REASON.get(error.reason) or _BY_KIND.get(error.kind) or (400, "invalid_request")
    return problem.status if problem.status in _BODY_UNREAD else 400, "invalid_request"
