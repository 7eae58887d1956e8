"""People see every use of their data, each with a receipt that proves it; and nobody sees another's."""

from __future__ import annotations

import pytest

from core.receipt import verify_receipt
from tests.city import City
from tests.e2e.contract import faults, refused
from tests.story import (
    ID_CARD,
    PURPOSE,
    Json,
    Machine,
    Person,
    ask_consent,
    case_of,
    entry_of,
    grant,
    key_of,
    opened,
    person,
)

DISCLOSURES = "/citizen/v1/disclosures"


def uses(who: Person, query: str = "") -> list[Json]:
    """What she is shown."""
    return list(who.get(f"{DISCLOSURES}{query}")["disclosures"])


@pytest.fixture(scope="module")
def filled(city: City, platform: Machine, cast: Json) -> Json:
    """A form about a company and the person who is to represent it, as the platform had it filled."""
    case = case_of(city, matter_code="company-change")
    subjects = {
        "company": {"code_type": "001", "code": cast["company"]["code"]},
        "new_legal_representative": person(cast["applicant"]["code"]),
    }
    body = {"case": case, "subjects": subjects}
    return {**platform.post("/approval/v1/matters/company-change:autofill", body), "case": case}


def test_a_form_about_a_company_and_a_person_is_told_to_the_person(
    city: City, filled: Json, applicant: Person, farmer: Person, cast: Json
) -> None:
    use = next(one for one in uses(applicant) if one["receipt_id"] == filled["receipt"]["id"])

    assert (use["method"], use["outcome"]) == ("autofill.fill", "released")
    assert use["method_name"] == "用政府已有数据为您预填表单"
    assert (use["caller"], use["caller_name"]) == ("approval-platform", "市一体化政务服务平台")
    assert (use["office"], use["office_name"]) == (cast["office"]["code"], cast["office"]["name"])
    assert (use["basis"], use["matter_code"]) == ("matter", "company-change")
    assert use["case_number"] == filled["case"]["case_number"]
    assert use["matter_name"]
    assert use["other_subjects"] == 1
    titles = dict(zip(use["field_names"], use["field_titles"], strict=True))
    assert (titles["company_name"], titles["uscc"]) == ("名称", "统一社会信用代码")
    assert "operator" not in use
    assert all(one["receipt_id"] != filled["receipt"]["id"] for one in uses(farmer, "?page_size=100"))
    refused(farmer.ask("GET", use["receipt_path"]), 404, "RECEIPT_NOT_FOUND")


def test_each_receipt_proves_its_entry_with_the_public_key_alone(
    city: City, filled: Json, applicant: Person, platform: Machine
) -> None:
    for use in uses(applicant):
        receipt = applicant.get(use["receipt_path"])
        entry = dict(verify_receipt(receipt, key_of(city)).entry)
        assert (entry["id"], entry["method"]) == (use["receipt_id"], use["method"])
        assert str(entry["time"])[:19] == use["recorded_at"][:19]
    hers = applicant.get(f"/ledger/v1/receipts/{filled['receipt']['id']}")
    assert hers == {**filled["receipt"], "answer_salt": ""}
    assert platform.get(f"/ledger/v1/receipts/{filled['receipt']['id']}") == filled["receipt"]


def test_the_bank_s_fetch_and_her_own_acts_are_told_newest_first(
    city: City, bank: Machine, farmer: Person, cast: Json
) -> None:
    consent_id = grant(farmer, ask_consent(bank, cast["farmer"]["code"]))
    wanted = {"consent_id": consent_id, "purpose_code": PURPOSE}
    fetched = opened(city, bank, bank.post("/partner/v1/farmers:subsidies", wanted))
    farmer.get("/citizen/v1/consent_requests")

    newest = uses(farmer, "?page_size=3")

    assert [use["method"] for use in newest] == ["credit.subsidies", "consent.grant", "consent.request"]
    bank_s = newest[0]
    assert bank_s["receipt_id"] == fetched["receipt"]["id"]
    assert (bank_s["caller"], bank_s["basis"], bank_s["consent_id"]) == ("rural-bank", "consent", consent_id)
    assert "office" not in bank_s
    assert all(not title.isascii() for title in bank_s["field_titles"]), bank_s["field_titles"]
    assert (newest[1]["caller"], newest[1]["outcome"]) == ("citizen", "completed")


def test_looking_has_its_own_receipt_and_is_told_on_asking(city: City, farmer: Person) -> None:
    listed = farmer.get(DISCLOSURES)

    entry = entry_of(city, listed)
    assert (entry["method"], entry["caller"], entry["recorder"]) == (
        "ledger.disclosures",
        "citizen",
        "ledger",
    )
    assert entry["basis"] == {"kind": "holder"}
    assert listed["receipt"]["id"] not in {use["receipt_id"] for use in uses(farmer)}
    assert listed["receipt"]["id"] in {use["receipt_id"] for use in uses(farmer, "?own_reads=true")}
    assert farmer.get(f"/ledger/v1/receipts/{listed['receipt']['id']}") == listed["receipt"]


def test_pages_and_times_narrow_the_list(
    city: City, platform: Machine, applicant: Person, cast: Json
) -> None:
    search = {"holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}
    for _ in range(3):
        platform.post("/approval/v1/licences:search", {**search, "case": case_of(city)})
    whole = uses(applicant, "?page_size=100")

    first = applicant.get(f"{DISCLOSURES}?page_size=2")
    second = applicant.get(f"{DISCLOSURES}?page_size=2&page_token={first['next_page_token']}")
    middle = whole[1]["recorded_at"]

    assert [*first["disclosures"], *second["disclosures"]] == whole[:4]
    assert uses(applicant, f"?since={middle}") == whole[:2]
    assert uses(applicant, f"?page_size=2&until={middle}") == whole[2:4]
    refused(applicant.ask("GET", f"{DISCLOSURES}?page_token=zzz"), 400, "PAGE_TOKEN_INVALID")
    backwards = applicant.ask("GET", f"{DISCLOSURES}?since={middle}&until={middle}")
    assert faults(refused(backwards, 400, "REQUEST_INVALID")) == {"until": "after"}


def test_machines_have_no_such_list(platform: Machine, city: City) -> None:
    refused(platform.ask("GET", DISCLOSURES), 404, "PATH_UNKNOWN")
