"""What people get at the people's listener: by token, by browser, and not at all."""

from __future__ import annotations

import pytest

from tests.component.gateway.conftest import Gateway, GatewayMaker

CODE = "440299198001010012"
GRANT = {
    "consent_request_id": "0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c",
    "text_sha256": "a" * 64,
    "items": ["land_rights"],
}
REVOKE = "/citizen/v1/consents/0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c:revoke"
KEY = {"Idempotency-Key": "k-1"}


async def test_person_with_the_provider_s_token_sees_grants_and_revokes(gateway: Gateway) -> None:
    farmer = await gateway.person(CODE)

    seen = await farmer.get("/citizen/v1/consent_requests")
    granted = await farmer.post("/citizen/v1/consents", json=GRANT, headers=KEY)
    revoked = await farmer.post(REVOKE, json={}, headers=KEY)

    assert seen.status_code == 200, seen.text
    assert seen.json()["consent_requests"] == []
    assert (granted.status_code, granted.json()["consent"]["id"]) == (201, "c1")
    assert revoked.status_code == 200
    assert revoked.json()["receipt"]["id"]
    (request,) = gateway.behind.asked["grant"]
    assert request.context.basis.kind == 3
    assert request.context.request_id == "k-1"
    assert request.credential.certificate_thumbprint == ""


async def test_person_sees_who_used_her_data_and_says_which_stretch(gateway: Gateway) -> None:
    farmer = await gateway.person(CODE)
    asked = {
        "page_size": "20",
        "page_token": "t",
        "since": "2026-01-01T00:00:00+08:00",
        "until": "2026-03-02T10:00:00.5Z",
        "own_reads": "true",
    }

    seen = await farmer.get("/citizen/v1/disclosures", params=asked)
    plain = await farmer.get("/citizen/v1/disclosures")

    assert seen.status_code == plain.status_code == 200, seen.text
    (use,) = seen.json()["disclosures"]
    assert (use["outcome"], use["field_names"]) == ("released", [])
    assert seen.json()["receipt"]["id"]
    assert seen.headers["Cache-Control"] == "no-store"
    request, usual = gateway.behind.asked["disclosures"]
    assert (request.page_size, request.page_token, request.own_reads) == (20, "t", True)
    assert request.since.ToJsonString() == "2025-12-31T16:00:00Z"
    assert request.until.ToJsonString() == "2026-03-02T10:00:00.500Z"
    assert request.context.basis.kind == 3
    assert (usual.page_size, usual.own_reads, usual.HasField("since")) == (0, False, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("since", "yesterday"), ("until", "2026-13-01T00:00:00Z"), ("own_reads", "yes"), ("page_size", "101")],
)
async def test_a_stretch_that_makes_no_sense_is_refused_by_name(
    gateway: Gateway, name: str, value: str
) -> None:
    farmer = await gateway.person(CODE)

    answer = await farmer.get("/citizen/v1/disclosures", params={name: value})

    assert (answer.status_code, answer.json()["reason"]) == (400, "REQUEST_INVALID")
    assert [error["field"] for error in answer.json()["errors"]] == [name]
    assert value not in answer.json()["detail"]
    assert not gateway.behind.asked["disclosures"]


async def test_uses_without_a_receipt_do_not_leave(gateway: Gateway) -> None:
    farmer = await gateway.person(CODE)
    gateway.behind.without_receipt = True

    answer = await farmer.get("/citizen/v1/disclosures")

    assert answer.status_code == 500
    assert "disclosures" not in answer.json()


async def test_our_token_is_relayed_inside_and_the_provider_s_is_not(gateway: Gateway) -> None:
    farmer = await gateway.person(CODE)
    theirs = farmer.headers["Authorization"].removeprefix("Bearer ")

    for _ in range(3):
        answer = await farmer.get("/citizen/v1/consent_requests")
        assert answer.status_code == 200

    tokens = {request.credential.token for request in gateway.behind.asked["list_consent_requests"]}
    assert theirs not in tokens
    assert len(tokens) == 1
    assert len(gateway.behind.asked["exchange"]) == 1


async def test_nobody_is_told_where_to_sign_in(gateway: Gateway) -> None:
    nobody = await gateway.person()

    answer = await nobody.get("/citizen/v1/consent_requests")

    assert (answer.status_code, answer.json()["reason"]) == (401, "SIGN_IN_NEEDED")
    assert "/citizen/login" in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_token_that_the_issuer_refuses_is_refused(gateway: Gateway) -> None:
    nobody = await gateway.person()

    answer = await nobody.get(
        "/citizen/v1/consent_requests", headers={"Authorization": "Bearer something-else-entirely"}
    )

    assert (answer.status_code, answer.json()["reason"]) == (401, "CITIZEN_TOKEN_INVALID")


async def test_our_own_citizen_token_from_outside_is_refused(gateway: Gateway) -> None:
    nobody = await gateway.person()
    leaked = gateway.behind.citizen_token(CODE)

    answer = await nobody.get("/citizen/v1/consent_requests", headers={"Authorization": f"Bearer {leaked}"})

    assert answer.status_code == 401


async def test_machines_routes_are_not_on_the_people_s_listener(gateway: Gateway) -> None:
    farmer = await gateway.person(CODE)
    platform = await gateway.machine()

    theirs = await farmer.get("/approval/v1/matters")
    ours = await platform.get("/citizen/v1/consent_requests")

    assert theirs.status_code == ours.status_code == 404


async def test_revocation_takes_an_empty_object_only(gateway: Gateway) -> None:
    farmer = await gateway.person(CODE)

    answer = await farmer.post(REVOKE, json={"why": "no"}, headers=KEY)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "why")


async def test_each_person_has_her_own_limit(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(citizen_limit="2 per minute")
    farmer, neighbour = await gateway.person(CODE), await gateway.person("440299197505050018")

    statuses = [(await farmer.get("/citizen/v1/consent_requests")).status_code for _ in range(3)]
    other = await neighbour.get("/citizen/v1/consent_requests")

    assert statuses == [200, 200, 429]
    assert other.status_code == 200


async def test_address_has_a_limit_before_anybody_is_proved(make_gateway: GatewayMaker) -> None:
    gateway = await make_gateway(address_limit="2 per minute")
    nobody = await gateway.person()

    statuses = [(await nobody.get("/citizen/v1/consent_requests")).status_code for _ in range(3)]

    assert statuses == [401, 401, 429]


async def test_receipt_and_checkpoint_for_people(gateway: Gateway) -> None:
    farmer, nobody = await gateway.person(CODE), await gateway.person()
    path = "/ledger/v1/receipts/0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c"

    hers = await farmer.get(path)
    public = await nobody.get("/ledger/v1/checkpoint")
    keys = await nobody.get("/.well-known/onestop-answer-keys.json")
    refused = await nobody.get(path)

    assert hers.status_code == public.status_code == keys.status_code == 200
    assert gateway.behind.asked["receipt"][0].context.basis.kind == 3
    assert refused.status_code == 401
