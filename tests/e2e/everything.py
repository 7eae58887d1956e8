"""One round of everything that the contract offers, as the outside callers go about it."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid

from tests.city import City
from tests.companies import SHA256, digest_of, signing_company
from tests.story import (
    HOUSEHOLD_REGISTER,
    ID_CARD,
    MATTER,
    PURPOSE,
    Json,
    Machine,
    Watch,
    ask_consent,
    bank_of,
    case_of,
    cast_of,
    citizen_of,
    grant,
    letter,
    opened,
    person,
    platform_of,
)
from tests.unit.eseal.forms_filled import DECISION


def do_everything(city: City, watch: Watch) -> list[str]:
    """Calls every operation at least once, with success; the tokens and codes that were given out."""
    cast = cast_of(city)
    with platform_of(city, watch) as platform:
        fill_every_form(city, platform, cast)
        use_code = _look_up(city, platform, cast)
        _seal(city, platform, watch)
        _sign_remotely(city, watch)
        return [platform.token, use_code, *_lend(city, watch, cast)]


def subjects_for(matter: Json, cast: Json, who: str) -> Json:
    """Whom the form must be about: the company where it asks for one, else a person of the cast."""
    company = {"code_type": "001", "code": cast["company"]["code"]}
    return {
        role["role"]: company if role["code_types"] == ["001"] else person(cast[who]["code"])
        for role in matter["subject_roles"]
        if role["required"]
    }


def fill_every_form(city: City, platform: Machine, cast: Json) -> dict[str, tuple[Json, Json]]:
    """Every matter, with the answer that fills its form, by code."""
    answers = {}
    for summary in platform.get("/approval/v1/matters")["matters"]:
        code = summary["code"]
        matter = platform.get(f"/approval/v1/matters/{code}")
        who = "farmer" if code == "arable-land-subsidy" else "applicant"
        case = case_of(city, matter_code=code, purpose=summary["name"])
        body = {"case": case, "subjects": subjects_for(matter, cast, who)}
        answers[code] = matter, platform.post(f"/approval/v1/matters/{code}:autofill", body)
    return answers


def _look_up(city: City, platform: Machine, cast: Json) -> str:
    applicant, case = cast["applicant"], case_of(city)
    search = {"case": case, "holder": person(applicant["code"]), "type_codes": [ID_CARD, HOUSEHOLD_REGISTER]}
    found = platform.post("/approval/v1/licences:search", search, uuid.uuid4().hex)
    headers = {"Use-Code": found["use_code"]}
    for licence in found["licences"]:
        card = platform.get(f"/approval/v1/licences/{licence['id']}", headers)
        platform.post("/approval/v1/licences:verify", {"case": case, "identifier": card["identifier"]})
    typed = {"name": applicant["name"], "id_number": applicant["code"], "phone": "15400010009"}
    checked = {"case": case, "subjects": {"applicant": person(applicant["code"])}, "values": typed}
    platform.post(f"/approval/v1/matters/{MATTER}:verify", checked)
    platform.get(f"/ledger/v1/receipts/{found['receipt']['id']}")
    platform.ask("GET", "/ledger/v1/checkpoint")
    platform.ask("GET", "/ledger/v1/policy")
    platform.get("/ledger/v1/continuations")
    return str(found["use_code"])


def _seal(city: City, platform: Machine, watch: Watch) -> None:
    case = case_of(city)
    seal = platform.get("/approval/v1/seals", office=case["office"])["seals"][0]["id"]
    sealed = platform.upload(f"/approval/v1/seals/{seal}:sign", letter(), {"case": case})
    lines = json.dumps(
        {"key": uuid.uuid4().hex, "case": case, "document": base64.b64encode(letter()).decode()}
    )
    headers = {"Content-Type": "application/x-ndjson"}
    platform.ask("POST", f"/approval/v1/seals/{seal}:sign_bulk", headers, content=f"{lines}\nno json\n")
    platform.upload("/approval/v1/documents:verify", sealed.content, {"case": case})
    digests = [hashlib.sha256(one).hexdigest() for one in (sealed.content, letter())]
    platform.post("/approval/v1/documents:verify_digests", {"case": case, "sha256": digests})
    platform.get("/approval/v1/seal_templates", office=case["office"])
    fill = {"case": case, "template": "permit_decision", "fields": DECISION}
    filled = platform.ask(
        "POST",
        f"/approval/v1/seals/{seal}:sign_template",
        {"Idempotency-Key": uuid.uuid4().hex},
        json=fill,
    )
    number = uuid.UUID(filled.headers["Signature-Id"]).hex
    with citizen_of(city, watch) as anybody:
        anybody.ask("GET", f"/public/v1/sealed_documents/{number}")
        files = {"document": ("sealed.pdf", sealed.content, "application/pdf")}
        anybody.ask("POST", "/public/v1/documents:verify", files=files)


def _sign_remotely(city: City, watch: Watch) -> None:
    with signing_company(city, watch) as company:
        company.csc("info", {})
        company.csc("credentials/list", {})
        hashes, document = [digest_of(b"contract")], letter()
        company.sign_hash(company.authorize(hashes), hashes)
        company.sign_doc(company.authorize([digest_of(document)]), [document])
        stamping = {"hash": hashes[0], "hashAlgo": SHA256, "nonce": "5A"}
        company.csc("signatures/timestamp", stamping)
        company.certificate()
        company.change_factor("another-pin-9")


def _lend(city: City, watch: Watch, cast: Json) -> list[str]:
    farmer = cast["farmer"]
    with bank_of(city, watch) as bank, citizen_of(city, watch) as person_, citizen_of(city, watch) as browser:
        person_.sign_in(farmer["login"], cast["password"])
        asked = ask_consent(bank, farmer["code"])
        person_.get("/citizen/v1/consent_requests")
        person_.ask("GET", "/ledger/v1/tile/0/000.p/1")
        consent_id = grant(person_, asked)
        bank.get(f"/partner/v1/consent_requests/{asked['id']}")
        wanted = {"consent_id": consent_id, "purpose_code": PURPOSE}
        for what in ("land_rights", "subsidies"):
            answer = opened(city, bank, bank.post(f"/partner/v1/farmers:{what}", wanted))
            person_.get(f"/ledger/v1/receipts/{answer['receipt']['id']}")
        uses = person_.get("/citizen/v1/disclosures?page_size=5")["disclosures"]
        assert {use["caller"] for use in uses} == {"rural-bank", "citizen"}
        person_.post(f"/citizen/v1/consents/{consent_id}:revoke", {})
        browser.browse_in(farmer["login"], cast["password"])
        browser.ask("POST", "/citizen/logout", {"Origin": city.people})
        return [bank.token, person_.token]
