"""Draws the picture of an official seal as a vector PDF appearance, from glyph outlines of a free font.

The look follows 国发〔1999〕25号 and GB/T 38540 practice: a red ring, a five-pointed star, the office's
name along the ring from left to right, the kind of a special seal in a line below the star, and a
13-digit anti-forgery code along the bottom. Lengths are millimetres, origin in the middle.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pylopdf_fonts_zh_cn as fonts
from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont

from core.errors import fault_error
from services.eseal.domain import Picture

POINTS_PER_MM = 72 / 25.4
DIAMETER_MM = 42.0
"""Diameter of the seals of county offices (国发〔1999〕25号)."""
SEAL_RED = "0.87 0.02 0.07"
_MAX_NAME = 30
_MAX_BOTTOM = 12
_EM = 1000


@dataclass(frozen=True)
class PlacedGlyph:
    """One character and where it stands: centre in mm, clockwise turn in degrees, width and height in mm."""

    char: str
    x: float
    y: float
    turn: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where every character of a seal stands, each list in reading order."""

    name: tuple[PlacedGlyph, ...]
    bottom: tuple[PlacedGlyph, ...]
    code: tuple[PlacedGlyph, ...]


def draw_round_seal(name: str, *, bottom_text: str = "", code: str = "", star: bool = True) -> Picture:
    """A round seal, 42 mm wide, with `name` along the ring, `bottom_text` under the star and `code` below.

    Raises InvalidError where a text is too long or holds a character that the font lacks.
    """
    layout = lay_out(name, bottom_text, code)
    outer = DIAMETER_MM / 2
    ring = 1.25
    scale = POINTS_PER_MM
    half = outer * scale
    parts = [
        "q /Ink gs",
        f"{number(scale)} 0 0 {number(scale)} {number(half)} {number(half)} cm",
        f"{SEAL_RED} rg {SEAL_RED} RG 1 j",
        f"{number(ring)} w {ellipse(outer - ring / 2 - 0.05, outer - ring / 2 - 0.05)} S",
    ]
    if star:
        parts.append(f"{_star(6.9, 0.0, 0.6)} f")
    parts += lettering(name, layout.name, serif(), weight=34)
    if bottom_text:
        parts += lettering(bottom_text, layout.bottom, serif(), weight=30)
    if code:
        parts += lettering(code, layout.code, sans(), weight=0)
    parts.append("Q")
    content = "\n".join(parts).encode("ascii")
    return Picture(zlib.compress(content, 9), DIAMETER_MM, DIAMETER_MM)


def lay_out(name: str, bottom_text: str, code: str) -> Layout:
    """Places every character; pure arithmetic, so that tests can check order and spacing."""
    if not 2 <= len(name) <= _MAX_NAME:
        raise fault_error("name", "length", f"2 to {_MAX_NAME} characters fit the ring")
    if len(bottom_text) > _MAX_BOTTOM:
        raise fault_error("bottom_text", "length", f"at most {_MAX_BOTTOM} characters fit under the star")
    if code and not (len(code) == 13 and code.isascii() and code.isdigit()):
        raise fault_error("code", "form", "13 digits: 6 of the division, 7 of the seal")
    return Layout(_along_ring(name, bool(bottom_text)), _line(bottom_text), _along_bottom(code))


def _along_ring(name: str, has_bottom: bool) -> tuple[PlacedGlyph, ...]:
    """The name, clockwise, its middle at the top; long names get a wider arc, then narrower characters."""
    count = len(name)
    edge = 18.75
    height = 5.4 if count <= 14 else max(3.2, 5.4 - 0.14 * (count - 14))
    middle = edge - height / 2
    widest = 232.0 if has_bottom else 270.0
    arc = min(widest, 29.0 * (count - 1))
    step = arc / (count - 1)
    width = min(height * 0.86, math.radians(step) * (edge - height) * 0.94)
    return tuple(
        PlacedGlyph(
            char,
            middle * math.sin(math.radians(turn)),
            middle * math.cos(math.radians(turn)),
            turn,
            width,
            height,
        )
        for char, turn in ((char, -arc / 2 + index * step) for index, char in enumerate(name))
    )


def _line(text: str) -> tuple[PlacedGlyph, ...]:
    """The line under the star, left to right."""
    if not text:
        return ()
    height = 3.7
    pitch = min(3.45, 24.5 / len(text))
    left = -pitch * (len(text) - 1) / 2
    return tuple(
        PlacedGlyph(char, left + index * pitch, -10.9, 0.0, pitch * 0.96, height)
        for index, char in enumerate(text)
    )


def _along_bottom(code: str) -> tuple[PlacedGlyph, ...]:
    """The code along the bottom, left to right, heads towards the middle."""
    middle, step = 17.9, 4.5
    first = 180 + step * (len(code) - 1) / 2
    return tuple(
        PlacedGlyph(
            char,
            middle * math.sin(math.radians(angle)),
            middle * math.cos(math.radians(angle)),
            angle - 180,
            1.15,
            1.65,
        )
        for char, angle in ((char, first - index * step) for index, char in enumerate(code))
    )


def lettering(text: str, glyphs: Sequence[PlacedGlyph], outlines: Outlines, *, weight: int) -> Iterator[str]:
    """The glyphs as paths, under an ActualText of what they say; `weight` thickens strokes, in 1/1000 em."""
    yield f"/Span <</ActualText <{('﻿' + text).encode('utf-16-be').hex().upper()}>>> BDC"
    for glyph in glyphs:
        path, box = outlines.path(glyph.char)
        # Squeezed to the cell asked for: seal lettering is taller than wide, unlike body text.
        sx, sy = glyph.width / (box[2] - box[0]), glyph.height / (box[3] - box[1])
        cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        cos, sin = math.cos(math.radians(-glyph.turn)), math.sin(math.radians(-glyph.turn))
        a, b, c, d = sx * cos, sx * sin, -sy * sin, sy * cos
        e, f = glyph.x - a * cx - c * cy, glyph.y - b * cx - d * cy
        matrix = " ".join(number(value) for value in (a, b, c, d, e, f))
        paint = f"{weight} w {path} B" if weight else f"{path} f"
        yield f"q {matrix} cm {paint} Q"
    yield "EMC"


def ellipse(across: float, up: float) -> str:
    """An ellipse about the origin as four Bézier arcs, by its half axes."""
    k = 0.5522847498
    a, b, p, q = number(across), number(up), number(across * k), number(up * k)
    return (
        f"{a} 0 m {a} {q} {p} {b} 0 {b} c -{p} {b} -{a} {q} -{a} 0 c "
        f"-{a} -{q} -{p} -{b} 0 -{b} c {p} -{b} {a} -{q} {a} 0 c h"
    )


def _star(radius: float, x: float, y: float) -> str:
    """A five-pointed star, one point up; the inner radius is that of the regular pentagram."""
    inner = radius * math.sin(math.radians(18)) / math.sin(math.radians(54))
    points = (
        (x + r * math.sin(math.radians(36 * corner)), y + r * math.cos(math.radians(36 * corner)))
        for corner in range(10)
        for r in (radius if corner % 2 == 0 else inner,)
    )
    first, *rest = (f"{number(px)} {number(py)}" for px, py in points)
    return f"{first} m " + " ".join(f"{point} l" for point in rest) + " h"


def number(value: float) -> str:
    """A PDF number: no exponent, no trailing noughts."""
    text = f"{value:.5f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


Box = tuple[float, float, float, float]


class _PathPen(BasePen):  # type: ignore[misc]  # fontTools has no types
    """Writes outlines as PDF path operators in whole font units."""

    def __init__(self, glyph_set: object) -> None:
        super().__init__(glyph_set)
        self.parts: list[str] = []
        self.xs: list[float] = []
        self.ys: list[float] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:
        self._add("m", pt)

    def _lineTo(self, pt: tuple[float, float]) -> None:
        self._add("l", pt)

    def _curveToOne(
        self, pt1: tuple[float, float], pt2: tuple[float, float], pt3: tuple[float, float]
    ) -> None:
        self._add("c", pt1, pt2, pt3)

    def _closePath(self) -> None:
        self.parts.append("h")

    def _endPath(self) -> None:
        self.parts.append("h")

    def _add(self, operator: str, *points: tuple[float, float]) -> None:
        for x, y in points:
            self.parts.append(f"{round(x)} {round(y)}")
            self.xs.append(x)
            self.ys.append(y)
        self.parts.append(operator)


class Outlines:
    """Glyph outlines of one font file."""

    def __init__(self, path: str, *, cell: Box | None) -> None:
        self._font = TTFont(path, lazy=True)
        self._names: dict[int, str] = self._font.getBestCmap()
        self._glyphs = self._font.getGlyphSet()
        self._cell = cell

    def path(self, char: str) -> tuple[str, Box]:
        """PDF path operators of a character and the box to fit: the font's cell, or its own bounds."""
        name = self._names.get(ord(char))
        if name is None:
            raise fault_error("name", "character", "the seal font lacks a character of this text")
        pen = _PathPen(self._glyphs)
        self._glyphs[name].draw(pen)
        if not pen.xs:
            raise fault_error("name", "character", "a seal text holds no spaces")
        box = self._cell or (min(pen.xs), min(pen.ys), max(pen.xs), max(pen.ys))
        return " ".join(pen.parts), box


@lru_cache(maxsize=1)
def serif() -> Outlines:
    """The Song typeface that seals are cut in. All characters share one cell, so 一 stays flat."""
    return Outlines(str(fonts.serif_path()), cell=(40.0, -85.0, 960.0, 845.0))


@lru_cache(maxsize=1)
def sans() -> Outlines:
    """For the digits of the code, which share the digit cell."""
    return Outlines(str(fonts.sans_path()), cell=(20.0, -10.0, 535.0, 745.0))
