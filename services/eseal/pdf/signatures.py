"""The signatures in a PDF and the fields that show them. Runs in a confined worker only.

One signature may stand in several fields, a picture in each. They came with it: a field that was added later
and names a signature that was there already shows a picture that nobody signed, and counts as a change
(pyHanko's rules for what may follow a signature see to that).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from pyhanko.pdf_utils.generic import DictionaryObject, IndirectObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.rw_common import PdfHandler
from pyhanko.sign.diff_analysis import (
    DEFAULT_DIFF_POLICY,
    DiffResult,
    FormUpdatingRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
)
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from services.eseal.pdf.afterwards import rest_is_kept

TIMESTAMP = "/DocTimeStamp"

_SEALS_ALONE = StandardDiffPolicy(
    global_rules=DEFAULT_DIFF_POLICY.global_rules,
    form_rule=FormUpdatingRule(field_rules=[SigFieldCreationRule(), SigFieldModificationRule()]),
)
"""The library's rules for what may follow a signature, without the one that fields may be filled in."""


@dataclass(frozen=True)
class Signed:
    """One signature: the names of the fields that show it, and the fields."""

    names: tuple[str, ...]
    fields: tuple[DictionaryObject, ...]

    @property
    def field(self) -> DictionaryObject:
        """The first of them."""
        return self.fields[0]

    @property
    def are_unseen(self) -> bool:
        """Whether none of them takes room on a page."""
        return all(map(is_unseen, self.fields))

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
    return [
        Signed(tuple(name for name, _ in group), tuple(field for _, field in group))
        for group in groups.values()
    ]


def covers_exactly(signature: EmbeddedPdfSignature, document: bytes) -> bool:
    """Whether the byte range leaves out nothing but this signature's own value.

    Stricter than the library where the range reaches the end of the file: a gap that is wider than
    the value, or stands elsewhere, could hide content (universal forgery, signature wrapping).
    """
    span = [int(number) for number in signature.byte_range]
    if len(span) != 4 or span[0] != 0 or min(span) < 0:
        return False
    _, before, resume, after = span
    if not before < resume <= resume + after <= len(document):
        return False
    gap = document[before:resume]
    if gap[:1] != b"<" or gap[-1:] != b">":
        return False
    try:
        contents = bytes.fromhex(gap[1:-1].decode("ascii"))
    except ValueError:
        return False
    # Only noughts pad it: whatever else stood there would be signed by nobody.
    padding = contents[len(without_padding(contents)) :]
    return contents == signature.pkcs7_content and not any(padding)


def without_padding(contents: bytes) -> bytes:
    """The DER object at the start of /Contents, without the noughts that pad it."""
    if len(contents) < 2 or contents[1] < 0x80:
        return contents[: 2 + contents[1]] if len(contents) >= 2 else contents
    count = contents[1] & 0x7F
    return contents[: 2 + count + int.from_bytes(contents[2 : 2 + count], "big")]


def is_whole(signature: EmbeddedPdfSignature, document: bytes) -> bool:
    """Whether the bytes that a signature covers are those that were signed, and by the certificate in it.

    Says nothing of trust. May raise anything at all on a file that lies about itself.
    """
    if not covers_exactly(signature, document):
        return False
    covered = signature.compute_digest()
    if signature.sig_object_type != TIMESTAMP:
        return _is_signed(signature, "data", covered)
    # Of a timestamp, the token's content is signed, which holds the digest (RFC 3161 section 2.4.2).
    content = signature.signed_data["encap_content_info"]["content"]
    imprint = content.parsed["message_imprint"]
    digest = hashlib.new(signature.signer_info["digest_algorithm"]["algorithm"].native, bytes(content))
    stamped = signature.compute_digest(imprint["hash_algorithm"]["algorithm"].native)
    return bool(imprint["hashed_message"].native == stamped) and _is_signed(
        signature, "tst_info", digest.digest()
    )


def _is_signed(signature: EmbeddedPdfSignature, kind: str, digest: bytes) -> bool:
    return all(validate_sig_integrity(signature.signer_info, signature.signer_cert, kind, digest))


def precedes_seals_alone(signature: EmbeddedPdfSignature, signed_fields: Collection[str]) -> bool:
    """Whether nothing but further seals and validation data came after; filled-in fields are changes.

    A signature field that is not signed is one too: its picture could cover what was sealed; and so are other
    metadata, and fields that are to be drawn anew. The signature's integrity must have been computed.
    """
    if not rest_is_kept(signature.reader, signature.signed_revision):
        return False
    diff = signature.diff_result
    if isinstance(diff, DiffResult) and not diff.changed_form_fields <= set(signed_fields):
        # The library names each field that has a picture of its own, changed or not: so once more, without
        # its rule for such fields. What touched one of them is then explained by nothing.
        diff = signature.evaluate_modifications(_SEALS_ALONE)
    return isinstance(diff, DiffResult) and diff.changed_form_fields <= set(signed_fields)


def is_unseen(field: DictionaryObject) -> bool:
    """Whether a field takes no room on any page, whichever way a viewer reads its rectangle.

    A document timestamp is of nobody known, so what it shows was sealed by nobody.
    """
    if "/Kids" in field:
        return False
    box = field.get("/Rect", [])
    return len(box) in (0, 4) and not any(float(number) for number in box)
