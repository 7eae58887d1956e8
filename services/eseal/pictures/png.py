"""Draws the picture of an official seal as PNG, for formats that carry pictures by the dot (GB/T 38540).

The same layout as picture.py: one seal looks the same on a PDF and on an OFD.
"""

from __future__ import annotations

import math
from functools import lru_cache
from io import BytesIO

import pylopdf_fonts_zh_cn as fonts
from PIL import Image, ImageDraw, ImageFont

from services.eseal.gm.ses_making import SealFace
from services.eseal.pictures.vector import DIAMETER_MM, Layout, PlacedGlyph, lay_out

DOTS_PER_MM = 12
"""About 300 dots an inch."""
FINER = 2
"""Drawn so many times larger, then made smaller: smooth edges."""
_RED = (222, 5, 18)
_GLYPH_DOTS = 160


def round_seal_face(name: str, *, bottom_text: str = "", code: str = "") -> SealFace:
    """A round seal with a star, 42 mm wide, on a transparent ground. Raises InvalidError as lay_out does."""
    layout = lay_out(name, bottom_text, code)
    side = round(DIAMETER_MM * DOTS_PER_MM * FINER)
    ink = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(ink)
    ring = 1.25 * DOTS_PER_MM * FINER
    draw.ellipse((1, 1, side - 2, side - 2), outline=255, width=round(ring))
    draw.polygon(_star(side / 2, side / 2 - 0.6 * DOTS_PER_MM * FINER, 6.9 * DOTS_PER_MM * FINER), fill=255)
    letter(ink, layout, name, bottom_text, code)
    return SealFace("PNG", encoded(ink), round(DIAMETER_MM), round(DIAMETER_MM))


def encoded(ink: Image.Image) -> bytes:
    """What was drawn FINER times larger, as a PNG in seal red."""
    ink = ink.resize((ink.width // FINER, ink.height // FINER), Image.Resampling.LANCZOS)
    # One colour in 16 strengths: half a byte a dot, for the picture stands in every document.
    picture = Image.frombytes("P", ink.size, bytes(value // 17 for value in ink.tobytes()))
    picture.putpalette(_RED * 16)
    out = BytesIO()
    picture.save(out, "PNG", optimize=True, bits=4, transparency=bytes(range(0, 256, 17)))
    return out.getvalue()


def letter(ink: Image.Image, layout: Layout, name: str, bottom_text: str, code: str) -> None:
    """Puts the texts where the layout has their characters."""
    for text, glyphs, path, cell in (
        (name, layout.name, fonts.serif_path(), _CHINESE),
        (bottom_text, layout.bottom, fonts.serif_path(), _CHINESE),
        (code, layout.code, fonts.sans_path(), _DIGIT),
    ):
        for char, glyph in zip(text, glyphs, strict=True):
            _stamp(ink, _glyph(str(path), char, cell), glyph)


_Cell = tuple[float, float, float, float]
_CHINESE: _Cell = (0.040, 0.035, 0.960, 0.965)
"""What of the em a character fills, from the upper left: as the cells of picture.py."""
_DIGIT: _Cell = (0.020, 0.135, 0.535, 0.890)


@lru_cache(maxsize=512)
def _glyph(path: str, char: str, cell: _Cell) -> Image.Image:
    """A character, cut to its cell."""
    font = _font(path)
    made = Image.new("L", (_GLYPH_DOTS, _GLYPH_DOTS), 0)
    # The baseline stands at 0.88 of the em in these fonts.
    weight = 2 if cell is _CHINESE else 0
    ImageDraw.Draw(made).text(
        (0, 0.88 * _GLYPH_DOTS), char, fill=255, font=font, anchor="ls", stroke_width=weight
    )
    left, top, right, bottom = (round(edge * _GLYPH_DOTS) for edge in cell)
    return made.crop((left, top, right, bottom))


@lru_cache(maxsize=2)
def _font(path: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, _GLYPH_DOTS)


def _stamp(ink: Image.Image, glyph: Image.Image, placed: PlacedGlyph) -> None:
    """Puts a character where it stands, squeezed and turned."""
    dots = DOTS_PER_MM * FINER
    sized = glyph.resize((max(1, round(placed.width * dots)), max(1, round(placed.height * dots))))
    turned = sized.rotate(-placed.turn, Image.Resampling.BICUBIC, expand=True)
    x = ink.width / 2 + placed.x * dots - turned.width / 2
    y = ink.height / 2 - placed.y * dots - turned.height / 2
    ink.paste(255, (round(x), round(y)), turned)


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """A five-pointed star, one point up; the inner radius is that of the regular pentagram."""
    inner = radius * math.sin(math.radians(18)) / math.sin(math.radians(54))
    return [
        (x + reach * math.sin(math.radians(36 * corner)), y - reach * math.cos(math.radians(36 * corner)))
        for corner in range(10)
        for reach in (inner if corner % 2 else radius,)
    ]
