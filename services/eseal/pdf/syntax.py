"""Reads PDF objects as they stand in a file (ISO 32000-2 7.3), remembering where each value stands.

Reads ordinary files only: what it does not know for certain is an OddError, never a guess. Values are pieces
of the file's own text, so that a dictionary can be written again with one entry changed and all else as it
was. Runs in a confined worker; every loop ends with the text, and nothing recurses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEEPEST = 64
"""Containers within containers."""

_NAME, _REFERENCE, _NUMBER, _OPEN, _CLOSE, _OPEN_ARRAY, _CLOSE_ARRAY, _WORD, _HEX, _STRING = range(1, 11)
_OPENERS, _CLOSERS = frozenset((_OPEN, _OPEN_ARRAY)), frozenset((_CLOSE, _CLOSE_ARRAY))
_SPACE = rb"[\x00\t\n\x0c\r ]"
_END = rb"(?=[\x00\t\n\x0c\r ()<>\[\]{}/%]|\Z)"
_REF = rb"[1-9]\d{0,6}[\t\n\x0c\r ]{1,2}\d{1,5}[\t\n\x0c\r ]{1,2}R%b" % _END
_TOKEN = re.compile(
    rb"(?:%b|%%[^\r\n]*[\r\n])*(?:"  # white space, and remarks
    rb"(/(?:[!\"$&'*-.0-;=?-Z\\^-z|~]|#[0-9A-Fa-f]{2})*%b)"  # 1: a name
    rb"|(%b)"  # 2: a reference
    rb"|([+-]?(?:\d{1,10}(?:\.\d{0,10})?|\.\d{1,10})%b)"  # 3: a number
    rb"|(<<)|(>>)|(\[)|(\])"  # 4 to 7
    rb"|((?:true|false|null)%b)"  # 8
    rb"|(<(?:[0-9A-Fa-f]|%b)*>)"  # 9: a string in hexadecimal
    rb"|(\()"  # 10: a string, to where it ends
    rb")" % (_SPACE, _END, _REF, _END, _END, _SPACE)
)
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_IN_STRING = re.compile(rb"[^()\\]*([()]|\\[nrtbf()\\0-7\r\n])")
_REFERENCES = re.compile(rb"\[%b*(?:%b%b*)*\]" % (_SPACE, _REF, _SPACE))
_ONE_REFERENCE = re.compile(rb"(\d+)\s+(\d+)\s+R")
_NUMBERS = re.compile(rb"\[(?:%b*[+-]?(?:\d+\.?\d*|\.\d+)%b)*%b*\]" % (_SPACE, _END, _SPACE))
_WHOLE_NUMBERS = re.compile(rb"\[(?:[\t\n\x0c\r ]*\d{1,10}(?=[\t\n\x0c\r \]]))*[\t\n\x0c\r ]*\]")


class OddError(Exception):
    """The file is not of the form that is read here."""


@dataclass(frozen=True)
class Dictionary:
    """A dictionary of a file, and where its entries stand in its text."""

    text: bytes
    """From `<<` to `>>`."""
    entries: Mapping[bytes, tuple[int, int, int]]
    """By name with its slash, escapes undone: offsets of the name, of the value, and of what follows it."""
    end: int
    """Offset after it in what it was read from."""

    def __contains__(self, name: bytes) -> bool:
        return name in self.entries

    def value(self, name: bytes) -> bytes:
        """A value as it is written. Raises OddError where there is none."""
        entry = self.entries.get(name)
        if entry is None:
            raise OddError(name)
        return self.text[entry[1] : entry[2]]

    def reference(self, name: bytes) -> int:
        """The number of the object that is referred to, of generation 0."""
        return reference_of(self.value(name))

    def whole_number(self, name: bytes) -> int:
        """A whole number, not negative."""
        value = self.value(name)
        if not value.isdigit():
            raise OddError(name)
        return int(value)

    def changed(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        """Its text with these values put in their entries' places, or at the end; None takes an entry out."""
        pieces, done = [], 0
        standing = [name for name in changes if name in self.entries]
        for name in sorted(standing, key=self.entries.__getitem__):
            (at, start, end), value = self.entries[name], changes[name]
            pieces += [self.text[done:at]] if value is None else [self.text[done:start], b" ", value]
            done = end
        pieces.append(self.text[done:-2].rstrip())
        for name, value in changes.items():
            if name not in self.entries and value is not None:
                pieces.append(b"\n%b %b" % (name, value))
        return b"".join((*pieces, b"\n>>"))


def read_dictionary(data: bytes, start: int) -> Dictionary:
    """The dictionary that begins there, after white space at most. Raises OddError."""
    match = _TOKEN.match(data, start)
    if match is None or match.lastindex != _OPEN:
        raise OddError("a dictionary")
    opened = match.end() - 2
    walk = _Walk(data, opened, set())
    end = walk.to_end(match.end())
    return Dictionary(data[opened:end], walk.entries, end)


def read_array(data: bytes, start: int) -> tuple[bytes, int]:
    """The text of the array that begins there, after white space at most; and where it ends."""
    match = _TOKEN.match(data, start)
    if match is None or match.lastindex != _OPEN_ARRAY:
        raise OddError("an array")
    opened = match.end() - 1
    end = _Walk(data, opened, None).to_end(match.end())
    return data[opened:end], end


def references_of(value: bytes) -> Sequence[int]:
    """The numbers of the objects that an array of references of generation 0 refers to."""
    if not _REFERENCES.fullmatch(value):
        raise OddError("an array of references")
    pairs = _ONE_REFERENCE.findall(value)
    if any(int(generation) for _, generation in pairs):
        raise OddError("a generation")
    return [int(number) for number, _ in pairs]


def reference_of(value: bytes) -> int:
    """The number of the object that a reference of generation 0 refers to."""
    match = _ONE_REFERENCE.fullmatch(value)
    if match is None or int(match[2]):
        raise OddError("a reference")
    return int(match[1])


def numbers_of(value: bytes) -> Sequence[float]:
    """The numbers of an array of numbers."""
    if not _NUMBERS.fullmatch(value):
        raise OddError("an array of numbers")
    return [float(number) for number in value[1:-1].replace(b"\0", b" ").split()]


def whole_numbers_of(value: bytes) -> Sequence[int]:
    """The numbers of an array of whole numbers, none negative."""
    if not _WHOLE_NUMBERS.fullmatch(value):
        raise OddError("an array of whole numbers")
    return [int(number) for number in value[1:-1].split()]


def with_element(array: bytes, element: bytes) -> bytes:
    """An array's text with one more element at its end."""
    return b"%b %b]" % (array[:-1], element)


class _Walk:
    """Through one dictionary or array, and all within it: whether it is of form, and where its entries stand.

    `_names` has for each open container the names seen in it, None for an array; `_pending` says whether the
    innermost dictionary has a name without a value yet, `_outer` the same of those around it.
    """

    def __init__(self, data: bytes, opened: int, names: set[bytes] | None) -> None:
        self.entries: dict[bytes, tuple[int, int, int]] = {}
        self._data = data
        self._opened = opened
        self._names = [names]
        self._pending = False
        self._outer: list[bool] = []
        self._name = b""
        self._name_at = self._value_at = 0

    def to_end(self, position: int) -> int:
        """Goes from behind the opening bracket to behind the closing one, and answers where that is."""
        match = _TOKEN.match
        while True:
            found = match(self._data, position)
            if found is None:
                raise OddError("no token")
            kind, position = found.lastindex or 0, found.end()
            names = self._names[-1]
            if kind == _NAME and names is not None and not self._pending:
                self._take_name(found[1], found.start(1), names)
                continue
            if kind in _CLOSERS:
                self._close(kind, names)
                if not self._names:
                    return position
            else:
                if names is not None and not self._pending:
                    raise OddError("a value without a name")
                if len(self._names) == 1:
                    self._value_at = found.start(kind)
                if kind in _OPENERS:
                    self._open(kind)
                    continue
                if kind == _STRING:
                    position = _end_of_string(self._data, position)
            # A value has ended.
            if self._names[-1] is not None:
                self._pending = False
            if len(self._names) == 1:
                opened = self._opened
                self.entries[self._name] = (
                    self._name_at - opened,
                    self._value_at - opened,
                    position - opened,
                )

    def _take_name(self, token: bytes, at: int, names: set[bytes]) -> None:
        if b"#" in token:
            token = _ESCAPE.sub(lambda escaped: bytes.fromhex(escaped[1].decode()), token)
        if token in names:
            raise OddError("a name twice")
        names.add(token)
        self._pending = True
        if len(self._names) == 1:
            self._name, self._name_at = token, at

    def _open(self, kind: int) -> None:
        if len(self._names) >= DEEPEST:
            raise OddError("deep containers")
        self._outer.append(self._pending)
        self._names.append(set() if kind == _OPEN else None)
        self._pending = False

    def _close(self, kind: int, names: set[bytes] | None) -> None:
        if self._pending or (kind == _CLOSE) is (names is None):
            raise OddError("an end of another container")
        self._names.pop()
        if self._names:
            self._pending = self._outer.pop()


def _end_of_string(data: bytes, position: int) -> int:
    """Where a string ends whose opening bracket stands before the position."""
    depth = 1
    while depth:
        found = _IN_STRING.match(data, position)
        if found is None:
            raise OddError("a string without end")
        position = found.end()
        depth += {b"(": 1, b")": -1}.get(found[1], 0)
    return position
