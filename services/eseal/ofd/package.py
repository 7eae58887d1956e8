"""Reads a ZIP package (PKWARE APPNOTE 6.3) so that it says one thing to every reader.

What readers could take differently is refused: parts twice or differing only in case, paths out of the
package, bytes that belong to no part, a directory that contradicts the parts' own heads, encryption, ZIP64.
So is what unpacks to more than any honest file.
"""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections.abc import Iterator

from core.errors import FieldFault
from services.eseal.refusals import DocumentMalformedError, DocumentTooLargeError
from services.eseal.sealing.packing import (
    CENTRAL,
    CENTRAL_MARK,
    DEFLATED,
    END,
    END_MARK,
    LOCAL,
    LOCAL_MARK,
    STORED,
    UTF8,
    Part,
)

MOST_PARTS = 4096
MOST_IN_PART = 32 * 1024 * 1024
"""Unpacked bytes of one part."""
MOST_IN_ALL = 128 * 1024 * 1024
"""Unpacked bytes of all parts."""

_DESCRIPTOR_MARK = b"PK\x07\x08"
_ENCRYPTED, _DESCRIBED, _PATCHED, _STRONG, _MASKED = 1, 8, 1 << 5, 1 << 6, 1 << 13
_UNIX, _FILES, _OTHER_NAME = 3, (0o0, 0o10, 0o4), 0x7075
"""Who says what kind of file a part is; nothing, a plain file or a folder, the kinds that are taken."""
_LONGEST_NAME, _LONGEST_COMMENT = 512, 64


class Package:
    """A package's parts by name; its directories are not among them."""

    def __init__(self, data: bytes) -> None:
        """Errors: DOCUMENT_MALFORMED, DOCUMENT_TOO_LARGE."""
        self.data = data
        self.parts: dict[str, Part] = {}
        try:
            found = list(_parts(data))
        except (struct.error, IndexError, UnicodeDecodeError):
            raise malformed("the file is cut off or no ZIP package") from None
        self._folded: dict[str, str] = {}
        for part in found:
            folded = _folded(part.name.rstrip("/"))
            if folded in self._folded:
                raise malformed("two parts of the package have the same name")
            self._folded[folded] = part.name
            if not part.name.endswith("/"):
                self.parts[part.name] = part
            elif part.size:
                raise malformed("a folder of the package has content")
        if sum(part.size for part in self.parts.values()) > MOST_IN_ALL:
            raise DocumentTooLargeError(f"the package unpacks to more than {MOST_IN_ALL >> 20} MiB")

    def name_of(self, path: str) -> str | None:
        """The part's own name, whatever the case the path is written in; None where it is not there."""
        name = path if path in self.parts else self._folded.get(_folded(path), "")
        return name if name in self.parts else None

    def read(self, name: str) -> bytes:
        """A part, unpacked. Raises DOCUMENT_MALFORMED where it is not what the package says of it."""
        part = self.parts[name]
        packed = self.data[part.start : part.end]
        if part.method == STORED:
            content = packed
        else:
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                content = unpacker.decompress(packed, part.size + 1)
            except zlib.error:
                raise malformed("a part of the package cannot be unpacked") from None
            if not unpacker.eof or unpacker.unused_data:
                raise malformed("a part of the package is longer or shorter than it says")
        if len(content) != part.size or zlib.crc32(content) != part.crc:
            raise malformed("a part of the package is not what its checksum says")
        return content


def malformed(message: str) -> DocumentMalformedError:
    """What is said of a package that cannot be taken."""
    return DocumentMalformedError(message, faults=[FieldFault("document", "ofd", message)])


def resolve(folder: str, location: str) -> str:
    """The path in the package that a location within `folder` means (GB/T 33190: ST_Loc).

    Raises DOCUMENT_MALFORMED where it leads out of the package.
    """
    steps = [] if location.startswith("/") else [step for step in folder.split("/") if step]
    for step in location.split("/"):
        if step in ("", "."):
            continue
        if step == "..":
            if not steps:
                raise malformed("a path leads out of the package")
            steps.pop()
        else:
            steps.append(step)
    return "/".join(steps)


def folder_of(path: str) -> str:
    """The folder that a part lies in; empty for the package itself."""
    return path.rpartition("/")[0]


def _folded(path: str) -> str:
    """What some file systems take for the same name: whatever the case, and however accents are written."""
    return unicodedata.normalize("NFC", path).casefold()


def _parts(data: bytes) -> Iterator[Part]:
    """Every entry of the directory, its own head checked, in the order in which they stand in the file."""
    at = data.rfind(END_MARK)
    if at < 0 or not data.startswith(LOCAL_MARK):
        raise malformed("the file is no ZIP package")
    _, disk, first_disk, here, count, size, start, comment = END.unpack_from(data, at)
    if at + END.size + comment != len(data) or comment > _LONGEST_COMMENT or b"PK" in data[at + END.size :]:
        raise malformed("there is something behind the package's directory")
    if disk or first_disk or here != count or start + size != at or count == 0xFFFF:
        raise malformed("the package's directory is not in one piece at its end")
    if count > MOST_PARTS:
        raise DocumentTooLargeError(f"the package has more than {MOST_PARTS} parts")
    entries = []
    where = start
    for _ in range(count):
        entry, where = _entry(data, where)
        entries.append(entry)
    if where != at:
        raise malformed("the package's directory says another length")
    expected = 0
    for offset, flags, raw, part in sorted(entries, key=lambda it: it[0]):
        if offset != expected:
            raise malformed("the package holds bytes that belong to no part")
        placed = _placed(data, offset, flags, raw, part)
        expected = placed.end + _descriptor(data, placed, start) if flags & _DESCRIBED else placed.end
        yield placed
    if expected != start:
        raise malformed("the package holds bytes that belong to no part")


def _entry(data: bytes, at: int) -> tuple[tuple[int, int, bytes, Part], int]:
    """An entry of the directory (APPNOTE 4.3.12), and where the next one begins."""
    (
        mark,
        made_by,
        _,
        flags,
        method,
        time,
        day,
        crc,
        packed,
        size,
        name,
        extra,
        comment,
        disk,
        _,
        mode,
        offset,
    ) = CENTRAL.unpack_from(data, at)
    if mark != CENTRAL_MARK or disk or 0xFFFFFFFF in (packed, size, offset):
        raise malformed("the package's directory is out of form")
    if flags & (_ENCRYPTED | _STRONG | _MASKED | _PATCHED) or method not in (STORED, DEFLATED):
        raise malformed("the package is encrypted, or packed in an unusual way")
    if size > MOST_IN_PART:
        raise DocumentTooLargeError(f"a part unpacks to more than {MOST_IN_PART >> 20} MiB")
    if method == STORED and packed != size:
        raise malformed("a part's sizes contradict each other")
    if made_by >> 8 == _UNIX and mode >> 28 not in _FILES:
        raise malformed("a part of the package is a link or a device")
    begin = at + CENTRAL.size
    raw = data[begin : begin + name]
    _require_no_other_name(data[begin + name : begin + name + extra])
    part = Part(_name(raw, flags), 0, packed, method, crc, size, (time, day))
    return (offset, flags, raw, part), begin + name + extra + comment


def _placed(data: bytes, offset: int, flags: int, raw: bytes, part: Part) -> Part:
    """The part, placed behind its own head, which must say the same as the directory (APPNOTE 4.3.7)."""
    mark, _, own_flags, method, _, _, crc, packed, size, name, extra = LOCAL.unpack_from(data, offset)
    begin = offset + LOCAL.size
    same = (mark, own_flags, method, data[begin : begin + name]) == (LOCAL_MARK, flags, part.method, raw)
    if same and not flags & _DESCRIBED:
        same = (crc, packed, size) == (part.crc, part.end, part.size)
    if not same:
        raise malformed("a part's own head contradicts the package's directory")
    start = begin + name + extra
    _require_no_other_name(data[begin + name : start])
    return Part(part.name, start, start + part.end, part.method, part.crc, part.size, part.stamp)


def _require_no_other_name(extra: bytes) -> None:
    """Passes the extra data of a part unless it gives it another name (APPNOTE 4.6.9), which some obey."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == _OTHER_NAME:
            raise malformed("a part of the package has two names")
        at += 4 + size


def _descriptor(data: bytes, part: Part, limit: int) -> int:
    """Bytes of the description behind a part (APPNOTE 4.3.9). It may have a mark, and long lengths."""
    packed = part.end - part.start
    for mark in (_DESCRIPTOR_MARK, b""):
        for form in ("<3I", "<I2Q"):
            said = mark + struct.pack(form, part.crc, packed, part.size)
            if data.startswith(said, part.end) and part.end + len(said) <= limit:
                return len(said)
    raise malformed("the description behind a part is not the directory's")


def _name(raw: bytes, flags: int) -> str:
    """A part's name. Without the mark of UTF-8 it may still be that, or what Chinese systems write."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        if flags & UTF8:
            raise
        name = raw.decode("gb18030")
    steps = name.rstrip("/").split("/")
    if (
        not 0 < len(raw) <= _LONGEST_NAME
        or any(step in ("", ".", "..") or step[-1] in ". " for step in steps)
        or any(ord(letter) < 0x20 or letter in '\\:*?"<>|\x7f' for letter in name)
    ):
        raise malformed("a part's name is no path within the package")
    return name
