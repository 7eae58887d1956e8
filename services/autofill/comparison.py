"""How a value of each kind is brought into the form's own shape, and compared without false alarms.

`shape` gives what a form shows; `key` gives what is compared: two values agree exactly when their keys are
equal, so agreement is an equivalence and its verdict cannot depend on an order. Formats are folded away
(full width, spaces, dots in names, ways to write a date, units of money and area); contents never are:
traditional and simplified characters stay different, because guessing would hide a real difference.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum

from core.errors import ServiceError
from core.identifiers import check_citizen_number, citizen_check_digit, normalise_number
from services.autofill.quantity import convert, plain, read_number, rounded

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

LONG_TERM = "长期"
"""A validity without end. A value of its own, never a far date."""

CHINA = timezone(timedelta(hours=8))
"""Days are days in China: a register's midnight in UTC is already the next morning."""


class CompareKind(StrEnum):
    """What a field holds, and so how two values of it are compared."""

    TEXT = "text"
    PERSON_NAME = "person_name"
    ORGANISATION_NAME = "organisation_name"
    ADDRESS = "address"
    PHONE = "phone"
    DATE = "date"
    CODE = "code"
    CITIZEN_NUMBER = "citizen_number"
    OFFICIAL_NUMBER = "official_number"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ROWS = "rows"


@dataclass(frozen=True)
class Option:
    """One entry of a code list: the code, the word forms print, and other words registers use for it."""

    code: str
    title: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ValueRule:
    """How the values of one form field, or of one column of its rows, are shaped and compared."""

    kind: CompareKind
    options: tuple[Option, ...] = ()
    unit: str = ""
    """The form's unit, one of quantity.UNITS; empty for a plain number."""
    step: Decimal = Decimal("0.01")
    """The finest difference of a number that the form shows."""
    whole: bool = False
    """Whether a number is shown as an integer."""
    columns: tuple[tuple[str, ValueRule], ...] = ()
    """Of rows: each column of the form's table."""
    words: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """Every code and word of the options, folded, and the code it stands for."""

    def __post_init__(self) -> None:
        words: dict[str, str] = {}
        for option in self.options:
            for word in (option.code, option.title, *option.aliases):
                words.setdefault(fold(word), option.code)
        object.__setattr__(self, "words", words)


_NAME_DOTS = re.compile("[.\u00b7\u0387\u2022\u2024\u2027\u2219\u22c5\u30fb\uff65\u16eb\u2e31\u3002]")
_DASHES = re.compile("[-\u2010-\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63]+")
_DATE = re.compile(r"(\d{4})(?:年|[-/.])(\d{1,2})(?:月|[-/.])(\d{1,2})日?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}t\d{2}:\d{2}.*", re.IGNORECASE)
_OLD_CITIZEN_NUMBER = re.compile(r"\d{15}")
_MOBILE_WITH_COUNTRY = re.compile(r"861\d{10}")
_YES = frozenset({"true", "是", "有", "yes"})
_NO = frozenset({"false", "否", "无", "no"})
_MAX_PASSES = 8
_HOLDING = (list, dict, tuple, Sequence, Mapping)
"""What holds values, and is none; the first ones are recognised at once."""


def shape(rule: ValueRule, value: Json, unit: str = "") -> Json:
    """The value as the form takes it, or None where it is blank or cannot be had in that shape.

    `unit` is the source's unit, where it differs from the form's.
    """
    return None if is_blank(value) else _SHAPERS[rule.kind](rule, value, unit)


def key(rule: ValueRule, value: Json, unit: str = "") -> str | None:
    """What is compared; None for a blank. A value that its kind cannot read is compared as folded text."""
    return None if is_blank(value) else _KEYS[rule.kind](rule, value, unit)


def is_blank(value: Json) -> bool:
    """Whether a value says nothing: absent, empty or only spaces. 无 and 不适用 do say something."""
    if value is None:
        return True
    if isinstance(value, str):
        return not _printable(value)
    return isinstance(value, _HOLDING) and len(value) == 0


def fold(text: str, *, dots: str | None = None, dashes: str | None = None) -> str:
    """Text without the accidents of typing: width, case, spaces, invisible marks; a fixed point of itself."""
    for _ in range(_MAX_PASSES):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        if folded.isprintable():
            # Then it has no invisible marks, and of all spaces the plain one alone.
            folded = folded.replace(" ", "")
        else:
            folded = "".join(c for c in folded if not c.isspace() and _visible(c))
        if dots is not None:
            folded = _NAME_DOTS.sub(dots, folded)
        if dashes is not None:
            folded = _DASHES.sub(dashes, folded)
        if folded == text:
            break
        text = folded
    return text


def _printable(text: str) -> str:
    """Text as it may be shown: without invisible marks, spaces at the ends, and runs of spaces."""
    if text.isprintable():
        return " ".join(text.split()) if " " in text else text
    visible = "".join(" " if c.isspace() else c for c in text if c.isspace() or _visible(c))
    return " ".join(visible.split())


def _visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf")


def _as_text(value: Json) -> str | None:
    """A scalar as text; None for a list or an object, which a single field cannot hold."""
    if isinstance(value, str):
        return value
    return None if isinstance(value, _HOLDING) else _plain(value)


def _plain(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return plain(Decimal(repr(value)))
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _date(text: str) -> str | None:
    """A day as ISO 8601, or 长期."""
    folded = fold(text)
    if folded in ("长期", "长期有效", "永久"):
        return LONG_TERM
    try:
        if _INSTANT.fullmatch(folded):
            moment = datetime.fromisoformat(folded.upper())
            return (moment.astimezone(CHINA) if moment.tzinfo else moment).date().isoformat()
        found = _DATE.fullmatch(folded) or _COMPACT_DATE.fullmatch(folded)
        return date(int(found[1]), int(found[2]), int(found[3])).isoformat() if found else None
    except (ValueError, OverflowError):
        return None


def _citizen_number(text: str) -> str:
    """The number; one of 15 digits as the 18 it became in 1999 (GB 11643: 19 inserted, check added)."""
    number = normalise_number(text)
    if not _OLD_CITIZEN_NUMBER.fullmatch(number):
        return number
    body = f"{number[:6]}19{number[6:]}"
    candidate = body + citizen_check_digit(body)
    try:
        return check_citizen_number(candidate, "")
    except ServiceError:
        return number


def _phone(text: str) -> str:
    """Digits without the country code; what holds no digit stays text."""
    digits = "".join(c for c in fold(text) if c.isdecimal() or c == "+")
    for prefix in ("+86", "0086"):
        digits = digits.removeprefix(prefix)
    digits = digits.replace("+", "")
    if _MOBILE_WITH_COUNTRY.fullmatch(digits):
        digits = digits[2:]
    return digits or fold(text)


def _boolean(value: Json) -> bool | None:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    word = fold(value)
    return True if word in _YES else False if word in _NO else None


def _number(rule: ValueRule, value: Json, unit: str) -> Decimal | None:
    """The number in the form's unit, rounded to the form's step."""
    if isinstance(value, bool) or _as_text(value) is None:
        return None
    read = read_number(fold(_plain(value)), unit or rule.unit)
    converted = convert(*read, rule.unit) if read is not None else None
    return rounded(converted, rule.step) if converted is not None else None


def _rows(value: Json) -> list[Mapping[str, Json]] | None:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return None
    rows = [row for row in value if isinstance(row, Mapping)]
    return rows if len(rows) == len(value) else None


def _shape_rows(rule: ValueRule, value: Json) -> Json:
    """The table with the form's columns and no others; a blank cell is left out."""
    rows = _rows(value)
    if rows is None:
        return None
    shaped = []
    for row in rows:
        cells = {name: shape(column, row.get(name)) for name, column in rule.columns}
        filled = {name: cell for name, cell in cells.items() if cell is not None}
        if filled:
            shaped.append(filled)
    return shaped or None


def _row_keys(rule: ValueRule, value: Json) -> str | None:
    """The table's rows as a multiset: two tables agree whatever the order of their rows."""
    rows = _rows(value)
    if rows is None:
        return None
    keys = [[key(column, row.get(name)) for name, column in rule.columns] for row in rows]
    return json.dumps(sorted(keys, key=json.dumps), ensure_ascii=False)


def _shape_number(rule: ValueRule, value: Json, unit: str) -> Json:
    number = _number(rule, value, unit)
    if number is None:
        return None
    return int(number) if rule.whole else float(number)


def _shape_text(write: Callable[[ValueRule, str], str | None]) -> Shaper:
    """Of a kind that is shown as text: how it is written."""

    def shaper(rule: ValueRule, value: Json, unit: str) -> Json:
        text = _as_text(value)
        return None if text is None else write(rule, text)

    return shaper


def _key_number(rule: ValueRule, value: Json, unit: str) -> str:
    number = _number(rule, value, unit)
    return fold(_plain(value)) if number is None else plain(number)


def _key_boolean(rule: ValueRule, value: Json, unit: str) -> str:
    truth = _boolean(value)
    return fold(_plain(value)) if truth is None else str(truth).lower()


def _key_rows(rule: ValueRule, value: Json, unit: str) -> str:
    rows = _row_keys(rule, value)
    return fold(_plain(value)) if rows is None else rows


def _key_text(compare: Callable[[ValueRule, str], str]) -> Key:
    """Of a kind that is compared as text: how."""
    return lambda rule, value, unit: compare(rule, _plain(value))


Shaper = Callable[[ValueRule, Json, str], Json]
Key = Callable[[ValueRule, Json, str], str]

_SHAPERS: Mapping[CompareKind, Shaper] = {
    CompareKind.TEXT: _shape_text(lambda rule, text: _printable(text)),
    CompareKind.PERSON_NAME: _shape_text(lambda rule, text: _NAME_DOTS.sub("\u00b7", _printable(text))),
    CompareKind.ORGANISATION_NAME: _shape_text(lambda rule, text: _printable(text)),
    CompareKind.ADDRESS: _shape_text(lambda rule, text: _printable(text)),
    CompareKind.PHONE: _shape_text(lambda rule, text: _printable(text)),
    CompareKind.DATE: _shape_text(lambda rule, text: _date(text)),
    CompareKind.CODE: _shape_text(lambda rule, text: rule.words.get(fold(text))),
    CompareKind.CITIZEN_NUMBER: _shape_text(lambda rule, text: normalise_number(text)),
    CompareKind.OFFICIAL_NUMBER: _shape_text(lambda rule, text: normalise_number(text)),
    CompareKind.NUMBER: _shape_number,
    CompareKind.BOOLEAN: lambda rule, value, unit: _boolean(value),
    CompareKind.ROWS: lambda rule, value, unit: _shape_rows(rule, value),
}

_KEYS: Mapping[CompareKind, Key] = {
    CompareKind.TEXT: _key_text(lambda rule, text: fold(text)),
    CompareKind.PERSON_NAME: _key_text(lambda rule, text: fold(text, dots="")),
    CompareKind.ORGANISATION_NAME: _key_text(lambda rule, text: fold(text)),
    CompareKind.ADDRESS: _key_text(lambda rule, text: fold(text, dashes="-")),
    CompareKind.PHONE: _key_text(lambda rule, text: _phone(text)),
    CompareKind.DATE: _key_text(lambda rule, text: _date(text) or fold(text)),
    CompareKind.CODE: _key_text(lambda rule, text: rule.words.get(fold(text)) or fold(text)),
    CompareKind.CITIZEN_NUMBER: _key_text(lambda rule, text: _citizen_number(text)),
    CompareKind.OFFICIAL_NUMBER: _key_text(lambda rule, text: normalise_number(text)),
    CompareKind.NUMBER: _key_number,
    CompareKind.BOOLEAN: _key_boolean,
    CompareKind.ROWS: _key_rows,
}
