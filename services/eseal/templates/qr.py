"""QR codes (ISO/IEC 18004) of links that differ only in a number of hexadecimal digits, made by adding.

Error correction and masks are linear over the field with two elements: with version, level and mask fixed,
the modules of a link are those of another one, plus those that each changed bit changes. segno draws the code
once for each bit of the number; after that a code costs one exclusive or for each digit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import segno

DIGITS = 32
"""Hexadecimal digits of a number."""
LEVEL = "m"
_MASK = 3
_ALPHABET = "0123456789abcdef"


@dataclass(frozen=True)
class Codes:
    """Ready to draw the code of any number. `modules` along each edge; `stride` bytes of a row of modules."""

    base: str
    modules: int
    stride: int
    _none: int = field(repr=False)
    _digits: tuple[dict[str, int], ...] = field(repr=False)

    def link(self, number: str) -> str:
        """The link that the code shows."""
        return self.base + number

    def bits(self, number: str) -> bytes:
        """The modules row by row, a bit each, the dark ones set, each row filled up to whole bytes."""
        value = self._none
        for digit, changes in zip(number, self._digits, strict=True):
            value ^= changes[digit]
        return value.to_bytes(self.stride * self.modules, "big")


def codes_for(base: str) -> Codes:
    """The codes of the links that begin like this. Raises ValueError where a link is too long for a code."""
    none = "0" * DIGITS
    version = segno.make(base + none, error=LEVEL, mode="byte", boost_error=False, micro=False).version
    modules, stride, start = _drawn(base + none, version)
    changed = []
    for place in range(DIGITS):
        digits = {}
        for digit in _ALPHABET:
            digits[digit] = 0
        # The digits' codes are ASCII: of `1` to `9` and `a` to `f` each bit changes the same modules.
        by_bit = {
            bit: _drawn(base + none[:place] + chr(ord("0") ^ bit) + none[place + 1 :], version)[2] ^ start
            for bit in (1, 2, 4, 8, 16, 64)
        }
        for digit in _ALPHABET:
            for bit, modules_of_it in by_bit.items():
                if (ord(digit) ^ ord("0")) & bit:
                    digits[digit] ^= modules_of_it
        changed.append(digits)
    return Codes(base, modules, stride, start, tuple(changed))


def _drawn(link: str, version: int | str) -> tuple[int, int, int]:
    """Modules along an edge, bytes of a row, and all modules as one number."""
    code = segno.make(
        link, version=version, error=LEVEL, mode="byte", mask=_MASK, boost_error=False, micro=False
    )
    rows = [bytes(row) for row in code.matrix]
    stride = (len(rows) + 7) // 8
    value = 0
    for row in rows:
        text = "".join("1" if module else "0" for module in row).ljust(stride * 8, "0")
        value = value << (stride * 8) | int(text, 2)
    return len(rows), stride, value
