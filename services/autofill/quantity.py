"""Numbers with units: money, areas, counts; read as people and registers write them, converted exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


@dataclass(frozen=True)
class Unit:
    """A unit of a quantity: how many of the quantity's base units it is, and the words for it."""

    quantity: str
    size: Decimal
    words: tuple[str, ...]


UNITS: Mapping[str, Unit] = {
    "CNY cents": Unit("money", Decimal("0.01"), ("分",)),
    "CNY": Unit("money", Decimal(1), ("元", "元人民币", "人民币元")),
    "CNY 10000": Unit("money", Decimal(10000), ("万元", "万", "万元人民币", "万人民币")),
    "m2": Unit("area", Decimal(3), ("㎡", "平方米", "m2", "平米")),
    "mu": Unit("area", Decimal(2000), ("亩", "mu")),
    "ha": Unit("area", Decimal(30000), ("公顷", "ha")),
    "months": Unit("months", Decimal(1), ("个月", "月")),
    "persons": Unit("persons", Decimal(1), ("人", "名", "位")),
}
"""Units by the names that the catalogue uses. Areas count in thirds of a square metre: 1 mu is 2000/3 m2."""

LARGEST = Decimal(10) ** 15
"""No register holds more; beyond it a double would lose cents."""

_UNIT_BY_WORD = {word: name for name, unit in UNITS.items() for word in unit.words}
_WRITTEN = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)([^\d]*)", re.ASCII)


def read_number(written: str, unit: str) -> tuple[Decimal, str] | None:
    """The number and its unit: the one written behind it, else `unit`. None where it is no number.

    `written` is folded text: half-width, without spaces.
    """
    found = _WRITTEN.fullmatch(written)
    if found is None:
        return None
    word = found[2]
    if word and word not in _UNIT_BY_WORD:
        return None
    try:
        return Decimal(found[1].replace(",", "")), _UNIT_BY_WORD[word] if word else unit
    except InvalidOperation:
        return None


def convert(number: Decimal, source: str, target: str) -> Decimal | None:
    """A quantity in another unit; None where the units do not measure the same."""
    if source == target:
        return number
    if source not in UNITS or target not in UNITS or UNITS[source].quantity != UNITS[target].quantity:
        return None
    return number * UNITS[source].size / UNITS[target].size


def rounded(number: Decimal, step: Decimal) -> Decimal | None:
    """The number to the finest difference that is shown; None where it is out of all proportion."""
    if not number.is_finite() or abs(number) > LARGEST:
        return None
    return (number / step).quantize(Decimal(1)) * step


def plain(number: Decimal) -> str:
    """A number's one way of being written: no exponent, no trailing zeros, no negative zero."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text
