"""The signatures in a PDF and the fields that show them. Runs in a confined worker only.

One signature may stand in several fields, a picture in each. They came with it: a field that was added later
and names a signature that was there already shows a picture that nobody signed, and counts as a change
(pyHanko's rules for what may follow a signature see to that).
"""

from __future__ import annotations

from dataclasses import dataclass

from pyhanko.pdf_utils.generic import DictionaryObject, IndirectObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.fields import enumerate_sig_fields


@dataclass(frozen=True)
class Signed:
    """One signature: the names of the fields that show it, and the first of them."""

    names: tuple[str, ...]
    field: DictionaryObject

    @property
    def name(self) -> str:
        """Of the first field."""
        return self.names[0]


def signature_fields(handler: PdfHandler) -> list[tuple[str, DictionaryObject]]:
    """Every filled signature field, by its full name."""
    fields = enumerate_sig_fields(handler, filled_status=True)
    return [(name, reference.get_object()) for name, _, reference in fields]


def signatures_of(reader: PdfFileReader) -> list[Signed]:
    """Every signature once, in the order of the file's fields."""
    groups: dict[object, list[tuple[str, DictionaryObject]]] = {}
    for name, field in signature_fields(reader):
        value = field.raw_get("/V")
        key = value.reference if isinstance(value, IndirectObject) else name
        groups.setdefault(key, []).append((name, field))
    return [Signed(tuple(name for name, _ in group), group[0][1]) for group in groups.values()]
