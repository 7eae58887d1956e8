"""Writes a ZIP package (PKWARE APPNOTE 6.3), of parts of another and new ones: pure rules, no I/O."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from services.eseal.splice import Piece, Splice

LOCAL = struct.Struct("<4s5H3I2H")
"""A part's own head (APPNOTE 4.3.7)."""
CENTRAL = struct.Struct("<4s6H3I5H2I")
"""A part's entry in the directory (APPNOTE 4.3.12)."""
END = struct.Struct("<4s4H2IH")
"""The end of the directory (APPNOTE 4.3.16)."""
LOCAL_MARK, CENTRAL_MARK, END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
STORED, DEFLATED = 0, 8
UTF8 = 1 << 11
_VERSION = 20
_LOCAL_TIME = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class Part:
    """A part of a package; where its packed bytes stand in the file."""

    name: str
    start: int
    end: int
    method: int
    crc: int
    size: int
    """Unpacked."""
    stamp: tuple[int, int]
    """MS-DOS time and date."""


@dataclass(frozen=True)
class Written:
    """Entries of a package that is being written: the pieces so far, and the directory of what they hold."""

    pieces: tuple[Piece, ...] = field(default=(), repr=False)
    length: int = 0
    directory: bytes = field(default=b"", repr=False)
    count: int = 0

    def with_kept(self, part: Part) -> Written:
        """With a part of another package, as it is packed there."""
        return self._with(part, b"")

    def with_new(self, name: str, content: bytes, moment: datetime, *, packed: bool = True) -> Written:
        """With a new part."""
        data = _deflated(content) if packed else content
        method = DEFLATED if packed else STORED
        part = Part(name, 0, 0, method, zlib.crc32(content), len(content), dos_stamp(moment))
        return self._with(part, data)

    def finished(self) -> Splice:
        """The whole package: the parts, their directory, its end (APPNOTE 4.3.16)."""
        size = len(self.directory)
        end = END.pack(END_MARK, 0, 0, self.count, self.count, size, self.length, 0)
        return Splice((*self.pieces, Piece(self.directory + end)))

    def _with(self, part: Part, own: bytes) -> Written:
        """With a part whose packed bytes are `own`, or another package's."""
        raw, packed = part.name.encode("utf-8"), len(own) + part.end - part.start
        common = (_VERSION, UTF8, part.method, *part.stamp, part.crc, packed, part.size, len(raw), 0)
        head = LOCAL.pack(LOCAL_MARK, *common) + raw
        entry = CENTRAL.pack(CENTRAL_MARK, _VERSION, *common, 0, 0, 0, 0, self.length) + raw
        return Written(
            (*self.pieces, Piece(head + own, part.start, part.end)),
            self.length + len(head) + packed,
            self.directory + entry,
            self.count + 1,
        )


@lru_cache(maxsize=64)
def dos_stamp(moment: datetime) -> tuple[int, int]:
    """MS-DOS time and date, in China's time."""
    it = moment.astimezone(_LOCAL_TIME)
    time = it.hour << 11 | it.minute << 5 | it.second // 2
    return time, max(it.year - 1980, 0) << 9 | it.month << 5 | it.day


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()
