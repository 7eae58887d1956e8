"""JSON values as the contracts carry them, and the caller's proof as services relay it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from onestop.common.v1 import context_pb2

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A JSON value."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_WHOLE = 2**53
"""Beyond it a double does not hold every whole number (RFC 7493 section 2.2)."""


@dataclass(frozen=True)
class Relay:
    """The caller's credential and context as they came; whoever gets them verifies them itself."""

    credential: context_pb2.Credential = field(repr=False)
    context: context_pb2.RequestContext = field(repr=False)


def set_instant(stamp: Timestamp, moment: datetime) -> None:
    """Writes a moment into a message's field, to the microsecond."""
    stamp.seconds = int(moment.timestamp() // 1)
    stamp.nanos = moment.microsecond * 1000


def instant_of(stamp: Timestamp) -> datetime:
    """The moment that a message's field says, to the microsecond, in UTC."""
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def json_of(value: Value) -> Json:
    """The JSON that a message's value says; whole numbers as integers."""
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "number_value":
            return _number(value.number_value)
        case "string_value":
            return value.string_value
        case "list_value":
            return [json_of(element) for element in value.list_value.values]
        case "struct_value":
            return {name: json_of(element) for name, element in value.struct_value.fields.items()}
        case _:
            return None


def put(target: Value, value: Json) -> None:
    """Writes a JSON value in place."""
    match value:
        case None:
            target.null_value = NULL_VALUE
        case bool():
            target.bool_value = value
        case int() | float():
            target.number_value = value
        case str():
            target.string_value = value
        case Mapping():
            target.struct_value.SetInParent()
            for name, element in value.items():
                put(target.struct_value.fields[name], element)
        case _:
            target.list_value.SetInParent()
            for element in value:
                put(target.list_value.values.add(), element)


def struct_of(document: Mapping[str, Json]) -> Struct:
    """A JSON object as a message."""
    made = Value()
    put(made, document)
    return made.struct_value


def _number(number: float) -> Json:
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < _LARGEST_WHOLE else number
