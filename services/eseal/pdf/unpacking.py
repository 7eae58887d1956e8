"""Unpacks the streams that hold a PDF's structure (ISO 32000-2 7.3.8, 7.4.4), within bounds.

Of ordinary files only, as in `syntax.py`: unpacked, or packed by Flate with PNG's predictor Up at most.
"""

from __future__ import annotations

import re
import zlib
from itertools import accumulate

from services.eseal.pdf.syntax import Dictionary, OddError, read_dictionary

LARGEST = 4 * 1024 * 1024
"""The most that a stream may unpack to, in bytes."""

_UP = 2
_STREAM = re.compile(rb"[\x00\t\n\x0c\r ]*stream\r?\n")
_ENDSTREAM = re.compile(rb"(?:\r\n|\n|\r)?endstream[\x00\t\n\x0c\r ]+endobj(?=[\x00\t\n\x0c\r ]|\Z)")


def read_stream(data: bytes, start: int) -> tuple[Dictionary, bytes]:
    """The dictionary of the stream that begins there, and what it unpacks to. Raises OddError."""
    head = read_dictionary(data, start)
    begin = _STREAM.match(data, head.end)
    if begin is None:
        raise OddError("no stream")
    end = begin.end() + head.whole_number(b"/Length")
    if not _ENDSTREAM.match(data, end):
        raise OddError("a stream's length")
    return head, _unpacked(head, data[begin.end() : end])


def _unpacked(head: Dictionary, packed: bytes) -> bytes:
    if b"/Filter" not in head:
        if b"/DecodeParms" in head:
            raise OddError("parameters without a filter")
        return packed
    if head.value(b"/Filter").strip(b"[]\t\n\r ") != b"/FlateDecode":
        raise OddError("a filter")
    content = _inflated(packed)
    if b"/DecodeParms" not in head:
        return content
    parameters = read_dictionary(head.value(b"/DecodeParms"), 0)
    predictor = parameters.whole_number(b"/Predictor") if b"/Predictor" in parameters else 1
    if predictor == 1:
        return content
    if not 10 <= predictor <= 15 or b"/Colors" in parameters or b"/BitsPerComponent" in parameters:
        raise OddError("a predictor")
    return _unpredicted(content, parameters.whole_number(b"/Columns"))


def _inflated(packed: bytes) -> bytes:
    machine = zlib.decompressobj()
    try:
        content = machine.decompress(packed, LARGEST)
    except zlib.error:
        raise OddError("a packed stream") from None
    if not machine.eof or machine.unused_data.strip(b"\r\n"):
        raise OddError("a packed stream's end")
    return content


def _unpredicted(content: bytes, columns: int) -> bytes:
    """Undoes PNG's predictor Up in every row: each byte is given as what it is more than the one above."""
    rows, left = divmod(len(content), columns + 1)
    if not columns or left or content[:: columns + 1] != bytes([_UP]) * rows:
        raise OddError("a predictor's row")
    plain = bytearray(rows * columns)
    for column in range(columns):
        plain[column::columns] = bytes(
            [total & 0xFF for total in accumulate(content[column + 1 :: columns + 1])]
        )
    return bytes(plain)
