"""The issuer is away: whom it vouched for is let in until the token ends, and nobody else is."""

from __future__ import annotations

import time
import uuid

import httpx2
import pytest

from tests.city import City
from tests.e2e.contract import Contract, refused
from tests.story import (
    ID_CARD,
    MENDED_SECONDS,
    Json,
    Machine,
    Person,
    case_of,
    certify,
    citizen_of,
    patiently,
    person,
)

pytestmark = pytest.mark.usefixtures("mended")

SEARCH = "/approval/v1/licences:search"
REQUESTS = "/citizen/v1/consent_requests"


def test_known_callers_go_on_and_new_ones_are_refused(
    city: City, contract: Contract, platform: Machine, farmer: Person, cast: Json
) -> None:
    body = {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    name = f"late-{uuid.uuid4().hex[:8]}"
    certify(city, name)
    platform.post(SEARCH, body)
    farmer.get(REQUESTS)
    with (
        citizen_of(city, contract.check) as newcomer,
        httpx2.Client(base_url=city.machines, verify=city.tls(name)) as unknown,
    ):
        newcomer.sign_in(cast["lapsed"]["login"], cast["password"])

        with city.held_down("issuer"):
            known = [platform.ask("POST", SEARCH, json=body), farmer.ask("GET", REQUESTS)]
            new_token = platform.ask("POST", "/oauth2/token", data={"grant_type": "client_credentials"})
            new_machine = unknown.post("/oauth2/token", data={"grant_type": "client_credentials"})
            new_person = newcomer.ask("GET", REQUESTS)
            forged = platform.ask("POST", SEARCH, {"Authorization": "Bearer " + "x" * 40}, json=body)
        later = patiently(lambda: newcomer.ask("GET", REQUESTS))

    assert [answer.status_code for answer in known] == [200, 200]
    assert all(answer.json()["receipt"] for answer in known)
    for answer in (new_token, new_machine):
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert "access_token" not in answer.json()
    assert refused(new_person, 503, "PART_DOWN")["part"] == "issuer"
    refused(forged, 401, "TOKEN_INVALID")
    assert later.status_code == 200


def test_a_part_that_starts_without_the_issuer_s_keys_believes_nobody(
    city: City, platform: Machine, cast: Json
) -> None:
    """Nor does it believe whom it believed before it was started anew."""
    body = {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    platform.post(SEARCH, body)

    with city.held_down("issuer"):
        city.restart("licence")
        blamed = ""
        deadline = time.monotonic() + MENDED_SECONDS
        while blamed != "issuer" and time.monotonic() < deadline:  # It has to be found again first.
            answer = platform.ask("POST", SEARCH, json=body)
            blamed = refused(answer, 503, "PART_DOWN")["part"]

    assert blamed == "issuer"
