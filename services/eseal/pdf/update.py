"""What is appended to a PDF of ordinary form to change it: objects, cross-reference (ISO 32000-2 7.5.6)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from services.eseal.pdf.crossref import Objects
from services.eseal.pdf.syntax import OddError
from services.eseal.sealing.prepared import PreparedDocument

RANGE_ROOM = 60
"""Room for the numbers of a byte range."""

_HALF = rb"[\t\n\x0c\r ]*(<[0-9A-Fa-f]*>|\((?:[^()\\]|\\.)*\))[\t\n\x0c\r ]*"
_HALVES = re.compile(rb"\[%b%b\]" % (_HALF, _HALF), re.DOTALL)


class Update:
    """Objects by number, new ones and such as replace the file's, each as it is written."""

    def __init__(self, objects: Objects) -> None:
        """Raises OddError where the file's trailer is not of ordinary form."""
        self._objects = objects
        self._bodies: dict[int, bytes] = {}
        self._next = objects.size

    def add(self, body: bytes) -> int:
        """The number of a new object."""
        number, self._next = self._next, self._next + 1
        self._bodies[number] = body
        return number

    def write_again(self, number: int, body: bytes) -> None:
        """Puts another text in the place of one of the file's objects. Raises OddError the second time."""
        if number in self._bodies or number in self._objects.streams:
            raise OddError("one object in two places")
        self._bodies[number] = body

    def assembled(self, signature: int, room: int) -> PreparedDocument:
        """The update as it stands behind the file, the byte range of this signature filled in."""
        document, places = self._objects.data, dict[int, int]()
        out = bytearray(b"" if document.endswith((b"\n", b"\r")) else b"\n")
        for number in sorted(self._bodies):
            places[number] = len(document) + len(out)
            out += b"%d 0 obj\n%b\nendobj\n" % (number, self._bodies[number])
        start = len(document) + len(out)
        out += self._cross_reference(places, start)
        out += b"startxref\n%d\n%%%%EOF\n" % start
        gap = out.index(b"/Contents <0", places[signature] - len(document)) + len(b"/Contents ")
        gap_end = gap + room + 2
        byte_range = b"[0 %d %d %d]" % (len(document) + gap, len(document) + gap_end, len(out) - gap_end)
        at = out.index(b"/ByteRange []", places[signature] - len(document)) + len(b"/ByteRange ")
        out[at : at + len(byte_range)] = byte_range
        return PreparedDocument(document, bytes(out), len(document) + gap, len(document) + gap_end)

    def _trailer(self) -> bytes:
        """The file's trailer, with a new second half of its identifier (ISO 32000-2 14.4)."""
        entries = self._objects.trailer()
        first = b"<%b>" % os.urandom(16).hex().encode()
        if b"/ID" in entries:
            said = _HALVES.fullmatch(entries[b"/ID"])
            if said is None:
                raise OddError("an identifier")
            first = said[1]
        entries[b"/ID"] = b"[%b <%b>]" % (first, os.urandom(16).hex().encode())
        entries[b"/Prev"] = b"%d" % self._objects.start
        if not all(name[1:].isalnum() for name in entries):
            raise OddError("an entry that cannot be written as it is read")
        return b"\n".join(b"%b %b" % entry for entry in entries.items() if entry[0] != b"/Size")

    def _cross_reference(self, places: Mapping[int, int], start: int) -> bytes:
        """The update's own cross-reference, of the file's kind."""
        trailer = self._trailer()
        if not self._objects.has_streams:
            table = [b"xref\n0 1\n0000000000 65535 f \n"]
            for run in _runs(places):
                table.append(b"%d %d\n" % (run[0], len(run)))
                table += [b"%010d 00000 n \n" % places[number] for number in run]
            return b"%btrailer\n<<\n/Size %d\n%b\n>>\n" % (b"".join(table), self._next, trailer)
        own = self._next
        standing = {**places, own: start}
        rows = bytes(5) + b"\xff\xff"
        rows += b"".join(
            b"\x01" + standing[number].to_bytes(4, "big") + bytes(2) for number in sorted(standing)
        )
        index = b" ".join(b"%d %d" % (run[0], len(run)) for run in ([0], *_runs(standing)))
        return (
            b"%d 0 obj\n<<\n/Type /XRef\n/W [1 4 2]\n/Index [%b]\n/Length %d\n/Size %d\n%b\n>>\n"
            b"stream\n%b\nendstream\nendobj\n" % (own, index, len(rows), own + 1, trailer, rows)
        )


def _runs(numbers: Iterable[int]) -> Sequence[Sequence[int]]:
    """The numbers in order, in runs without a hole."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
