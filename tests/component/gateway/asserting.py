"""What several tests of the gateway ask and assert."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.component.gateway.conftest import CASE, HOLDER, TYPE_CODE

SEARCH = {"case": CASE, "holder": HOLDER, "type_codes": [TYPE_CODE]}


def assert_problem(answer: httpx2.Response, status: int, reason: str) -> dict[str, Any]:
    """The problem document, which has the right form."""
    assert (answer.status_code, answer.json().get("reason")) == (status, reason), answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == "https://onestop.example/problems/" + reason.lower().replace("_", "-")
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert len(problem["trace_id"]) == 32
    assert "Traceback" not in answer.text
    return problem
