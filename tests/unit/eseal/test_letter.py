from __future__ import annotations

from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from fpdf import FPDF
from fpdf.fonts import TTFFont
from pyhanko.pdf_utils.reader import PdfFileReader

from cli.letter import NOT_FIRST, _lines, make_letter
from services.eseal.domain import Place
from tests.unit.eseal.documents import OFFICE, make_kit

LONG = "韶关市武江区" + "百年老字号" * 6 + "小吃店（个体工商户）"


def letter(path: Path, trade_name: str = "武江区小满小吃店") -> bytes:
    make_letter(path, OFFICE, "林小满", trade_name, "SG-20260302-000001", date(2026, 3, 2))
    return path.read_bytes()


def test_a_letter_is_one_page_with_its_fonts_embedded(tmp_path: Path) -> None:
    document = letter(tmp_path / "letter.pdf", LONG)
    reader = PdfFileReader(BytesIO(document))

    assert reader.root["/Pages"]["/Count"] == 1
    assert reader.root["/Lang"] == "zh-CN"
    fonts = reader.root["/Pages"]["/Kids"][0]["/Resources"]["/Font"]
    assert len(fonts) == 1
    for name in fonts:
        assert "/FontFile3" in fonts[name]["/DescendantFonts"][0]["/FontDescriptor"]
    assert len(document) < 200_000


async def test_a_letter_can_be_sealed_where_it_is_signed_off(tmp_path: Path) -> None:
    document = letter(tmp_path / "letter.pdf")

    assert (await make_kit().seal(document, place=Place())).startswith(document)


@pytest.mark.parametrize("text", ["一" * 300, "一，" * 150, "字（号）。" * 60, "短"])
def test_lines_keep_the_text_and_never_begin_with_closing_punctuation(text: str) -> None:
    pdf = FPDF(format="A4")
    pdf.add_font("serif", fname=_serif())
    pdf.set_font("serif", size=15)

    lines = _lines(pdf, text)
    widths = [pdf.get_string_width(line) for line in lines]
    font = pdf.fonts["serif"]
    assert isinstance(font, TTFFont)
    font.close()  # A document that is written closes its fonts' files; this one is not.

    assert "".join(lines) == text
    assert not any(line[0] in NOT_FIRST for line in lines)
    assert max(widths) <= 154


def _serif() -> str:
    import pylopdf_fonts_zh_cn

    return str(pylopdf_fonts_zh_cn.serif_path())
