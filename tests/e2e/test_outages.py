"""A part is down or hangs: it is named, nothing waits for it forever, and nothing leaves without a record."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest

from tests.city import City
from tests.e2e.contract import refused
from tests.story import (
    ID_CARD,
    MATTER,
    PURPOSE,
    Json,
    Machine,
    Person,
    ask_consent,
    case_of,
    entry_of,
    grant,
    opened,
    patiently,
    person,
)

pytestmark = pytest.mark.usefixtures("mended")

SEARCH = "/approval/v1/licences:search"
FILL = f"/approval/v1/matters/{MATTER}:autofill"
LAND_RIGHTS = "/partner/v1/farmers:land_rights"

LOCAL_SECONDS = 2.0
"""What is left for everything but waiting, on a machine that others use too."""


@pytest.fixture
def search(city: City, cast: Json) -> Json:
    """A look-up that would be answered."""
    return {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}


@pytest.fixture
def form(city: City, cast: Json) -> Json:
    """A form that would be filled."""
    return {"case": case_of(city), "subjects": {"applicant": person(cast["applicant"]["code"])}}


@pytest.fixture
def wanted(cast: Json, bank: Machine, farmer: Person) -> Json:
    """A fetch that would be answered; it has two uses left."""
    consent_id = grant(farmer, ask_consent(bank, cast["farmer"]["code"], max_uses=2))
    return {"consent_id": consent_id, "purpose_code": PURPOSE}


def statuses(answer: Json) -> dict[str, tuple[str, str]]:
    """Status and source at fault of each field."""
    return {field["name"]: (field["status"], field["source"]) for field in answer["fields"]}


def timed(ask: Machine, path: str, body: Json, milliseconds: int) -> tuple[httpx2.Response, float]:
    """The answer within a deadline, and the seconds until it came."""
    began = time.monotonic()
    answer = ask.ask("POST", path, {"Deadline-Ms": str(milliseconds)}, json=body)
    return answer, time.monotonic() - began


def fill_when_well(platform: Machine, form: Json) -> Json:
    """The filled form, once the data node has been found again."""
    for _ in range(60):
        answer = platform.post(FILL, form)
        if "source_down" not in str(answer):
            return answer
        time.sleep(0.2)
    raise AssertionError("the data node is not found again")


def readiness(city: City) -> tuple[int, Json]:
    """What the operators are told."""
    time.sleep(1.1)  # It is asked at most once a second.
    answer = httpx2.get(f"{city.operations}/readyz")
    return answer.status_code, dict(answer.json())


@contextmanager
def withdrawn(city: City, field: str) -> Iterator[None]:
    """The matter is not entitled to a field of the person register meanwhile."""
    named = {"item": MATTER, "resource": "population.person", "field": field}
    with psycopg.connect(city.admin_dsn) as connection:
        connection.execute(
            "DELETE FROM datanode.entitlement"
            " WHERE basis = 'matter' AND item = %(item)s AND resource = %(resource)s AND field = %(field)s",
            named,
        )
    try:
        yield
    finally:
        with psycopg.connect(city.admin_dsn) as connection:
            connection.execute(
                "INSERT INTO datanode.entitlement VALUES ('matter', %(item)s, %(resource)s, %(field)s)", named
            )


def test_no_data_not_allowed_and_source_down_are_told_apart(
    city: City, platform: Machine, bank: Machine, form: Json, wanted: Json
) -> None:
    trace = uuid.uuid4().hex
    with withdrawn(city, "phone"):
        with city.held_down("datanode"):
            traced = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
            down = platform.ask("POST", FILL, traced, json=form).json()
            bank_down = bank.ask("POST", LAND_RIGHTS, json=wanted)
        # It has started anew, and so knows what has been withdrawn.
        without = fill_when_well(platform, form)
    city.restart("datanode")
    again = patiently(lambda: bank.ask("POST", LAND_RIGHTS, json=wanted))

    assert statuses(down)["phone"] == ("source_down", "population.person")
    assert statuses(down)["current_address"] == ("source_down", "population.person")
    assert statuses(down)["name"] == ("filled", "")
    assert {one["resource"]: one["outcome"] for one in down["sources"]} == {
        "housing.real_estate": "down",
        "licence.11100000000013127D001": "answered",
        "licence.11100000000013127D902": "answered",
        "population.household": "down",
        "population.person": "down",
    }
    assert statuses(without)["phone"] == ("not_allowed", "population.person")
    assert statuses(without)["current_address"] == ("no_data", "")
    assert "phone" not in entry_of(city, down)["field_names"]
    assert "phone" not in entry_of(city, without)["field_names"]
    assert refused(bank_down, 503, "SOURCE_DOWN")["part"] == "datanode"
    assert opened(city, bank, again.json())["uses_left"] == 1, "the refused fetch took a use"
    for part in ("gateway", "autofill"):
        assert trace in (city.settings.logs / f"{part}.log").read_text(), "the caller's trace is lost"


def test_a_source_that_hangs_is_told_field_by_field_within_the_deadline(
    city: City, platform: Machine, bank: Machine, form: Json, wanted: Json
) -> None:
    with city.frozen("datanode"):
        filled, seconds = timed(platform, FILL, form, 2000)
        fetched, bank_seconds = timed(bank, LAND_RIGHTS, wanted, 2000)
        patient, patient_seconds = timed(platform, FILL, form, 10_000)

    assert filled.status_code == 200, filled.text
    assert seconds < 2.0 + LOCAL_SECONDS
    told = statuses(filled.json())
    assert told["name"] == ("filled", "")
    assert told["phone"] == ("source_down", "population.person")
    assert "late" in {one["outcome"] for one in filled.json()["sources"]}
    assert entry_of(city, filled.json())
    assert refused(fetched, 504, "SOURCE_DOWN")["part"] == "datanode"
    assert bank_seconds < 2.0 + LOCAL_SECONDS
    assert statuses(patient.json())["phone"] == ("source_down", "population.person")
    assert patient_seconds < 3.0 + LOCAL_SECONDS, "no source is waited for longer than 3 s"


def test_a_part_that_is_down_is_named_and_comes_back(
    city: City, platform: Machine, search: Json, form: Json
) -> None:
    with city.held_down("licence"):
        looked_up = platform.ask("POST", SEARCH, json=search)
        filled = platform.post(FILL, form)
        ready = readiness(city)

    assert refused(looked_up, 503, "PART_DOWN")["part"] == "licence"
    assert statuses(filled)["name"] == ("filled", ""), "the person register knows it too"
    assert (ready[0], ready[1]["status"], ready[1]["parts"]["licence"]) == (503, "not_ready", "down")
    assert patiently(lambda: platform.ask("POST", SEARCH, json=search)).json()["licences"]


def test_without_the_ledger_nothing_leaves_and_nothing_is_done(
    city: City,
    platform: Machine,
    bank: Machine,
    farmer: Person,
    cast: Json,
    search: Json,
    form: Json,
    wanted: Json,
) -> None:
    path, asked = "/citizen/v1/consents", ask_consent(bank, cast["farmer"]["code"])
    granting = {
        "consent_request_id": asked["id"],
        "text_sha256": asked["text_sha256"],
        "items": asked["items"],
    }
    key = {"Idempotency-Key": uuid.uuid4().hex}

    with city.held_down("ledger"):
        answers = [
            platform.ask("POST", SEARCH, json=search),
            platform.ask("POST", FILL, json=form),
            bank.ask("POST", LAND_RIGHTS, json=wanted),
            farmer.ask("POST", path, key, json=granting),
            farmer.ask("GET", "/ledger/v1/checkpoint"),
        ]
        listed = platform.get("/approval/v1/matters")
    request = f"/partner/v1/consent_requests/{asked['id']}"
    after = patiently(lambda: bank.ask("GET", request)).json()["consent_request"]["state"]
    again = patiently(lambda: farmer.ask("POST", path, key, json=granting))

    for answer in answers:
        assert refused(answer, 503, "PART_DOWN")["part"] == "ledger"
        assert cast["applicant"]["name"] not in answer.text
    assert listed["matters"], "what is nobody's data needs no record"
    assert after == "pending"
    assert again.status_code == 201, again.text


def test_a_ledger_that_hangs_holds_everything_up_no_longer_than_the_deadline(
    city: City, platform: Machine, search: Json, form: Json
) -> None:
    with city.frozen("ledger"):
        looked_up, seconds = timed(platform, SEARCH, search, 1500)
        filled, fill_seconds = timed(platform, FILL, form, 1500)

    for answer in (looked_up, filled):
        assert answer.status_code in {503, 504}, answer.text
        assert refused(answer, answer.status_code, answer.json()["reason"])["part"] in {
            "ledger",
            "licence",
            "autofill",
        }
        assert "licences" not in answer.json()
        assert "fields" not in answer.json()
    assert max(seconds, fill_seconds) < 1.5 + LOCAL_SECONDS
    assert patiently(lambda: platform.ask("POST", SEARCH, json=search)).json()["licences"]
