"""The contract's own rules (protovalidate), enforced in one place for every request."""

from __future__ import annotations

from contextvars import ContextVar

from google.protobuf.message import Message
from protovalidate import Validator
from protovalidate._gen.buf.validate.validate_pb import FieldPathElement

from core.errors import FieldFault, InvalidError

_VALIDATOR = Validator()
_ITEM_FAULTS: ContextVar[dict[int, list[FieldFault]] | None] = ContextVar("item_faults", default=None)


def item_faults() -> dict[int, list[FieldFault]]:
    """Faults of the current batch's items, by their position."""
    return _ITEM_FAULTS.get() or {}


def validate(request: Message) -> None:
    """Raises InvalidError for a request that breaks a rule; faults inside `items` are kept for those."""
    violations = _VALIDATOR.collect_violations(request)
    if not violations:
        _ITEM_FAULTS.set(None)
        return
    by_item: dict[int, list[FieldFault]] = {}
    own: list[FieldFault] = []
    for violation in violations:
        elements = list(violation.proto.field.elements) if violation.proto.field else []
        path = "".join(_step(element) for element in elements).lstrip(".")
        rule = violation.proto.rule_id
        message = violation.proto.message or f"breaks the rule {rule}"
        position = _position(elements[0]) if elements else None
        if position is None:
            own.append(FieldFault(path or "request", rule, message))
        else:
            inner = "".join(_step(element) for element in elements[1:]).lstrip(".").removeprefix("query.")
            by_item.setdefault(position, []).append(FieldFault(inner, rule, message))
    if own:
        summary = "; ".join(f"{fault.field}: {fault.message}" for fault in own[:3])
        raise InvalidError(f"the request breaks the contract's rules: {summary}", faults=own)
    _ITEM_FAULTS.set(by_item)


def _step(element: FieldPathElement) -> str:
    """One step of a field's path, as people write it."""
    name = f".{element.field_name}"
    if element.subscript is None:
        return name
    if element.subscript.field == "string_key":
        return f"{name}.{element.subscript.value}"
    return f"{name}[{element.subscript.value}]"


def _position(element: FieldPathElement) -> int | None:
    """The position of the batch item that a path leads into."""
    subscript = element.subscript
    if element.field_name != "items" or subscript is None or subscript.field != "index":
        return None
    return int(subscript.value)
