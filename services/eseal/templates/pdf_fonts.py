"""The font of a template's PDF: two small CID-keyed fonts, one made ready once, one made for each document.

Both number characters alike, by UTF-16 code unit, so that they share one width array and one table to Unicode
(ISO 32000-1 9.7, 9.10.3), and a text is written as what it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache

from services.eseal.templates.face import EM, NAME, Face
from services.eseal.templates.objects import Objects
from services.eseal.templates.setting import runs_of

READY_TAG, OWN_TAG = "ONSTPA", "ONSTPB"
"""Of the font made ready, and of a document's own (9.6.4)."""
_BLOCK = 100
_KEPT = 4096
"""Lines that are kept as they are shown: many documents have the same."""


def write_font(
    objects: Objects, first: int, tag: str, *, file: int, face: Face, shared: tuple[int, int]
) -> None:
    """The three dictionaries of a font, numbered from `first`; `file` is its program's object, `shared` the
    table to Unicode and the widths."""
    name = f"{tag}+{NAME}".encode("ascii")
    to_unicode, widths = shared
    objects.add(
        first,
        b"<</Type/Font/Subtype/Type0/BaseFont/%b/Encoding/Identity-H/DescendantFonts[%d 0 R]"
        b"/ToUnicode %d 0 R>>" % (name, first + 1, to_unicode),
    )
    objects.add(
        first + 1,
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/%b"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        b"/FontDescriptor %d 0 R/DW %d/W %d 0 R>>" % (name, first + 2, EM, widths),
    )
    metrics = face.metrics
    objects.add(
        first + 2,
        b"<</Type/FontDescriptor/FontName/%b/Flags 6/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d"
        b"/CapHeight %d/StemV 80/FontFile3 %d 0 R>>"
        % (name, *metrics.box, metrics.ascent, metrics.descent, metrics.cap_height, file),
    )


@lru_cache(maxsize=_KEPT)
def shown(text: str, size: float, face: Face, ready: frozenset[str]) -> tuple[str, str]:
    """The operators that show a line, each run of it in the font that has its characters: the one made ready,
    or the document's own; and the characters of the latter."""
    codes, own_font, ready_font = face.encoded(text), f"/B {size:g} Tf<", f"/A {size:g} Tf<"
    out, own, at = list[str](), list[str](), 0
    for run in runs_of(text, ready):
        end = at + 4 * len(run)
        if run[0] in ready:
            out.append(f"{ready_font}{codes[at:end]}>Tj")
        else:
            out.append(f"{own_font}{codes[at:end]}>Tj")
            own.append(run)
        at = end
    return "".join(out), "".join(own)


@lru_cache(maxsize=1)
def width_array(face: Face) -> bytes:
    """The widths of all characters that are not as wide as the font is high (9.7.4.3)."""
    odd = sorted((face.code(char), face.width(char)) for char in face.characters if face.width(char) != EM)
    parts: list[bytes] = []
    after = -1
    for code, width in odd:
        if code != after:
            parts.append(b"%b%d[" % (b"]" if parts else b"", code))
        parts.append(b"%d " % width)
        after = code + 1
    return b"[%b]]" % b"".join(parts)


@lru_cache(maxsize=1)
def unicode_map(face: Face) -> bytes:
    """The table from the characters' numbers to Unicode, deflated: rows of 256 that stand for themselves, and
    the characters beyond the basic plane one by one."""
    rows = sorted({ord(char) >> 8 for char in face.characters if char <= "\uffff"})
    last = {0xFE: 0xFE, 0xFF: 0xFD}  # U+FEFF, U+FFFE and U+FFFF stand for no character.
    ranges = [
        b"<%02x%02x><%02x%02x><%02x%02x>" % (row, first, row, last.get(row, 0xFF), row, first)
        for row in rows
        for first in (0x20 if row == 0 else 0,)
    ]
    chars = [
        b"<%04x><%b>" % (code, char.encode("utf-16-be").hex().encode("ascii"))
        for char, code in face.beyond.items()
    ]
    body = b"".join(
        (
            b"/CIDInit/ProcSet findresource begin 12 dict begin begincmap\n"
            b"/CIDSystemInfo<</Registry(Adobe)/Ordering(UCS)/Supplement 0>>def\n"
            b"/CMapName/Adobe-Identity-UCS def/CMapType 2 def\n"
            b"1 begincodespacerange<0000><ffff>endcodespacerange\n",
            *_blocks(ranges, b"bfrange"),
            *_blocks(chars, b"bfchar"),
            b"endcmap CMapName currentdict/CMap defineresource pop end end",
        )
    )
    return zlib.compress(body, 9)


def _blocks(lines: list[bytes], kind: bytes) -> Iterator[bytes]:
    """In blocks of a hundred, the most that a CMap may have in one."""
    for start in range(0, len(lines), _BLOCK):
        block = lines[start : start + _BLOCK]
        yield b"%d begin%b\n%b\nend%b\n" % (len(block), kind, b"\n".join(block), kind)
