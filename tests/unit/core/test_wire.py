"""JSON values on their way to and from the contract's messages."""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from core.wire import json_of, put, struct_of
from services.autofill.comparison import Json

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON: st.SearchStrategy[Json] = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@given(JSON)
def test_what_is_put_comes_out_again(value: Json) -> None:
    message = Value()
    put(message, value)

    assert json_of(Value.FromString(message.SerializeToString())) == value


def test_a_number_that_json_does_not_have_is_nothing() -> None:
    assert json_of(Value(number_value=float("nan"))) is None
    assert json_of(Value(number_value=float("inf"))) is None
    assert json_of(Value()) is None


def test_whole_numbers_come_out_whole() -> None:
    assert repr(json_of(Value(number_value=3.0))) == "3"
    assert repr(json_of(Value(number_value=3.5))) == "3.5"


def test_an_object_becomes_a_struct() -> None:
    assert MessageToDict(struct_of({"a": [1, {"b": None}]})) == {"a": [1, {"b": None}]}
