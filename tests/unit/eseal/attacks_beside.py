"""Attacks on sealed PDFs beside their pages: what is told or drawn of a file, and what belongs to nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyhanko.pdf_utils.generic import (
    BooleanObject,
    DictionaryObject,
    NameObject,
    PdfObject,
    pdf_string,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.metadata.xmp_xml import MetadataStream

from tests.unit.eseal.attacks import CONTENT, updated
from tests.unit.eseal.documents import HEAD, TREE, pdf_of, stream_of


def other_title(document: bytes) -> bytes:
    """Another title in the information dictionary."""
    return updated(document, lambda writer: writer.set_info(_of({"/Title": pdf_string("pay 900")})) and None)


def other_metadata(document: bytes) -> bytes:
    """Another title in the metadata stream."""
    head = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    said = b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="pay 900"/>'

    def change(writer: IncrementalPdfFileWriter) -> None:
        made = MetadataStream(stream_data=head + said + b"</rdf:RDF></x:xmpmeta>")
        writer.root[NameObject("/Metadata")] = writer.add_object(made)
        writer.update_root()

    return updated(document, change)


def _with_form(document: bytes, name: str, value: PdfObject) -> bytes:
    """The form with an entry of its own."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        form = writer.root["/AcroForm"]
        form[NameObject(name)] = value
        writer.update_container(form)

    return updated(document, change)


def drawn_anew(document: bytes) -> bytes:
    """Viewers are told to draw every field by its value, whatever its picture shows."""
    return _with_form(document, "/NeedAppearances", BooleanObject(True))


def other_pen(document: bytes) -> bytes:
    """White on white: how fields are drawn, in a form that says it already."""
    return _with_form(document, "/DA", pdf_string("/Helv 12 Tf 1 g"))


def other_resources(document: bytes) -> bytes:
    """Fonts by which fields would be drawn, in a form that had none: nothing that a seal is checked by."""
    font = _of(
        {"/Type": NameObject("/Font"), "/Subtype": NameObject("/Type1"), "/BaseFont": NameObject("/Courier")}
    )

    def change(writer: IncrementalPdfFileWriter) -> None:
        form = writer.root["/AcroForm"]
        form[NameObject("/DR")] = _of({"/Font": _of({"/Helv": writer.add_object(font)})})
        writer.update_container(form)

    return updated(document, change)


def letter_by_references() -> bytes:
    """A letter whose field viewers draw, with fonts that the form names by a reference; so does the catalogue
    what is said of the file's structure."""
    form = b"/AcroForm <</Fields [5 0 R] /DA (/Helv 12 Tf 0 g) /DR 6 0 R /NeedAppearances true>>"
    field = b"/Type /Annot /Subtype /Widget /FT /Tx /T (amount) /V (100) /Rect [72 600 172 620] /P 3 0 R"
    return pdf_of(
        [
            HEAD[:-2] + b" /MarkInfo 8 0 R " + form + b">>",
            TREE,
            b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [5 0 R]"
            b" /Resources <<>>>>",
            stream_of(b"q Q"),
            b"<<" + field + b">>",
            b"<</Font <</Helv 7 0 R>>>>",
            b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
            b"<</Marked true>>",
        ]
    )


def resources_written_over(document: bytes) -> bytes:
    """Another font for the field, in what the form refers to: the form itself stays as it is."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/ZapfDingbats"}
        font = writer.add_object(_of({key: NameObject(value) for key, value in names.items()}))
        resources = writer.root["/AcroForm"]["/DR"]
        resources[NameObject("/Font")] = _of({"/Helv": font})
        writer.update_container(resources)

    return updated(document, change)


def marks_written_over(document: bytes) -> bytes:
    """Other words on the file's structure, in what the catalogue refers to."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        marks = writer.root["/MarkInfo"]
        marks[NameObject("/Marked")] = BooleanObject(False)
        writer.update_container(marks)

    return updated(document, change)


def behind_the_end(document: bytes) -> bytes:
    """A content behind the last update, which belongs to nothing; then the end once more."""
    start = re.findall(rb"startxref\s+(\d+)", document)[-1]
    body = stream_of(b"BT /F1 12 Tf 72 700 Td (pay 900) Tj ET")
    return document + b"%d 0 obj\n%b\nendobj\nstartxref\n%b\n%%%%EOF\n" % (CONTENT, body, start)


def programs_note(document: bytes) -> bytes:
    """What a program leaves that adds validation data: when and by what the file was changed. No attack."""
    note = {"/ModDate": pdf_string("D:20260303"), "/Producer": pdf_string("a signing program")}
    return updated(document, lambda writer: writer.set_info(_of(note)) and None)


def _of(entries: Mapping[str, PdfObject]) -> DictionaryObject:
    return DictionaryObject({NameObject(name): value for name, value in entries.items()})
