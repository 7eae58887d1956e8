"""The case in an approval request: for which matter and application, which office and which clerk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onestop.common.v1 import context_pb2

from core.errors import FieldFault, InvalidError

_FIELDS = ("matter_code", "case_number", "office", "operator", "purpose")
_REQUIRED = ("matter_code", "case_number", "office")


@dataclass(frozen=True)
class Case:
    """One case, as the approval platform names it; its values are checked by the contract's rules."""

    matter_code: str = ""
    case_number: str = ""
    office: str = ""
    operator: str = ""
    purpose: str = ""

    def basis(self) -> context_pb2.Basis:
        """The case as the ground for an answer."""
        return context_pb2.Basis(
            kind=context_pb2.BASIS_KIND_MATTER, matter_code=self.matter_code, case_number=self.case_number
        )


def parse_case(document: object, *, matter_code: str = "", optional: bool = False) -> Case | None:
    """The `case` of a body. `matter_code` is the one in the path, where the path names it.

    Raises InvalidError naming each field that is missing, unknown, or no text; None for an optional case
    that is not there.
    """
    if document is None and optional:
        return None
    if not isinstance(document, Mapping):
        message = "is required" if document is None else "must be a JSON object"
        raise InvalidError(f"case {message}", faults=[FieldFault("case", "required", message)])
    faults = [
        FieldFault(f"case.{name}", "unknown", "is not a field of a case")
        for name in document
        if name not in _FIELDS
    ]
    values = {"matter_code": matter_code}
    for name in _FIELDS:
        value = document.get(name, values.get(name, ""))
        if not isinstance(value, str):
            faults.append(FieldFault(f"case.{name}", "type", "must be a string"))
        elif not value and name in _REQUIRED:
            faults.append(FieldFault(f"case.{name}", "required", "is required"))
        else:
            values[name] = value
    if matter_code and values["matter_code"] != matter_code:
        faults.append(FieldFault("case.matter_code", "same", "must be the matter in the path, or left out"))
    if faults:
        summary = "; ".join(f"{fault.field} {fault.message}" for fault in faults[:3])
        raise InvalidError(summary, faults=faults)
    return Case(**values)
