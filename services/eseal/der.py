"""Writes DER (X.690): what is put together from parts that are encoded already."""

from __future__ import annotations

from datetime import UTC, datetime

SEQUENCE, SET, OCTETS, BITS, INTEGER = 0x30, 0x31, 0x04, 0x03, 0x02
UTF8, IA5, GENERALIZED_TIME, TAGGED_0 = 0x0C, 0x16, 0x18, 0xA0


def der(tag: int, *parts: bytes) -> bytes:
    """A value of these parts, its length in the shortest form (X.690 section 8.1.3)."""
    length = sum(map(len, parts))
    if length < 0x80:
        return b"".join((bytes((tag, length)), *parts))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return b"".join((bytes((tag, 0x80 | len(size))), size, *parts))


def integer(value: int) -> bytes:
    """An INTEGER of at least 0."""
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bits(value: bytes) -> bytes:
    """A BIT STRING of whole bytes."""
    return der(BITS, b"\x00", value)


def utf8(text: str) -> bytes:
    """A UTF8String."""
    return der(UTF8, text.encode("utf-8"))


def ia5(text: str) -> bytes:
    """An IA5String. Raises UnicodeEncodeError where the text is not ASCII."""
    return der(IA5, text.encode("ascii"))


def generalized_time(moment: datetime) -> bytes:
    """A GeneralizedTime in UTC, in whole seconds (X.690 section 11.7)."""
    return der(GENERALIZED_TIME, moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode("ascii"))
