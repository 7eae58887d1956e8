"""A seal in several places: where its pictures are seen, and that it is one signature."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise

import pypdfium2 as pdfium
import pytest
from fpdf import FPDF
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.pdf_utils.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    NumberObject,
    pdf_name,
    pdf_string,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigFieldSpec, append_signature_field

from core.errors import InvalidError
from services.eseal.domain import Box, Picture, Place
from services.eseal.pdf.inspection import inspect
from services.eseal.pdf.sealing import prepare
from services.eseal.places import PAGES_A_SEAL, over_edges
from services.eseal.refusals import (
    DocumentLockedError,
    FieldNotFoundError,
    KeywordNotFoundError,
    PageNotFoundError,
    TooManyPlacesError,
)
from services.eseal.sealing.placing import (
    AtKeyword,
    InField,
    OnPages,
    OverEdges,
    Placing,
    from_json,
    placing_of,
    to_json,
)
from services.eseal.sealing.prepared import Imprint
from services.eseal.sheet import POINTS_PER_MM, Sheet
from services.eseal.verifying.finding import Finding
from tests.unit.eseal.documents import NOW, SealKit, make_kit, plain

IMPRINT = Imprint(Picture(b"", 42, 42), field_name="seal-1", signer_name="某局印章", moment=NOW)
A4 = Sheet(Box(0, 0, 595, 842), 0, 1)


@pytest.fixture(scope="module")
def kit() -> SealKit:
    return make_kit()


def letter(*pages: str, turn: int = 0) -> bytes:
    """A page for each text, which stands 60 mm from the left and 97 mm from the bottom."""
    pdf = FPDF(format="A4")
    pdf.set_font("helvetica", size=14)
    for text in pages:
        pdf.add_page()
        pdf.text(60, 200, text)
    written = bytes(pdf.output())
    return turned(written, turn) if turn else written


def turned(document: bytes, turn: int) -> bytes:
    """The document with all its pages shown turned."""
    writer = IncrementalPdfFileWriter(BytesIO(document))
    for reference in writer.root["/Pages"]["/Kids"]:
        page = reference.get_object()
        page["/Rotate"] = NumberObject(turn)
        writer.update_container(page)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def ink(document: bytes, page: int) -> Box | None:
    """Where there is red on a page, in millimetres from its left and bottom edge as it is seen."""
    opened = pdfium.PdfDocument(document)
    opened.init_forms()
    image = opened[page].render(scale=1).to_pil().convert("RGB")
    red, green, _ = image.split()
    found = [
        (at % image.width, at // image.width)
        for at, (r, g) in enumerate(zip(red.tobytes(), green.tobytes(), strict=True))
        if r > 150 and g < 100
    ]
    if not found:
        return None
    left, right = min(x for x, _ in found), max(x for x, _ in found) + 1
    top, bottom = min(y for _, y in found), max(y for _, y in found) + 1
    mm = [value / POINTS_PER_MM for value in (left, image.height - bottom, right, image.height - top)]
    return Box(*mm)


def near(box: Box | None, left: float, bottom: float, right: float, top: float) -> bool:
    """Whether a box is this one, to a millimetre and a half."""
    assert box is not None, "no ink at all"
    said = (box.left, box.bottom, box.right, box.top)
    return all(abs(a - b) < 1.5 for a, b in zip(said, (left, bottom, right, top), strict=True))


async def found_in(document: bytes, kit: SealKit) -> list[Finding]:
    return await inspect(document, roots=[kit.root], moment=NOW)


async def test_a_seal_on_every_page_is_one_signature_and_is_seen_on_each(kit: SealKit) -> None:
    sealed = await kit.seal(plain(3), place=OnPages((), 50, 60))

    for page in range(3):
        assert near(ink(sealed, page), 29, 39, 71, 81)
    (only,) = await found_in(sealed, kit)
    assert (only.intact, only.valid, only.permitted, only.covers_whole_document) == (True,) * 4


async def test_a_seal_on_some_pages_is_seen_on_those_alone(kit: SealKit) -> None:
    sealed = await kit.seal(plain(4), place=OnPages((1, 3), 50, 60))

    assert [ink(sealed, page) is not None for page in range(4)] == [True, False, True, False]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
async def test_a_seal_stands_at_its_keyword_however_the_page_is_turned(kit: SealKit, turn: int) -> None:
    sealed = await kit.seal(letter("nothing", "sealed: HERE", turn=turn), place=AtKeyword("HERE"))

    assert ink(sealed, 0) is None
    upright = ink(await kit.seal(letter("nothing", "sealed: HERE"), place=AtKeyword("HERE")), 1)
    assert upright is not None
    x, y = (upright.left + upright.right) / 2, (upright.bottom + upright.top) / 2
    assert 75 < x < 95, "the keyword stands at the end of its line"
    assert 95 < y < 101
    seen = {0: (x, y), 90: (y, 210 - x), 180: (210 - x, 297 - y), 270: (297 - y, x)}[turn]
    assert near(ink(sealed, 1), seen[0] - 21, seen[1] - 21, seen[0] + 21, seen[1] + 21)


async def test_a_seal_stands_at_every_place_of_its_keyword_or_on_one_page_alone(kit: SealKit) -> None:
    document = letter("HERE", "here", "HERE")

    everywhere = await kit.seal(document, place=AtKeyword("HERE"))
    once = await kit.seal(document, place=AtKeyword("HERE", page=3))

    assert [ink(everywhere, page) is not None for page in range(3)] == [True, False, True]
    assert [ink(once, page) is not None for page in range(3)] == [False, False, True]
    assert len(await found_in(everywhere, kit)) == 1


async def test_a_seal_over_the_edges_is_whole_when_its_strips_are_laid_side_by_side(kit: SealKit) -> None:
    sealed = await kit.seal(letter("a", "b", "c"), place=OverEdges())

    for page in range(3):
        strip = ink(sealed, page)
        assert strip is not None
        assert abs(strip.right - 210) < 1.5
        assert strip.left > 210 - 14 - 1.5
    middle = ink(sealed, 1)
    assert middle is not None
    assert abs((middle.top + middle.bottom) / 2 - 148.5) < 1.5
    assert abs(middle.top - middle.bottom - 42) < 1.5, "the middle strip is as tall as the seal"
    (only,) = await found_in(sealed, kit)
    assert only.intact
    assert only.covers_whole_document


@given(st.integers(2, 250))
def test_over_the_edges_every_page_bears_one_strip_and_every_group_makes_one_picture(pages: int) -> None:
    spots = over_edges([A4] * pages, OverEdges(), Picture(b"", 42, 42))

    assert [spot.page for spot in spots] == list(range(pages))
    starts = [at for at, spot in enumerate(spots) if spot.left == 0]
    for start, end in zip(starts, [*starts[1:], pages], strict=True):
        group = spots[start:end]
        assert 2 <= len(group) <= PAGES_A_SEAL
        assert group[-1].right == 1
        assert all(a.right == b.left for a, b in pairwise(group))


async def test_a_seal_goes_into_an_empty_field_as_large_as_the_field_allows(kit: SealKit) -> None:
    writer = IncrementalPdfFileWriter(BytesIO(plain()))
    append_signature_field(writer, SigFieldSpec("approver", on_page=0, box=(100, 100, 300, 160)))
    out = BytesIO()
    writer.write(out)

    sealed = await kit.seal(out.getvalue(), place=InField("approver"))

    mm = POINTS_PER_MM
    assert near(ink(sealed, 0), 170 / mm, 100 / mm, 230 / mm, 160 / mm)
    (only,) = await found_in(sealed, kit)
    assert (only.field_name, only.intact, only.covers_whole_document) == ("approver", True, True)
    with pytest.raises(FieldNotFoundError, match="signed already"):
        prepare(sealed, InField("approver"), IMPRINT)


async def test_a_field_with_conditions_of_its_own_is_refused() -> None:
    writer = IncrementalPdfFileWriter(BytesIO(plain()))
    append_signature_field(writer, SigFieldSpec("approver", on_page=0, box=(100, 100, 300, 160)))
    writer.root["/AcroForm"]["/Fields"][0]["/Lock"] = DictionaryObject(
        {pdf_name("/Action"): pdf_name("/All")}
    )
    out = BytesIO()
    writer.write(out)

    with pytest.raises(DocumentLockedError):
        prepare(out.getvalue(), InField("approver"), IMPRINT)


async def test_seals_of_all_kinds_follow_one_another_without_breaking_the_earlier(kit: SealKit) -> None:
    document = letter("sign HERE", "and HERE")
    placings: list[Placing] = [Place(), AtKeyword("HERE"), OverEdges(200), OnPages((), 40, 40)]
    for number, placing in enumerate(placings):
        document = await kit.seal(document, field=f"seal-{number}", place=placing)

    found = await found_in(document, kit)

    assert [one.field_name for one in found] == [f"seal-{number}" for number in range(4)]
    assert all(one.intact and one.valid and one.permitted for one in found)
    assert [one.covers_whole_document for one in found] == [False, False, False, True]


async def test_a_picture_added_later_that_merely_names_the_signature_is_a_change(kit: SealKit) -> None:
    """Somebody shows the genuine signature with a picture of his own, in a place where nobody sealed."""
    sealed = await kit.seal(plain(2), field="seal-0", place=OnPages((1,), 50, 60))
    writer = IncrementalPdfFileWriter(BytesIO(sealed))
    genuine = writer.root["/AcroForm"]["/Fields"][0]
    forged = DictionaryObject({pdf_name(name): genuine.raw_get(name) for name in ("/FT", "/V", "/AP", "/F")})
    forged["/T"] = pdf_string("another")
    forged["/Subtype"], forged["/Type"] = pdf_name("/Widget"), pdf_name("/Annot")
    forged["/Rect"] = ArrayObject(FloatObject(number) for number in (100, 100, 219, 219))
    page = writer.root["/Pages"]["/Kids"][1]
    forged["/P"] = writer.root["/Pages"]["/Kids"].raw_get(1)
    reference = writer.add_object(forged)
    page["/Annots"] = ArrayObject([reference])
    writer.root["/AcroForm"]["/Fields"].append(reference)
    writer.update_container(page)
    writer.update_container(writer.root["/AcroForm"]["/Fields"])
    out = BytesIO()
    writer.write(out)
    assert ink(out.getvalue(), 1) is not None, "the forgery is seen"

    (alone,) = await found_in(out.getvalue(), kit)

    assert alone.field_name == "seal-0"
    assert not alone.permitted
    with pytest.raises(DocumentLockedError):
        prepare(out.getvalue(), Place(), IMPRINT)


def test_what_is_not_there_is_refused_by_name() -> None:
    document = letter("HERE")
    for placing, refusal in (
        (AtKeyword("THERE"), KeywordNotFoundError),
        (AtKeyword("HERE", page=2), PageNotFoundError),
        (OnPages((1, 7), 50, 50), PageNotFoundError),
        (OnPages((1,), 400, 50), PageNotFoundError),
        (OverEdges(), PageNotFoundError),
        (InField("approver"), FieldNotFoundError),
    ):
        with pytest.raises(refusal):
            prepare(document, placing, IMPRINT)
    with pytest.raises(PageNotFoundError):
        prepare(letter("a", "b"), OverEdges(400), IMPRINT)


def test_a_word_that_stands_everywhere_is_refused_before_anything_is_laid_out() -> None:
    with pytest.raises(TooManyPlacesError):
        prepare(letter("x " * 300), AtKeyword("x"), IMPRINT)


def test_one_signature_however_many_fields() -> None:
    prepared = prepare(plain(3), OnPages(()), IMPRINT)

    fields = PdfFileReader(BytesIO(prepared.document)).root["/AcroForm"]["/Fields"]
    assert [str(field.get_object()["/T"]) for field in fields] == ["seal-1", "seal-1-2", "seal-1-3"]
    assert len({field.get_object().raw_get("/V").idnum for field in fields}) == 1


NOTHING = {
    "page": 0,
    "x_mm": 0.0,
    "y_mm": 0.0,
    "keyword": "",
    "pages": (),
    "every_page": False,
    "over_edges": False,
    "field_name": "",
}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, Place()),
        ({"page": 2, "x_mm": 10.0, "y_mm": 20.0}, Place(2, 10, 20)),
        ({"keyword": "公章"}, AtKeyword("公章")),
        ({"keyword": "公章", "page": 2}, AtKeyword("公章", 2)),
        ({"pages": (3, 1, 3), "x_mm": 5.0}, OnPages((3, 1), 5)),
        ({"every_page": True}, OnPages(())),
        ({"over_edges": True, "y_mm": 99.0}, OverEdges(99)),
        ({"field_name": "approver"}, InField("approver")),
    ],
)
def test_a_request_says_one_thing_and_travels_unchanged(said: dict[str, object], meant: Placing) -> None:
    placing = placing_of(**{**NOTHING, **said})  # type: ignore[arg-type]

    assert placing == meant
    assert from_json(to_json(placing)) == placing


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"keyword": "a", "over_edges": True}, "place.over_edges"),
        ({"pages": (1,), "every_page": True}, "place.every_page"),
        ({"keyword": "a", "x_mm": 1.0}, "place.x_mm"),
        ({"pages": (1,), "page": 1}, "place.page"),
        ({"field_name": "a", "y_mm": 1.0}, "place.y_mm"),
        ({"over_edges": True, "x_mm": 1.0}, "place.x_mm"),
        ({"keyword": " \u3000"}, "place.keyword"),
    ],
)
def test_a_request_that_says_two_things_or_nothing_is_refused_naming_the_second(
    said: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidError) as refusal:
        placing_of(**{**NOTHING, **said})  # type: ignore[arg-type]

    assert [fault.field for fault in refusal.value.faults] == [field]
