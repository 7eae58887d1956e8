from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from pyhanko.pdf_utils.generic import ArrayObject, NumberObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm

from services.eseal.domain import Picture, Place
from services.eseal.pdf.sealing import prepare
from services.eseal.refusals import (
    DocumentEncryptedError,
    DocumentLockedError,
    DocumentMalformedError,
    PageNotFoundError,
)
from services.eseal.sealing.prepared import Imprint
from tests.unit.eseal.documents import NOW, SealKit, encrypted, hybrid, make_kit, plain

MM = 72 / 25.4
IMPRINT = Imprint(Picture(b"", 42, 42), field_name="seal-1", signer_name="某局印章", moment=NOW)


@pytest.fixture(scope="module")
def kit() -> SealKit:
    return make_kit()


def widget(document: bytes, page: int) -> tuple[list[float], list[float]]:
    """Rectangle and appearance matrix of the one annotation on a page, from 0."""
    reader = PdfFileReader(BytesIO(document))
    annotation = reader.root["/Pages"]["/Kids"][page]["/Annots"][0]
    matrix = annotation["/AP"]["/N"]["/Matrix"]
    return [float(number) for number in annotation["/Rect"]], [float(number) for number in matrix]


def test_what_was_there_stays_byte_for_byte_and_the_digest_is_of_all_but_the_gap() -> None:
    document = plain(2)

    prepared = prepare(document, Place(), IMPRINT)

    assert prepared.document.startswith(document)
    outside = prepared.document[: prepared.gap_start] + prepared.document[prepared.gap_end :]
    assert hashlib.sha256(outside).digest() == prepared.digest
    assert prepared.document[prepared.gap_start : prepared.gap_end] == b"<" + b"0" * 8192 + b">"


def test_the_signature_is_of_the_pades_kind() -> None:
    prepared = prepare(plain(), Place(), IMPRINT)
    signature = PdfFileReader(BytesIO(prepared.document)).root["/AcroForm"]["/Fields"][0]["/V"]

    assert signature["/SubFilter"] == "/ETSI.CAdES.detached"
    assert signature["/M"].startswith("D:20260302020000")
    assert signature["/Name"] == "某局印章"


def test_the_seal_goes_to_the_last_page_or_to_the_page_asked_for() -> None:
    for place, page in ((Place(), 2), (Place(1), 0), (Place(2), 1), (Place(3), 2)):
        rectangle, _ = widget(prepare(plain(3), place, IMPRINT).document, page)
        assert rectangle[2] == pytest.approx(595 - 15 * MM, abs=0.01)


@pytest.mark.parametrize("place", [Place(4), Place(100_000), Place(1, 400, 10)])
def test_a_page_or_place_that_is_not_there_is_refused(place: Place) -> None:
    with pytest.raises(PageNotFoundError):
        prepare(plain(3), place, IMPRINT)


@pytest.mark.parametrize(
    ("turn", "centre", "matrix"),
    [
        (0, (50, 30), [1, 0, 0, 1, 0, 0]),
        (90, (210 - 30, 50), [0, 1, -1, 0, 0, 0]),
        (180, (210 - 50, 297 - 30), [-1, 0, 0, -1, 0, 0]),
        (270, (30, 297 - 50), [0, -1, 1, 0, 0, 0]),
    ],
)
def test_a_place_is_meant_as_the_page_is_seen(
    turn: int, centre: tuple[float, float], matrix: list[float]
) -> None:
    size = (210 * MM, 297 * MM)
    entries = f"/MediaBox [10 20 {10 + size[0]:.4f} {20 + size[1]:.4f}] /Rotate {turn}".encode()

    rectangle, seen = widget(prepare(plain(page_entries=entries), Place(1, 50, 30), IMPRINT).document, 0)

    assert ((rectangle[0] + rectangle[2]) / 2 - 10) / MM == pytest.approx(centre[0], abs=0.01)
    assert ((rectangle[1] + rectangle[3]) / 2 - 20) / MM == pytest.approx(centre[1], abs=0.01)
    assert seen == matrix


def test_only_the_visible_part_of_a_page_counts() -> None:
    entries = b"/MediaBox [0 0 1000 1000] /CropBox [100 100 500 600]"

    rectangle, _ = widget(prepare(plain(page_entries=entries), Place(), IMPRINT).document, 0)

    assert rectangle[2] == pytest.approx(500 - 15 * MM, abs=0.01)
    assert rectangle[1] == pytest.approx(100 + 15 * MM, abs=0.01)


def test_an_encrypted_file_is_refused() -> None:
    with pytest.raises(DocumentEncryptedError):
        prepare(encrypted(), Place(), IMPRINT)


def test_a_file_with_two_tables_of_contents_is_refused_by_name() -> None:
    with pytest.raises(DocumentMalformedError, match="hybrid"):
        prepare(hybrid(), Place(), IMPRINT)


@pytest.mark.parametrize("permission", [MDPPerm.NO_CHANGES, MDPPerm.FILL_FORMS])
def test_a_file_whose_certification_a_further_seal_would_break_is_refused(
    kit: SealKit, permission: MDPPerm
) -> None:
    with pytest.raises(DocumentLockedError):
        prepare(kit.certified(plain(), permission), Place(), IMPRINT)


async def test_a_file_with_a_broken_earlier_seal_is_refused(kit: SealKit) -> None:
    writer = IncrementalPdfFileWriter(BytesIO(await kit.seal(plain(), field="seal-0")))
    page = writer.root["/Pages"]["/Kids"][0]
    page["/MediaBox"] = ArrayObject(map(NumberObject, (0, 0, 300, 300)))
    writer.update_container(page)
    changed = BytesIO()
    writer.write(changed)

    with pytest.raises(DocumentLockedError):
        prepare(changed.getvalue(), Place(), IMPRINT)
