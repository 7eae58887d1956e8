"""The font of the templates: Noto Serif SC (SIL Open Font License 1.1), a glyph at a time.

A glyph is taken out of the font once, without hints and subroutines, so that it can be put into any small
font that a document needs; what a document costs then is joining the glyphs it shows.
"""

from __future__ import annotations

import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import pylopdf_fonts_zh_cn as fonts
from fontTools.pens.t2CharStringPen import T2CharStringPen
from fontTools.ttLib import TTFont

NAME = "NotoSerifSC-Regular"
EM = 1000
_BEYOND = 0xE000
"""Where the numbers of characters beyond the basic plane begin: private use, which no text may hold."""
_UNDRAWN = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Mn", "Me", "Mc"))
"""Categories of characters that no text may hold: they show nothing, or change what stands beside them."""


@dataclass(frozen=True)
class Metrics:
    """What a reader is told of the font, in thousandths of its size."""

    ascent: int
    descent: int
    cap_height: int
    box: tuple[int, int, int, int]


class Face:
    """The font's characters, their widths and glyphs. `code` numbers each for the PDF: within the basic plane
    by its code point, so that text is written as UTF-16."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._font = TTFont(path, lazy=True)
        names: dict[int, str] = self._font.getBestCmap()
        widths: dict[str, tuple[int, int]] = self._font["hmtx"].metrics
        self._names = {chr(point): name for point, name in names.items() if _is_drawn(chr(point))}
        self._widths = {char: widths[name][0] for char, name in self._names.items()}
        self.width = self._widths.__getitem__
        """How wide a character runs, in thousandths of the font's size. Raises KeyError where it lacks it."""
        self._glyphs = self._font.getGlyphSet()
        self._drawn: dict[str, bytes] = {}
        self._tables: dict[str, bytes] = {}
        self._lock = threading.Lock()  # The font's file is read by one at a time.
        self.characters = frozenset(self._names)
        self.beyond = {
            char: _BEYOND + number
            for number, char in enumerate(sorted(char for char in self._names if char > "\uffff"))
        }
        head, hhea = self._font["head"], self._font["hhea"]
        self.metrics = Metrics(
            hhea.ascent,
            hhea.descent,
            self._font["OS/2"].sCapHeight,
            (head.xMin, head.yMin, head.xMax, head.yMax),
        )

    def code(self, char: str) -> int:
        """The character's number in the PDF."""
        return self.beyond[char] if char in self.beyond else ord(char)

    def encoded(self, text: str) -> str:
        """The text as these numbers, in four hexadecimal digits each."""
        units = text.encode("utf-16-be")
        if len(units) > 2 * len(text):  # Some are beyond the basic plane.
            units = "".join(chr(self.beyond.get(char, ord(char))) for char in text).encode("utf-16-be")
        return units.hex()

    def table(self, tag: str) -> bytes:
        """A table of the font's file as it stands there."""
        if tag not in self._tables:
            with self._lock:
                self._tables[tag] = bytes(self._font.reader[tag])
        return self._tables[tag]

    def charstring(self, char: str) -> bytes:
        """The character's glyph as a Type 2 charstring. Raises KeyError where the font lacks it."""
        return self._drawn.get(char) or self._draw(char)

    def undrawn(self, text: str) -> set[str]:
        """Characters whose glyphs have not been taken out yet, which takes about a millisecond each."""
        return set(text).difference(self._drawn)

    def _draw(self, char: str) -> bytes:
        with self._lock:
            pen = T2CharStringPen(self._widths[char], self._glyphs)
            self._glyphs[self._names[char]].draw(pen)
            charstring = pen.getCharString()
            charstring.compile()
            drawn = bytes(charstring.bytecode)
        self._drawn[char] = drawn
        return drawn


def _is_drawn(char: str) -> bool:
    return unicodedata.category(char) not in _UNDRAWN


@lru_cache(maxsize=1)
def serif() -> Face:
    """The templates' font, read once."""
    return Face(str(fonts.serif_path()))
