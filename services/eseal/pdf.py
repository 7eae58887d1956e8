"""The PDF side of sealing and checking (ISO 32000-2, PAdES EN 319 142-1). Runs in a confined worker only.

Nothing here touches a key: sealing is laid out here, and signed elsewhere over the digest alone.
"""

from __future__ import annotations

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
from services.eseal import increment
from services.eseal.domain import Box, Picture, Place
from services.eseal.prepared import Imprint, PreparedDocument
from services.eseal.refusals import (
    DocumentEncryptedError,
    DocumentError,
    DocumentLockedError,
    DocumentMalformedError,
    PageNotFoundError,
)
from services.eseal.sheet import MATRICES, Sheet, rectangle, seal_box, seen_part, size_of
from services.eseal.update import RESERVED_HEX


def prepare(document: bytes, place: Place, imprint: Imprint) -> PreparedDocument:
    """Lays out one more seal as an incremental update; what came before stays byte for byte.

    A file of ordinary form is laid out by `increment.py`; every other one by pyHanko, which decides what
    is refused. Errors: DOCUMENT_MALFORMED, DOCUMENT_ENCRYPTED, DOCUMENT_LOCKED, PAGE_NOT_FOUND.
    """
    return increment.prepare(document, place, imprint) or prepare_by_pyhanko(document, place, imprint)


def prepare_by_pyhanko(document: bytes, place: Place, imprint: Imprint) -> PreparedDocument:
    """The same, by pyHanko whatever the file's form."""
    reader = open_reader(document)
    try:
        _require_unlocked(reader)
        index, sheet = _sheet(reader, place.page)
        box = seal_box(sheet, place, imprint.picture)
        writer = IncrementalPdfFileWriter.from_reader(reader)
        prepared = _lay_out(writer, document, page=index, turn=sheet.turn, box=box, imprint=imprint)
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


def _sheet(reader: PdfFileReader, number: int) -> tuple[int, Sheet]:
    """The page asked for, 1 being the first and 0 the last; with its index from 0."""
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
    return index, Sheet(box, turn, unit)


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


def _lay_out(
    writer: IncrementalPdfFileWriter, document: bytes, *, page: int, turn: int, box: Box, imprint: Imprint
) -> PreparedDocument:
    """Writes field, appearance and empty signature after the document; `page` counts from 0."""
    writer.ensure_output_version((1, 7))
    if writer.output_version < (2, 0):
        writer.register_extension(ESIC_EXTENSION_1)
    spec = SigFieldSpec(
        imprint.field_name,
        on_page=page,
        box=(box.left, box.bottom, box.right, box.top),  # type: ignore[arg-type]  # it takes any numbers
        readable_field_name=imprint.signer_name,
    )
    embedder = PdfCMSEmbedder(new_field_spec=spec).write_cms(field_name=imprint.field_name, writer=writer)
    field = next(embedder).get_object()
    appearance = writer.add_object(_appearance(imprint.picture, turn))
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
    laid_out = output.getbuffer()
    if laid_out[: len(document)] != document:
        raise ValueError("what came before the seal did not stay")
    update = bytes(laid_out[len(document) :])
    return PreparedDocument(document, update, gap.reserved_region_start, gap.reserved_region_end)


def _appearance(picture: Picture, turn: int) -> generic.StreamObject:
    """The picture as a form XObject. Its ink multiplies with what lies below, as on paper."""
    width, height = size_of(picture)
    ink = generic.DictionaryObject({pdf_name("/BM"): pdf_name("/Multiply")})
    states = generic.DictionaryObject({pdf_name("/Ink"): ink})
    return generic.StreamObject(
        {
            pdf_name("/Type"): pdf_name("/XObject"),
            pdf_name("/Subtype"): pdf_name("/Form"),
            pdf_name("/BBox"): _numbers(0, 0, width, height),
            pdf_name("/Matrix"): _numbers(*MATRICES[turn], 0, 0),
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
