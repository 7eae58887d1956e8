"""Whatever fits the published document, and whatever does not: never a fault of ours, nor an answer that the
document does not describe.

Requests are made by schemathesis from the OpenAPI document of a running city, for each of its callers. A
short run by fixed chance is a part of `make test`; `make fuzz` asks for longer (`EXAMPLES=500`), by another
chance each time.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.city import City
from tests.companies import signing_company
from tests.e2e.contract import LONG_NUMBER
from tests.story import Json, bank_of, cast_of, citizen_of, platform_of

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
USUAL_EXAMPLES = 8
SECONDS = 20.0
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MADE_BY_NOBODY = {
    "ledger/v1/tile/{level}/{index}",
    "citizen/logout",
}
PLENTY = {
    f"ONESTOP_{name}_LIMIT": "1000000 per minute"
    for name in ("TOKEN", "APPROVAL", "PARTNER", "COMPANY", "CITIZEN", "ADDRESS")
}
"""So that it is judged by what it is, and not by how much it is."""


@schemathesis.serializer("application/pdf", "application/ofd", "application/x-ndjson")
def as_document(_context: object, value: object) -> bytes:
    """A document as it is; what is none, and is sent in its place, as JSON."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else json.dumps(data, default=repr).encode()


@dataclass
class Asker:
    """Asks a city as one of its callers, and holds every answer against the document."""

    name: str
    url: str
    headers: dict[str, str]
    authority: str
    pair: tuple[str, str] | None
    session: requests.Session
    statuses: Counter[int] = field(default_factory=Counter)

    def ask(self, case: Case[Any]) -> None:
        """Fails where the answer is a fault of ours, or one that the document does not have."""
        answer = case.call(
            base_url=self.url,
            session=self.session,
            headers=self.headers,
            verify=self.authority,
            cert=self.pair,
            timeout=SECONDS,
            allow_redirects=False,
        )
        self.statuses[answer.status_code] += 1
        if answer.status_code == 504:
            assert "Deadline-Ms" in answer.request.headers, answer.text
            return
        waits = answer.status_code == 503 and answer.json()["reason"] == "NOT_COSIGNED"
        case.validate_response(answer, checks=CHECKS[1:] if waits else CHECKS)
        if answer.status_code >= 400:
            assert "Traceback" not in answer.text
            assert not LONG_NUMBER.search(answer.text), answer.text


@dataclass(frozen=True)
class Ground:
    """A city, its document, and its callers by name."""

    city: City
    document: Json
    askers: dict[str, Asker]


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """A city of its own, without limits: this asks for more than others have left."""
    city = City(environment=PLENTY)
    with ExitStack() as stack:
        stack.callback(city.remove)
        city.start()
        ca = str(city.settings.pki / "ca.crt")
        cast = cast_of(city)
        platform, bank = stack.enter_context(platform_of(city)), stack.enter_context(bank_of(city))
        company = stack.enter_context(signing_company(city))
        farmer = stack.enter_context(citizen_of(city))
        farmer.sign_in(cast["farmer"]["login"], cast["password"])
        askers = {}
        for name, url, token, certificate in (
            ("platform", city.machines, platform.token, "approval-platform"),
            ("bank", city.machines, bank.token, "rural-bank"),
            ("company", city.machines, company.token, "company-app"),
            ("farmer", city.people, farmer.token, ""),
            ("nobody", city.people, "", ""),
        ):
            session = stack.enter_context(requests.Session())
            path = city.settings.pki / certificate
            pair = (f"{path}.crt", f"{path}.key") if certificate else None
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            askers[name] = Asker(name, url, headers, ca, pair, session)
        document = requests.get(f"{city.people}/openapi.json", verify=ca, timeout=SECONDS).json()
        yield Ground(city, document, askers)
        city.stop()


@pytest.mark.timeout(0 if EXAMPLES else 180)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("who", ["platform", "bank", "company", "farmer", "nobody"])
def test_no_request_is_answered_by_a_fault_or_otherwise_than_described(
    ground: Ground, who: str, mode: GenerationMode
) -> None:
    asker = ground.askers[who]
    asker.statuses.clear()
    asked = 0
    failures, unmade = [], []

    for result in schemathesis.openapi.from_dict(ground.document).get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if asker.url not in {server["url"] for server in operation.definition.raw["servers"]}:
            continue
        run = hypothesis.given(operation.as_strategy(generation_mode=mode))(asker.ask)
        settled = hypothesis.settings(
            max_examples=EXAMPLES or USUAL_EXAMPLES,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(run)
        try:
            settled()
        except Unsatisfiable:
            unmade.append(operation.label)
            continue
        except (Exception, BaseExceptionGroup) as failure:  # One operation's fault hides no other's.
            failures.append(f"{operation.label}: {failure}\n{''.join(getattr(failure, '__notes__', []))}")
        asked += 1

    assert not failures, "\n\n".join(failures)
    # No tile's path is made by chance, and where nothing is asked for nothing can be asked wrongly.
    assert {label.split("/", 1)[1] for label in unmade} <= MADE_BY_NOBODY
    assert asked >= 3
    assert sum(asker.statuses.values()) >= asked
    told = dict(sorted(asker.statuses.items()))
    print(f"{who}, {mode.value}: {asked} operations, answers by status {told}")
    log = (ground.city.settings.logs / "gateway.log").read_text(encoding="utf-8")
    assert '"request_failed"' not in log
