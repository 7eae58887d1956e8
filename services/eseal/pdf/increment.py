"""Lays out one more seal on a PDF of ordinary form, as an incremental update (ISO 32000-2 7.5.6, 12.8).

What the update holds is what pyHanko writes for the same seal: a signature field that is its own widget, the
picture, an empty signature, and those objects again that must name them: the page, the form, the catalogue.
Each of these is the file's own text with an entry put in. A file that already bears a signature or a lock,
that is encrypted, damaged or merely unusual is left to pyHanko, which also decides what is refused and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC

from services.eseal.domain import Box, Picture, Place
from services.eseal.pdf.crossref import Objects
from services.eseal.pdf.pages import Page, find_page
from services.eseal.pdf.syntax import (
    Dictionary,
    OddError,
    read_array,
    read_dictionary,
    reference_of,
    references_of,
    with_element,
)
from services.eseal.pdf.update import RANGE_ROOM, Update
from services.eseal.raster import operators, raster_of
from services.eseal.refusals import DocumentError
from services.eseal.sealing.prepared import Imprint, PreparedDocument
from services.eseal.sheet import MATRICES, seal_box, size_of

MOST_FIELDS = 256
_HEADER = re.compile(rb"%PDF-([12])\.(\d)[\x00\t\n\x0c\r ]")
_VERSION = re.compile(rb"/([12])\.(\d)")
_PLAIN = re.compile(r"[0-9A-Za-z .:_-]*")
_NEEDED = (1, 7)
"""The version that PAdES signatures belong to, with the extension ESIC before 2.0 (EN 319 142-1 annex A)."""
_ESIC = b"<</Type /DeveloperExtensions /BaseVersion /1.7 /ExtensionLevel 1>>"


def prepare(document: bytes, place: Place, imprint: Imprint) -> PreparedDocument | None:
    """The file with one more seal laid out; None where it is not of ordinary form, for whatever reason."""
    try:
        return _Seal(Objects(document)).laid_out(place, imprint)
    except (OddError, DocumentError, ValueError):  # a text that cannot be encoded is a ValueError too
        return None


class _Seal:
    """A seal on its way into a file."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._update = Update(objects)

    def laid_out(self, place: Place, imprint: Imprint) -> PreparedDocument:
        """Raises OddError where the file is not of ordinary form, DocumentError where it is to be refused."""
        root_number = reference_of(self._objects.trailer().get(b"/Root", b""))
        root = self._objects.dictionary(root_number)
        page = find_page(self._objects, root, place.page)
        box = seal_box(page.sheet, place, imprint.picture)
        appearance = self._update.add(self._appearance(imprint.picture, page.sheet.turn))
        signature = self._update.add(_signature(imprint))
        seal = self._update.add(_field(imprint, box, page.number, appearance, signature))
        self._annotate(page, seal)
        changes = {**self._version_changes(root), **self._form_changes(root, seal, imprint.field_name)}
        if changes:
            self._update.write_again(root_number, root.changed(changes))
        return self._update.assembled(signature, imprint.room)

    def _appearance(self, picture: Picture, turn: int) -> bytes:
        """The picture as a form XObject; one by the dot is an object of its own."""
        raster = raster_of(picture)
        if raster is None:
            return _form(picture, turn, picture.content, b"/Filter /FlateDecode")
        image = self._update.add(
            b"<<%b /Length %d>>\nstream\n%b\nendstream" % (raster.entries, len(raster.rows), raster.rows)
        )
        return _form(picture, turn, operators(picture), b"", b" /XObject <</Picture %d 0 R>>" % image)

    def _annotate(self, page: Page, seal: int) -> None:
        """Adds the seal to the page's annotations, wherever they stand."""
        entry = b"/Annots"
        added = b"%d 0 R" % seal
        if entry not in page.node:
            self._update.write_again(page.number, page.node.changed({entry: b"[%b]" % added}))
            return
        standing = page.node.value(entry)
        if standing.startswith(b"["):
            self._update.write_again(page.number, page.node.changed({entry: with_element(standing, added)}))
            return
        number = reference_of(standing)
        self._update.write_again(number, with_element(self._objects.array(number), added))

    def _version_changes(self, root: Dictionary) -> Mapping[bytes, bytes | None]:
        """What the catalogue must say for a file with a PAdES signature."""
        version = self._version(root)
        changes: dict[bytes, bytes | None] = {}
        if version < _NEEDED:
            changes[b"/Version"] = b"/%d.%d" % _NEEDED
        if version < (2, 0):
            if b"/Extensions" not in root:
                changes[b"/Extensions"] = b"<</ESIC %b>>" % _ESIC
            else:
                extensions = read_dictionary(root.value(b"/Extensions"), 0)
                if b"/ESIC" not in extensions:
                    changes[b"/Extensions"] = extensions.changed({b"/ESIC": _ESIC})
                elif read_dictionary(extensions.value(b"/ESIC"), 0).value(b"/ExtensionLevel") != b"1":
                    raise OddError("an extension of another level")
        return changes

    def _version(self, root: Dictionary) -> tuple[int, int]:
        """The file's version: its header's, unless the catalogue says a later one."""
        header = _HEADER.match(self._objects.data)
        said = _VERSION.fullmatch(root.value(b"/Version")) if b"/Version" in root else header
        if header is None or said is None or said.groups() < header.groups():
            raise OddError("a version")
        return int(said[1]), int(said[2])

    def _form_changes(self, root: Dictionary, seal: int, name: str) -> Mapping[bytes, bytes | None]:
        """Adds the field to the form; answers what the catalogue must say."""
        if b"/Perms" in root:
            raise OddError("a certified file")
        entry = b"/AcroForm"
        added = b"%d 0 R" % seal
        if entry not in root:
            form = self._update.add(b"<</Fields [%b] /SigFlags 3>>" % added)
            return {entry: b"%d 0 R" % form}
        standing = root.value(entry)
        number = 0 if standing.startswith(b"<<") else reference_of(standing)
        held = self._objects.dictionary(number) if number else read_dictionary(standing, 0)
        if b"/XFA" in held:
            raise OddError("a form of its own kind")
        changes: dict[bytes, bytes | None] = {b"/SigFlags": b"3", b"/NeedAppearances": None}
        fields = held.value(b"/Fields") if b"/Fields" in held else b"[]"
        array_number = 0 if fields.startswith(b"[") else reference_of(fields)
        array = self._objects.array(array_number) if array_number else read_array(fields, 0)[0]
        self._require_no_signature(array, name)
        if array_number:
            self._update.write_again(array_number, with_element(array, added))
        else:
            changes[b"/Fields"] = with_element(array, added)
        if number:
            self._update.write_again(number, held.changed(changes))
            return {}
        return {entry: held.changed(changes)}

    def _require_no_signature(self, fields: bytes, name: str) -> None:
        """Passes a form without signature fields and without a field of this name, all of it reachable."""
        waiting = list(references_of(fields))
        seen = 0
        while waiting:
            seen += 1
            if seen > MOST_FIELDS:
                raise OddError("many fields")
            one = self._objects.dictionary(waiting.pop())
            if b"/FT" in one and one.value(b"/FT") not in {b"/Tx", b"/Btn", b"/Ch"}:
                raise OddError("a signature field, or one of no kind")
            named = b"/T" in one
            if _may_say(one.value(b"/T"), name) if named else b"/Subtype" not in one:
                raise OddError("a field without a name, or of the same name")
            if b"/Kids" in one:
                kids = one.value(b"/Kids")
                waiting += references_of(
                    kids if kids.startswith(b"[") else self._objects.array(reference_of(kids))
                )


def _signature(imprint: Imprint) -> bytes:
    """The signature, empty as yet."""
    return (
        b"<<\n/Type /Sig\n/Filter /Adobe.PPKLite\n/SubFilter /ETSI.CAdES.detached\n/M (D:%bZ)\n/Name %b\n"
        b"/ByteRange []%b\n/Contents <%b>\n>>"
        % (
            imprint.moment.astimezone(UTC).strftime("%Y%m%d%H%M%S").encode(),
            _text(imprint.signer_name),
            b" " * RANGE_ROOM,
            b"0" * imprint.room,
        )
    )


def _field(imprint: Imprint, box: Box, page: int, appearance: int, signature: int) -> bytes:
    """The field and its widget in one: locked, and printed."""
    return (
        b"<<\n/FT /Sig\n/T %b\n/TU %b\n/Type /Annot\n/Subtype /Widget\n/F 132\n/Rect [%b]\n/P %d 0 R\n"
        b"/AP <</N %d 0 R>>\n/V %d 0 R\n>>"
        % (
            _text(imprint.field_name),
            _text(imprint.signer_name),
            _numbers(box.left, box.bottom, box.right, box.top),
            page,
            appearance,
            signature,
        )
    )


def _form(picture: Picture, turn: int, content: bytes, entries: bytes, resources: bytes = b"") -> bytes:
    """The form XObject of a picture. Its ink multiplies with what lies below, as on paper."""
    return (
        b"<<\n/Type /XObject\n/Subtype /Form\n/BBox [0 0 %b]\n/Matrix [%b 0 0]\n"
        b"/Resources <</ExtGState <</Ink <</BM /Multiply>>>>%b>>\n%b\n/Length %d\n>>\n"
        b"stream\n%b\nendstream"
        % (
            *(_numbers(*size_of(picture)), _numbers(*MATRICES[turn])),
            *(resources, entries, len(content), content),
        )
    )


def _text(text: str) -> bytes:
    """A text string: in letters that every encoding shares, or in UTF-16 (ISO 32000-2 7.9.2.2)."""
    if _PLAIN.fullmatch(text):
        return b"(%b)" % text.encode("ascii")
    return b"<FEFF%b>" % text.encode("utf-16-be").hex().upper().encode()


def _may_say(string: bytes, text: str) -> bool:
    """Whether a string of the file may say this text; one with escapes in it may say anything."""
    if string.startswith(b"("):
        said = string[1:-1]
        return b"\\" in string or text.encode() in said or text.encode("utf-16-be") in said
    return True


def _numbers(*values: float) -> bytes:
    """Numbers as a PDF has them: without exponent, to four places."""
    return b" ".join(f"{value:.4f}".rstrip("0").rstrip(".").encode() for value in values)
