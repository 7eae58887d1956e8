"""Reads an uploaded PNG (ISO/IEC 15948) as a seal's picture. Runs in a confined worker only.

Of the file nothing goes on but its size, palette, transparency and dots: profiles, texts and whatever else it
holds are dropped before a decoder sees it, and both pictures that come out are written anew.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from services.eseal.raster import SIGNATURE
from services.eseal.refusals import SealPictureInvalidError

MOST_DOTS = 2048
"""Across or down: 42 mm by 1,200 dots an inch."""
LEAST_DOTS = 32
MOST_CHUNKS = 1024

_DEPTHS = {0: (1, 2, 4, 8), 2: (8,), 3: (1, 2, 4, 8), 4: (8,), 6: (8,)}
"""Bits that a colour type may have here."""
_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def read_dots(file: bytes, most: int = MOST_DOTS) -> Image.Image:
    """The picture, red, green, blue and alpha; at most so many dots each way. Raises
    SealPictureInvalidError."""
    pieces = list(_chunks(file))
    if not pieces or pieces[0][0] != b"IHDR" or len(pieces[0][1]) != 13:
        raise _invalid("form", "the PNG does not begin with its size")
    _require_plain(pieces[0][1], most)
    if any(name in (b"acTL", b"fcTL", b"fdAT") for name, _ in pieces):
        raise _invalid("animation", "the PNG moves; one that stands still is taken")
    unknown = [name for name, _ in pieces if name not in _KEPT and not name[0] & 0x20]
    if unknown:
        raise _invalid("chunk", f"the PNG needs {unknown[0].decode('ascii')}, which is not known here")
    cleaned = SIGNATURE + b"".join(chunk(name, data) for name, data in pieces if name in _KEPT)
    try:
        with Image.open(BytesIO(cleaned), formats=["PNG"]) as opened:
            return opened.convert("RGBA")
    except Exception as fault:  # a decoder may raise anything at all on a file that lies about itself
        raise _invalid("form", "the dots of the PNG cannot be read") from fault


def on_white(picture: Image.Image) -> Image.Image:
    """The picture as its ink shows on paper. Raises SealPictureInvalidError where it shows nothing."""
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A"))
    if set(paper.tobytes()) == {255}:
        raise _invalid("blank", "the picture shows nothing: it is white or transparent all over")
    return paper


def kept_form(paper: Image.Image) -> bytes:
    """The PNG, in colours or grey, in the form in which pictures are kept (raster.py)."""
    out = BytesIO()
    paper.save(out, "PNG", optimize=True)
    pieces = list(_chunks(out.getvalue()))
    rows = b"".join(data for name, data in pieces if name == b"IDAT")
    return SIGNATURE + chunk(b"IHDR", pieces[0][1]) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def with_alpha(picture: Image.Image) -> bytes:
    """The PNG that an OFD shows, its alpha kept."""
    out = BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and check."""
    said = name + data
    return len(data).to_bytes(4, "big") + said + zlib.crc32(said).to_bytes(4, "big")


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each chunk, its check looked at; the last one is IEND, and nothing follows it."""
    at, count = len(SIGNATURE), 0
    while True:
        length, name = int.from_bytes(file[at : at + 4], "big"), file[at + 4 : at + 8]
        end, count = at + 12 + length, count + 1
        if end > len(file) or count > MOST_CHUNKS or not (len(name) == 4 and name.isalpha()):
            raise _invalid("form", "the PNG is cut off, or is none")
        data = file[at + 8 : end - 4]
        if zlib.crc32(name + data) != int.from_bytes(file[end - 4 : end], "big"):
            raise _invalid("form", "a check of the PNG is wrong: the file is damaged")
        yield name, data
        if name == b"IEND":
            if end != len(file):
                raise _invalid("form", "something follows the end of the PNG")
            return
        at = end


def _require_plain(head: bytes, most: int) -> None:
    width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    depth, kind, *ways = head[8:13]
    require_dots(width, height, most)
    if kind not in _DEPTHS:
        raise _invalid("colour_type", f"a PNG has no colour type {kind}")
    if depth not in _DEPTHS[kind]:
        raise _invalid("bit_depth", f"{depth} bits a colour; save it with 8")
    if ways[0] or ways[1] or ways[2] > 1:
        raise _invalid("form", "the PNG is packed in a way that no standard names")


def require_dots(width: int, height: int, most: int) -> None:
    """Raises SealPictureInvalidError unless there are LEAST_DOTS to `most` dots each way."""
    if not (LEAST_DOTS <= width <= most and LEAST_DOTS <= height <= most):
        raise _invalid("dots", f"{width} by {height} dots; {LEAST_DOTS} to {most} each way, 500 are enough")


def _invalid(rule: str, message: str) -> SealPictureInvalidError:
    return SealPictureInvalidError.by(rule, message)
