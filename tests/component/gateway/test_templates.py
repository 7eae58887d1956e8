"""Templates: JSON in, a sealed file or JSON out; and anybody's look at a document's number."""

from __future__ import annotations

import base64
import json

from tests.component.gateway.conftest import CASE, Gateway

SEAL = "/approval/v1/seals/0b4c2a8e-5a1f-4a53-9d0e-0d3f7e1a2b3c:sign_template"
JSON = {"Content-Type": "application/json"}
KEY = {"Idempotency-Key": "fill-1"}
FILL = {"case": CASE, "template": "permit_decision", "version": 1, "fields": {"applicant": "林小满"}}


async def test_a_filled_template_comes_as_a_file_with_its_link_and_receipt(gateway: Gateway) -> None:
    platform = await gateway.machine()

    answer = await platform.post(SEAL, json=FILL, headers=KEY)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/pdf")
    assert answer.content == b"%PDF-sealed"
    assert answer.headers["Verification-Link"] == "https://city.example/v/1"
    assert answer.headers["Signature-Id"] == "sig-1"
    assert answer.headers["Receipt-Id"]
    (asked,) = gateway.behind.asked["sign_template"]
    assert dict(asked.fill.fields) == FILL["fields"]
    assert (asked.context.request_id, asked.context.office) == ("fill-1", CASE["office"])


async def test_what_is_out_of_form_is_refused_by_field(gateway: Gateway) -> None:
    platform = await gateway.machine()

    keyless = await platform.post(SEAL, json=FILL)
    wrong = await platform.post(SEAL, json={**FILL, "template": "Permit!"}, headers=KEY)
    number = await platform.post(SEAL, json={**FILL, "fields": {"applicant": 7}}, headers=KEY)
    more = await platform.post(SEAL, json={**FILL, "colour": "red"}, headers=KEY)

    assert keyless.json()["reason"] == "IDEMPOTENCY_KEY_MISSING"
    assert wrong.json()["errors"][0]["field"] == "template"
    assert number.json()["errors"][0]["field"] == "fields.applicant"
    assert more.json()["errors"][0]["field"] == "colour"
    assert "sign_template" not in gateway.behind.asked


async def test_pictures_come_in_base64_and_may_be_larger_than_other_requests(gateway: Gateway) -> None:
    platform = await gateway.machine()
    photo = bytes(1024 * 1024)
    pictured = {**FILL, "pictures": {"photo": base64.b64encode(photo).decode()}}

    answer = await platform.post(SEAL, json=pictured, headers=KEY)
    wrong = await platform.post(SEAL, json={**FILL, "pictures": {"photo": "?"}}, headers=KEY)
    larger = {"pictures": {"photo": base64.b64encode(photo + b"x").decode()}}
    large = await platform.post(SEAL, json={**FILL, **larger}, headers=KEY)
    huge = await platform.post(SEAL, content=bytes(4 * 1024 * 1024), headers={**KEY, **JSON})

    assert answer.status_code == 200, answer.text
    (asked,) = gateway.behind.asked["sign_template"]
    assert dict(asked.fill.pictures) == {"photo": photo}
    assert wrong.json()["errors"][0]["field"] == "pictures.photo"
    assert large.json()["errors"][0]["field"].startswith("pictures")
    assert huge.status_code == 413


async def test_templates_are_listed_for_an_office(gateway: Gateway) -> None:
    platform = await gateway.machine()

    listed = await platform.get("/approval/v1/seal_templates", params={"office": CASE["office"]})

    assert listed.json()["templates"][0]["name"] == "note"
    assert gateway.behind.asked["list_templates"][0].context.office == CASE["office"]


async def test_anybody_looks_a_number_up(gateway: Gateway) -> None:
    anybody = await gateway.person()

    found = await anybody.get(f"/public/v1/sealed_documents/{'ab' * 16}")
    malformed = await anybody.get("/public/v1/sealed_documents/x")

    assert found.json()["seal_name"] == "专用章"
    assert malformed.json()["errors"][0]["field"] == "number"


async def test_lines_of_many_documents_may_name_templates(gateway: Gateway) -> None:
    platform = await gateway.machine()
    lines = [
        {"key": "a", **FILL},
        {"key": "b", **FILL, "document": "JVBERg=="},
        {"key": "c", **FILL, "fields": {"applicant": 7}},
    ]
    body = "\n".join(map(json.dumps, lines)).encode()

    answer = await platform.post(
        SEAL.replace("sign_template", "sign_bulk"),
        content=body,
        headers={"Content-Type": "application/x-ndjson"},
    )

    told = {one["key"]: one for one in map(json.loads, answer.text.splitlines()) if "key" in one}
    assert told["a"]["verification_link"] == "https://city.example/v/1"
    assert told["a"]["receipt"]["id"]
    assert told["b"]["error"]["errors"][0]["field"] == "document"
    assert told["c"]["error"]["errors"][0]["field"] == "fields.applicant"
    items = [item for one in gateway.behind.asked["seal_documents"] for item in one.items]
    assert [dict(item.fill.fields) for item in items] == [FILL["fields"]]
