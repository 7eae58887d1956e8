"""What a seal looks like: round, oval or square, once as PDF operators and once by the dot.

Oval seals are 40 by 30 mm with the owner's name above, its USCC in the middle and the seal's title below, as
invoice seals are (State Taxation Administration, announcement 7 of 2011); square ones are 20 mm wide, read in
columns from the right. Each bears the anti-forgery code. Lengths are millimetres, origin in the middle.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageDraw

from core.errors import fault_error
from services.eseal.domain import Picture
from services.eseal.gm.ses_making import SealFace
from services.eseal.lifecycle import Application, Shape
from services.eseal.pictures.png import DOTS_PER_MM, FINER, encoded, letter, round_seal_face
from services.eseal.pictures.vector import (
    POINTS_PER_MM,
    SEAL_RED,
    Layout,
    PlacedGlyph,
    draw_round_seal,
    ellipse,
    lettering,
    number,
    sans,
    serif,
)

OVAL_MM = (40.0, 30.0)
SQUARE_MM = 20.0
_OVAL_LINE, _SQUARE_LINE = 1.0, 0.9
_MOST_ON_OVAL = 30
_MOST_ON_SQUARE = 16


@dataclass(frozen=True)
class Look:
    """A seal's picture, made as it is asked for."""

    picture: Callable[[], Picture]
    """As PDF operators."""
    face: Callable[[], SealFace]
    """As PNG on a transparent ground."""


def look_of(wanted: Application, code: str) -> Look:
    """What the seal looks like that is applied for.

    Raises InvalidError where a text is too long for it or holds a character that the font lacks.
    """
    name, title = wanted.owner_name, wanted.title
    if wanted.shape is Shape.ROUND:
        return Look(
            lambda: draw_round_seal(name, bottom_text=title, code=code),
            lambda: round_seal_face(name, bottom_text=title, code=code),
        )
    if wanted.shape is Shape.OVAL:
        texts = (name, title, wanted.owner_code + code)
        layout = lay_out_oval(*texts[:2], wanted.owner_code, code)
        return Look(
            lambda: _pdf(layout, texts, OVAL_MM, _oval_border()),
            lambda: _png(layout, texts, OVAL_MM, _OVAL_LINE, ImageDraw.ImageDraw.ellipse),
        )
    text = title or name
    layout, size = lay_out_square(text, code), (SQUARE_MM, SQUARE_MM)
    return Look(
        lambda: _pdf(layout, (text, "", code), size, _square_border()),
        lambda: _png(layout, (text, "", code), size, _SQUARE_LINE, ImageDraw.ImageDraw.rectangle),
    )


def lay_out_oval(name: str, title: str, owner_code: str, code: str) -> Layout:
    """The name along the upper arc, the USCC in the middle, the title below, the code under it."""
    if not 2 <= len(name) <= _MOST_ON_OVAL:
        raise fault_error("owner_name", "length", f"2 to {_MOST_ON_OVAL} characters fit an oval seal")
    if len(title) > 10:
        raise fault_error("title", "length", "at most 10 characters fit an oval seal")
    height = 4.2 if len(name) <= 14 else 3.2
    a, b = OVAL_MM[0] / 2 - 1.9 - height / 2, OVAL_MM[1] / 2 - 1.9 - height / 2
    # Equal steps along the curve, not in the angle: letters would crowd at the flat sides.
    fine = [(math.radians(turn / 4), *_on(a, b, math.radians(turn / 4))) for turn in range(-480, 481)]
    lengths = [0.0]
    for before, here in pairwise(fine):
        lengths.append(lengths[-1] + math.hypot(here[1] - before[1], here[2] - before[2]))
    whole = min(lengths[-1], height * 1.25 * (len(name) - 1))
    first, step = (lengths[-1] - whole) / 2, whole / (len(name) - 1)
    around = []
    for place, char in enumerate(name):
        index = min(bisect_left(lengths, first + place * step), len(fine) - 1)
        angle, x, y = fine[index]
        turn = math.degrees(math.atan2(b * math.sin(angle), a * math.cos(angle)))
        around.append(PlacedGlyph(char, x, y, turn, min(height * 0.86, step * 0.9), height))
    middle = _line(owner_code, y=0.6, pitch=1.55, width=1.3, height=2.4)
    below = _line(title, y=-5.0, pitch=min(3.3, 22 / max(1, len(title))), width=3.0, height=3.4)
    under = _line(code, y=-10.0, pitch=1.2, width=0.95, height=1.5)
    return Layout(tuple(around), below, middle + under)


def lay_out_square(text: str, code: str) -> Layout:
    """The text in columns from the right, each from the top; the code along the bottom."""
    if not 2 <= len(text) <= _MOST_ON_SQUARE:
        raise fault_error("title", "length", f"2 to {_MOST_ON_SQUARE} characters fit a square seal")
    columns = math.ceil(math.sqrt(len(text)))
    rows = math.ceil(len(text) / columns)
    wide, tall = (SQUARE_MM - 3.0) / columns, (SQUARE_MM - 5.0) / rows
    glyphs = []
    for place, char in enumerate(text):
        column, row = divmod(place, rows)
        x = (SQUARE_MM - 3.0) / 2 - (column + 0.5) * wide
        y = SQUARE_MM / 2 - 1.5 - (row + 0.5) * tall
        glyphs.append(PlacedGlyph(char, x, y, 0.0, wide * 0.9, tall * 0.9))
    return Layout(tuple(glyphs), (), _line(code, y=-8.0, pitch=1.2, width=0.95, height=1.5))


def _on(a: float, b: float, angle: float) -> tuple[float, float]:
    """The point of an ellipse, the angle clockwise from the top."""
    return a * math.sin(angle), b * math.cos(angle)


def _line(text: str, *, y: float, pitch: float, width: float, height: float) -> tuple[PlacedGlyph, ...]:
    left = -pitch * (len(text) - 1) / 2
    return tuple(
        PlacedGlyph(char, left + place * pitch, y, 0.0, width, height) for place, char in enumerate(text)
    )


def _oval_border() -> str:
    inset = _OVAL_LINE / 2 + 0.05
    return f"{number(_OVAL_LINE)} w {ellipse(OVAL_MM[0] / 2 - inset, OVAL_MM[1] / 2 - inset)} S"


def _square_border() -> str:
    low = -SQUARE_MM / 2 + _SQUARE_LINE / 2 + 0.05
    return f"{number(_SQUARE_LINE)} w {number(low)} {number(low)} {number(-2 * low)} {number(-2 * low)} re S"


def _pdf(layout: Layout, texts: tuple[str, str, str], size: tuple[float, float], border: str) -> Picture:
    scale, (width, height) = POINTS_PER_MM, size
    parts = [
        "q /Ink gs",
        f"{number(scale)} 0 0 {number(scale)} {number(width / 2 * scale)} {number(height / 2 * scale)} cm",
        f"{SEAL_RED} rg {SEAL_RED} RG 1 j",
        border,
        *lettering(texts[0], layout.name, serif(), weight=34),
    ]
    if texts[1]:
        parts += lettering(texts[1], layout.bottom, serif(), weight=30)
    parts += [*lettering(texts[2], layout.code, sans(), weight=0), "Q"]
    return Picture(zlib.compress("\n".join(parts).encode("ascii"), 9), width, height)


def _png(
    layout: Layout,
    texts: tuple[str, str, str],
    size: tuple[float, float],
    line: float,
    border: Callable[..., None],
) -> SealFace:
    dots = DOTS_PER_MM * FINER
    ink = Image.new("L", (round(size[0] * dots), round(size[1] * dots)), 0)
    border(
        ImageDraw.Draw(ink),
        (1, 1, ink.width - 2, ink.height - 2),
        outline=255,
        width=round(line * dots),
    )
    letter(ink, layout, *texts)
    return SealFace("PNG", encoded(ink), round(size[0]), round(size[1]))
