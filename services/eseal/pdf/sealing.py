"""The PDF side of sealing and checking (ISO 32000-2, PAdES EN 319 142-1). Runs in a confined worker only.

Nothing here touches a key: sealing is laid out here, and signed elsewhere over the digest alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from io import BytesIO
from itertools import islice

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DiffResult, ModificationLevel
from pyhanko.sign.fields import MDPPerm, enumerate_sig_fields
from pyhanko.sign.validation import read_certification_data
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from services.eseal.domain import Box, Picture, Place
from services.eseal.pdf import increment, keyword
from services.eseal.pdf.afterwards import rest_is_kept
from services.eseal.pdf.layout import lay_out, lay_out_in_field
from services.eseal.pdf.signatures import TIMESTAMP, is_whole, precedes_seals_alone, signature_fields
from services.eseal.places import MOST_PLACES, Spot, around, at_points, over_edges, page_index, require_few
from services.eseal.refusals import (
    CertificationNotFirstError,
    DocumentEncryptedError,
    DocumentError,
    DocumentLockedError,
    DocumentMalformedError,
    FieldNotFoundError,
    KeywordNotFoundError,
)
from services.eseal.sealing.placing import AtKeyword, InField, OnPages, OverEdges, Placing
from services.eseal.sealing.prepared import Imprint, PreparedDocument
from services.eseal.sheet import MATRICES, Sheet, rectangle, seen_part


def prepare(document: bytes, placing: Placing, imprint: Imprint) -> PreparedDocument:
    """Lays out one more seal as an incremental update; what came before stays byte for byte.

    A file of ordinary form, sealed in one place, is laid out by `increment.py`; everything else by pyHanko,
    which decides what is refused. Errors: DOCUMENT_MALFORMED, DOCUMENT_ENCRYPTED, DOCUMENT_LOCKED,
    PAGE_NOT_FOUND, KEYWORD_NOT_FOUND, FIELD_NOT_FOUND, TOO_MANY_PLACES.
    """
    plain = None
    if isinstance(placing, Place) and not imprint.certify:
        plain = increment.prepare(document, placing, imprint)
    if plain is not None:
        return replace(plain, is_first=True)  # A signed file is none of ordinary form.
    return prepare_by_pyhanko(document, placing, imprint)


def prepare_by_pyhanko(document: bytes, placing: Placing, imprint: Imprint) -> PreparedDocument:
    """The same, by pyHanko whatever the file's form."""
    reader = open_reader(document)
    try:
        _require_unlocked(reader)
        earlier = {name for name, _ in signature_fields(reader)}
        if imprint.certify and earlier:
            raise CertificationNotFirstError("the document is signed already; certify it before any seal")
        if earlier:
            # By a reader of its own: metadata that were read like this the writer would not keep.
            _require_nothing_behind_seals(open_reader(document), document)
        writer = IncrementalPdfFileWriter.from_reader(reader)
        prepared = _laid_out(reader, writer, document, placing, imprint)
        open_reader(prepared.document)  # A file may be so damaged that its update is not read again.
        if earlier:
            _require_earlier_seals_hold(prepared.document, earlier)
    except DocumentError:
        raise
    except Exception as fault:  # a reader may raise anything at all on a file that lies about itself
        raise malformed() from fault
    return replace(prepared, is_first=not earlier)


def open_reader(document: bytes) -> PdfFileReader:
    """A strict reader of a whole, unencrypted PDF. Raises DOCUMENT_MALFORMED or DOCUMENT_ENCRYPTED."""
    try:
        reader = PdfFileReader(BytesIO(document), strict=True)
        encrypted = reader.encrypted
        if not encrypted and reader.xrefs.hybrid_xrefs_present:
            raise DocumentMalformedError("the file has two contradicting tables of contents (hybrid xref)")
    except DocumentError:
        raise
    except Exception as fault:
        raise malformed() from fault
    if encrypted:
        raise DocumentEncryptedError("the PDF is encrypted; send it without encryption")
    return reader


def malformed() -> DocumentMalformedError:
    """What is said of a file that cannot be read."""
    return DocumentMalformedError("the file is not a well-formed PDF")


def _require_unlocked(reader: PdfFileReader) -> None:
    """Refuses a file whose certification allows no further changes."""
    certification = read_certification_data(reader)
    if certification is not None and certification.permission == MDPPerm.NO_CHANGES:
        raise DocumentLockedError("the document is certified and allows no changes")


def _laid_out(
    reader: PdfFileReader,
    writer: IncrementalPdfFileWriter,
    document: bytes,
    placing: Placing,
    imprint: Imprint,
) -> PreparedDocument:
    if isinstance(placing, InField):
        area, turn = _empty_field(reader, placing.name)
        return lay_out_in_field(writer, document, name=placing.name, area=area, turn=turn, imprint=imprint)
    sheets: dict[int, Sheet] = {}
    spots = _spots(reader, document, placing, imprint.picture, sheets)
    turns = [sheets[spot.page].turn for spot in spots]
    return lay_out(writer, document, spots=spots, turns=turns, imprint=imprint)


def _spots(
    reader: PdfFileReader, document: bytes, placing: Placing, picture: Picture, sheets: dict[int, Sheet]
) -> list[Spot]:
    """Where the pictures go; fills in the sheets of the pages that are looked at."""
    count = _page_count(reader)

    def sheet(index: int) -> Sheet:
        if index not in sheets:
            sheets[index] = _sheet(reader, index)
        return sheets[index]

    match placing:
        case Place():
            index = page_index(placing.page, count)
            return at_points({index: sheet(index)}, placing, picture)
        case OnPages():
            indexes = [page_index(number, count) for number in placing.pages] or list(range(count))
            require_few(len(indexes))
            point = Place(0, placing.x_mm, placing.y_mm)
            return at_points({index: sheet(index) for index in indexes}, point, picture)
        case OverEdges():
            require_few(count)
            return over_edges([sheet(index) for index in range(count)], placing, picture)
        case AtKeyword():
            only = page_index(placing.page, count) if placing.page else None
            found = list(islice(keyword.find(document, placing.keyword, page=only), MOST_PLACES + 1))
            require_few(len(found))
            if not found:
                raise KeywordNotFoundError("the keyword stands nowhere in the document's text")
            return [Spot(one.page, around(sheet(one.page), one.centre, picture)) for one in found]
    raise AssertionError("a seal in a field has no spots")


def _empty_field(reader: PdfFileReader, name: str) -> tuple[tuple[float, float], int]:
    """Width and height in points of a signature field that may be sealed, and how its page is turned."""
    try:
        found = list(enumerate_sig_fields(reader, with_name=name))
    except PdfReadError:
        found = []
    if not found:
        raise FieldNotFoundError("the document has no signature field of this name")
    _, value, reference = found[0]
    field = reference.get_object()
    if value is not None:
        raise FieldNotFoundError("the signature field of this name has been signed already")
    if "/SV" in field or "/Lock" in field:
        raise DocumentLockedError("the field sets conditions on its signature, which a seal does not meet")
    box = _rectangle(_inherited(field, "/Rect"))
    if box is None or box.right <= box.left or box.top <= box.bottom:
        raise FieldNotFoundError("the field of this name has no area on a page; a seal is seen")
    turn = int(str(_inherited(field["/P"], "/Rotate") or 0)) % 360 if "/P" in field else 0
    if turn not in MATRICES:
        raise DocumentMalformedError("the page's /Rotate is out of its range")
    return (box.right - box.left, box.top - box.bottom), turn


def _page_count(reader: PdfFileReader) -> int:
    count = int(reader.root["/Pages"]["/Count"])
    if count < 1:
        raise DocumentMalformedError("the PDF has no page")
    return count


def _sheet(reader: PdfFileReader, index: int) -> Sheet:
    """A page by its index from 0."""
    page = reader.find_page_for_modification(index)[0].get_object()
    box = _page_box(page)
    turn = int(str(_inherited(page, "/Rotate") or 0)) % 360
    unit = float(page.get("/UserUnit", 1))
    return Sheet(box, turn, unit)


def _page_box(page: generic.DictionaryObject) -> Box:
    """What of the page is seen: its crop box within its media box."""
    media = _rectangle(_inherited(page, "/MediaBox"))
    if media is None:
        raise DocumentMalformedError("a page has no /MediaBox")
    return seen_part(media, _rectangle(_inherited(page, "/CropBox")) or media)


def _inherited(page: generic.DictionaryObject, key: str) -> generic.PdfObject | None:
    """A page attribute that may stand on a parent node (ISO 32000-2 7.7.3.4)."""
    node, depth = page, 0
    while depth < 64:
        if key in node:
            value: generic.PdfObject = node[key]
            return value
        if "/Parent" not in node:
            return None
        node, depth = node["/Parent"], depth + 1
    raise DocumentMalformedError("the page tree is too deep")


def _rectangle(value: generic.PdfObject | None) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, generic.ArrayObject):
        raise DocumentMalformedError("a page box is not four numbers")
    return rectangle([float(number) for number in value])


def _require_earlier_seals_hold(sealed: bytes, names: Collection[str]) -> None:
    """Refuses when an earlier signature does not hold, or would not hold after this seal."""
    reader = PdfFileReader(BytesIO(sealed), strict=True)
    fields = signature_fields(reader)
    signed = {name for name, _ in fields}
    for name, field in fields:
        if name not in names:
            continue
        earlier = EmbeddedPdfSignature(reader, field, name)
        earlier.compute_integrity_info()
        status = earlier.summarise_integrity_info()
        if (
            status["coverage"] < SignatureCoverageLevel.ENTIRE_REVISION
            or not status["docmdp_ok"]
            or not is_whole(earlier, sealed)
            or not precedes_seals_alone(earlier, signed)
        ):
            raise _locked()


def _require_nothing_behind_seals(reader: PdfFileReader, document: bytes) -> None:
    """Refuses what this seal would take in or undo: metadata, forms, and bytes that belong to no update.

    Behind the last signature may stand validation data alone, as a check has it.
    """
    seals = [EmbeddedPdfSignature(reader, field, name) for name, field in signature_fields(reader)]
    last = reader.xrefs.total_revisions - 1
    for earlier in seals:
        is_last = earlier.signed_revision == last
        if (is_last and sum(list(earlier.byte_range)[2:]) != len(document)) or not rest_is_kept(
            reader, earlier.signed_revision
        ):
            raise _locked()
    newest = max(
        (one for one in seals if one.sig_object_type != TIMESTAMP),
        key=lambda one: one.signed_revision,
        default=None,
    )
    if newest is not None and newest.signed_revision < last:
        newest.compute_integrity_info()
        came = newest.diff_result
        if not isinstance(came, DiffResult) or came.modification_level > ModificationLevel.LTA_UPDATES:
            raise _locked()


def _locked() -> DocumentLockedError:
    return DocumentLockedError(
        "an earlier signature in the document allows no further seal, or no longer holds"
    )
