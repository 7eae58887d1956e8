"""The published API document: valid, complete, and readable without the outside world."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.app import ROUTES, build
from gateway.shapes import Key, Listener, Who
from tests.component.gateway.conftest import CASE, HOLDER, TYPE_CODE, Gateway

PAGES = {("GET", path) for path in ("/verify", "/citizen/disclosures", "/pages/assets/{name}")}
UNDOCUMENTED = {
    *PAGES,
    *{("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/assets/{name}"), ("GET", "/")},
}


async def fetch_document(gateway: Gateway) -> dict[str, Any]:
    """The document as people get it."""
    document: dict[str, Any] = (await (await gateway.person()).get("/openapi.json")).json()
    return document


async def test_document_is_valid_openapi_3_1(gateway: Gateway) -> None:
    document = await fetch_document(gateway)

    OpenAPIV31SpecValidator(document).validate()

    assert document["openapi"] == "3.1.0"


async def test_both_listeners_publish_the_same_document(gateway: Gateway) -> None:
    machine = await gateway.certified(gateway.authority.issue("anybody"))

    assert (await machine.get("/openapi.json")).json() == await fetch_document(gateway)


@pytest.mark.parametrize("listener", list(Listener))
async def test_every_route_is_in_the_document_and_vice_versa(gateway: Gateway, listener: Listener) -> None:
    document = await fetch_document(gateway)
    url = {Listener.MACHINES: document["servers"][0]["url"], Listener.PEOPLE: document["servers"][1]["url"]}
    published = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if {"url": url[listener]} in operation["servers"]
    }

    served = {
        (route.method, route.resource.canonical)
        for route in build(gateway.parts, listener).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }

    assert served - UNDOCUMENTED == published


async def test_operations_say_who_may_call_and_what_they_need(gateway: Gateway) -> None:
    document = await fetch_document(gateway)
    schemes = set(document["components"]["securitySchemes"])
    names = []

    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        names.append(operation["operationId"])
        parameters = operation.get("parameters", [])
        headers = {one["name"]: one["required"] for one in parameters if one["in"] == "header"}
        wanted = {Key.NONE: None, Key.OPTIONAL: False, Key.REQUIRED: True}
        assert headers.get("Idempotency-Key") == wanted[route.key]
        assert {name for one in operation["security"] for name in one} <= schemes
        if route.who is Who.MACHINE and route.scope is not None:
            assert {"certificate": [], "token": [route.scope.value]} in operation["security"]
        assert re.findall(r"{(\w+)}", route.path) == [
            one["name"] for one in parameters if one["in"] == "path"
        ]
        assert "Called by" not in operation.get("description", "")

    assert len({*names}) == len({(route.method, route.path) for route in ROUTES})


async def test_published_schemas_accept_what_the_gateway_accepts_and_answers(gateway: Gateway) -> None:
    document = await fetch_document(gateway)
    platform = await gateway.machine()
    body = {"case": CASE, "holder": HOLDER, "type_codes": [TYPE_CODE]}

    answer = (await platform.post("/approval/v1/licences:search", json=body)).json()
    problem = (await platform.post("/approval/v1/licences:search", json={})).json()

    def check(instance: object, name: str) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(instance)

    check(body, "SearchLicencesBody")
    check(answer, "SearchLicencesAnswerWithReceipt")
    check(problem, "Problem")
    with pytest.raises(jsonschema.ValidationError):
        check({**body, "surprise": 1}, "SearchLicencesBody")
    with pytest.raises(jsonschema.ValidationError):
        check({"case": CASE, "holder": HOLDER}, "SearchLicencesBody")


async def test_comments_and_rules_of_the_contract_are_in_the_schemas(gateway: Gateway) -> None:
    schemas = (await fetch_document(gateway))["components"]["schemas"]

    body = schemas["CreateConsentRequestBody"]
    assert body["properties"]["validity_days"]["maximum"] == 365
    assert body["properties"]["items"]["items"] == {"$ref": "#/components/schemas/ConsentItem"}
    assert set(body["required"]) == {"farmer", "purpose_code", "items", "validity_days", "max_uses"}
    assert "暂扣" in schemas["LicenceState"]["description"]
    assert schemas["LicenceState"]["enum"][0] == "in_force"
    assert schemas["Receipt"]["properties"]["entry"]["type"] == "object"
    assert "matter_code" not in schemas["CaseOfPath"]["required"]
    assert "years" not in schemas["FetchLandRightsBody"]["properties"]
    assert "receipt" in schemas["LandRightsAnswerWithReceipt"]["properties"]


async def test_reader_s_page_needs_nothing_from_outside(gateway: Gateway) -> None:
    person = await gateway.person()

    start = await person.get("/")
    page = await person.get("/docs")
    wanted = [one for one in re.findall(r'(?:src|href)="([^"]+)"', page.text) if one != "data:,"]
    assets = [await person.get(path) for path in wanted]
    missing = await person.get("/docs/assets/../app.py")

    assert (start.status_code, start.headers["Location"]) == (303, "/docs")
    assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    assert wanted
    assert all(path.startswith("/") and not path.startswith("//") for path in wanted)
    assert [asset.status_code for asset in assets] == [200] * len(wanted)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert missing.status_code == 404
