"""JSON Schemas (2020-12) of the contracts' messages in their public form (core/public_json.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any, cast

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from core.public_json import enum_words
from gateway.comments import comments, described

Schema = dict[str, Any]

_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {"description": "Any JSON value."},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
}
_SCALARS: Mapping[int, Schema] = {
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "minimum": 0},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "integer", "minimum": 0},
}


def descriptor_of(kind: type[Message]) -> Descriptor:
    """The contract of a message's class."""
    return cast(Descriptor, kind.DESCRIPTOR)


class Schemas:
    """Collects the schemas that a document refers to, each under a name of its own."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._names: dict[tuple[str, bool], str] = {}

    def reference(self, message: Descriptor, *, request: bool) -> Schema:
        """A reference to the message's schema as requests or as answers have it."""
        key = (message.full_name, request)
        if key not in self._names:
            name = message.name if message.name not in self.components else f"{message.name}Input"
            self._names[key] = name
            self.components[name] = {}  # the name is taken before the fields are looked at: messages may nest
            self.components[name] = self.message(message, request=request)
        return {"$ref": f"#/components/schemas/{self._names[key]}"}

    def message(self, message: Descriptor, *, request: bool) -> Schema:
        """The schema of a message's fields."""
        fields = cast(list[FieldDescriptor], message.fields)
        schema: Schema = {
            "type": "object",
            "properties": {field.name: self.field(field, request=request) for field in fields},
        }
        required = [field.name for field in fields if _is_required(field, request=request)]
        if required:
            schema["required"] = required
        if request:
            schema["additionalProperties"] = False
        if text := described(message.full_name):
            schema["description"] = text
        return schema

    def model_schema(self, model: type[BaseModel]) -> Schema:
        """The schema of a form that is no contract's; those that it refers to are collected too."""
        schema = deepcopy(_generated(model))
        self.components |= schema.pop("$defs", {})
        del schema["title"]
        return schema

    def of_model(self, model: type[BaseModel], *, receipt: bool) -> Schema:
        """A reference to such a schema as answers have it, with their receipt if they come with one."""
        schema = self.model_schema(model)
        if receipt:
            schema["properties"]["receipt"] = {"$ref": "#/components/schemas/Receipt"}
            schema["required"] = sorted({*schema.get("required", []), "receipt"})
        self.components[model.__name__] = schema
        return {"$ref": f"#/components/schemas/{model.__name__}"}

    def field(self, field: FieldDescriptor, *, request: bool) -> Schema:
        """The schema of one field, with its comment and its rules."""
        rules = _rules(field)
        schema: Schema
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            schema = {"type": "object", "additionalProperties": self._single(value, request=request)}
            _put(schema, "minProperties", rules.map.min_pairs)
            _put(schema, "maxProperties", rules.map.max_pairs)
        elif field.is_repeated:
            items = self._single(field, request=request) | _string_rules(rules.repeated.items)
            schema = {"type": "array", "items": items}
            _put(schema, "minItems", rules.repeated.min_items)
            _put(schema, "maxItems", rules.repeated.max_items)
            _put(schema, "uniqueItems", rules.repeated.unique)
        else:
            schema = self._single(field, request=request) | _string_rules(rules) | _number_rules(rules)
        if text := described(field.full_name):
            schema["description"] = text
        return schema

    def _single(self, field: FieldDescriptor, *, request: bool) -> Schema:
        if field.message_type is not None:
            message = field.message_type
            known = _WELL_KNOWN.get(message.full_name)
            return dict(known) if known is not None else self.reference(message, request=request)
        if field.enum_type is not None:
            return self._enumeration(field.enum_type)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {"type": "string", "contentEncoding": "base64"}
        return dict(_SCALARS[field.cpp_type])

    def _enumeration(self, enum: EnumDescriptor) -> Schema:
        """The public words, each explained where the contract explains it."""
        if enum.name not in self.components:
            words = enum_words(enum)
            meanings = []
            for word, number in words.items():
                text = comments().get(f"{enum.full_name}.{enum.values_by_number[number].name}")
                meanings.append(f"* `{word}`: {text}" if text else f"* `{word}`")
            description = "\n".join(filter(None, [described(enum.full_name), "", *meanings]))
            schema = {"type": "string", "enum": list(words), "description": description}
            self.components[enum.name] = schema
        return {"$ref": f"#/components/schemas/{enum.name}"}


class _WithoutTitles(GenerateJsonSchema):
    """A field's name says as much as a title made of it."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


@cache
def _generated(model: type[BaseModel]) -> Schema:
    """A model's schema, with those that it refers to; to be copied."""
    return model.model_json_schema(
        ref_template="#/components/schemas/{model}", schema_generator=_WithoutTitles
    )


def _rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    rules: validate_pb2.FieldRules = field.GetOptions().Extensions[validate_pb2.field]
    return rules


def _string_rules(rules: validate_pb2.FieldRules) -> Schema:
    schema: Schema = {}
    text = rules.string
    _put(schema, "minLength", text.min_len)
    _put(schema, "maxLength", text.max_len)
    _put(schema, "pattern", text.pattern)
    if text.uuid:
        schema["format"] = "uuid"
    return schema


def _number_rules(rules: validate_pb2.FieldRules) -> Schema:
    schema: Schema = {}
    for kind in ("uint32", "double", "int32", "int64", "uint64"):
        if not rules.HasField(kind):
            continue
        numbers = getattr(rules, kind)
        for rule, keyword in (("gte", "minimum"), ("lte", "maximum"), ("gt", "exclusiveMinimum")):
            if numbers.HasField(rule):
                schema[keyword] = getattr(numbers, rule)
    return schema


def _is_required(field: FieldDescriptor, *, request: bool) -> bool:
    """In an answer: whether it always stands there. In a request: whether leaving it out breaks a rule."""
    if not request:
        return field.is_repeated or not field.has_presence
    rules = _rules(field)
    if rules.required:
        return True
    if field.has_presence:
        return False
    text = rules.string
    rejects_empty = bool(text.pattern) and re.search(text.pattern, "") is None
    return bool(
        rejects_empty
        or text.min_len
        or text.uuid
        or rules.bytes.min_len
        or rules.repeated.min_items
        or rules.map.min_pairs
        or (rules.HasField("uint32") and rules.uint32.gte)
    )


def _put(schema: Schema, keyword: str, value: object) -> None:
    """The keyword, unless the rule is not set."""
    if value:
        schema[keyword] = value
