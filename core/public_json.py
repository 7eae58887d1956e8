"""The public JSON form of the contract's messages: one mapping for the edge, the commitments and OpenAPI.

snake_case names; enumerations in lower case without their prefix; instants as RFC 3339 in UTC; bytes as
base64; integers as numbers; what is unset and has presence is left out, lists and maps always stand.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, cast

import orjson
import rfc8785
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from core.wire import json_of

Json = dict[str, Any]

TIMESTAMP = "google.protobuf.Timestamp"
FREE_JSON: dict[str, Callable[[Any], Any]] = {
    # Whole numbers as integers: a message keeps doubles only, and programs that want an integer stumble over
    # 3.0; in the RFC 8785 form the two are the same.
    "google.protobuf.Value": json_of,
    "google.protobuf.Struct": lambda struct: {name: json_of(one) for name, one in struct.fields.items()},
    "google.protobuf.ListValue": lambda many: [json_of(one) for one in many.values],
}
_PLAIN_TYPES = {
    FieldDescriptor.CPPTYPE_STRING,
    FieldDescriptor.CPPTYPE_BOOL,
    FieldDescriptor.CPPTYPE_ENUM,
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_UINT32,
}


def canonical(message: Message) -> bytes:
    """The RFC 8785 form of a message's public JSON, which commitments are made over."""
    return canonical_json(render(message), plain=_is_plain_kind(message.DESCRIPTOR))


def canonical_json(document: Json, *, plain: bool = False) -> bytes:
    """The RFC 8785 form of a JSON object; `plain` says that it is known to hold nothing unusual."""
    if plain or _is_plain(document):
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return rfc8785.dumps(document)


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


def _enum_prefix(enum: EnumDescriptor) -> str:
    return enum.values[0].name.removesuffix("UNSPECIFIED")


def is_map(field: FieldDescriptor) -> bool:
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
    if is_map(field):
        value_field = cast(Descriptor, field.message_type).fields_by_name["value"]
        return field.name, _Form.MAP, _converter(value_field)
    if field.is_repeated:
        return field.name, _Form.LIST, _converter(field)
    return field.name, _Form.OPTIONAL if field.has_presence else _Form.ALWAYS, _converter(field)


def _converter(field: FieldDescriptor) -> _Convert:
    kind, enum = field.message_type, field.enum_type
    if kind is not None:
        if kind.full_name == TIMESTAMP:
            return _instant
        return FREE_JSON.get(kind.full_name, render)
    if enum is not None:
        words = {value.number: enum_word(enum, value.number) for value in enum.values}
        return lambda number: words.get(number, str(number))
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return _whole
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode("ascii")
    return None


def _whole(value: float) -> int | float:
    """A double as RFC 8785 writes it: 3.0 is 3."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _is_plain(value: Any) -> bool:
    """Whether sorted JSON, as a fast library writes it, is the value's RFC 8785 form.

    It is unless there are whole numbers beyond 2**53, fractions that JavaScript writes in another way, or
    names that UTF-8 and UTF-16 may sort differently.
    """
    if isinstance(value, str) or value is None:
        return True
    if isinstance(value, int):
        return -(2**53) < value < 2**53
    if isinstance(value, float):
        return 1e-4 <= abs(value) < 1e15 and not value.is_integer()
    if isinstance(value, dict):
        return all(name.isascii() and _is_plain(one) for name, one in value.items())
    return isinstance(value, list) and all(map(_is_plain, value))


@cache
def _is_plain_kind(descriptor: Descriptor) -> bool:
    """Whether every message of a kind is plain, so that none has to be looked at."""
    for field in cast(list[FieldDescriptor], descriptor.fields):
        kind = field.message_type
        if kind is None:
            if field.cpp_type not in _PLAIN_TYPES:
                return False
        elif kind.full_name != TIMESTAMP and (
            is_map(field) or kind.full_name in FREE_JSON or kind is descriptor or not _is_plain_kind(kind)
        ):
            return False
    return True


def _instant(value: Any) -> str:
    moment = datetime.fromtimestamp(value.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{value.nanos // 1000:06d}Z" if value.nanos else f"{moment}Z"
