"""The PDF side of sealing and checking (ISO 32000-2, PAdES EN 319 142-1). Runs in a confined worker only.

Nothing here touches a key: sealing is laid out here, and signed elsewhere over the digest alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.content import AnnotAppearances
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest, SignatureObject
from pyhanko.sign.validation import read_certification_data
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel

from core.errors import FieldFault
from services.eseal.domain import Box, Picture, Place, PreparedDocument, box_of
from services.eseal.refusals import (
    DocumentEncryptedError,
    DocumentError,
    DocumentLockedError,
    DocumentMalformedError,
    PageNotFoundError,
)

RESERVED_HEX = 8192
"""Room for the CMS in hexadecimal digits. Two P-256 certificates and their signature take about 3,000."""


@dataclass(frozen=True)
class _Sheet:
    """A page as a reader sees it: its visible size in points, and how it is turned."""

    index: int
    box: Box
    turn: int
    unit: float


@dataclass(frozen=True)
class Imprint:
    """What one more seal writes: its picture, its field's name, whose it is, and when it is put."""

    picture: Picture
    field_name: str
    signer_name: str
    moment: datetime


def prepare(document: bytes, place: Place, imprint: Imprint) -> PreparedDocument:
    """Lays out one more seal as an incremental update; what came before stays byte for byte.

    Errors: DOCUMENT_MALFORMED, DOCUMENT_ENCRYPTED, DOCUMENT_LOCKED, PAGE_NOT_FOUND.
    """
    reader = open_reader(document)
    try:
        _require_unlocked(reader)
        sheet = _sheet(reader, place.page)
        box = _seal_box(sheet, place, imprint.picture)
        prepared = _lay_out(IncrementalPdfFileWriter.from_reader(reader), sheet, box, imprint)
        if signature_fields(reader):
            _require_earlier_seals_hold(prepared.document, imprint.field_name)
    except DocumentError:
        raise
    except Exception as fault:  # a reader may raise anything at all on a file that lies about itself
        raise malformed() from fault
    return prepared


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


def _sheet(reader: PdfFileReader, number: int) -> _Sheet:
    """The page asked for: 1 is the first, 0 the last."""
    count = int(reader.root["/Pages"]["/Count"])
    if count < 1:
        raise DocumentMalformedError("the PDF has no page")
    if number > count:
        message = f"the document has {count} page(s)"
        raise PageNotFoundError(message, faults=[FieldFault("place.page", "lte", message)])
    index = (number or count) - 1
    page = reader.find_page_for_modification(index)[0].get_object()
    box = _page_box(page)
    turn = int(str(_inherited(page, "/Rotate") or 0)) % 360
    unit = float(page.get("/UserUnit", 1))
    if turn % 90 or not 0 < unit <= 1000:
        raise DocumentMalformedError("the page's /Rotate or /UserUnit is out of its range")
    return _Sheet(index, box, turn, unit)


def _page_box(page: generic.DictionaryObject) -> Box:
    """What of the page is seen: its crop box within its media box."""
    media = _rectangle(_inherited(page, "/MediaBox"))
    if media is None:
        raise DocumentMalformedError("a page has no /MediaBox")
    crop = _rectangle(_inherited(page, "/CropBox")) or media
    seen = Box(
        max(media.left, crop.left),
        max(media.bottom, crop.bottom),
        min(media.right, crop.right),
        min(media.top, crop.top),
    )
    return seen if seen.right > seen.left and seen.top > seen.bottom else media


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
    if not isinstance(value, generic.ArrayObject) or len(value) != 4:
        raise DocumentMalformedError("a page box is not four numbers")
    x1, y1, x2, y2 = (float(number) for number in value)
    if not all(abs(number) < 1e6 for number in (x1, y1, x2, y2)):
        raise DocumentMalformedError("a page box is out of its range")
    return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def _seal_box(sheet: _Sheet, place: Place, picture: Picture) -> Box:
    """Where the picture goes in the page's own coordinates, the place being given as the page is seen."""
    wide, tall = sheet.box.right - sheet.box.left, sheet.box.top - sheet.box.bottom
    if sheet.turn in (90, 270):
        wide, tall = tall, wide
    size = 72 / 25.4 * picture.width_mm, 72 / 25.4 * picture.height_mm
    seen = box_of(place, size, Box(0, 0, wide * sheet.unit, tall * sheet.unit))
    x, y = (seen.left + seen.right) / 2 / sheet.unit, (seen.bottom + seen.top) / 2 / sheet.unit
    turned = {0: (x, y), 90: (tall - y, x), 180: (wide - x, tall - y), 270: (y, wide - x)}
    own_x, own_y = turned[sheet.turn]
    half_w, half_h = size[0] / 2 / sheet.unit, size[1] / 2 / sheet.unit
    if sheet.turn in (90, 270):
        half_w, half_h = half_h, half_w
    x, y = sheet.box.left + own_x, sheet.box.bottom + own_y
    return Box(x - half_w, y - half_h, x + half_w, y + half_h)


def _lay_out(writer: IncrementalPdfFileWriter, sheet: _Sheet, box: Box, imprint: Imprint) -> PreparedDocument:
    """Writes field, appearance and empty signature; answers the file with the digest to sign."""
    writer.ensure_output_version((1, 7))
    if writer.output_version < (2, 0):
        writer.register_extension(ESIC_EXTENSION_1)
    spec = SigFieldSpec(
        imprint.field_name,
        on_page=sheet.index,
        box=(box.left, box.bottom, box.right, box.top),  # type: ignore[arg-type]  # it takes any numbers
        readable_field_name=imprint.signer_name,
    )
    embedder = PdfCMSEmbedder(new_field_spec=spec).write_cms(field_name=imprint.field_name, writer=writer)
    field = next(embedder).get_object()
    appearance = writer.add_object(_appearance(imprint.picture, sheet.turn))
    field[pdf_name("/AP")] = AnnotAppearances(normal=appearance).as_pdf_object()
    signature = SignatureObject(
        timestamp=imprint.moment,
        subfilter=SigSeedSubFilter.PADES,
        name=imprint.signer_name,
        bytes_reserved=RESERVED_HEX,
    )
    embedder.send(SigObjSetup(sig_placeholder=signature))
    gap: PreparedByteRangeDigest
    gap, output = embedder.send(SigIOSetup(md_algorithm="sha256", output=BytesIO()))
    return PreparedDocument(
        output.getvalue(), gap.document_digest, gap.reserved_region_start, gap.reserved_region_end
    )


def _appearance(picture: Picture, turn: int) -> generic.StreamObject:
    """The picture as a form XObject. Its ink multiplies with what lies below, as on paper."""
    width, height = 72 / 25.4 * picture.width_mm, 72 / 25.4 * picture.height_mm
    matrices = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    ink = generic.DictionaryObject({pdf_name("/BM"): pdf_name("/Multiply")})
    states = generic.DictionaryObject({pdf_name("/Ink"): ink})
    return generic.StreamObject(
        {
            pdf_name("/Type"): pdf_name("/XObject"),
            pdf_name("/Subtype"): pdf_name("/Form"),
            pdf_name("/BBox"): _numbers(0, 0, width, height),
            pdf_name("/Matrix"): _numbers(*matrices[turn], 0, 0),
            pdf_name("/Resources"): generic.DictionaryObject({pdf_name("/ExtGState"): states}),
            pdf_name("/Filter"): pdf_name("/FlateDecode"),
        },
        encoded_data=picture.content,
    )


def _numbers(*values: float) -> generic.ArrayObject:
    return generic.ArrayObject(generic.FloatObject(round(value, 4)) for value in values)


def signature_fields(reader: PdfFileReader) -> list[tuple[str, generic.DictionaryObject]]:
    """Every filled signature field, by its full name."""
    fields = enumerate_sig_fields(reader, filled_status=True)
    return [(name, reference.get_object()) for name, _, reference in fields]


def _require_earlier_seals_hold(sealed: bytes, own_field: str) -> None:
    """Refuses when an earlier signature does not hold, or would not hold after this seal."""
    reader = PdfFileReader(BytesIO(sealed), strict=True)
    for name, field in signature_fields(reader):
        if name == own_field:
            continue
        earlier = EmbeddedPdfSignature(reader, field, name)
        earlier.compute_integrity_info()
        status = earlier.summarise_integrity_info()
        if status["coverage"] < SignatureCoverageLevel.ENTIRE_REVISION or not status["docmdp_ok"]:
            raise DocumentLockedError(
                "an earlier signature in the document allows no further seal, or no longer holds"
            )
