"""Attacks on sealed PDFs that need no key, each made by hand of a sealed file.

The classes are those of the published work on PDF signatures: universal forgery, incremental saving,
wrapping, shadows (hide, replace, hide-and-replace), and certification (evil annotation, sneaky signature).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from io import BytesIO

from pyhanko.pdf_utils.generic import (
    ArrayObject,
    ByteStringObject,
    DictionaryObject,
    IndirectObject,
    NameObject,
    NumberObject,
    PdfObject,
    Reference,
    StreamObject,
    pdf_string,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from tests.unit.eseal.documents import HEAD, TREE, pdf_of, stream_of

RECT = (50, 50, 550, 800)
CONTENT, _FONT, _COVER = 4, 5, 6
_RANGE = re.compile(rb"/ByteRange \[0 (\d+) (\d+) (\d+)\] *")
_VALUE = re.compile(rb"/Contents <[0-9A-Fa-f]*>")


def letter() -> bytes:
    """A letter with an amount, a text field, and what a shadow attack needs beforehand: a cover over a
    second amount, and a second content that nothing refers to."""
    page = (
        b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [7 0 R]"
        b" /Resources <</Font <</F1 5 0 R>> /XObject <</Cover 6 0 R>>>>>>"
    )
    box = b"/Type /XObject /Subtype /Form /BBox [0 0 300 30]"
    font = b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"
    field = (
        b"<</Type /Annot /Subtype /Widget /FT /Tx /T (amount) /V (100) /Rect [72 600 172 620] /P 3 0 R"
        b" /AP <</N 8 0 R>>>>"
    )
    return pdf_of(
        [
            HEAD[:-2] + b" /AcroForm <</Fields [7 0 R] /DA (/Helv 12 Tf 0 g)>>>>",
            TREE,
            page,
            stream_of(b"BT /F1 12 Tf 72 700 Td (pay 100) Tj ET q 1 0 0 1 72 650 cm /Cover Do Q"),
            font,
            stream_of(b"1 g 0 0 300 30 re f", box),
            field,
            stream_of(b"BT (100) Tj ET", box),
            stream_of(b"BT /F1 12 Tf 72 700 Td (pay 900) Tj ET"),
        ]
    )


def updated(document: bytes, change: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    """The file with an incremental update, written as it should be."""
    writer = IncrementalPdfFileWriter(BytesIO(document))
    change(writer)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def saved_over(document: bytes, objects: Mapping[int, bytes]) -> bytes:
    """The file with these objects written again behind it, by hand."""
    out, places = document + b"\n", dict[int, int]()
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    return out + _table(document, places, len(out))


def _table(document: bytes, places: Mapping[int, int], at: int) -> bytes:
    size = max(int(it) for it in re.findall(rb"/Size (\d+)", document))
    previous = int(re.findall(rb"startxref\s+(\d+)", document)[-1])
    rows = b"".join(b"%d 1\n%010d 00000 n \n" % place for place in places.items())
    trailer = b"trailer\n<</Size %d /Root 1 0 R /Prev %d>>\n" % (size, previous)
    return b"xref\n%b%bstartxref\n%d\n%%%%EOF\n" % (rows, trailer, at)


# Universal signature forgery: the signature is there, and what it needs to be checked is not, or is odd.

RANGES = (
    b"[]",
    b"[0 0 0 0]",
    b"[0 10]",
    b"[-1 10 20 30]",
    b"[0 999999999 999999999 9]",
    b"null",
    b"0",
    b"[(a) 1 2 3]",
)
NEEDED = (b"/ByteRange", b"/Contents", b"/SubFilter", b"/Filter")
VALUES = (b"null", b"0", b"<>", b"<00>", b"()", b"[]")


def with_range(document: bytes, said: bytes) -> bytes:
    """The last seal's byte range replaced, everything else in its place."""
    found = list(_RANGE.finditer(document))[-1]
    return document[: found.start()] + (b"/ByteRange " + said).ljust(len(found[0])) + document[found.end() :]


def without(document: bytes, name: bytes) -> bytes:
    """An entry of the last seal's signature under a name that nobody looks for."""
    at = document.rindex(name)
    return document[: at + 1] + b"X" + document[at + 2 :]


def with_value(document: bytes, said: bytes) -> bytes:
    """The last seal's value replaced, everything else in its place."""
    found = list(_VALUE.finditer(document))[-1]
    return document[: found.start()] + (b"/Contents " + said).ljust(len(found[0])) + document[found.end() :]


# Incremental saving: the signed bytes stay as they are, and others behind them change what is seen.


def other_amount(document: bytes) -> bytes:
    """The page's content written again."""
    return saved_over(document, {CONTENT: stream_of(b"BT /F1 12 Tf 72 700 Td (pay 900) Tj ET")})


def without_a_table(document: bytes) -> bytes:
    """The same, but nothing says where the new object is: lenient readers look for it."""
    body = stream_of(b"BT /F1 12 Tf 72 700 Td (pay 900) Tj ET")
    return document + b"%d 0 obj\n%b\nendobj\n%%%%EOF\n" % (CONTENT, body)


def other_catalogue(document: bytes) -> bytes:
    """Another page tree by another catalogue; the form with its seals stays."""
    catalogue = re.findall(rb"\n1 0 obj\n(<<.*?>>)\nendobj", document, re.DOTALL)[-1]
    page = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 9 0 R /Resources <<>>>>"
    return saved_over(document, {1: catalogue, 3: page})


def without_the_form(document: bytes) -> bytes:
    """A catalogue without a form: the picture stays on the page, the signature is gone."""
    return saved_over(document, {1: HEAD})


# Signature wrapping: the signed bytes are moved apart, and a new signature object says where they are now.


def wrapped(document: bytes) -> bytes:
    """The second signed range moved behind forged objects; the table is where the signed end expects it."""
    before, resume, after = (int(it) for it in list(_RANGE.finditer(document))[-1].groups())
    at = int(re.findall(rb"startxref\s+(\d+)", document)[-1])
    own = int(re.findall(rb"\n(\d+) 0 obj\n<<\n/Type /Sig\n", document)[-1])
    size = int(re.findall(rb"/Size (\d+)", document)[-1])
    offsets = {int(it[1]): it.start(1) for it in re.finditer(rb"\n(\d+) 0 obj", document[:at])}
    first = at + 20 * size + 400
    room = first + 2 * len(document)
    value = document[before:resume]
    ranged = b"[0 %d %d %d]" % (before, room, after)
    signature = (
        b"%d 0 obj\n<</Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /ByteRange %b"
        b" /Contents %b>>\nendobj\n"
    )
    forged = signature % (own, ranged, value)
    content = b"%d 0 obj\n%b\nendobj\n" % (CONTENT, stream_of(b"BT /F1 12 Tf 72 700 Td (pay 900) Tj ET"))
    offsets |= {own: first, CONTENT: first + len(forged)}
    table = b"xref\n0 1\n0000000000 65535 f \n"
    table += b"".join(b"%d 1\n%010d 00000 n \n" % place for place in sorted(offsets.items()))
    table += b"trailer\n<</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, at)
    gap = document[resume:at].ljust(at - resume) + table
    out = document[:resume] + gap.ljust(first - resume) + forged + content
    return out.ljust(room) + document[resume:]


# Shadows: what is to be seen later was in the file already when it was sealed.


def uncovered(document: bytes) -> bytes:
    """Hide: the cover over another amount is taken away."""
    return saved_over(document, {_COVER: stream_of(b"", b"/Type /XObject /Subtype /Form /BBox [0 0 0 0]")})


def other_letters(document: bytes) -> bytes:
    """Replace: a font is put in the font's place that draws 9 where 1 is written."""
    font = b"<</Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding <</Differences [49 /nine]>>>>"
    return saved_over(document, {_FONT: font})


def other_field(document: bytes) -> bytes:
    """Replace: what a text field shows is changed, its value is not."""
    box = b"/Type /XObject /Subtype /Form /BBox [0 0 300 30]"
    return saved_over(document, {8: stream_of(b"BT (900) Tj ET", box)})


def filled_field(document: bytes) -> bytes:
    """A text field's value is changed as a form's filling in is."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        field = writer.get_object(Reference(7, 0, writer))
        field[NameObject("/V")] = pdf_string("900")
        writer.update_container(field)

    return updated(document, change)


def redirected(document: bytes) -> bytes:
    """Hide and replace: only a table is added, by which the content's number means the hidden content."""
    hidden = document.index(b"9 0 obj")
    out = document + b"\n"
    out += b"%d 0 obj\n" % CONTENT + document[hidden + 8 : document.index(b"endobj", hidden)] + b"endobj\n"
    return out + _table(document, {CONTENT: len(document) + 1}, len(out))


def redirected_alone(document: bytes) -> bytes:
    """The same without a single new object."""
    out = document + b"\n"
    return out + _table(document, {CONTENT: document.index(b"9 0 obj")}, len(out))


# Certification, and what stands on the page.


def evil_annotation(document: bytes) -> bytes:
    """A text box over the page, as level P3 of a certification allows."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        shown = writer.add_object(_shown())
        box = DictionaryObject({NameObject("/Subtype"): NameObject("/FreeText"), **_placed(RECT, shown)})
        _annotate(writer, writer.add_object(box))

    return updated(document, change)


def other_picture(document: bytes) -> bytes:
    """The seal's picture written again under its number: another seal, or another text."""
    number = int(re.findall(rb"/AP <</N (\d+) 0 R", document)[-1])
    box = b"/Type /XObject /Subtype /Form /BBox [0 0 119 119]"
    return saved_over(document, {number: stream_of(b"0 0 119 119 re f", box)})


def moved(document: bytes) -> bytes:
    """The seal's rectangle stretched over the page."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        field = writer.root["/AcroForm"]["/Fields"][-1]
        field[NameObject("/Rect")] = _numbers(RECT)
        writer.update_container(field)

    return updated(document, change)


def copied_signature(document: bytes) -> bytes:
    """A further field with a copy of the signature: its value, its range, over the earlier one's bytes."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        signature = DictionaryObject(writer.root["/AcroForm"]["/Fields"][-1]["/V"])
        _add_field(writer, writer.add_object(signature), RECT)

    return updated(document, change)


def second_field(document: bytes) -> bytes:
    """A further field, with a picture of its own, for the signature that is there."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        _add_field(writer, writer.root["/AcroForm"]["/Fields"][-1].raw_get("/V"), RECT)

    return updated(document, change)


def shown_timestamp(document: bytes, token: bytes, rect: tuple[int, ...]) -> bytes:
    """A timestamp of anybody in a field that shows a picture: validation data it is not."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        made = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/DocTimeStamp"),
                NameObject("/Filter"): NameObject("/Adobe.PPKLite"),
                NameObject("/SubFilter"): NameObject("/ETSI.RFC3161"),
                NameObject("/Contents"): ByteStringObject(token),
                NameObject("/ByteRange"): _numbers((0, 10, 20, 10)),
            }
        )
        # A picture that is in the file already: nothing new has to be explained.
        _add_field(writer, writer.add_object(made), rect, shown=IndirectObject(_COVER, 0, writer.prev))

    return updated(document, change)


def _add_field(
    writer: IncrementalPdfFileWriter,
    value: PdfObject,
    rect: tuple[int, ...],
    shown: PdfObject | None = None,
) -> None:
    field = DictionaryObject(
        {
            NameObject("/Subtype"): NameObject("/Widget"),
            NameObject("/FT"): NameObject("/Sig"),
            NameObject("/T"): pdf_string("another"),
            NameObject("/V"): value,
            NameObject("/F"): NumberObject(132),
            **_placed(rect, shown or writer.add_object(_shown())),
        }
    )
    added = writer.add_object(field)
    form = writer.root["/AcroForm"]
    form["/Fields"].append(added)
    writer.update_container(form["/Fields"])
    _annotate(writer, added)


def _annotate(writer: IncrementalPdfFileWriter, added: IndirectObject) -> None:
    page = writer.root["/Pages"]["/Kids"][0]
    page["/Annots"].append(added)
    writer.update_container(page["/Annots"])


def _placed(rect: tuple[int, ...], shown: PdfObject) -> dict[PdfObject, PdfObject]:
    return {
        NameObject("/Type"): NameObject("/Annot"),
        NameObject("/Rect"): _numbers(rect),
        NameObject("/AP"): DictionaryObject({NameObject("/N"): shown}),
    }


def _shown() -> StreamObject:
    made = StreamObject(stream_data=b"1 g 0 0 500 750 re f BT (pay 900) Tj ET")
    made.update(
        {
            NameObject("/Type"): NameObject("/XObject"),
            NameObject("/Subtype"): NameObject("/Form"),
            NameObject("/BBox"): _numbers((0, 0, 500, 750)),
        }
    )
    return made


def _numbers(values: tuple[int, ...]) -> ArrayObject:
    return ArrayObject(map(NumberObject, values))
