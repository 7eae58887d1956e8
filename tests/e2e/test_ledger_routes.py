"""The verifiable record, as outsiders see it: a signed checkpoint for all, a receipt for its two sides."""

from __future__ import annotations

import uuid

import httpx2
import pytest

from core.note import VerifierKey, open_checkpoint
from core.receipt import verify_receipt
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
    opened,
    person,
)

CHECKPOINT = "/ledger/v1/checkpoint"
RECEIPTS = "/ledger/v1/receipts"


@pytest.fixture(scope="module")
def search(city: City, platform: Machine, cast: Json) -> Json:
    """The receipt of a look-up of the applicant's ID card by the platform."""
    body = {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    return dict(platform.post("/approval/v1/licences:search", body)["receipt"])


@pytest.fixture(scope="module")
def fetch(city: City, bank: Machine, farmer: Person, cast: Json) -> Json:
    """The receipt of a fetch of the farmer's land rights by the bank."""
    consent_id = grant(farmer, ask_consent(bank, cast["farmer"]["code"]))
    sealed = bank.post("/partner/v1/farmers:land_rights", {"consent_id": consent_id, "purpose_code": PURPOSE})
    return dict(opened(city, bank, sealed)["receipt"])


def published_key(city: City) -> VerifierKey:
    """The ledger's public key as an outsider is given it."""
    return VerifierKey.parse((city.settings.keys / "ledger.vkey").read_text().strip())


def test_the_checkpoint_is_a_signed_note_for_everybody(
    city: City, platform: Machine, farmer: Person, search: Json
) -> None:
    to_machines = platform.ask("GET", CHECKPOINT, {"Authorization": ""})
    to_people = farmer.ask("GET", CHECKPOINT, {"Authorization": ""})

    for answer in (to_machines, to_people):
        assert answer.headers["Content-Type"].startswith("text/plain")
        checkpoint = open_checkpoint(answer.text, published_key(city))
        assert checkpoint.origin == "onestop.example/ledger"
        assert checkpoint.size >= search["tree_size"]
        assert answer.headers["Verifier-Key"] == str(published_key(city))


def test_the_log_grows_with_each_disclosure(city: City, platform: Machine, search: Json, cast: Json) -> None:
    def size() -> int:
        return open_checkpoint(platform.ask("GET", CHECKPOINT).text, published_key(city)).size

    before = size()
    body = {"case": case_of(city), "subjects": {"applicant": person(cast["applicant"]["code"])}}
    answer = platform.post(f"/approval/v1/matters/{MATTER}:autofill", body)

    assert answer["receipt"]["index"] >= before
    assert size() > answer["receipt"]["index"]


def test_the_caller_gets_its_receipt_again(city: City, platform: Machine, search: Json) -> None:
    again = platform.get(f"{RECEIPTS}/{search['id']}")

    assert again == search
    assert verify_receipt(again, published_key(city)).entry["caller"] == "approval-platform"


def test_the_holder_gets_receipts_of_what_others_did_with_her_data(
    applicant: Person, farmer: Person, search: Json, fetch: Json
) -> None:
    assert applicant.get(f"{RECEIPTS}/{search['id']}") == search
    assert farmer.get(f"{RECEIPTS}/{fetch['id']}") == fetch


def test_nobody_else_is_told_whether_there_is_such_a_receipt(
    platform: Machine, bank: Machine, applicant: Person, farmer: Person, search: Json, fetch: Json
) -> None:
    answers: list[httpx2.Response] = [
        bank.ask("GET", f"{RECEIPTS}/{search['id']}"),
        farmer.ask("GET", f"{RECEIPTS}/{search['id']}"),
        platform.ask("GET", f"{RECEIPTS}/{fetch['id']}"),
        applicant.ask("GET", f"{RECEIPTS}/{fetch['id']}"),
        platform.ask("GET", f"{RECEIPTS}/{uuid.uuid4()}"),
    ]

    details = {refused(answer, 404, "RECEIPT_NOT_FOUND")["detail"] for answer in answers}
    assert len(details) == 1


def test_a_receipt_is_asked_for_by_its_id_and_a_proof_of_who_asks(
    platform: Machine, farmer: Person, search: Json
) -> None:
    malformed = platform.ask("GET", f"{RECEIPTS}/42")
    unproved = platform.ask("GET", f"{RECEIPTS}/{search['id']}", {"Authorization": ""})
    nobody = farmer.ask("GET", f"{RECEIPTS}/{search['id']}", {"Authorization": ""})

    assert list(faults(refused(malformed, 400, "REQUEST_INVALID"))) == ["id"]
    refused(unproved, 401, "TOKEN_MISSING")
    refused(nobody, 401, "SIGN_IN_NEEDED")
