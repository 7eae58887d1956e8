"""The published document tells the truth: about every operation's answers, refusals and requests."""

from __future__ import annotations

import re

import httpx2

from tests.city import City
from tests.e2e.contract import Contract
from tests.e2e.everything import do_everything
from tests.story import Json

PROOFS = {"token", "session", "identity_provider"}
MISSING = {"TOKEN_MISSING", "SIGN_IN_NEEDED"}


def operations(contract: Contract) -> list[tuple[str, str, Json]]:
    """Method, path with some text in place of each parameter, and operation."""
    return [
        (method.upper(), re.sub(r"\{\w+\}", "some-text", path), operation)
        for path, members in contract.document["paths"].items()
        for method, operation in members.items()
    ]


def test_who_proves_nothing_is_answered_as_documented_and_told_what_is_missing(
    city: City, contract: Contract
) -> None:
    """On every listener that an operation names; the certificate alone opens the machines' one."""
    with httpx2.Client(
        verify=city.tls("approval-platform"), event_hooks={"response": [contract.check]}
    ) as client:
        for method, path, operation in operations(contract):
            for server in operation["servers"]:
                answer = client.request(method, server["url"] + path)
                wants_proof = all(PROOFS & set(one) for one in operation["security"])
                told = answer.status_code == 401 and answer.json().get("reason") in MISSING
                assert told == wants_proof, (method, path, answer.text)


def test_every_operation_answers_as_documented(city: City, contract: Contract) -> None:
    """Every answer is held against its schema as it comes; here, that none was left out."""
    contract.seen.clear()

    do_everything(city, contract.check)

    for _, _, operation in operations(contract):
        succeeded = [int(status) for status in operation["responses"] if status[0] in "23"]
        assert succeeded
        for status in succeeded:
            assert contract.seen[operation["operationId"], status], operation["operationId"]


def test_the_document_of_each_listener_is_the_same_and_is_where_it_says(
    city: City, contract: Contract
) -> None:
    with httpx2.Client(verify=city.tls("rural-bank")) as client:
        served = [client.get(f"{place}/openapi.json").json() for place in (city.machines, city.people)]

    assert served == [contract.document, contract.document]
    assert [server["url"] for server in contract.document["servers"]] == [city.machines, city.people]


def test_a_refusal_of_oauth_is_told_by_oauth(city: City, contract: Contract) -> None:
    with httpx2.Client(
        verify=city.tls("approval-platform"), event_hooks={"response": [contract.check]}
    ) as client:
        answer = client.post(f"{city.machines}/oauth2/token", data={"grant_type": "password"})

    assert set(answer.json()) == {"error", "error_description"}
