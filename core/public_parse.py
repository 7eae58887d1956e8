"""The public JSON of requests: from a document that a caller sent to the contract's message, faults named."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from core.errors import FieldFault, InvalidError
from core.public_json import FREE_JSON, TIMESTAMP, enum_words, is_map

M = TypeVar("M", bound=Message)

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    # Beyond 2**53 a JSON number loses digits (RFC 7493 section 2.2).
    FieldDescriptor.CPPTYPE_INT64: (-(2**53 - 1), 2**53 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**53 - 1),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST_DOUBLE = sys.float_info.max


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
        elif is_map(field):
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
    if name == TIMESTAMP:
        try:
            cast(Any, target).FromJsonString(value)
        except (ValueError, TypeError):
            faults.append(
                FieldFault(path, "type", "must be an instant, RFC 3339, such as 2026-01-31T08:00:00Z")
            )
    elif name in FREE_JSON:
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
    return text.isascii() or _SURROGATE.search(text) is None


def _base64(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
