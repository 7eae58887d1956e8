"""What stands on the pages of a template, and on which of them: pure rules, no I/O.

A template has a number of pages that is always the same, or one text that runs over to as many as it needs.
What stands on a page says on which: `first`, `next` (each but the first), `last`, `every`, or its number.
What is `closing` stands on the last page below the text that runs over, and moves up with its end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.eseal.typesetting import Area, Frames, Setting

FIRST, NEXT, LAST, EVERY, CLOSING = "first", "next", "last", "every", "closing"
PAGE, PAGES = "page", "pages"
"""What a text may show of the page that it stands on: its number, and how many there are."""
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True)
class Leaf:
    """A page of a document: its number from 1, and of how many."""

    number: int = 1
    pages: int = 1

    def bears(self, on: str) -> bool:
        """Whether what says that it stands `on` stands on this page."""
        match on:
            case "every":
                return True
            case "first":
                return self.number == 1
            case "next":
                return self.number > 1
            case "last" | "closing":
                return self.number == self.pages
        return self.number == int(on)


RUNNING_LEAVES = (Leaf(1, 1), Leaf(1, 2), Leaf(2, 3), Leaf(2, 2))
"""Where a text runs over, one of each kind of page: the only one, the first, one between, the last."""


@dataclass(frozen=True)
class Text:
    """Text in a box. `{name}` in a paragraph stands for a field."""

    area: Area
    setting: Setting
    paragraphs: tuple[str, ...]
    colour: tuple[int, int, int] = (0, 0, 0)
    on: str = FIRST

    @property
    def names(self) -> frozenset[str]:
        """The fields that it shows; without any it is the same in every document."""
        return frozenset(name for text in self.paragraphs for name in _SLOT.findall(text))

    @property
    def is_sound(self) -> bool:
        """Whether its braces are those of fields alone, as `filled` needs."""
        return not re.search(r"[{}]", "".join(_SLOT.sub("", text) for text in self.paragraphs))

    def filled(self, shown: Mapping[str, str]) -> list[str]:
        """Its paragraphs with the fields in them. A line feed in one begins a paragraph indented alike."""
        filled = []
        for text in self.paragraphs:
            whole = text.format_map(shown)
            if "\n" in whole:
                indent = "　" * (len(text) - len(text.lstrip("　")))
                filled += whole.replace("\n", f"\n{indent}").split("\n")
            else:
                filled.append(whole)
        return filled


@dataclass(frozen=True)
class Rule:
    """A level or upright line, or with a height and a width a frame: lengths in mm."""

    area: Area
    thickness: float
    colour: tuple[int, int, int] = (0, 0, 0)
    on: str = FIRST


@dataclass(frozen=True)
class Image:
    """A picture of the template's own, PNG."""

    area: Area
    png: bytes = field(repr=False)
    on: str = FIRST


@dataclass(frozen=True)
class PhotoPlace:
    """Where the picture in a field stands: in the middle of an area, as large as it allows."""

    area: Area
    field: str
    on: str = FIRST


@dataclass(frozen=True)
class Spot:
    """A point in mm from the upper left corner: the middle of the seal, or with a size a corner."""

    x: float
    y: float
    size: float = 0.0
    on: str = FIRST


@dataclass(frozen=True)
class Running:
    """The text that runs over to further pages, in the frames that it has on them."""

    text: Text
    frames: Frames
