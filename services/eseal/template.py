"""A template of decision letters or licences, and what goes into its fields: pure rules, no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from core.errors import FieldFault
from services.eseal.leaves import RUNNING_LEAVES, Image, Leaf, PhotoPlace, Rule, Running, Spot, Text
from services.eseal.refusals import TemplateFieldsError

NUMBER = "document_number"
"""What every template may show without a field of this name: the number that the verification link names."""
LONGEST = 10_000
"""Characters that a field may have at most, whatever its template says."""
MOST_PICTURES = 2 * 1024 * 1024
"""Bytes of all pictures that one document is given."""
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,12})\.[0-9]{2}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class FieldType(StrEnum):
    """What a field takes, and how it is shown."""

    TEXT = "text"
    """As it is typed."""
    DATE = "date"
    """`2026-11-28`, shown as 2026年11月28日."""
    AMOUNT = "amount"
    """`1234.50`, yuan and fen, shown as 1,234.50."""
    CHOICE = "choice"
    """One of the values that the template lists."""
    PICTURE = "picture"
    """A PNG or JPEG, given apart from the texts."""


@dataclass(frozen=True)
class Field:
    """A field: its name in requests, what people call it, what it takes."""

    name: str
    title: str
    type: FieldType = FieldType.TEXT
    required: bool = True
    longest: int = 100
    """Characters."""
    multiline: bool = False
    """Whether a line feed begins a new paragraph."""
    pattern: str = ""
    """A regular expression for the whole text; `example` shows what it wants."""
    example: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """A template in one of its versions. What is laid out stays as it is; a change is another version."""

    name: str
    version: int
    title: str
    office: str
    """USCC of the office whose it is; empty where every office may use it."""
    width: float
    height: float
    fields: Mapping[str, Field]
    texts: tuple[Text, ...]
    rules: tuple[Rule, ...] = ()
    images: tuple[Image, ...] = ()
    photos: tuple[PhotoPlace, ...] = ()
    seal: Spot = Spot(0, 0)  # noqa: RUF009  # frozen
    """The middle of the seal."""
    code: Spot | None = None
    """Upper left corner and size of the QR code with the verification link, if it has one."""
    common: str = ""
    """Characters that its fields hold often: they go into the font that is made ready once."""
    pages: int = 1
    """How many, where no text runs over."""
    running: Running | None = None

    @property
    def leaves(self) -> Sequence[Leaf]:
        """The pages that are laid out once: all of them, or one of each kind."""
        if self.running is not None:
            return RUNNING_LEAVES
        return [Leaf(number + 1, self.pages) for number in range(self.pages)]

    @property
    def most_pages(self) -> int:
        """How many a document has at most."""
        return self.running.frames.most if self.running is not None else self.pages

    def kind_of(self, leaf: Leaf) -> int:
        """Which of `leaves` a page is like."""
        if self.running is None:
            return leaf.number - 1
        if leaf.number == leaf.pages:
            return 0 if leaf.pages == 1 else 3
        return 1 if leaf.number == 1 else 2

    @property
    def all_texts(self) -> Sequence[Text]:
        """The one that runs over among the others."""
        return self.texts if self.running is None else (*self.texts, self.running.text)

    def shown(
        self,
        values: Mapping[str, str],
        number: str,
        drawable: frozenset[str],
        pictures: Mapping[str, bytes] = MappingProxyType({}),
    ) -> dict[str, str]:
        """What is shown for each field of text: what it was given, checked, in its type's form.

        `drawable` are the characters that the font has, `pictures` the files for the other fields, of which
        only name and size are looked at. Raises TemplateFieldsError that tells every fault, and never a
        value.
        """
        faults = [
            FieldFault(_path(name), "unknown", f"the template has no such field; it has {self._names()}")
            for name in values
            if name not in self.fields
        ]
        faults += self._faults_of_pictures(values, pictures)
        shown = {NUMBER: number}
        for name, one in self.fields.items():
            if one.type is FieldType.PICTURE:
                continue
            value = values.get(name, "")
            if not value:
                if one.required:
                    faults.append(FieldFault(_path(name), "required", f"{one.title} is needed"))
                shown[name] = ""
                continue
            found = _fault_of(one, value, drawable)
            if found is not None:
                faults.append(found)
            else:
                shown[name] = _as_shown(one, value)
        if faults:
            raise TemplateFieldsError(faults)
        return shown

    def room_for(self, name: str) -> tuple[float, float]:
        """Width and height in mm of the largest place of a field for a picture."""
        areas = [place.area for place in self.photos if place.field == name]
        return max(area.width for area in areas), max(area.height for area in areas)

    def _faults_of_pictures(
        self, values: Mapping[str, str], pictures: Mapping[str, bytes]
    ) -> Iterator[FieldFault]:
        taken = {name: one for name, one in self.fields.items() if one.type is FieldType.PICTURE}
        for name in pictures:
            if name not in taken:
                said = f"it has {', '.join(taken)}" if taken else "it has none for pictures"
                yield FieldFault(_path_of_picture(name), "unknown", f"the template has no such field; {said}")
        for name, one in taken.items():
            if values.get(name):
                yield FieldFault(_path(name), "picture", f"{one.title} is a picture; give it in pictures")
            elif one.required and not pictures.get(name):
                yield FieldFault(_path_of_picture(name), "required", f"{one.title} is needed, a PNG or JPEG")
        whole = sum(map(len, pictures.values()))
        if whole > MOST_PICTURES:
            said = f"all pictures together have {whole} bytes; at most {MOST_PICTURES} are taken"
            yield FieldFault("pictures", "size", said)

    def _names(self) -> str:
        return ", ".join(self.fields)


def picture_fault(name: str, rule: str, message: str) -> TemplateFieldsError:
    """The refusal of a picture for a field."""
    return TemplateFieldsError([FieldFault(_path_of_picture(name), rule, message)])


def does_not_fit(name: str, most: int, given: int) -> TemplateFieldsError:
    """The refusal of a field that leaves its text no room: `most` of the text's `given` characters have."""
    over = f"its text has no room; about {max(1, given - most)} characters or some lines fewer would fit"
    return TemplateFieldsError([FieldFault(_path(name), "fits", over)])


def _path(name: str) -> str:
    return f"fields.{name[:64]}"


def _path_of_picture(name: str) -> str:
    return f"pictures.{name[:64]}"


def _fault_of(one: Field, value: str, drawable: frozenset[str]) -> FieldFault | None:
    """What is wrong with a value, and what would be right; never the value itself."""

    def fault(rule: str, message: str) -> FieldFault:
        return FieldFault(_path(one.name), rule, message)

    longest = min(one.longest, LONGEST)
    if len(value) > longest:
        return fault("max_length", f"{one.title} has {len(value)} characters; at most {longest} are taken")
    if one.type is FieldType.DATE and not _is_day(value):
        return fault("date", f"{one.title} is a day as in 2026-11-28")
    if one.type is FieldType.AMOUNT and not _AMOUNT.fullmatch(value):
        return fault("amount", f"{one.title} is an amount in yuan with two decimals, as in 1234.50")
    if one.type is FieldType.CHOICE and value not in one.choices:
        return fault("choice", f"{one.title} is one of {', '.join(one.choices)}")
    if one.pattern and not re.fullmatch(one.pattern, value):
        return fault("pattern", f"{one.title} has the form of {one.example}")
    if not drawable.issuperset(value.replace("\n", "") if one.multiline else value):
        lacking = set(value) - drawable - ({"\n"} if one.multiline else set())
        at = next(place for place, char in enumerate(value, start=1) if char in lacking)
        return fault("character", f"character {at} of {one.title} is none that the template's font has")
    if value != value.strip():
        return fault("trimmed", f"{one.title} neither begins nor ends with a space")
    return None


def _is_day(value: str) -> bool:
    if not _DAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _as_shown(one: Field, value: str) -> str:
    if one.type is FieldType.DATE:
        day = date.fromisoformat(value)
        return f"{day.year}年{day.month}月{day.day}日"
    if one.type is FieldType.AMOUNT:
        yuan, _, fen = value.partition(".")
        return f"{int(yuan):,}.{fen}"
    return value
