"""A retried request does the thing once, and gets the first answer with the first receipt."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.city import City
from tests.e2e.contract import faults, refused
from tests.story import (
    ID_CARD,
    MATTER,
    PURPOSE,
    Json,
    Machine,
    Person,
    ask_consent,
    case_of,
    grant,
    nobody,
    opened,
    person,
)

SEARCH = "/approval/v1/licences:search"
FILL = f"/approval/v1/matters/{MATTER}:autofill"
SIDE_BY_SIDE = 8


@pytest.fixture
def body(city: City, cast: Json) -> Json:
    """A search that would be answered."""
    return {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}


def test_a_read_under_a_key_is_answered_once(platform: Machine, body: Json) -> None:
    key = uuid.uuid4().hex

    first, again = platform.post(SEARCH, body, key), platform.post(SEARCH, body, key)
    unkeyed = [platform.ask("POST", SEARCH, json=body).json() for _ in range(2)]

    assert first == again
    assert len({first["receipt"]["id"], *(one["receipt"]["id"] for one in unkeyed)}) == 3


def test_a_key_names_one_request_of_one_clerk(city: City, platform: Machine, body: Json) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = platform.ask("POST", SEARCH, key, json=body)

    other_body = platform.ask("POST", SEARCH, key, json={**body, "holder": person(nobody())})
    other_case = platform.ask("POST", SEARCH, key, json={**body, "case": case_of(city)})
    other_clerk = platform.ask(
        "POST", SEARCH, key, json={**body, "case": {**body["case"], "operator": "c-2"}}
    )
    fill = {"case": body["case"], "subjects": {"applicant": body["holder"]}}
    other_path = platform.ask("POST", FILL, key, json=fill)

    refused(other_body, 409, "IDEMPOTENCY_KEY_REUSED")
    refused(other_case, 409, "IDEMPOTENCY_KEY_REUSED")
    assert (other_clerk.status_code, other_path.status_code) == (200, 200)
    assert other_clerk.json()["receipt"]["id"] != first.json()["receipt"]["id"]


def test_what_changes_state_needs_a_key_and_does_it_once(cast: Json, bank: Machine, farmer: Person) -> None:
    asking = {
        "farmer": person(cast["farmer"]["code"]),
        "purpose_code": "loan_application",
        "items": ["subsidies"],
        "validity_days": 30,
        "max_uses": 1,
    }
    path, key = "/partner/v1/consent_requests", uuid.uuid4().hex

    unkeyed = bank.ask("POST", path, json=asking)
    bad_key = bank.ask("POST", path, {"Idempotency-Key": "two words"}, json=asking)
    first, again = bank.post(path, asking, key), bank.post(path, asking, key)
    other_body = bank.ask("POST", path, {"Idempotency-Key": key}, json={**asking, "max_uses": 2})

    assert faults(refused(unkeyed, 400, "IDEMPOTENCY_KEY_MISSING")) == {"Idempotency-Key": "required"}
    assert faults(refused(bad_key, 400, "REQUEST_INVALID")) == {"Idempotency-Key": "pattern"}
    assert first == again
    refused(other_body, 409, "IDEMPOTENCY_KEY_REUSED")
    grant(farmer, first["consent_request"])


def test_of_grants_side_by_side_one_is_made(city: City, cast: Json, bank: Machine, farmer: Person) -> None:
    """Under one key: the same grant, or word that it is under way. Under several: one, and it is closed."""
    asked = ask_consent(bank, cast["farmer"]["code"])
    body = {"consent_request_id": asked["id"], "text_sha256": asked["text_sha256"], "items": asked["items"]}
    one_key = uuid.uuid4().hex
    keys = [one_key] * SIDE_BY_SIDE + [uuid.uuid4().hex for _ in range(SIDE_BY_SIDE)]

    def try_it(key: str) -> tuple[int, str]:
        answer = farmer.ask("POST", "/citizen/v1/consents", {"Idempotency-Key": key}, json=body)
        found: Json = answer.json()
        return answer.status_code, found["consent"]["id"] if answer.is_success else found["reason"]

    with ThreadPoolExecutor(len(keys)) as pool:
        answers = list(pool.map(try_it, keys))

    assert len({told for status, told in answers if status == 201}) == 1
    refusals = {told for status, told in answers if status != 201}
    assert refusals <= {"REQUEST_IN_PROGRESS", "CONSENT_REQUEST_CLOSED"}
    with psycopg.connect(city.admin_dsn) as connection:
        made = connection.execute(
            "SELECT count(*) FROM agricredit.consent WHERE request_id = %s", (asked["id"],)
        )
        assert made.fetchone() == (1,)


def test_fetches_side_by_side_under_one_key_take_one_use(
    city: City, cast: Json, bank: Machine, farmer: Person
) -> None:
    consent_id = grant(farmer, ask_consent(bank, cast["farmer"]["code"], max_uses=2))
    wanted, key = {"consent_id": consent_id, "purpose_code": PURPOSE}, {"Idempotency-Key": uuid.uuid4().hex}
    path = "/partner/v1/farmers:land_rights"

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = list(pool.map(lambda _: bank.ask("POST", path, key, json=wanted), range(SIDE_BY_SIDE)))
    last = opened(city, bank, bank.ask("POST", path, key, json=wanted).json())
    other = opened(city, bank, bank.post(path, wanted))

    assert {answer.status_code for answer in answers} <= {200, 409}
    given = [opened(city, bank, answer.json()) for answer in answers if answer.is_success]
    assert given
    assert all(answer == last for answer in given)
    assert (last["uses_left"], other["uses_left"]) == (1, 0)
