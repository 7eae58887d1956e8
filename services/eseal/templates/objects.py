"""Writes the objects of a PDF (ISO 32000-1 7.3) one after another, and where each begins."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Objects:
    """Objects in the order in which they are written; the first begins at `start` of the file."""

    start: int = 0
    parts: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    at: int = -1

    def __post_init__(self) -> None:
        """Begins where it is told."""
        self.at = self.start

    def add(self, number: int, content: bytes) -> int:
        """One object; answers where its content begins."""
        head = b"%d 0 obj\n" % number
        self.offsets.append(self.at)
        self.parts += (head, content, b"\nendobj\n")
        begins = self.at + len(head)
        self.at = begins + len(content) + 8
        return begins

    def stream(self, number: int, entries: bytes, data: bytes) -> None:
        """A stream: what its dictionary says besides its length."""
        self.add(number, b"<<%b/Length %d>>\nstream\n%b\nendstream" % (entries, len(data), data))

    def table(self) -> bytes:
        """Their lines of the cross-reference table (7.5.4)."""
        return b"".join([b"%010d 00000 n \n" % offset for offset in self.offsets])


def text_string(text: str) -> bytes:
    """A text string (7.9.2.2), UTF-16 with its mark."""
    return b"<feff%b>" % text.encode("utf-16-be").hex().encode("ascii")
