"""A picture that one document of a template shows: the two forms in which it goes on. Pure rules, no I/O.

A confined worker reads what came and writes it anew: a baseline JPEG (ITU-T T.81), or a PNG of one plain
form. Both are looked at once more here, for a worker may have been taken over by what it read: nothing but
tables and dots is taken, which a PDF shows as they are (ISO 32000-2 7.4.8, 7.4.4.4).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MOST_BYTES = 320 * 1024
"""Of a picture as it stands in a document."""
JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG\r\n\x1a\n"
"""What the files begin with."""
_HEAD = 33
"""Bytes of the signature and of IHDR, both whole."""
_KINDS = {b"\x08\x00\x00\x00\x00": 1, b"\x08\x02\x00\x00\x00": 3}
"""Of IHDR: 8 bits of grey, or of red, green and blue; the usual compression and filters, not interlaced."""
_END = b"\xff\xd9"
_FRAME, _SCAN = b"\xff\xc0", b"\xff\xda"
_TABLES = frozenset((b"\xff\xe0", b"\xff\xdb", b"\xff\xc4"))
"""JFIF's own, of quantisation and of Huffman codes; a comment or anybody's application data is not taken."""
_MARKER = re.compile(rb"\xff[^\x00]")


@dataclass(frozen=True)
class Photo:
    """A picture in one of the two forms: dots across and down, 1 or 3 colours of 8 bits."""

    content: bytes = field(repr=False)
    """The whole file, as an OFD has it."""
    width: int
    height: int
    colours: int
    rows: bytes = field(default=b"", repr=False)
    """Of a PNG the deflated rows, each with its filter; empty of a JPEG."""

    @property
    def extension(self) -> str:
        """Of the file: `jpg` or `png`."""
        return "png" if self.rows else "jpg"

    @property
    def entries(self) -> bytes:
        """The image's dictionary in a PDF, but for its length."""
        colour = b"/DeviceGray" if self.colours == 1 else b"/DeviceRGB"
        filtered = b"/DCTDecode"
        if self.rows:
            filtered = (
                b"/FlateDecode/DecodeParms<</Predictor 15/Colors %d/BitsPerComponent 8/Columns %d>>"
                % (
                    self.colours,
                    self.width,
                )
            )
        return b"/Type/XObject/Subtype/Image/ColorSpace%b/BitsPerComponent 8/Width %d/Height %d/Filter%b" % (
            *(colour, self.width, self.height, filtered),
        )

    @property
    def data(self) -> bytes:
        """What the image's stream holds in a PDF."""
        return self.rows or self.content

    def within(self, width: float, height: float) -> tuple[float, float, float, float]:
        """Where it stands in an area of this size: left and upper edge, width and height, as large as fits,
        in its own proportions, in the middle."""
        scale = min(width / self.width, height / self.height)
        wide, tall = self.width * scale, self.height * scale
        return (width - wide) / 2, (height - tall) / 2, wide, tall


def photo_of(content: bytes, room: tuple[int, int]) -> Photo:
    """The picture, within a room of so many dots across and down. Raises ValueError on what is in neither
    form, or too large."""
    if len(content) > MOST_BYTES:
        raise ValueError("a picture that is too large")
    if content.startswith(PNG):
        width, height, colours, rows = plain_png(content)
        found = Photo(content, width, height, colours, rows)
    else:
        found = Photo(content, *_jpeg_frame(content))
    if not (0 < found.width <= room[0] and 0 < found.height <= room[1]):
        raise ValueError("a picture that is larger than its room")
    if found.rows:
        whole = found.height * (1 + found.width * found.colours)
        if _unpacked_length(found.rows, whole + 1) != whole:
            raise ValueError("a picture whose dots are not as many as it says")
    return found


def _unpacked_length(rows: bytes, most: int) -> int:
    try:
        return len(zlib.decompressobj().decompress(rows, most))
    except zlib.error as fault:
        raise ValueError("a picture whose dots cannot be unpacked") from fault


def plain_png(content: bytes) -> tuple[int, int, int, bytes]:
    """Dots across and down, colours (1 or 3) and deflated rows of a PNG of the plain form: one IDAT, and
    nothing besides. Raises ValueError on another."""
    rest, colours = content[_HEAD:], _KINDS.get(content[24:29])
    length = int.from_bytes(rest[:4], "big")
    if colours is None or content[12:16] != b"IHDR" or rest[4:8] != b"IDAT":
        raise ValueError("not the form in which pictures are kept")
    end = rest[8 + length + 4 :]
    if end[4:8] != b"IEND" or len(end) != 12:
        raise ValueError("a picture of several parts")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    return width, height, colours, rest[8 : 8 + length]


def _jpeg_frame(content: bytes) -> tuple[int, int, int]:
    """Width, height and colours of a baseline JPEG of one scan that holds nothing else."""
    if not content.startswith(JPEG) or not content.endswith(_END):
        raise ValueError("neither a JPEG nor a PNG")
    at, frame = 2, b""
    while True:
        mark, length = content[at : at + 2], int.from_bytes(content[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(content):
            raise ValueError("a JPEG that is cut off")
        body = content[at + 4 : at + 2 + length]
        at += 2 + length
        if mark == _SCAN:
            break
        if mark == _FRAME and not frame:
            frame = body
        elif mark not in _TABLES:
            raise ValueError("a JPEG with more than its tables and one scan")
    if (
        _MARKER.search(content, at, len(content) - 2)
        or len(frame) < 6
        or frame[0] != 8
        or frame[5] not in (1, 3)
    ):
        raise ValueError("a JPEG that is not baseline, or not of one or three colours")
    return int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big"), frame[5]


NO_PHOTOS: Mapping[str, Photo] = MappingProxyType({})
"""Of a template without fields for pictures."""
