"""How a text runs in a box: broken into lines, and set smaller where it would not fit. Pure rules.

Widths come from a font, in thousandths of its size. The rules, for Chinese with figures and Latin words
between: a line breaks between any two characters, but no line begins with closing punctuation or ends with
opening one (避头尾), and no number or word is torn that fits on one line. A text that needs too many lines is
set smaller, half a point at a time, down to the least size that the template allows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import MappingProxyType
from typing import NamedTuple

MM_PER_POINT = 25.4 / 72
STEP = 0.5
"""Points by which a text is set smaller."""
_NOT_FIRST = frozenset("，。、；：？！）》〉」』】〕”’…—％℃·,.;:?!)]}%")
_NOT_LAST = frozenset("（《〈「『【〔“‘￥$([{")
_IN_WORDS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.,-_/@:")

Width = Callable[[str], int]
"""The width of a character in thousandths of the font's size."""
Runs = Mapping[str, Sequence[int]]
"""Of paragraphs how wide each is before each of its characters, and in all."""
_NO_RUNS: Runs = MappingProxyType({})


@dataclass(frozen=True)
class Area:
    """Where a text goes: left and upper edge, width and height in mm from the page's upper left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Setting:
    """How a text is set: sizes in points, `leading` in parts of the size from one baseline to the next."""

    size: float
    least_size: float
    leading: float = 1.5
    align: str = "left"
    """`left`, `centre` or `right`."""


class Line(NamedTuple):
    """A line of a text: where it begins, its baseline, both in mm, and its size in points."""

    x: float
    baseline: float
    size: float
    text: str


class DoesNotFitError(ValueError):
    """A text does not fit into its box at the least size. `most` is how many of its characters would."""

    def __init__(self, most: int) -> None:
        super().__init__("the text does not fit")
        self.most = most


def run_of(text: str, width: Width) -> list[int]:
    """How wide a paragraph is before each of its characters, and in all."""
    return list(accumulate(map(width, text), initial=0))


def set_text(
    paragraphs: Sequence[str], area: Area, setting: Setting, width: Width, known: Runs = _NO_RUNS
) -> list[Line]:
    """The text in lines; `known` are runs of paragraphs that were measured before. Raises DoesNotFitError."""
    runs = [known.get(text) or run_of(text, width) for text in paragraphs]
    size = setting.size
    while True:
        room = area.width * 1000 / (size * MM_PER_POINT) + 1e-6
        step = size * setting.leading * MM_PER_POINT
        most = max(1, int((area.height - size * MM_PER_POINT) / step + 1e-6) + 1)
        lines = [cut for text, run in zip(paragraphs, runs, strict=True) for cut in _broken(text, run, room)]
        if len(lines) <= most:
            break
        if size - STEP < setting.least_size:
            raise DoesNotFitError(sum(len(text) for text, _ in lines[:most]))
        size -= STEP
    em = size * MM_PER_POINT
    first = area.y + em * 0.88  # Where the baseline of a Chinese font stands in its square.
    shift = {"left": 0.0, "centre": 0.5, "right": 1.0}[setting.align]
    return [
        Line(area.x + (area.width - run * em / 1000) * shift, first + number * step, size, text)
        for number, (text, run) in enumerate(lines)
        if text
    ]


def _broken(text: str, run: Sequence[int], room: float) -> list[tuple[str, int]]:
    """A paragraph in lines, with the width of each; `run[i]` is the width of what stands before i."""
    end = len(text)
    if run[end] <= room:
        return [(text, run[end])]
    lines, start = [], 0
    while run[end] - run[start] > room:
        full = bisect_right(run, run[start] + room, start + 1) - 1
        cut = max(full, start + 1)
        while cut > start and not _may_break(text[cut - 1], text[cut]):
            cut -= 1
        if cut == start:  # One word longer than the line.
            cut = max(full, start + 1)
        lines.append((text[start:cut], run[cut] - run[start]))
        start = cut
    if start < end:
        lines.append((text[start:], run[end] - run[start]))
    return lines


def _may_break(before: str, after: str) -> bool:
    if after in _NOT_FIRST or before in _NOT_LAST:
        return False
    return not (before in _IN_WORDS and after in _IN_WORDS)
