"""The bank asks, fetches under consent, and is told clearly what it may not have."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.city import City
from tests.e2e.contract import Contract, faults, refused
from tests.story import (
    PURPOSE,
    Json,
    Machine,
    Person,
    ask_consent,
    enrol_bank,
    entry_of,
    grant,
    nobody,
    opened,
    person,
)

ASK = "/partner/v1/consent_requests"
LAND_RIGHTS = "/partner/v1/farmers:land_rights"
SUBSIDIES = "/partner/v1/farmers:subsidies"


def wanted(consent_id: str, **other: object) -> Json:
    """The body of a fetch."""
    return {"consent_id": consent_id, "purpose_code": PURPOSE, **other}


def revoke(giver: Person, consent_id: str) -> Json:
    """The consent, revoked."""
    return dict(giver.post(f"/citizen/v1/consents/{consent_id}:revoke", {})["consent"])


@pytest.fixture(scope="module")
def other_bank(city: City, contract: Contract) -> Iterator[Machine]:
    """A second lender with an agreement of its own."""
    name = f"bank-{uuid.uuid4().hex[:8]}"
    enrol_bank(city, name)
    with Machine(city, name, contract.check) as caller:
        yield caller


@pytest.fixture
def consent(cast: Json, bank: Machine, farmer: Person) -> str:
    """A fresh consent of the farmer to everything that the bank may ask for; its id."""
    return grant(farmer, ask_consent(bank, cast["farmer"]["code"]))


def test_the_bank_fetches_what_the_farmer_consented_to(city: City, bank: Machine, consent: str) -> None:
    land = opened(city, bank, bank.post(LAND_RIGHTS, wanted(consent)))
    paid = opened(city, bank, bank.post(SUBSIDIES, wanted(consent, years=2)))

    assert (land["status"], paid["status"]) == ("ok", "ok")
    (right,) = land["land_rights"]
    assert right["state"] == "in_force"
    assert len(right["parcels"]) == 5
    assert [one["year"] for one in paid["subsidies"]] == [2026, 2025]
    assert all(one["amount_cents"] > 0 for one in paid["subsidies"])
    assert (land["uses_left"], paid["uses_left"]) == (9, 8)


def test_every_record_says_where_it_came_from_and_the_entry_names_it(
    city: City, bank: Machine, consent: str
) -> None:
    land = opened(city, bank, bank.post(LAND_RIGHTS, wanted(consent)))
    paid = opened(city, bank, bank.post(SUBSIDIES, wanted(consent)))

    for record in (*land["land_rights"], *paid["subsidies"]):
        assert record["record_version"]
        assert record["as_of"]
    entry = entry_of(city, land)
    assert entry["basis"] == {"kind": "consent", "consent_id": consent}
    assert entry["caller"] == "rural-bank"
    assert {one["resource"] for one in entry["records"]} == {"land.contract", "land.parcel"}
    assert {one["resource"] for one in entry_of(city, paid)["records"]} == {"subsidy.arable"}


def test_what_is_inside_is_what_the_contract_says_and_nothing_of_the_person(
    city: City, bank: Machine, consent: str, cast: Json, contract: Contract
) -> None:
    land = opened(city, bank, bank.post(LAND_RIGHTS, wanted(consent)))
    paid = opened(city, bank, bank.post(SUBSIDIES, wanted(consent)))

    contract.validate(land, {"$ref": "#/components/schemas/LandRightsAnswerWithReceipt"})
    contract.validate(paid, {"$ref": "#/components/schemas/SubsidiesAnswerWithReceipt"})
    for secret in (cast["farmer"]["code"], cast["farmer"]["name"], "15400010003", "6299994936937703044"):
        assert secret not in str(land) + str(paid)


def test_nobody_else_can_open_the_answer(city: City, bank: Machine, consent: str) -> None:
    sealed = bank.post(LAND_RIGHTS, wanted(consent))
    name = f"bank-{uuid.uuid4().hex[:8]}"
    enrol_bank(city, name)

    assert list(sealed) == ["jwe"]
    with pytest.raises(Exception, match=r"(?i)decrypt|unwrap|key"):
        opened(city, bank, sealed, name)


def test_asking_looks_the_same_whether_or_not_anybody_is_there(
    city: City, cast: Json, bank: Machine, farmer: Person
) -> None:
    known = bank.post(ASK, _asking(cast["farmer"]["code"]))
    unknown = bank.post(ASK, _asking(nobody(int(uuid.uuid4()) % 1000)))

    own = {"id", "requested_at", "text", "text_sha256", "valid_until"}
    first, second = known["consent_request"], unknown["consent_request"]
    assert {k: v for k, v in first.items() if k not in own} == {
        k: v for k, v in second.items() if k not in own
    }
    assert entry_of(city, known)["method"] == entry_of(city, unknown)["method"] == "consent.request"
    grant(farmer, first)


def test_the_bank_sees_what_became_of_its_request(
    city: City, cast: Json, bank: Machine, farmer: Person
) -> None:
    asked = ask_consent(bank, cast["farmer"]["code"])
    path = f"{ASK}/{asked['id']}"
    before = bank.get(path)

    consent_id = grant(farmer, asked, ["subsidies"])
    after = bank.get(path)["consent_request"]
    revoke(farmer, consent_id)
    last = bank.get(path)["consent_request"]

    assert (before["consent_request"]["state"], after["state"], last["state"]) == (
        "pending",
        "granted",
        "revoked",
    )
    assert after["consent_id"] == consent_id
    assert after["granted_items"] == ["subsidies"]
    assert entry_of(city, before)["method"] == "consent.look"


@pytest.mark.parametrize(
    ("change", "status", "reason", "field"),
    [
        ({"purpose_code": "insurance_sale"}, 403, "PURPOSE_NOT_AGREED", ""),
        ({"purpose_code": "Loan!"}, 400, "REQUEST_INVALID", "purpose_code"),
        ({"items": []}, 400, "REQUEST_INVALID", "items"),
        ({"items": ["bank_account"]}, 400, "REQUEST_INVALID", "items[0]"),
        ({"items": ["subsidies", "subsidies"]}, 400, "REQUEST_INVALID", "items"),
        ({"validity_days": 366}, 400, "REQUEST_INVALID", "validity_days"),
        ({"validity_days": "30"}, 400, "REQUEST_INVALID", "validity_days"),
        ({"max_uses": 0}, 400, "REQUEST_INVALID", "max_uses"),
        ({"farmer": {"code_type": "001", "code": "x"}}, 400, "REQUEST_INVALID", "farmer.code_type"),
        ({"farmer": {"code_type": "111", "code": "4402991968"}}, 400, "NUMBER_MALFORMED", "farmer.code"),
    ],
)
def test_what_may_not_be_asked_for_is_refused_by_name(
    cast: Json, bank: Machine, change: Json, status: int, reason: str, field: str
) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}

    answer = bank.ask("POST", ASK, headers, json=_asking(cast["farmer"]["code"], **change))

    problem = refused(answer, status, reason)
    assert field in faults(problem) if field else "errors" not in problem


def test_a_farmer_is_not_flooded_with_requests(bank: Machine) -> None:
    code = nobody(int(uuid.uuid4()) % 1000)
    answers = [
        bank.ask("POST", ASK, {"Idempotency-Key": uuid.uuid4().hex}, json=_asking(code)) for _ in range(4)
    ]

    assert [answer.status_code for answer in answers[:-1]] in ([201, 201, 201], [201, 201, 429])
    refused(answers[-1], 429, "CONSENT_REQUESTS_OPEN")


def test_without_a_grant_there_is_no_consent(cast: Json, bank: Machine, farmer: Person) -> None:
    asked = ask_consent(bank, cast["farmer"]["code"])

    refused(bank.ask("POST", LAND_RIGHTS, json=wanted(asked["id"])), 404, "CONSENT_NOT_FOUND")
    refused(bank.ask("POST", LAND_RIGHTS, json=wanted(str(uuid.uuid4()))), 404, "CONSENT_NOT_FOUND")
    grant(farmer, asked)


def test_another_lender_is_told_that_there_is_nothing(
    cast: Json, bank: Machine, farmer: Person, other_bank: Machine
) -> None:
    asked = ask_consent(bank, cast["farmer"]["code"])
    consent_id = grant(farmer, asked)

    refused(other_bank.ask("POST", LAND_RIGHTS, json=wanted(consent_id)), 404, "CONSENT_NOT_FOUND")
    refused(other_bank.ask("GET", f"{ASK}/{asked['id']}"), 404, "CONSENT_REQUEST_NOT_FOUND")


def test_a_consent_is_for_its_purpose_and_its_ticked_items(cast: Json, bank: Machine, farmer: Person) -> None:
    consent_id = grant(farmer, ask_consent(bank, cast["farmer"]["code"]), ["subsidies"])

    other_purpose = bank.ask("POST", SUBSIDIES, json=wanted(consent_id, purpose_code="insurance_sale"))
    unticked = bank.ask("POST", LAND_RIGHTS, json=wanted(consent_id))

    refused(other_purpose, 403, "PURPOSE_NOT_CONSENTED")
    refused(unticked, 403, "ITEM_NOT_CONSENTED")
    assert bank.post(SUBSIDIES, wanted(consent_id))["jwe"]


def test_a_revoked_consent_opens_nothing_not_even_what_was_answered_before(
    bank: Machine, farmer: Person, consent: str
) -> None:
    key = uuid.uuid4().hex
    bank.post(LAND_RIGHTS, wanted(consent), key)

    revoke(farmer, consent)

    refused(bank.ask("POST", LAND_RIGHTS, json=wanted(consent)), 403, "CONSENT_REVOKED")
    replay = bank.ask("POST", LAND_RIGHTS, {"Idempotency-Key": key}, json=wanted(consent))
    refused(replay, 403, "CONSENT_REVOKED")


def test_a_consent_ends_with_its_uses(city: City, cast: Json, bank: Machine, farmer: Person) -> None:
    consent_id = grant(farmer, ask_consent(bank, cast["farmer"]["code"], max_uses=2))
    keys = [uuid.uuid4().hex, uuid.uuid4().hex]
    answers = [opened(city, bank, bank.post(SUBSIDIES, wanted(consent_id), key)) for key in keys]

    refused(bank.ask("POST", SUBSIDIES, json=wanted(consent_id)), 403, "CONSENT_USED_UP")
    again = opened(city, bank, bank.post(SUBSIDIES, wanted(consent_id), keys[0]))

    assert [answer["uses_left"] for answer in answers] == [1, 0]
    assert again == answers[0]


def test_a_consent_ends_with_its_time(city: City, bank: Machine, consent: str) -> None:
    with psycopg.connect(city.admin_dsn) as connection:
        connection.execute(
            "UPDATE agricredit.consent SET granted_at = granted_at - interval '31 days',"
            " valid_until = valid_until - interval '31 days' WHERE consent_id = %s",
            (consent,),
        )

    refused(bank.ask("POST", LAND_RIGHTS, json=wanted(consent)), 403, "CONSENT_EXPIRED")


def test_no_data_is_an_answer_of_its_own(city: City, cast: Json, bank: Machine, applicant: Person) -> None:
    """She consents, and farms no land: neither a refusal nor a failure."""
    consent_id = grant(applicant, ask_consent(bank, cast["applicant"]["code"]))

    land = opened(city, bank, bank.post(LAND_RIGHTS, wanted(consent_id)))

    assert (land["status"], land["land_rights"]) == ("no_data", [])
    entry = entry_of(city, land)
    assert {(one["resource"], one["version"]) for one in entry["records"]} == {
        ("land.contract", "none"),
        ("land.parcel", "none"),
    }


def test_a_fetch_names_what_it_lacks(bank: Machine, consent: str) -> None:
    no_consent = bank.ask("POST", LAND_RIGHTS, json={"purpose_code": PURPOSE})
    no_years = bank.ask("POST", LAND_RIGHTS, json=wanted(consent, years=3))
    many_years = bank.ask("POST", SUBSIDIES, json=wanted(consent, years=11))

    assert faults(refused(no_consent, 400, "REQUEST_INVALID")) == {"consent_id": "required"}
    assert faults(refused(no_years, 400, "REQUEST_INVALID")) == {"years": "unknown"}
    assert list(faults(refused(many_years, 400, "REQUEST_INVALID"))) == ["years"]


def _asking(code: str, **other: object) -> Json:
    return {
        "farmer": person(code),
        "purpose_code": PURPOSE,
        "items": ["land_rights", "subsidies"],
        "validity_days": 30,
        "max_uses": 10,
        **other,
    }
