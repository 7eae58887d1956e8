"""Each reader of the seal service with what it may do on any bytes: answer, or refuse by its own error.

Whatever else is raised is a finding, as is an answer that contradicts itself. The short form of all this runs
with the tests (tests/unit/eseal/test_fuzz.py), the long form under atheris (tests/fuzz/__main__.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from io import BytesIO

from asn1crypto import core
from pyhanko.pdf_utils.reader import PdfFileReader

from services.eseal.confined.jobs import row_of
from services.eseal.der import OCTETS, SEQUENCE, der, integer
from services.eseal.domain import Picture, Place
from services.eseal.gm.ses import SesError, read_seal, read_signature
from services.eseal.gm.signed import read_plain
from services.eseal.gm.sm2 import Sm2, load_sm2
from services.eseal.gm.sm2_certificate import Signer
from services.eseal.ofd import inspection as ofd_inspection
from services.eseal.ofd import xml
from services.eseal.ofd.document import Ofd
from services.eseal.ofd.package import Package
from services.eseal.pdf import increment, inspection, keyword
from services.eseal.pdf import sealing as pdf
from services.eseal.pdf.syntax import OddError, read_array, read_dictionary
from services.eseal.photo import photo_of
from services.eseal.pictures.dots import kept_form, on_white, read_dots
from services.eseal.pictures.photos import read_photo
from services.eseal.pictures.svg import read_svg
from services.eseal.raster import SIGNATURE, raster_of
from services.eseal.refusals import DocumentError, SealPictureInvalidError
from services.eseal.sealing.prepared import Imprint
from services.eseal.splice import Splice

MOMENT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
_IMPRINT = Imprint(Picture(b"", 42, 42), field_name="seal-1", signer_name="某局印章", moment=MOMENT)


def syntax(data: bytes) -> None:
    """Dictionaries and arrays of a PDF."""
    try:
        read = read_dictionary(data, 0)
        assert data[: read.end].endswith(read.text)
        again = read_dictionary(read.changed({b"/Zz": b"1"}), 0)
        assert again.value(b"/Zz") == b"1"
        assert set(again.entries) == {*read.entries, b"/Zz"}
    except OddError:
        pass
    try:
        text, end = read_array(data, 0)
        assert data[:end].endswith(text)
    except OddError:
        pass


def crossref(data: bytes) -> None:
    """A whole PDF, its tables and what is found by them; a seal that fits is read again."""
    prepared = increment.prepare(data, Place(), _IMPRINT)
    if prepared is not None:
        assert prepared.document.startswith(data)
        assert increment.prepare(data, Place(), _IMPRINT) is not None


def increments(data: bytes) -> None:
    """What we seal by our own layout, pyHanko reads as a file with that one field."""
    prepared = increment.prepare(data, Place(), _IMPRINT)
    if prepared is None:
        return
    try:
        PdfFileReader(BytesIO(data), strict=True).root["/Pages"]["/Kids"]
    except Exception:  # of a file that it does not read in the first place it need not read the update
        return
    pdf.open_reader(prepared.document)


def layout(data: bytes) -> None:
    """The layout as a worker runs it, pyHanko's included."""
    with suppress(DocumentError):
        pdf.prepare(data, Place(), _IMPRINT)


def inspected(data: bytes) -> None:
    """The check of a PDF. Nobody is trusted, so nothing is."""
    try:
        found = asyncio.run(inspection.inspect(data, roots=[], moment=MOMENT))
    except DocumentError:
        return
    assert not any(finding.trusted_now or finding.trusted_then for finding in found)


def keywords(data: bytes) -> None:
    """A text looked for by PDFium."""
    with suppress(DocumentError):
        list(keyword.find(data, "a", page=None))


def packages(data: bytes) -> None:
    """A ZIP package and all its parts."""
    try:
        read = Package(data)
        for name, part in read.parts.items():
            assert len(read.read(name)) == part.size
    except DocumentError:
        pass


def xml_parts(data: bytes) -> None:
    """A part of an OFD."""
    for root in ("OFD", "Signature"):
        try:
            found = xml.parse(data, root)
            xml.text(found, "SignedInfo", "Seal", "BaseLoc")
            xml.numbers(xml.text(found, "DocBody", "DocRoot"), 4)
            xml.parse(xml.written(found), root)
        except DocumentError:
            pass


def ofds(data: bytes) -> None:
    """A whole OFD: its pages, and the check of its seals. Nobody is trusted, so nothing is."""
    try:
        ofd = Ofd(data)
        for body in ofd.bodies:
            for page in ofd.pages(body):
                assert min(ofd.size(page)) > 0
    except DocumentError:
        pass
    try:
        found = ofd_inspection.inspect(data, sm2=_sm2(), roots=[], moment=MOMENT)
    except DocumentError:
        return
    for finding in found:
        assert not finding.trusted_now
        assert not finding.trusted_then
        row_of(finding)


def seals(data: bytes) -> None:
    """Seals and their signatures of all three versions, and signatures without a seal."""
    for read in (read_seal, read_signature, read_plain):
        with suppress(SesError):
            read(data)


def pictures(data: bytes) -> None:
    """A picture that the owner of a seal brings. What is made of it has the form in which it is kept."""
    try:
        if data.startswith(SIGNATURE):
            raster_of(Picture(kept_form(on_white(read_dots(data))), 42, 42))
        else:
            assert "Do" not in read_svg(data).operators
    except SealPictureInvalidError:
        pass


def photos(data: bytes) -> None:
    """A picture for a template's field. What a worker makes of it is taken; what is taken of anything else is
    within its room."""
    room = 60, 80
    with suppress(SealPictureInvalidError):
        photo_of(read_photo(data, room), room)
    with suppress(ValueError):
        photo = photo_of(data, (4096, 4096))
        assert photo.data in data


def certificates(data: bytes) -> None:
    """A certificate with SM2."""
    try:
        signer = Signer.load(_sm2(), data)
    except ValueError:
        return
    assert not signer.is_trusted([], MOMENT)
    signer.is_trusted([signer], MOMENT)


def splices(data: bytes) -> None:
    """What is kept of a sealed OFD."""
    try:
        read = Splice.decoded(data)
    except ValueError:
        return
    assert Splice.decoded(read.encoded()) == read


def encodings(data: bytes) -> None:
    """DER that we write is read by another library as what was put in."""
    number = int.from_bytes(data[:40], "big")
    made = der(SEQUENCE, integer(number), der(OCTETS, data), der(OCTETS))
    read = core.SequenceOf.load(made, strict=True, spec=core.Any)
    assert [read[0].parse(core.Integer).native, read[1].parse(core.OctetString).native] == [number, data]


@cache
def _sm2() -> Sm2:
    return load_sm2()


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        syntax,
        crossref,
        increments,
        layout,
        inspected,
        keywords,
        packages,
        xml_parts,
        ofds,
        seals,
        pictures,
        photos,
        certificates,
        splices,
        encodings,
    )
}
