"""The farmer sees what is asked, grants what she likes, revokes; and nobody does it for her."""

from __future__ import annotations

import hashlib
import uuid

import httpx2
import pytest

from tests.city import City
from tests.e2e.contract import Contract, faults, refused
from tests.story import Json, Machine, Person, ask_consent, citizen_of, entry_of, grant, platform_of

REQUESTS = "/citizen/v1/consent_requests"
CONSENTS = "/citizen/v1/consents"


def post(giver: Person, path: str, body: object, key: str = "") -> httpx2.Response:
    """An act, whatever comes of it."""
    return giver.ask("POST", path, {"Idempotency-Key": key or uuid.uuid4().hex}, json=body)


def granting(asked: Json, **other: object) -> Json:
    """The body that grants all that was asked."""
    return {
        "consent_request_id": asked["id"],
        "text_sha256": asked["text_sha256"],
        "items": asked["items"],
        **other,
    }


@pytest.fixture
def asked(cast: Json, bank: Machine) -> Json:
    """A fresh request of the bank to the farmer."""
    return ask_consent(bank, cast["farmer"]["code"])


def test_she_reads_what_she_would_consent_to(city: City, farmer: Person, asked: Json) -> None:
    listed = farmer.get(REQUESTS)

    newest = listed["consent_requests"][0]
    assert newest["id"] == asked["id"]
    assert newest["state"] == "pending"
    for told in (newest["partner_name"], newest["partner_contact"], newest["purpose_text"]):
        assert told in newest["text"]
    assert hashlib.sha256(newest["text"].encode()).hexdigest() == newest["text_sha256"]
    entry = entry_of(city, listed)
    assert (entry["method"], entry["caller"], entry["basis"]) == (
        "consent.list",
        "citizen",
        {"kind": "holder"},
    )
    grant(farmer, asked)


def test_requests_come_page_by_page_newest_first(cast: Json, bank: Machine, farmer: Person) -> None:
    for _ in range(3):
        grant(farmer, ask_consent(bank, cast["farmer"]["code"]))
    whole = farmer.get(REQUESTS)["consent_requests"]

    first = farmer.get(f"{REQUESTS}?page_size=2")
    second = farmer.get(f"{REQUESTS}?page_size=2&page_token={first['next_page_token']}")
    unknown = farmer.ask("GET", f"{REQUESTS}?page_token=zzz")

    assert [*first["consent_requests"], *second["consent_requests"]] == whole[:4]
    assert [one["requested_at"] for one in whole] == sorted(
        (one["requested_at"] for one in whole), reverse=True
    )
    assert "page_token" in faults(refused(unknown, 400, "PAGE_TOKEN_INVALID"))


def test_she_grants_a_part_of_it(city: City, farmer: Person, asked: Json) -> None:
    granted = farmer.post(CONSENTS, granting(asked, items=["subsidies"]))

    assert granted["consent"]["state"] == "granted"
    assert granted["consent"]["items"] == ["subsidies"]
    assert granted["consent"]["uses"] == 0
    entry = entry_of(city, granted)
    assert (entry["kind"], entry["method"], entry["outcome"]) == ("outcome", "consent.grant", "completed")
    listed = farmer.get(REQUESTS)["consent_requests"][0]
    assert (listed["state"], listed["granted_items"]) == ("granted", ["subsidies"])


def test_a_request_is_granted_once_and_a_retry_is_the_same_grant(farmer: Person, asked: Json) -> None:
    key = uuid.uuid4().hex

    first = post(farmer, CONSENTS, granting(asked), key)
    again = post(farmer, CONSENTS, granting(asked), key)
    other_body = post(farmer, CONSENTS, granting(asked, items=["subsidies"]), key)
    second = post(farmer, CONSENTS, granting(asked))

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    refused(other_body, 409, "IDEMPOTENCY_KEY_REUSED")
    refused(second, 409, "CONSENT_REQUEST_CLOSED")


def test_only_what_was_shown_and_asked_can_be_granted(farmer: Person, bank: Machine, cast: Json) -> None:
    asked = ask_consent(bank, cast["farmer"]["code"], items=["subsidies"])

    other_text = post(farmer, CONSENTS, granting(asked, text_sha256="0" * 64))
    more = post(farmer, CONSENTS, granting(asked, items=["subsidies", "land_rights"]))
    no_text = post(farmer, CONSENTS, granting(asked, text_sha256=""))

    refused(other_text, 409, "CONSENT_TEXT_CHANGED")
    assert faults(refused(more, 400, "ITEM_NOT_REQUESTED")) == {"items": "requested"}
    assert "text_sha256" in faults(refused(no_text, 400, "REQUEST_INVALID"))
    grant(farmer, asked)


def test_she_revokes_and_revoking_again_changes_nothing(city: City, farmer: Person, asked: Json) -> None:
    path = f"{CONSENTS}/{grant(farmer, asked)}:revoke"

    revoked = farmer.post(path, {})
    again = farmer.post(path, {})

    assert revoked["consent"]["state"] == "revoked"
    assert again["consent"] == revoked["consent"]
    assert entry_of(city, revoked)["method"] == "consent.revoke"
    refused(post(farmer, CONSENTS, granting(asked)), 409, "CONSENT_REQUEST_CLOSED")


def test_a_revocation_takes_nothing_but_the_consent(farmer: Person, asked: Json) -> None:
    consent_id = grant(farmer, asked)

    surprised = post(farmer, f"{CONSENTS}/{consent_id}:revoke", {"why": "because"})
    unkeyed = farmer.ask("POST", f"{CONSENTS}/{consent_id}:revoke", json={})
    malformed = post(farmer, f"{CONSENTS}/x:revoke", {})

    assert faults(refused(surprised, 400, "REQUEST_INVALID")) == {"why": "unknown"}
    refused(unkeyed, 400, "IDEMPOTENCY_KEY_MISSING")
    assert list(faults(refused(malformed, 400, "REQUEST_INVALID"))) == ["id"]


def test_nobody_else_sees_grants_or_revokes(farmer: Person, applicant: Person, asked: Json) -> None:
    theirs = applicant.get(REQUESTS)["consent_requests"]
    assert asked["id"] not in {one["id"] for one in theirs}
    refused(post(applicant, CONSENTS, granting(asked)), 404, "CONSENT_REQUEST_NOT_FOUND")

    consent_id = grant(farmer, asked)

    refused(post(applicant, f"{CONSENTS}/{consent_id}:revoke", {}), 404, "CONSENT_NOT_FOUND")
    missing = post(applicant, f"{CONSENTS}/{uuid.uuid4()}:revoke", {})
    refused(missing, 404, "CONSENT_NOT_FOUND")


def test_only_a_person_can_consent(city: City, farmer: Person, platform: Machine, asked: Json) -> None:
    """Neither nobody, nor a machine's token, nor a machine on its own listener."""
    nobody = farmer.ask("GET", REQUESTS, {"Authorization": ""})
    machine = farmer.ask("GET", REQUESTS, {"Authorization": f"Bearer {platform.token}"})
    altered = farmer.ask("GET", REQUESTS, {"Authorization": f"Bearer {farmer.token[:-4]}AAAA"})
    with platform_of(city) as elsewhere:
        not_there = elsewhere.ask("POST", CONSENTS, json=granting(asked))

    refused(nobody, 401, "SIGN_IN_NEEDED")
    refused(machine, 401, "CITIZEN_TOKEN_INVALID")
    refused(altered, 401, "CITIZEN_TOKEN_INVALID")
    refused(not_there, 404, "PATH_UNKNOWN")
    grant(farmer, asked)


def test_a_browser_signs_in_grants_from_our_own_page_only_and_signs_out(
    city: City, cast: Json, contract: Contract, asked: Json
) -> None:
    with citizen_of(city, contract.check) as browser:
        page = browser.browse_in(cast["farmer"]["login"], cast["password"])
        listed = browser.ask("GET", REQUESTS).json()
        key = {"Idempotency-Key": uuid.uuid4().hex}
        elsewhere = browser.ask(
            "POST", CONSENTS, {**key, "Origin": "https://elsewhere.example"}, json=granting(asked)
        )
        granted = browser.ask("POST", CONSENTS, {**key, "Origin": city.people}, json=granting(asked))
        out = browser.ask("POST", "/citizen/logout", {"Origin": city.people})
        after = browser.ask("GET", REQUESTS)

    assert str(page.url) == f"{city.people}/docs"
    assert listed["consent_requests"][0]["id"] == asked["id"]
    refused(elsewhere, 403, "CROSS_SITE_REQUEST")
    assert granted.status_code == 201
    assert out.status_code == 303
    refused(after, 401, "SIGN_IN_NEEDED")
