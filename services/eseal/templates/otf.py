"""Small OpenType fonts around small CFF fonts (ISO/IEC 14496-22): OFD finds glyphs by characters."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, repeat
from sys import byteorder

from services.eseal.templates.cff import small_font
from services.eseal.templates.face import EM, NAME, Face

_VERSION = b"OTTO"
_SUM_OF_ALL = 0xB1B0AFBA
_ADJUSTMENT = slice(8, 12)
"""Where `head` keeps what makes the whole font's sum right."""
_OWN = frozenset((b"CFF ", b"cmap", b"hmtx"))
"""Tables that differ from font to font."""


def small_opentype(face: Face, chars: Iterable[str], tag: str) -> bytes:
    """An OpenType font of these characters. Raises KeyError on one that the font lacks."""
    ordered = sorted(set(chars), key=face.code)
    head, hhea = face.table("head"), face.table("hhea")
    widths = list(map(face.width, ordered))
    metrics = struct.pack(">Hh" + "Hh" * len(widths), EM, 0, *chain.from_iterable(zip(widths, repeat(0))))
    glyphs = len(widths) + 1
    tables = {
        b"CFF ": small_font(face, ordered, tag),
        b"OS/2": face.table("OS/2"),
        b"cmap": _characters(ordered),
        b"head": head[: _ADJUSTMENT.start] + bytes(4) + head[_ADJUSTMENT.stop :],
        b"hhea": hhea[:34] + struct.pack(">H", glyphs),
        b"hmtx": metrics,
        b"maxp": struct.pack(">IH", 0x5000, glyphs),
        b"name": _names(tag),
        b"post": face.table("post"),
    }
    return _written(tables)


def _written(tables: dict[bytes, bytes]) -> bytes:
    """The font's file: a directory of its tables, each from a multiple of four bytes on, with its sum."""
    count = len(tables)
    power = count.bit_length() - 1
    search = 16 << power
    directory = [_VERSION + struct.pack(">4H", count, search, power, count * 16 - search)]
    at, head_at, sums = 12 + 16 * count, 0, 0
    padded = {name: data + bytes(-len(data) % 4) for name, data in tables.items()}
    for name, data in padded.items():
        own = _sum(data) if name in _OWN else _sum_kept(data)
        sums += own
        directory.append(struct.pack(">4s3I", name, own, at, len(tables[name])))
        if name == b"head":
            head_at = at
        at += len(data)
    said = b"".join(directory)
    font = bytearray(b"".join((said, *padded.values())))
    adjustment = _SUM_OF_ALL - sums - _sum(said) & 0xFFFFFFFF
    font[head_at + 8 : head_at + 12] = adjustment.to_bytes(4, "big")
    return bytes(font)


def _sum(data: bytes) -> int:
    """The sum of the data as numbers of 32 bits."""
    numbers = array("I", data)
    if byteorder == "little":
        numbers.byteswap()
    return sum(numbers) & 0xFFFFFFFF


_sum_kept = lru_cache(maxsize=64)(_sum)
"""The same of tables that many fonts share."""


def _characters(ordered: list[str]) -> bytes:
    """The table from characters to glyphs: format 4 of the basic plane, and format 12 of all."""
    plane = [(ord(char), glyph) for glyph, char in enumerate(ordered, start=1) if char <= "\uffff"]
    segments = len(plane) + 1
    power = segments.bit_length() - 1
    search = 2 << power
    codes = struct.pack(f">{segments}H", *(code for code, _ in plane), 0xFFFF)
    deltas = struct.pack(f">{segments}H", *((glyph - code) & 0xFFFF for code, glyph in plane), 1)
    four = b"".join(
        (
            struct.pack(">7H", 4, 16 + 8 * segments, 0, 2 * segments, search, power, 2 * segments - search),
            codes + b"\0\0" + codes + deltas + bytes(2 * segments),
        )
    )
    every = sorted((ord(char), glyph) for glyph, char in enumerate(ordered, start=1))
    groups = struct.pack(
        f">{3 * len(every)}I", *[one for code, glyph in every for one in (code, code, glyph)]
    )
    twelve = struct.pack(">2H3I", 12, 0, 16 + len(groups), 0, len(every)) + groups
    start = 4 + 2 * 8
    return struct.pack(">2H2HI2HI", 0, 2, 3, 1, start, 3, 10, start + len(four)) + four + twelve


@lru_cache(maxsize=8)
def _names(tag: str) -> bytes:
    """The names that a font must have: family, style, whole name, and PostScript's."""
    said = {1: NAME, 2: "Regular", 4: NAME, 6: f"{tag}+{NAME}"}
    records, texts, at = [], [], 0
    for number, text in said.items():
        data = text.encode("utf-16-be")
        records.append(struct.pack(">6H", 3, 1, 0x409, number, len(data), at))
        texts.append(data)
        at += len(data)
    return b"".join((struct.pack(">3H", 0, len(said), 6 + 12 * len(said)), *records, *texts))
