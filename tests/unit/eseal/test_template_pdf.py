from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import segno
from fontTools.cffLib import CFFFontSet
from fontTools.pens.recordingPen import RecordingPen
from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from services.eseal.leaves import Image as Picture
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.refusals import TemplateFieldsError
from services.eseal.sealing.prepared import RESERVED_HEX, PreparedDocument
from services.eseal.templates.cff import small_font
from services.eseal.templates.face import EM, serif
from services.eseal.templates.pdf import make_plate
from services.eseal.templates.qr import DIGITS
from services.eseal.typesetting import Area
from tests.unit.eseal.forms_filled import (
    DECISION,
    LICENCE,
    LINKS,
    NOW,
    NUMBER,
    OPERATOR,
    codes,
    long_penalty,
    photograph,
    plate,
    read_whole,
    templates,
)

VALUES = {
    "permit_decision": DECISION,
    "business_licence": LICENCE,
    "equipment_operator": OPERATOR,
    "penalty_decision": long_penalty(),
}


def filled(name: str = "permit_decision", data: bytes = b"{}", **change: str) -> PreparedDocument:
    """A document of one of the service's templates, its signature still empty."""
    values = {**VALUES[name], **change}
    ready = plate(name)
    photos = {place.field: read_whole(photograph()) for place in ready.template.photos}
    shown = ready.template.shown(values, NUMBER, serif().characters, dict.fromkeys(photos, b"x"))
    return ready.fill(shown, NUMBER, NOW, data, RESERVED_HEX, photos=photos)


def text_of(document: bytes) -> str:
    """All text, without what breaks lines."""
    pdf = pypdfium2.PdfDocument(document)
    try:
        return re.sub(r"\s", "", str(pdf[0].get_textpage().get_text_bounded()))
    finally:
        pdf.close()


@pytest.mark.parametrize("name", ["permit_decision", "business_licence"])
def test_text_comes_out_as_it_was_typed(name: str) -> None:
    values = DECISION if name == "permit_decision" else LICENCE

    text = text_of(filled(name).document)

    for field in ("applicant", "content", "legal_basis", "company_name", "business_scope", "address"):
        assert re.sub(r"\s", "", values.get(field, "")) in text
    assert NUMBER in text


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="poppler is not installed here")
def test_poppler_reads_the_same_text_and_finds_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "decision.pdf"
    path.write_bytes(filled().document)

    done = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True)

    assert re.sub(r"\s", "", DECISION["content"]) in re.sub(r"\s", "", done.stdout)
    assert not done.stderr


def test_every_template_is_among_those_that_are_tried() -> None:
    assert {name for name, _ in templates()} == VALUES.keys()


@pytest.mark.parametrize("name", VALUES)
def test_the_file_keeps_the_rules_of_pdf_a_3u(name: str) -> None:
    data = json.dumps({"fields": VALUES[name]}, ensure_ascii=False).encode()
    document = filled(name, data).document
    pdf = PdfFileReader(BytesIO(document), strict=True)
    root = pdf.root

    assert not pdf.encrypted
    assert re.match(rb"%PDF-1\.7\n%[\x80-\xff]{4}", document)  # 6.1.2
    assert len(pdf.trailer["/ID"]) == 2  # 6.1.3
    assert document.endswith(b"%%EOF\n")
    metadata = root["/Metadata"]
    assert "/Filter" not in metadata
    assert re.search(rb"<pdfaid:part>3</pdfaid:part>\s*<pdfaid:conformance>U<", metadata.data)  # 6.6.4
    intent = root["/OutputIntents"][0].get_object()  # 6.2.3
    profile = intent["/DestOutputProfile"]
    assert intent["/S"] == "/GTS_PDFA1"
    assert (profile["/N"], profile.data[16:20], profile.data[8] <= 4) == (3, b"RGB ", True)
    assert profile.data[36:40] == b"acsp"
    pages = [page.get_object() for page in root["/Pages"]["/Kids"]]
    for page in pages:
        assert page["/Resources"]["/Font"].keys() == {"/A", "/B"}
        for image in page["/Resources"]["/XObject"].values():
            check_image(image.get_object())
    for font in pages[0]["/Resources"]["/Font"].values():  # 6.2.11
        check_font(font.get_object())
    spec = root["/AF"][0].get_object()  # 6.8
    assert (spec["/AFRelationship"], spec["/UF"]) == ("/Data", "data.json")
    assert spec["/EF"]["/F"]["/Subtype"] == "/application/json"
    assert spec["/EF"]["/F"]["/Params"].keys() == {"/ModDate", "/Size"}
    assert spec["/EF"]["/F"].data == data
    (widget,) = [one.get_object() for page in pages for one in page.get("/Annots", ())]  # 6.3
    assert widget["/F"] & 0b100111 == 4  # printed, and neither hidden nor left out
    assert "/N" in widget["/AP"]
    assert "/NeedAppearances" not in root["/AcroForm"]  # 6.4.1
    assert not re.search(rb"/(JavaScript|Launch|AA|OpenAction|XFA|LZWDecode)\b", document)


def check_image(image: Any) -> None:
    """Of a colour that the output intent gives a meaning, or a mask; not smoothed, and in one version
    (ISO 19005-3 6.2.4.3, 6.2.8)."""
    assert image["/Subtype"] == "/Image"
    assert image.get("/ImageMask", False) or image["/ColorSpace"] in {"/DeviceRGB", "/DeviceGray"}
    assert image.get("/BitsPerComponent", 1) in {1, 8}
    assert not {"/Interpolate", "/Alternates", "/OPI"} & image.keys()


def check_font(font: Any) -> None:
    """Embedded, a subset, mapped to Unicode, and as wide as it says (ISO 19005-3 6.2.11.4 to 6.2.11.7)."""
    assert re.match(r"/[A-Z]{6}\+NotoSerifSC-Regular", font["/BaseFont"])
    assert font["/ToUnicode"].data
    cid_font = font["/DescendantFonts"][0].get_object()
    assert cid_font["/Subtype"] == "/CIDFontType0"
    file = cid_font["/FontDescriptor"]["/FontFile3"]
    assert file["/Subtype"] == "/CIDFontType0C"
    fonts = CFFFontSet()
    fonts.decompile(BytesIO(file.data), None)
    assert f"/{fonts.fontNames[0]}" == font["/BaseFont"] == cid_font["/BaseFont"]
    said, glyphs = widths_of(cid_font["/W"]), fonts[0].CharStrings
    for name in fonts[0].charset[1:]:
        glyph = glyphs[name]
        glyph.draw(RecordingPen())  # which finds its width
        assert glyph.width == said.get(int(name.removeprefix("cid")), cid_font["/DW"])


def widths_of(array: Any) -> dict[int, int]:
    """A width array as numbers and widths."""
    said: dict[int, int] = {}
    entries = list(array)
    for start, widths in zip(entries[::2], entries[1::2], strict=True):
        said |= {start + place: width for place, width in enumerate(widths)}
    return said


def test_a_small_font_draws_what_the_whole_one_draws() -> None:
    face = serif()
    beyond = next(iter(face.beyond))
    fonts = CFFFontSet()
    fonts.decompile(BytesIO(small_font(face, "永A１，" + beyond, "ABCDEF")), None)
    font = fonts[0]

    for char in ("永", "A", "，", beyond):
        drawn, whole = RecordingPen(), RecordingPen()
        font.CharStrings[f"cid{face.code(char):05d}"].draw(drawn)
        name = face._font.getBestCmap()[ord(char)]
        face._font.getGlyphSet()[name].draw(whole)
        assert drawn.value == whole.value
    assert face.width("永") == EM


def test_codes_are_those_that_the_library_draws() -> None:
    made = codes()
    for seed in range(20):
        number = f"{random.Random(seed).getrandbits(4 * DIGITS):0{DIGITS}x}"
        whole = segno.make(LINKS + number, error="m", mode="byte", mask=3, boost_error=False)

        bits = made.bits(number)

        rows = [bits[start : start + made.stride] for start in range(0, len(bits), made.stride)]
        shown = [[row[x // 8] >> (7 - x % 8) & 1 for x in range(made.modules)] for row in rows]
        assert shown == [list(row) for row in whole.matrix]


def test_a_text_without_room_is_refused_by_its_longest_field() -> None:
    with pytest.raises(TemplateFieldsError) as refused:
        filled(content="行\n" * 299 + "行")

    assert [(fault.field, fault.rule) for fault in refused.value.faults] == [("fields.content", "fits")]


def test_two_documents_share_what_stands_still_and_have_names_of_their_own() -> None:
    first, second = filled(), filled()

    assert first.original is second.original
    assert first.update != second.update  # The file's identifier.


def test_a_template_s_own_picture_is_shown_without_what_is_transparent() -> None:
    png = BytesIO()
    Image.new("RGBA", (2, 1), (255, 0, 0, 0)).save(png, "PNG")
    own = replace(plate().template, images=(Picture(Area(10, 10, 20, 10), png.getvalue()),))
    made = make_plate(
        own, serif(), codes(), picture=draw_round_seal("武江区市场监督管理局"), signer_name="专用章"
    )
    document = made.fill(own.shown(DECISION, NUMBER, serif().characters), NUMBER, NOW, b"{}", RESERVED_HEX)

    page = PdfFileReader(BytesIO(document.document), strict=True).root["/Pages"]["/Kids"][0]
    image = page["/Resources"]["/XObject"]["/Image0"]
    assert (image["/Width"], image["/Height"], image.data) == (2, 1, b"\xff" * 6)
    assert b"/Image0 Do" in page["/Contents"][0].get_object().data


def test_a_template_without_a_code_is_whole() -> None:
    ready = plate()
    bare = make_plate(
        replace(ready.template, code=None),
        ready.face,
        ready.codes,
        picture=draw_round_seal("武江区市场监督管理局"),
        signer_name="专用章",
    )
    shown = bare.template.shown(DECISION, NUMBER, serif().characters)
    document = bare.fill(shown, NUMBER, NOW, b"{}", RESERVED_HEX).document

    pdf = PdfFileReader(BytesIO(document), strict=True)

    assert "/Code" not in pdf.root["/Pages"]["/Kids"][0]["/Resources"]["/XObject"]
    assert pdf.trailer["/Size"] == len(re.findall(rb"(?m)^[0-9]{10} [0-9]{5} [nf] $", document))
    for number in range(1, pdf.trailer["/Size"]):
        assert pdf.get_object(generic.Reference(number, 0, pdf)) is not None


def drawn_of(pdf: pypdfium2.PdfDocument, width: int) -> pypdfium2.PdfImage:
    """The picture on the first page that has so many dots across."""
    pictures = [one for one in pdf[0].get_objects() if isinstance(one, pypdfium2.PdfImage)]
    (found,) = [one for one in pictures if one.get_px_size()[0] == width]
    return found


def test_a_field_s_picture_stands_in_its_place_in_its_own_proportions() -> None:
    photo = read_whole(photograph(size=(400, 200)))
    ready = plate("equipment_operator")
    shown = ready.template.shown(OPERATOR, NUMBER, serif().characters, {"photo": b"x"})

    document = ready.fill(shown, NUMBER, NOW, b"{}", RESERVED_HEX, photos={"photo": photo}).document

    page = PdfFileReader(BytesIO(document), strict=True).root["/Pages"]["/Kids"][0]
    image = page["/Resources"]["/XObject"]["/Photo0"]
    assert (image["/Width"], image["/Height"], image["/ColorSpace"]) == (400, 200, "/DeviceRGB")
    assert image.encoded_data == photo.content
    assert not {"/SMask", "/Mask", "/Interpolate", "/Alternates", "/OPI"} & image.keys()  # ISO 19005-3 6.2.8
    pdf = pypdfium2.PdfDocument(document)
    found = drawn_of(pdf, 400)
    edges = [edge * 25.4 / 72 for edge in found.get_bounds()]
    pdf.close()
    assert edges == pytest.approx([24, 148 - (46 + 15.75 + 17.5), 59, 148 - (46 + 15.75)], abs=0.01)


@pytest.mark.parametrize("picture", [Image.linear_gradient("L"), Image.new("RGB", (99, 60), (9, 99, 199))])
def test_a_picture_without_loss_shows_the_dots_that_came(picture: Image.Image) -> None:
    out = BytesIO()
    picture.save(out, "PNG")
    photo = read_whole(out.getvalue())
    ready = plate("equipment_operator")
    shown = ready.template.shown(OPERATOR, NUMBER, serif().characters, {"photo": b"x"})

    document = ready.fill(shown, NUMBER, NOW, b"{}", RESERVED_HEX, photos={"photo": photo}).document

    pdf = pypdfium2.PdfDocument(document)
    drawn = drawn_of(pdf, picture.width).get_bitmap().to_pil()
    assert drawn.convert(picture.mode).tobytes() == picture.tobytes()
    pdf.close()


def test_a_picture_that_need_not_be_there_leaves_nothing_behind() -> None:
    usual = plate("equipment_operator")
    field = replace(usual.template.fields["photo"], required=False)
    own = replace(usual.template, fields={**usual.template.fields, "photo": field})
    made = make_plate(
        own, serif(), codes(), picture=draw_round_seal("武江区市场监督管理局"), signer_name="章"
    )

    document = made.fill(
        own.shown(OPERATOR, NUMBER, serif().characters), NUMBER, NOW, b"{}", RESERVED_HEX
    ).document

    page = PdfFileReader(BytesIO(document), strict=True).root["/Pages"]["/Kids"][0]
    assert b"Photo0" not in page["/Contents"][1].get_object().data
    named = page["/Resources"]["/XObject"].raw_get("/Photo0")
    assert isinstance(named.get_object(), generic.NullObject)
