"""A PDF laid out for a seal, before and after its signature is put in: pure rules, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from services.eseal.domain import Picture

RESERVED_HEX = 8192
"""Room for the CMS in hexadecimal digits. Two P-256 certificates and their signature take about 3,000."""
STAMPED_HEX = 32768
"""The same with a timestamp in it, which brings its authority's certificates."""


@dataclass(frozen=True)
class Imprint:
    """What one more seal writes: its picture, its field's name, whose it is, and when it is put.

    `room` is what its signature gets, in hexadecimal digits. One that certifies lets nothing follow.
    """

    picture: Picture
    field_name: str
    signer_name: str
    moment: datetime
    room: int = RESERVED_HEX
    certify: bool = False


class RunningDigest(Protocol):
    """A digest that takes in more, as hashlib has it: SHA-256, or what the signing key's suite asks for."""

    def copy(self) -> RunningDigest:
        """Another one that has taken in the same."""
        ...

    def update(self, data: bytes | memoryview, /) -> None:
        """Takes in more."""
        ...

    def digest(self) -> bytes:
        """The digest of what was taken in."""
        ...


@dataclass(frozen=True)
class PreparedDocument:
    """A PDF laid out for one more seal: all bytes final but those of the gap that takes the signature.

    A seal is an incremental update (ISO 32000-2 7.5.6): it appends to the file, and changes nothing in it.
    """

    original: bytes = field(repr=False)
    """The file as it came."""
    update: bytes = field(repr=False)
    """What the seal appends, with the gap in it."""
    gap_start: int
    """Offset of the gap's `<` in the whole file."""
    gap_end: int
    """Offset after the gap's `>` in the whole file."""
    is_first: bool = False
    """Whether the file is known to have borne no signature before."""

    def __post_init__(self) -> None:
        """Raises ValueError where the gap is not one of noughts, within what is appended."""
        start, end = self.gap_start - len(self.original), self.gap_end - len(self.original)
        room = end - start - 2
        if start < 0 or room < 0 or self.update[start:end] != b"<%b>" % (b"0" * room):
            raise ValueError("the gap for the signature is not where it is said to be")

    @property
    def document(self) -> bytes:
        """The whole file, its gap empty."""
        return self.original + self.update

    @property
    def byte_range(self) -> tuple[int, int, int, int]:
        """What the signature covers: offset and length, twice (ISO 32000-2 12.8.1)."""
        end = len(self.original) + len(self.update)
        return 0, self.gap_start, self.gap_end, end - self.gap_end

    @property
    def digest(self) -> bytes:
        """SHA-256 of everything outside the gap."""
        return self.digest_after(sha256(self.original))

    def digest_after(self, original: RunningDigest) -> bytes:
        """The same, where the file as it came has been taken in already."""
        running = original.copy()
        for part in self._around_gap():
            running.update(part)
        return running.digest()

    def filled_update(self, cms: bytes) -> bytes:
        """What the seal appends, finished: the gap takes the CMS in hexadecimal, padded with noughts
        (ISO 32000-2 12.8). Raises ValueError where the CMS is too long."""
        room = self.gap_end - self.gap_start - 2
        value = cms.hex().encode("ascii")
        if len(value) > room:
            raise ValueError("the signature outgrew the room reserved for it")
        before, after = self._around_gap()
        return b"".join((before, b"<", value.ljust(room, b"0"), b">", after))

    def filled(self, cms: bytes) -> bytes:
        """The finished file."""
        return self.original + self.filled_update(cms)

    def _around_gap(self) -> tuple[memoryview, memoryview]:
        view, start = memoryview(self.update), len(self.original)
        return view[: self.gap_start - start], view[self.gap_end - start :]


@dataclass(frozen=True)
class Shown:
    """What a sealed file shows of its newest seal that a reader would have to look for."""

    field_name: str
    """Of an OFD the path of its Signature.xml, from the package's root."""
    byte_range: tuple[int, ...]
    """Of a PDF, as in ISO 32000-2 12.8.1: offset and length, twice."""
    is_first: bool
    """Whether the file bore no signature before."""
    certifies: bool
