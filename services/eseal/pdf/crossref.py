"""Finds the objects of a PDF by its cross-reference tables or streams (ISO 32000-2 7.5.4, 7.5.7, 7.5.8).

Of ordinary files only, as in `syntax.py`: one kind of cross-reference throughout, no generations but 0,
nothing freed and used again. Tables are checked as a whole, but an entry is decoded when it is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.eseal.pdf.syntax import Dictionary, OddError, read_array, read_dictionary, whole_numbers_of
from services.eseal.pdf.unpacking import read_stream

MOST_SECTIONS = 64
_MOST_FREE = 4096
_NOT_INHERITED = frozenset(
    (b"/Length", b"/Filter", b"/DecodeParms", b"/W", b"/Type", b"/Index", b"/XRefStm", b"/Prev")
)
"""What a trailer says of itself alone."""

_LAST = re.compile(rb"[\r\n]startxref(?:\r\n|\n|\r)(\d{1,8})(?:\r\n|\n|\r)%%EOF[\r\n]*\Z")
_HEADER = re.compile(rb"(\d{1,7}) (\d{1,5}) obj[\x00\t\n\x0c\r ]*(?=<<|\[)")
_TABLE = re.compile(rb"xref[ ]?(?:\r\n|\n|\r)")
_SUBSECTION = re.compile(rb"(\d{1,7}) (\d{1,7}) ?(?:\r\n|\n|\r)")
_TRAILER = re.compile(rb"trailer[\x00\t\n\x0c\r ]*(?=<<)")
_ENDOBJ = re.compile(rb"[\x00\t\n\x0c\r ]*endobj(?=[\x00\t\n\x0c\r ]|\Z)")
_SHAPE = bytes.maketrans(b"123456789f", b"000000000n")
"""Turns an entry of a table into its shape."""


@dataclass(frozen=True)
class Packed:
    """Where an object stands that is packed into an object stream."""

    stream: int
    index: int


Location = int | Packed
"""An offset in the file, or a place in an object stream."""


_ObjectStream = tuple[Sequence[int], Sequence[int], bytes]
"""Numbers of the objects in an object stream, where each begins, and what they stand in."""


@dataclass(frozen=True)
class _Rows:
    """Entries of objects numbered one after another."""

    first: int
    count: int
    data: bytes
    widths: Sequence[int] | None
    """Of the fields of a stream's row; None for a table."""

    def find(self, number: int) -> Location | None:
        """Where an object of these stands; None where it is free."""
        row = number - self.first
        if self.widths is None:
            entry = self.data[20 * row : 20 * row + 18]
            return int(entry[:10]) if entry[17:] == b"n" else None
        one, two, three = self.widths
        start = row * (one + two + three)
        kind = int.from_bytes(self.data[start : start + one], "big") if one else 1
        where = int.from_bytes(self.data[start + one : start + one + two], "big")
        if kind == 2:
            return Packed(
                where, int.from_bytes(self.data[start + one + two : start + one + two + three], "big")
            )
        return where if kind == 1 else None


@dataclass(frozen=True)
class _Section:
    """One cross-reference table or stream."""

    rows: Sequence[_Rows]
    trailer: Dictionary
    own_number: int
    """The stream's object; 0 for a table."""
    has_free: bool
    """Whether it frees other objects than number 0."""


class Objects:
    """The objects of a file."""

    def __init__(self, data: bytes) -> None:
        """Reads all cross-reference sections. Raises OddError."""
        self.data = data
        self.start, self._sections = _read_sections(data)
        self.has_streams = self._sections[0].own_number > 0
        self.size = self._sections[0].trailer.whole_number(b"/Size")
        self.streams = frozenset(section.own_number for section in self._sections)
        self._unpacked: dict[int, _ObjectStream] = {}

    def trailer(self) -> dict[bytes, bytes]:
        """The trailer's entries as they are written; what a section lacks stands in the one before it."""
        entries: dict[bytes, bytes] = {}
        for section in self._sections:
            for name in section.trailer.entries:
                if name not in _NOT_INHERITED:
                    entries.setdefault(name, section.trailer.value(name))
        return entries

    def dictionary(self, number: int) -> Dictionary:
        """The dictionary that is this object. Raises OddError where it is anything else, or a stream."""
        data, start, is_packed = self._open(number)
        found = read_dictionary(data, start)
        self._require_end(data, found.end, is_packed)
        return found

    def array(self, number: int) -> bytes:
        """The text of the array that is this object. Raises OddError where it is anything else."""
        data, start, is_packed = self._open(number)
        text, end = read_array(data, start)
        self._require_end(data, end, is_packed)
        return text

    def _require_end(self, data: bytes, end: int, is_packed: bool) -> None:
        if not is_packed and not _ENDOBJ.match(data, end):
            raise OddError("an object without end")

    def _find(self, number: int) -> Location:
        for section in self._sections:
            for rows in section.rows:
                if rows.first <= number < rows.first + rows.count:
                    location = rows.find(number)
                    if location is None:
                        raise OddError("a free object is used")
                    return location
        raise OddError("no such object")

    def _open(self, number: int) -> tuple[bytes, int, bool]:
        """What an object stands in, where there, and whether it is packed."""
        location = self._find(number)
        if isinstance(location, int):
            return self.data, _after_header(self.data, location, number), False
        numbers, offsets, unpacked = self._unpack(location.stream)
        if number not in numbers or numbers.index(number) != location.index:
            raise OddError("not where it is said to be")
        start = offsets[location.index]
        if unpacked[start : start + 1] not in {b"<", b"["}:
            raise OddError("a packed object that begins elsewhere")
        return unpacked, start, True

    def _unpack(self, number: int) -> _ObjectStream:
        known = self._unpacked.get(number)
        if known is None:
            location = self._find(number)
            if not isinstance(location, int):
                raise OddError("an object stream within another")
            head, content = read_stream(self.data, _after_header(self.data, location, number))
            if head.value(b"/Type") != b"/ObjStm" or b"/Extends" in head:
                raise OddError("an object stream")
            count, first = head.whole_number(b"/N"), head.whole_number(b"/First")
            pairs = whole_numbers_of(b"[%b]" % content[:first])
            if len(pairs) != 2 * count:
                raise OddError("an object stream's head")
            known = pairs[::2], [first + offset for offset in pairs[1::2]], content
            self._unpacked[number] = known
        return known


def _read_sections(data: bytes) -> tuple[int, Sequence[_Section]]:
    """Where the newest section stands, and all of them, the newest first."""
    last = _LAST.search(data, max(0, len(data) - 1024))
    if last is None:
        raise OddError("no end")
    start = at = int(last[1])
    seen: set[int] = set()
    sections: list[_Section] = []
    while True:
        if at in seen or len(sections) >= MOST_SECTIONS:
            raise OddError("sections without end")
        seen.add(at)
        sections.append(_read_section(data, at))
        trailer = sections[-1].trailer
        if b"/Prev" not in trailer:
            break
        at = trailer.whole_number(b"/Prev")
    _require_plain_history(sections)
    return start, sections


def _require_plain_history(sections: Sequence[_Section]) -> None:
    """Passes sections of one kind that grow, of which none frees anything or writes over another's stream."""
    if len({section.own_number > 0 for section in sections}) > 1:
        raise OddError("sections of both kinds")
    sizes = [section.trailer.whole_number(b"/Size") for section in sections]
    if sizes != sorted(sizes, reverse=True) or (len(sections) > 1 and any(it.has_free for it in sections)):
        raise OddError("a history of its own kind")
    for age, section in enumerate(sections):
        if section.own_number >= sizes[age]:
            raise OddError("a stream past the size")
        if any(b in section.trailer for b in (b"/Encrypt", b"/XRefStm")):
            raise OddError("encrypted, or of two kinds")
        for rows in section.rows:
            if rows.first + rows.count > sizes[age]:
                raise OddError("an object past the size")
            if any(rows.first <= older.own_number < rows.first + rows.count for older in sections[age + 1 :]):
                raise OddError("an older stream is written over")


def _read_section(data: bytes, at: int) -> _Section:
    table = _TABLE.match(data, at)
    return _read_table(data, table.end()) if table else _read_xref_stream(data, at)


def _read_table(data: bytes, position: int) -> _Section:
    rows: list[_Rows] = []
    least, has_free = 0, False
    while True:
        trailer = _TRAILER.match(data, position)
        if trailer is not None:
            break
        head = _SUBSECTION.match(data, position)
        if head is None:
            raise OddError("a table's head")
        first, count, position = int(head[1]), int(head[2]), head.end() + 20 * int(head[2])
        block = data[head.end() : position]
        if first < least or len(block) != 20 * count:
            raise OddError("a table's end")
        least = first + count
        has_free |= _check_block(block, first, count)
        rows.append(_Rows(first, count, block, None))
    return _Section(rows, read_dictionary(data, trailer.end()), 0, has_free)


def _check_block(block: bytes, first: int, count: int) -> bool:
    """Passes entries of the one true form; answers whether any but object 0's is free."""
    shape = b"0000000000 00000 n" + block[18:20]
    if count and (block[18:20] not in {b" \n", b" \r", b"\r\n"} or block.translate(_SHAPE) != shape * count):
        raise OddError("a table's entry")
    kinds = block[17::20]
    free = [row for row, kind in enumerate(kinds) if kind != ord("n")] if b"f" in kinds else []
    if len(free) > _MOST_FREE or any(int(block[20 * row + 11 : 20 * row + 16]) > 0xFFFF for row in free):
        raise OddError("many free objects, or a generation that there is none of")
    for column in range(11, 16):
        digits = block[column::20]
        if digits.count(b"0") != count - sum(digits[row] != ord("0") for row in free):
            raise OddError("a generation")
    return any(first + row for row in free)


def _read_xref_stream(data: bytes, at: int) -> _Section:
    header = _HEADER.match(data, at)
    if header is None or int(header[2]):
        raise OddError("no section")
    head, content = read_stream(data, header.end())
    widths = whole_numbers_of(head.value(b"/W"))
    if head.value(b"/Type") != b"/XRef" or len(widths) != 3 or max(widths) > 8 or not widths[1]:
        raise OddError("a cross-reference stream")
    whole = b"[0 %d]" % head.whole_number(b"/Size")
    index = whole_numbers_of(head.value(b"/Index") if b"/Index" in head else whole)
    rows, position, width, least = [], 0, sum(widths), 0
    has_free = False
    if len(index) % 2:
        raise OddError("an index")
    for first, count in zip(index[::2], index[1::2], strict=True):
        block = content[position : position + count * width]
        position += count * width
        if first < least or len(block) != count * width:
            raise OddError("an index")
        least = first + count
        has_free |= _check_rows(block, first, count, widths)
        rows.append(_Rows(first, count, block, widths))
    if position != len(content):
        raise OddError("more than the index says")
    return _Section(rows, head, int(header[1]), has_free)


def _check_rows(block: bytes, first: int, count: int, widths: Sequence[int]) -> bool:
    """Passes rows of the known kinds, without generations; answers whether any but object 0's is free."""
    one, two, three = widths
    width = one + two + three
    if one > 1:
        raise OddError("a wide kind")
    kinds = block[0::width] if one else b"\x01" * count
    if kinds.translate(None, b"\x00\x01\x02"):
        raise OddError("a kind of entry")
    for column in range(width - three, width):
        if any(kind == 1 and digit for kind, digit in zip(kinds, block[column::width], strict=True)):
            raise OddError("a generation")
    return kinds.count(0) > (first == 0 and kinds[:1] == b"\x00")


def _after_header(data: bytes, at: int, number: int) -> int:
    """Where the object's value begins. Raises OddError where there is no such object there."""
    header = _HEADER.match(data, at)
    if header is None or int(header[1]) != number or int(header[2]):
        raise OddError("an object's head")
    return header.end()
