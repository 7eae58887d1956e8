"""What rpc and clients share: the caller's proof as it is relayed, and the contract's JSON values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from google.protobuf.struct_pb2 import Value
from onestop.common.v1 import context_pb2

from services.agricredit.registers import Json

LARGEST_WHOLE = 2**53
"""Beyond it a double does not hold every whole number (RFC 7493 section 2.2)."""


@dataclass(frozen=True)
class Relay:
    """The caller's credential and context as they came; the data node verifies them itself."""

    credential: context_pb2.Credential = field(repr=False)
    context: context_pb2.RequestContext = field(repr=False)


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


def _number(number: float) -> Json:
    if math.isfinite(number) and number.is_integer() and abs(number) < LARGEST_WHOLE:
        return int(number)
    return number
