"""The published contract, held against every answer that the tests get."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx2
import jsonschema

from tests.story import Json

PROBLEM = "application/problem+json"
LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z-])[0-9]{14,17}[0-9Xx](?![0-9A-Za-z-])")
"""What could be a citizen ID number; a part of a UUID is none."""


class Contract:
    """The OpenAPI document of a running city. `seen` counts the checked answers by operation and status."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self.seen: Counter[tuple[str, int]] = Counter()
        self.problems: list[str] = []
        """Every problem document that was answered, as text."""
        self._places = _places(document)
        self._operations = [
            (method.upper(), _places(operation), _pattern(path, operation), operation)
            for path, operations in sorted(document["paths"].items(), key=lambda one: -len(one[0]))
            for method, operation in operations.items()
        ]

    def check(self, response: httpx2.Response) -> None:
        """Fails unless the answer is one that the document describes. What is not the gateway's is passed."""
        response.read()
        request = response.request
        if request.url.netloc not in self._places:
            return
        if is_problem(response):
            self.problems.append(response.text)
        operation = self.operation(request.method, request.url)
        if operation is None:
            assert response.status_code in {404, 405} or response.is_success, response.text
            return
        name = operation["operationId"]
        described = operation["responses"].get(
            str(response.status_code), operation["responses"].get("default")
        )
        assert described is not None, f"{name} does not describe {response.status_code}: {response.text}"
        self._check_body(name, self._resolved(described), response)
        if response.is_success:
            self._check_request(operation, request)
        self.seen[name, response.status_code] += 1

    def operation(self, method: str, url: httpx2.URL) -> Json | None:
        """The operation behind a request."""
        for known, places, pattern, operation in self._operations:
            if known == method and url.netloc in places and pattern.fullmatch(url.path):
                return dict(operation)
        return None

    def validate(self, instance: object, schema: Mapping[str, object]) -> None:
        """Fails unless the instance fits the schema of the document."""
        whole = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(
            whole, format_checker=jsonschema.FormatChecker(["uuid", "date"])
        ).validate(instance)

    def _check_body(self, name: str, described: Json, response: httpx2.Response) -> None:
        content: Json = described.get("content", {})
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if not content:
            return
        assert kind in content, f"{name} does not describe {kind}"
        schema = content[kind]["schema"]
        if kind == "application/x-ndjson":
            line = self.document["components"]["schemas"][name[0].upper() + name[1:] + "Answer"]
            for one in response.text.splitlines():
                self.validate(json.loads(one), line)
        elif kind.endswith("json"):
            self.validate(response.json(), schema)
        elif kind == "text/plain":
            self.validate(response.text, schema)
        else:
            assert schema["contentMediaType"] == kind

    def _check_request(self, operation: Json, request: httpx2.Request) -> None:
        """What was taken is what the document says is taken."""
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            self.validate(json.loads(request.content), schema)

    def _resolved(self, described: Json) -> Json:
        reference: str = described.get("$ref", "")
        if not reference:
            return described
        return dict(self.document["components"]["responses"][reference.rpartition("/")[2]])


def refused(response: httpx2.Response, status: int, reason: str) -> Json:
    """The problem document of a refusal, which has the right form and tells nothing that it must not."""
    assert is_problem(response), response.text
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["reason"]) == (status, reason), response.text
    assert problem["status"] == status
    assert problem["type"] == "https://onestop.example/problems/" + reason.lower().replace("_", "-")
    assert problem["title"]
    assert problem["detail"]
    assert len(problem["trace_id"]) == 32
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    assert not LONG_NUMBER.search(response.text)
    if status in {429, 503}:
        assert int(response.headers["Retry-After"]) >= 1
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    return problem


def faults(problem: Json) -> dict[str, str]:
    """The rule that each field at fault breaks."""
    return {fault["field"]: fault["rule"] for fault in problem["errors"]}


def is_problem(response: httpx2.Response) -> bool:
    """Whether the answer is a problem document."""
    return str(response.headers.get("Content-Type", "")).startswith(PROBLEM)


def _places(described: Json) -> set[bytes]:
    return {httpx2.URL(server["url"]).netloc for server in described["servers"]}


def _pattern(path: str, operation: Json) -> re.Pattern[str]:
    """The paths of an operation; a parameter is one segment, unless its schema says how it is written."""
    written = {
        one["name"]: one["schema"]["pattern"].removeprefix("^").removesuffix("$")
        for one in operation.get("parameters", [])
        if one["in"] == "path" and "pattern" in one["schema"]
    }
    return re.compile(re.sub(r"\\\{(\w+)\\\}", lambda name: written.get(name[1], "[^/]+"), re.escape(path)))
