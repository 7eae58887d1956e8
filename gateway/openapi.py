"""The OpenAPI 3.1 document, made from the route table and the contracts, so that it cannot drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from core.identity import Scope
from gateway.call import DEADLINE_HEADER, KEY_HEADER
from gateway.comments import method_text
from gateway.lines import NDJSON
from gateway.problems import CONTENT_TYPE, TYPE_BASE
from gateway.request_schemas import add_receipt, case_schema, request_body
from gateway.routes import Route
from gateway.schemas import Schema, Schemas, descriptor_of
from gateway.shapes import JsonBody, Key, Listener, Parameter, Who

VERSION = "1.0.0"

_DESCRIPTION = """\
Data services behind a city's one-stop government counter.

* **Machines** (approval platform, lending partners) call the machines' listener with their client \
certificate and an access token bound to it (RFC 8705). Get one at `/oauth2/token`.
* **People** sign in at `/citizen/login`, or send a token of the identity provider.
* Every answer with personal data carries a **receipt**: the proof that its disclosure is in the ledger.
* Errors are problem details (RFC 9457): a stable `type` and `reason`, the fields at fault, the part \
that failed.
* Requests that change something take an `Idempotency-Key`; a retry with the same key gives the first answer.
"""

_TAGS = {
    "tokens": "Access tokens for machines.",
    "approval": "For the approval platform: look up, fill, check, seal. 审批平台",
    "partner": "For lending partners: consents and the data they permit. 合作银行",
    "citizen": "For people: see, grant, revoke. 群众",
    "company": "For companies: remote signing by the Cloud Signature Consortium's API v2. 企业",
    "sign-in": "Signing in and out with a browser.",
    "ledger": "The verifiable record. 存证",
    "keys": "The city's public keys.",
    "public": "For anybody. 公众",
}

_KEY_TEXT = (
    "Names this request, so that a retry does it once and gets the first answer: 1 to 128 of "
    "`A-Z a-z 0-9 _ . : -`. Kept for 24 hours, for the same caller, clerk and path."
)

_PROBLEM: Schema = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": f"`{TYPE_BASE}` and the reason."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "For people. Never holds identity payload."},
        "reason": {"type": "string", "description": "Stable, for programs, such as `CONSENT_REVOKED`."},
        "part": {"type": "string", "description": "The part or source that failed."},
        "errors": {
            "type": "array",
            "description": "The fields at fault.",
            "items": {
                "type": "object",
                "required": ["field", "rule", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "rule": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
        "trace_id": {"type": "string", "description": "Finds this request in the operators' logs."},
    },
}


def build_document(routes: Sequence[Route], urls: Mapping[Listener, str], oidc_issuer: str) -> dict[str, Any]:
    """The document for these routes, reached at these addresses."""
    schemas = Schemas()
    schemas.components["Problem"] = _PROBLEM
    add_receipt(schemas)
    for name, in_path in (("Case", False), ("CaseOfPath", True)):
        schemas.components[name] = case_schema(schemas, matter_in_path=in_path)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(route.path, {})
        method = route.method.lower()
        if method in operations:
            _merge(operations[method], route, urls)
        else:
            operations[method] = _operation(route, schemas, urls)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "onestop",
            "version": VERSION,
            "summary": "一网通办数据服务",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": urls[Listener.MACHINES], "description": "Machines, with a client certificate."},
            {"url": urls[Listener.PEOPLE], "description": "People."},
        ],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {"Problem": _problem_response()},
            "securitySchemes": _security_schemes(urls, oidc_issuer),
        },
    }


def _operation(route: Route, schemas: Schemas, urls: Mapping[Listener, str]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "servers": [{"url": urls[route.listener]}],
        "security": _security(route),
        "responses": _responses(route, schemas),
    }
    if text := method_text(route.rpc):
        operation["description"] = text
    parameters = [*route.parameters, *_header_parameters(route)]
    if parameters:
        operation["parameters"] = [_parameter(one) for one in parameters]
    if route.body is not None:
        operation["requestBody"] = request_body(route, schemas)
    return operation


def _merge(operation: dict[str, Any], route: Route, urls: Mapping[Listener, str]) -> None:
    """The same operation on another listener: one more server, and who else may call."""
    operation["servers"].append({"url": urls[route.listener]})
    operation["security"] += [one for one in _security(route) if one not in operation["security"]]


def _security(route: Route) -> list[dict[str, list[str]]]:
    match route.who:
        case Who.MACHINE:
            scope = [route.scope.value] if route.scope else []
            return [{"certificate": [], "token": scope}]
        case Who.CERTIFIED:
            return [{"certificate": []}]
        case Who.CITIZEN:
            return [{"session": []}, {"identity_provider": []}]
        case Who.ANYBODY:
            return [{"certificate": []}] if route.listener is Listener.MACHINES else [{}]


def _security_schemes(urls: Mapping[Listener, str], oidc_issuer: str) -> dict[str, Any]:
    scopes = {scope.value: f"Use of `{scope.value}`." for scope in Scope if scope is not Scope.CITIZEN}
    return {
        "certificate": {"type": "mutualTLS", "description": "A client certificate issued to the caller."},
        "token": {
            "type": "oauth2",
            "description": "A token bound to the client certificate (RFC 8705), at most 5 minutes old.",
            "flows": {
                "clientCredentials": {"tokenUrl": f"{urls[Listener.MACHINES]}/oauth2/token", "scopes": scopes}
            },
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-onestop-session",
            "description": "The session of a signed-in browser. Requests that change something need the"
            " header `Origin` of this site, which browsers send by themselves.",
        },
        "identity_provider": {
            # Not `openIdConnect`: readers of that would fetch the provider's document by themselves.
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An ID token or JWT access token of the identity provider"
            f" (OpenID Connect, issuer {oidc_issuer}).",
        },
    }


def _header_parameters(route: Route) -> list[Parameter]:
    found = []
    if route.key is not Key.NONE:
        pattern = {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,128}$"}
        found.append(Parameter(KEY_HEADER, "header", _KEY_TEXT, route.key is Key.REQUIRED, pattern))
    if route.rpc:
        text = "How long the caller waits, in milliseconds; never longer than the gateway's own setting."
        found.append(Parameter(DEADLINE_HEADER, "header", text, schema={"type": "integer", "minimum": 1}))
    return found


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": one.place,
        "required": one.required,
        "description": one.description,
        "schema": dict(one.schema),
    }


def _responses(route: Route, schemas: Schemas) -> dict[str, Any]:
    answer = route.answer
    success: dict[str, Any] = {"description": answer.description}
    if answer.has_body:
        success["content"] = {
            kind: {
                "schema": {"type": "string", "contentMediaType": kind}
                if kind in {"application/pdf", "application/ofd", "application/octet-stream", NDJSON}
                else schema
            }
            for schema in [_answer_schema(route, schemas)]
            for kind in answer.types
        }
    codes = ["400", "429", "500", "503", "504"]
    if route.who is not Who.ANYBODY or route.tag == "sign-in":
        codes += ["401", "403"]
    if _names_a_thing(route):
        codes.append("404")
    if route.key is not Key.NONE:
        codes += ["409", "422"]
    if route.body is not None:
        codes += ["408", "413", "415"]
    if "content" in success:
        codes.append("406")
    if route.refusal is not None:
        return {str(answer.status): success, "default": dict(route.refused)}
    problem = {"$ref": "#/components/responses/Problem"}
    return {str(answer.status): success, **dict.fromkeys(sorted(codes), problem)}


def _names_a_thing(route: Route) -> bool:
    """Whether the request names, in its path or body, what may not be there."""
    if any(one.place == "path" for one in route.parameters):
        return True
    if not isinstance(route.body, JsonBody):
        return False
    named = route.body.query is not None and [
        name for name in descriptor_of(route.body.query).fields_by_name if name.endswith("_id")
    ]
    return route.body.consent or bool(named)


def _answer_schema(route: Route, schemas: Schemas) -> Schema:
    answer = route.answer
    if answer.lines:
        return _line_schema(route, schemas)
    if answer.schema is not None:
        return dict(answer.schema)
    if answer.model is not None:
        return schemas.of_model(answer.model, receipt=answer.receipt)
    assert answer.message is not None
    if answer.inside is not None:
        _with_receipt(answer.inside, schemas)
    if answer.each:
        return _each_schema(answer.message, answer.each, schemas)
    if not answer.receipt:
        return schemas.reference(descriptor_of(answer.message), request=False)
    return _with_receipt(answer.message, schemas)


def _line_schema(route: Route, schemas: Schemas) -> Schema:
    """A line of the answer, kept under its name: what OpenAPI describes is the whole, which is text."""
    assert route.answer.message is not None
    whole = schemas.message(descriptor_of(route.answer.message), request=False)["properties"]
    problem = {"$ref": "#/components/schemas/Problem"}
    properties: dict[str, Schema] = {
        "line": {"type": "integer", "description": "Which line of the request it is, from 1."},
        "key": {"type": "string", "description": "The line's key."},
        **{name: one for name, one in whole.items() if name not in {"request_id", "position", "error"}},
        "receipt": {"$ref": "#/components/schemas/Receipt"},
        "error": problem,
        "summary": {
            "type": "object",
            "description": "In the last line: how many lines came, and what became of them.",
            "properties": {name: {"type": "integer"} for name in ("lines", "sealed", "failed")},
            "required": ["lines", "sealed", "failed"],
        },
        "problem": problem,
    }
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "oneOf": [
            {"required": ["line", "key", "document", "receipt"]},
            {"required": ["line", "key", "error"]},
            {"required": ["summary"]},
            {"required": ["problem"]},
        ],
    }
    schemas.components[route.name[0].upper() + route.name[1:] + "Answer"] = schema
    return schema


def _each_schema(message: type[Message], named: Sequence[str], schemas: Schemas) -> Schema:
    """A list of answers, each with its receipt, or of problems in their place."""
    known = descriptor_of(message).fields_by_name
    problem: Schema = {
        "type": "object",
        "properties": {
            **{name: schemas.field(known[name], request=False) for name in named},
            "error": {"$ref": "#/components/schemas/Problem"},
        },
        "required": [*named, "error"],
        "additionalProperties": False,
    }
    results: Schema = {"type": "array", "items": {"oneOf": [_with_receipt(message, schemas), problem]}}
    return {"type": "object", "properties": {"results": results}, "required": ["results"]}


def _with_receipt(message: type[Message], schemas: Schemas) -> Schema:
    descriptor = descriptor_of(message)
    name = f"{descriptor.name}WithReceipt"
    if name not in schemas.components:
        schema = schemas.message(descriptor, request=False)
        schema["properties"]["receipt"] = {"$ref": "#/components/schemas/Receipt"}
        schema["required"] = sorted({*schema.get("required", []), "receipt"})
        schemas.components[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


def _problem_response() -> dict[str, Any]:
    return {
        "description": "What went wrong, and whose part it is.",
        "headers": {
            "Retry-After": {
                "description": "Seconds to wait before trying again; with 429 and 503.",
                "schema": {"type": "integer"},
            }
        },
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
