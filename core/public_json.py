"""The public JSON form of the contract's messages: one mapping for the edge, the commitments and OpenAPI.

snake_case names; enumerations in lower case without their prefix; instants as RFC 3339 in UTC; bytes as
base64; integers as numbers; what is unset and has presence is left out, lists and maps always stand.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

import orjson
import rfc8785
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from core.errors import FieldFault, InvalidError
from core.wire import json_of

Json = dict[str, Any]
M = TypeVar("M", bound=Message)

_TIMESTAMP = "google.protobuf.Timestamp"
_FREE_JSON: dict[str, Callable[[Any], Any]] = {
    # Whole numbers as integers: a message keeps doubles only, and programs that want an integer stumble over
    # 3.0; in the RFC 8785 form the two are the same.
    "google.protobuf.Value": json_of,
    "google.protobuf.Struct": lambda struct: {name: json_of(one) for name, one in struct.fields.items()},
    "google.protobuf.ListValue": lambda many: [json_of(one) for one in many.values],
}
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    # Beyond 2**53 a JSON number loses digits (RFC 7493 section 2.2).
    FieldDescriptor.CPPTYPE_INT64: (-(2**53 - 1), 2**53 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**53 - 1),
}
_LARGEST_DOUBLE = sys.float_info.max


def canonical(document: Mapping[str, Any]) -> bytes:
    """The RFC 8785 form, which commitments are made over."""
    if _is_plain(document):
        # Without fractions, and with names that sort alike in UTF-8 and UTF-16, sorted JSON is that form.
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return rfc8785.dumps(dict(document))


def enum_word(enum: EnumDescriptor, number: int) -> str:
    """The public word of an enumeration's value."""
    value = enum.values_by_number.get(number)
    return value.name.removeprefix(_enum_prefix(enum)).lower() if value is not None else str(number)


def enum_words(enum: EnumDescriptor) -> dict[str, int]:
    """The public words and their numbers, without the unspecified one."""
    prefix = _enum_prefix(enum)
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}


def render(message: Message) -> Json:
    """A message's public JSON."""
    document: Json = {}
    for name, form, convert in _plan(message.DESCRIPTOR):
        if form is _Form.OPTIONAL and not message.HasField(name):
            continue
        value = getattr(message, name)
        if form is _Form.LIST:
            document[name] = [convert(one) for one in value] if convert else list(value)
        elif form is _Form.MAP:
            document[name] = {str(key): convert(value[key]) if convert else value[key] for key in value}
        else:
            document[name] = convert(value) if convert else value
    return document


def parse(document: object, kind: type[M], path: str = "") -> M:
    """The message that a JSON document says.

    Raises InvalidError naming each field at fault: unknown, of another type, or out of range. The
    contract's own rules (lengths, patterns) are checked by the service.
    """
    faults: list[FieldFault] = []
    message = kind()
    _parse_into(message, document, path, faults)
    if faults:
        summary = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:3])
        raise InvalidError(f"the request body is malformed: {summary}", faults=faults)
    return message


def _enum_prefix(enum: EnumDescriptor) -> str:
    return enum.values[0].name.removesuffix("UNSPECIFIED")


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


class _Form(Enum):
    """How a field's values stand in a message."""

    ALWAYS = 1
    OPTIONAL = 2
    LIST = 3
    MAP = 4


_Convert = Callable[[Any], Any] | None
"""Turns a value into JSON; None where it is JSON already."""


@cache
def _plan(descriptor: Descriptor) -> tuple[tuple[str, _Form, _Convert], ...]:
    """What rendering a message of this kind takes, found out once."""
    return tuple(_field_plan(field) for field in cast(list[FieldDescriptor], descriptor.fields))


def _field_plan(field: FieldDescriptor) -> tuple[str, _Form, _Convert]:
    if _is_map(field):
        value_field = cast(Descriptor, field.message_type).fields_by_name["value"]
        return field.name, _Form.MAP, _converter(value_field)
    if field.is_repeated:
        return field.name, _Form.LIST, _converter(field)
    return field.name, _Form.OPTIONAL if field.has_presence else _Form.ALWAYS, _converter(field)


def _converter(field: FieldDescriptor) -> _Convert:
    kind, enum = field.message_type, field.enum_type
    if kind is not None:
        if kind.full_name == _TIMESTAMP:
            return _instant
        return _FREE_JSON.get(kind.full_name, render)
    if enum is not None:
        words = {value.number: enum_word(enum, value.number) for value in enum.values}
        return lambda number: words.get(number, str(number))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode("ascii")
    return None


def _is_plain(value: Any) -> bool:
    """Whether a value has only ASCII names, texts, truth values and whole numbers that JSON can hold."""
    if isinstance(value, str) or value is None:
        return True
    if isinstance(value, int):
        return -(2**53) < value < 2**53
    if isinstance(value, dict):
        return all(name.isascii() and _is_plain(one) for name, one in value.items())
    return isinstance(value, list) and all(map(_is_plain, value))


def _instant(value: Any) -> str:
    moment = datetime.fromtimestamp(value.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{value.nanos // 1000:06d}Z" if value.nanos else f"{moment}Z"


def _parse_into(message: Message, document: object, path: str, faults: list[FieldFault]) -> None:
    if not isinstance(document, Mapping):
        faults.append(FieldFault(path or "body", "type", "must be a JSON object"))
        return
    fields = cast(dict[str, FieldDescriptor], message.DESCRIPTOR.fields_by_name)
    for name, value in document.items():
        here = f"{path}.{name}" if path else str(name)
        field = fields.get(name)
        if field is None:
            faults.append(FieldFault(here, "unknown", "is not a field of this request"))
        elif value is None:
            faults.append(FieldFault(here, "type", "must not be null; leave it out instead"))
        elif _is_map(field):
            _parse_map(message, field, value, here, faults)
        elif field.is_repeated:
            _parse_list(message, field, value, here, faults)
        elif field.message_type is not None:
            target = getattr(message, name)
            target.SetInParent()
            _parse_message(target, value, here, faults)
        else:
            scalar = _scalar(field, value, here, faults)
            if scalar is not None:
                setattr(message, name, scalar)


def _parse_list(
    message: Message, field: FieldDescriptor, value: object, path: str, faults: list[FieldFault]
) -> None:
    if not isinstance(value, list):
        faults.append(FieldFault(path, "type", "must be a JSON array"))
        return
    target = getattr(message, field.name)
    for position, element in enumerate(value):
        here = f"{path}[{position}]"
        if field.message_type is not None:
            _parse_message(target.add(), element, here, faults)
        else:
            scalar = _scalar(field, element, here, faults)
            if scalar is not None:
                target.append(scalar)


def _parse_map(
    message: Message, field: FieldDescriptor, value: object, path: str, faults: list[FieldFault]
) -> None:
    if not isinstance(value, Mapping):
        faults.append(FieldFault(path, "type", "must be a JSON object"))
        return
    value_field = cast(Descriptor, field.message_type).fields_by_name["value"]
    target = getattr(message, field.name)
    for key, element in value.items():
        here = f"{path}.{key}"
        if not isinstance(key, str) or not encodable(key):
            faults.append(FieldFault(path, "type", "must have names that are strings of Unicode characters"))
            continue
        if value_field.message_type is not None:
            _parse_message(target[key], element, here, faults)
        else:
            scalar = _scalar(value_field, element, here, faults)
            if scalar is not None:
                target[key] = scalar


def _parse_message(target: Message, value: object, path: str, faults: list[FieldFault]) -> None:
    name = target.DESCRIPTOR.full_name
    if name == _TIMESTAMP:
        try:
            cast(Any, target).FromJsonString(value)
        except (ValueError, TypeError):
            faults.append(
                FieldFault(path, "type", "must be an instant, RFC 3339, such as 2026-01-31T08:00:00Z")
            )
    elif name in _FREE_JSON:
        try:
            ParseDict(cast(Any, value), target)
        except (ParseError, RecursionError, OverflowError, ValueError):
            faults.append(FieldFault(path, "type", "must be a plain JSON value"))
    else:
        _parse_into(target, value, path, faults)


def _scalar(field: FieldDescriptor, value: object, path: str, faults: list[FieldFault]) -> Any:
    """The value as protobuf takes it; None after a fault."""
    expected: str
    if field.enum_type is not None:
        words = enum_words(field.enum_type)
        if isinstance(value, str) and value in words:
            return words[value]
        expected = "must be one of " + ", ".join(words)
    elif field.cpp_type in _INTEGERS:
        low, high = _INTEGERS[field.cpp_type]
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        expected = f"must be a whole number from {low} to {high}"
    elif field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST_DOUBLE:
            return float(value)
        expected = "must be a number"
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if isinstance(value, bool):
            return value
        expected = "must be true or false"
    elif field.type == FieldDescriptor.TYPE_BYTES:
        decoded = _base64(value)
        if decoded is not None:
            return decoded
        expected = "must be base64 (RFC 4648 section 4)"
    else:
        if isinstance(value, str) and encodable(value):
            return value
        expected = "must be a string"
    faults.append(FieldFault(path, "type", expected))
    return None


def encodable(text: str) -> bool:
    """Whether a text can be UTF-8: it holds no half of a surrogate pair."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _base64(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
