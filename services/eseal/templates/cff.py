"""Small fonts of the characters that are asked for (CFF, Adobe Technical Note 5176), made by joining glyphs.

fontTools makes subsets too, and takes a second for one; here one costs tens of microseconds, which is what
lets every document have its own. What is written is the least that the format asks for.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from itertools import accumulate
from sys import byteorder

from services.eseal.templates.face import NAME, Face

_NOTDEF = bytes((14,))  # endchar
_STANDARD_STRINGS = 391
_HEADER = bytes((1, 0, 4, 4))


def small_font(face: Face, chars: Iterable[str], tag: str) -> bytes:
    """A bare CFF font of these characters, each under its number in the PDF; `tag` is six capital letters.

    Raises KeyError on a character that the font lacks.
    """
    coded = sorted((face.code(char), char) for char in set(chars))
    charstrings = [_NOTDEF, *(face.charstring(char) for _, char in coded)]
    codes = array("H", [code for code, _ in coded])
    if byteorder == "little":
        codes.byteswap()
    count = len(charstrings)
    strings = _index((b"Adobe", b"Identity"))
    start = _HEADER + _index([f"{tag}+{NAME}".encode("ascii")])
    after = strings + _index(())  # no global subroutines
    charset = b"\0" + codes.tobytes()
    select = struct.pack(">BHHBH", 3, 1, 0, 0, count)
    glyphs = _index(charstrings)
    private = _number(1000) + b"\x14" + _number(0) + b"\x15"  # defaultWidthX, nominalWidthX
    size_of_top = len(_index([_top(face, (0, 0, 0, 0))]))
    at = len(start) + size_of_top + len(after)
    charset_at, select_at = at, at + len(charset)
    glyphs_at = select_at + len(select)
    private_at = glyphs_at + len(glyphs)
    dicts = _index([_long(len(private)) + _long(private_at) + b"\x12"])
    top = _index([_top(face, (charset_at, select_at, glyphs_at, private_at + len(private)))])
    return b"".join((start, top, after, charset, select, glyphs, private, dicts))


def _top(face: Face, offsets: tuple[int, int, int, int]) -> bytes:
    """The top dictionary, of one length whatever the offsets are: of charset, FDSelect, glyphs, FDArray."""
    charset, select, glyphs, dicts = offsets
    registry = _number(_STANDARD_STRINGS) + _number(_STANDARD_STRINGS + 1) + _number(0) + b"\x0c\x1e"
    return b"".join(
        (
            registry,
            *(_long(edge) for edge in face.metrics.box),
            b"\x05",
            _long(0x10000) + b"\x0c\x22",  # CIDCount
            _long(charset) + b"\x0f",
            _long(glyphs) + b"\x11",
            _long(dicts) + b"\x0c\x24",
            _long(select) + b"\x0c\x25",
        )
    )


def _index(objects: Iterable[bytes]) -> bytes:
    """An INDEX: how many, where each begins, and all of them."""
    items = list(objects)
    if not items:
        return b"\0\0"
    offsets = array("I", accumulate(map(len, items), initial=1))
    if byteorder == "little":
        offsets.byteswap()
    return b"".join((struct.pack(">HB", len(items), 4), offsets.tobytes(), *items))


def _long(value: int) -> bytes:
    """A number of a dictionary in its longest form."""
    return struct.pack(">Bi", 29, value)


def _number(value: int) -> bytes:
    """A number of a dictionary, 16 bits."""
    return struct.pack(">Bh", 28, value)
