"""A file told as what it takes from another one and what it puts between: pure rules, no I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

MARK = b"\x89SPLICE1"
"""What an encoded splice begins with; no update of a PDF does."""
_NUMBER, _PIECE = struct.Struct(">Q"), struct.Struct(">3Q")
"""How many pieces there are; of each the length of its own bytes, and where its stretch begins and ends."""
_MOST = 1 << 20


@dataclass(frozen=True)
class Piece:
    """Some bytes of its own, and after them a stretch of the other file, from `start` up to `end`."""

    own: bytes = field(repr=False)
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Splice:
    """A file by its pieces, in order."""

    pieces: tuple[Piece, ...]

    def applied_to(self, original: bytes) -> bytes:
        """The file. Raises ValueError where a piece lies outside the original."""
        self.length_over(len(original))
        view = memoryview(original)
        return b"".join(part for piece in self.pieces for part in (piece.own, view[piece.start : piece.end]))

    def length_over(self, original: int) -> int:
        """The file's length, the original's being given. Raises ValueError where a piece lies outside."""
        if any(not 0 <= piece.start <= piece.end <= original for piece in self.pieces):
            raise ValueError("a piece lies outside the file that it is taken from")
        return sum(len(piece.own) + piece.end - piece.start for piece in self.pieces)

    def encoded(self) -> bytes:
        """The splice as bytes."""
        out = [MARK, _NUMBER.pack(len(self.pieces))]
        for piece in self.pieces:
            out += (_PIECE.pack(len(piece.own), piece.start, piece.end), piece.own)
        return b"".join(out)

    @classmethod
    def decoded(cls, data: bytes) -> Splice:
        """What `encoded` wrote. Raises ValueError on anything else."""
        if not data.startswith(MARK):
            raise ValueError("these bytes are no splice")
        pieces: list[Piece] = []
        try:
            (count,) = _NUMBER.unpack_from(data, len(MARK))
            at = len(MARK) + _NUMBER.size
            while len(pieces) < min(count, _MOST):
                size, start, end = _PIECE.unpack_from(data, at)
                at += _PIECE.size + size
                pieces.append(Piece(data[at - size : at], start, end))
        except (struct.error, OverflowError):  # the latter of a place beyond all memory
            raise ValueError("a splice was cut off") from None
        if at != len(data) or len(pieces) != count:
            raise ValueError("a splice says another length")
        return cls(tuple(pieces))
