"""Schemas of what requests carry beside the contracts' messages: cases, uploads, forms; and of receipts."""

from __future__ import annotations

from typing import Any

from onestop.common.v1 import context_pb2, receipt_pb2

from gateway.lines import NDJSON
from gateway.routes import Route
from gateway.schemas import Schema, Schemas, descriptor_of
from gateway.shapes import CaseIn, FormBody, JsonBody, LinesBody, UploadBody

_DOCUMENT: Schema = {
    "type": "string",
    "contentMediaType": "application/pdf",
    "description": "The file, PDF or OFD (application/ofd), at most 16 MiB.",
}
_FILES = "application/pdf, application/ofd, application/octet-stream"


def request_body(route: Route, schemas: Schemas) -> dict[str, Any]:
    """The request body of a route that has one."""
    match route.body:
        case JsonBody() as body:
            name = route.name[0].upper() + route.name[1:] + "Body"
            schemas.components[name] = _json_body(body, schemas)
            schema: Schema = {"$ref": f"#/components/schemas/{name}"}
            return {"required": True, "content": {"application/json": {"schema": schema}}}
        case UploadBody() as body:
            return {"required": True, "content": {"multipart/form-data": _upload_body(body, schemas)}}
        case LinesBody() as body:
            name = route.name[0].upper() + route.name[1:] + "Line"
            schemas.components[name] = _line(body, schemas)
            schema = {
                "type": "string",
                "description": f"Lines, each a JSON object as `#/components/schemas/{name}` describes it.",
            }
            return {"required": True, "content": {NDJSON: {"schema": schema}}}
        case FormBody() as body:
            fields = {name: {"type": "string", "description": text} for name, text in body.fields.items()}
            schema = {"type": "object", "required": ["grant_type"], "properties": fields}
            return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}
    raise TypeError(f"{route.name} has a body of an unknown kind")


def _json_body(body: JsonBody, schemas: Schemas) -> Schema:
    if body.model is not None:
        return schemas.model_schema(body.model)
    schema: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
    if body.query is not None:
        schema = schemas.message(descriptor_of(body.query), request=True)
        for name in body.without:
            del schema["properties"][name]
    beside: dict[str, Schema] = {}
    if body.case is CaseIn.BODY:
        beside["case"] = {"$ref": "#/components/schemas/Case"}
    elif body.case is CaseIn.BODY_AND_PATH:
        beside["case"] = {"$ref": "#/components/schemas/CaseOfPath"}
    if body.consent:
        consent_id = descriptor_of(context_pb2.Basis).fields_by_name["consent_id"]
        beside["consent_id"] = schemas.field(consent_id, request=True)
    schema["properties"] = {**beside, **schema["properties"]}
    required = [*beside, *(name for name in schema.pop("required", []) if name in schema["properties"])]
    if required:
        schema["required"] = required
    return schema


def _line(body: LinesBody, schemas: Schemas) -> Schema:
    known = descriptor_of(body.message).fields_by_name
    key: Schema = {
        "type": "string",
        "pattern": "^[A-Za-z0-9_.:-]{1,128}$",
        "description": "Names this document, so that sending it again seals it once and gets the first"
        " answer. Kept for 24 hours, for the same caller and clerk.",
    }
    beside: dict[str, Schema] = {"key": key, "case": {"$ref": "#/components/schemas/Case"}}
    fields = {name: schemas.field(known[name], request=True) for name in body.fields}
    line: Schema = {
        "type": "object",
        "required": ["key", "case", body.fields[0]],
        "properties": {**beside, **fields},
        "additionalProperties": False,
    }
    if body.other is None:
        return line
    instead = schemas.message(descriptor_of(body.other), request=True)
    instead = {
        **instead,
        "required": ["key", "case", *instead.get("required", ())],
        "properties": {**beside, **instead["properties"]},
    }
    return {"oneOf": [line, instead]}


def _upload_body(body: UploadBody, schemas: Schemas) -> dict[str, Any]:
    if body.document_alone:
        return {
            "schema": {
                "type": "object",
                "required": ["document"],
                "properties": {"document": _DOCUMENT},
            },
            "encoding": {"document": {"contentType": _FILES}},
        }
    said: dict[str, Schema] = {"case": {"$ref": "#/components/schemas/Case"}}
    if body.message is not None:
        known = descriptor_of(body.message).fields_by_name
        said |= {name: schemas.field(known[name], request=True) for name in body.fields}
    return {
        "schema": {
            "type": "object",
            "required": ["document", "request"],
            "properties": {
                "document": _DOCUMENT,
                "request": {
                    "type": "object",
                    "required": ["case"],
                    "properties": said,
                    "additionalProperties": False,
                },
            },
        },
        "encoding": {
            "document": {"contentType": _FILES},
            "request": {"contentType": "application/json"},
        },
    }


def case_schema(schemas: Schemas, *, matter_in_path: bool) -> Schema:
    """The case as `gateway/cases.py` reads it."""
    basis, context = descriptor_of(context_pb2.Basis), descriptor_of(context_pb2.RequestContext)
    fields = {
        **{name: basis.fields_by_name[name] for name in ("matter_code", "case_number")},
        **{name: context.fields_by_name[name] for name in ("office", "operator", "purpose")},
    }
    return {
        "type": "object",
        "description": "The case that is being handled, for which office and by which clerk."
        + (" The matter is the one in the path." if matter_in_path else ""),
        "required": [*([] if matter_in_path else ["matter_code"]), "case_number", "office"],
        "properties": {name: schemas.field(field, request=True) for name, field in fields.items()},
        "additionalProperties": False,
    }


def add_receipt(schemas: Schemas) -> None:
    """The schema of a receipt as `core/receipt_json.py` writes it: with the entry itself, not its bytes, and
    without the answer, which stands around it."""
    schemas.reference(descriptor_of(receipt_pb2.Receipt), request=False)
    receipt = schemas.components["Receipt"]
    del receipt["properties"]["answer_json"]
    for name in ("answer_json", "opening_destroyed"):
        receipt["required"].remove(name)
    receipt["properties"]["entry"] = {
        "type": "object",
        "description": "The entry. The bytes of the Merkle leaf are its RFC 8785 form.",
    }
