"""How a text runs in a box: broken into lines, and set smaller where it would not fit. Pure rules.

Widths come from a font, in thousandths of its size. The rules, for Chinese with figures and Latin words
between: a line breaks between any two characters, but no line begins with closing punctuation or ends with
opening one (避头尾), and no number or word is torn that fits on one line. A text that needs too many lines is
set smaller, half a point at a time, down to the least size that the template allows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

MM_PER_POINT = 25.4 / 72
STEP = 0.5
"""Points by which a text is set smaller."""
_BASELINE = 0.88
"""Where it stands in the square of a Chinese character, from its upper edge."""
_LEAST_ON_LAST = 2
"""Lines: no page bears a seal below nothing, or next to nothing."""
_MOST_HEADINGS = 2
"""Lines that may go on with what they lead to; more of them are no headings."""
_ENDS = frozenset("。；！？，、.;!?,")
_NOT_FIRST = frozenset("，。、；：？！）》〉」』】〕”’…—％℃·,.;:?!)]}%")
_NOT_LAST = frozenset("（《〈「『【〔“‘￥$([{")
_IN_WORDS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.,-_/@:")

Width = Callable[[str], int]
"""The width of a character in thousandths of the font's size."""
_KEPT, _LONGEST_KEPT = 2048, 500
"""How many paragraphs' lines are kept, and of how many characters: much is said in many documents."""


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


@dataclass(frozen=True)
class Frames:
    """Where a text goes that runs over: on its first page, and on each further one, as wide."""

    first: Area
    further: Area
    end: float
    """Above this the text ends on the last page, in mm from the page's upper edge."""
    most: int
    """Pages."""

    def left(self, lines: Sequence[Line]) -> float:
        """How far above its latest end the text does end, by its lines on the last page; in mm."""
        last = lines[-1]
        return self.end - (last.baseline + last.size * MM_PER_POINT * (1 - _BASELINE))


class DoesNotFitError(ValueError):
    """A text does not fit into its box at the least size. `most` is how many of its characters would."""

    def __init__(self, most: int) -> None:
        super().__init__("the text does not fit")
        self.most = most


def set_text(paragraphs: Sequence[str], area: Area, setting: Setting, width: Width) -> list[Line]:
    """The text in lines. Raises DoesNotFitError."""
    size = setting.size
    while True:
        lines = _lines(paragraphs, area.width, size, width)
        most = _most_lines(area.height, size, setting)
        if len(lines) <= most:
            break
        if size - STEP < setting.least_size:
            raise DoesNotFitError(sum(len(text) for text, _ in lines[:most]))
        size -= STEP
    return _placed(lines, area, size, setting)


def run_over(paragraphs: Sequence[str], frames: Frames, setting: Setting, width: Width) -> list[list[Line]]:
    """The text in lines, page by page: as many pages as it needs, the last with two lines at least, none
    ending with a heading. It is set smaller only where it would need more pages than there may be. Raises
    DoesNotFitError."""
    size = setting.size
    while True:
        lines = _lines(paragraphs, frames.first.width, size, width)
        shares = _shares(lines, frozenset(filter(_is_heading, paragraphs)), frames, size, setting)
        if len(shares) <= frames.most:
            break
        if size - STEP < setting.least_size:
            raise DoesNotFitError(sum(len(text) for text, _ in lines[: sum(shares[: frames.most])]))
        size -= STEP
    pages, start = [], 0
    for number, share in enumerate(shares):
        area = frames.further if number else frames.first
        pages.append(_placed(lines[start : start + share], area, size, setting))
        start += share
    return pages


def _shares(
    lines: Sequence[tuple[str, int]], headings: frozenset[str], frames: Frames, size: float, setting: Setting
) -> list[int]:
    """How many of the lines stand on each page; one page more than there may be where they do not fit."""
    shares, start = list[int](), 0
    while len(shares) <= frames.most:
        area, left = frames.further if shares else frames.first, len(lines) - start
        if left <= _most_lines(frames.end - area.y, size, setting):
            return [*shares, left]
        share = max(1, min(_most_lines(area.height, size, setting), left - _LEAST_ON_LAST))
        least = max(1, share - _MOST_HEADINGS)
        while share > least and lines[start + share - 1][0] in headings:
            share -= 1
        shares.append(share)
        start += share
    return shares


def _is_heading(text: str) -> bool:
    """Whether a paragraph leads to the next one, if it has one line: nothing ends it, or a colon."""
    return text[-1:] not in _ENDS


def _lines(paragraphs: Sequence[str], wide: float, size: float, width: Width) -> list[tuple[str, int]]:
    room = wide * 1000 / (size * MM_PER_POINT) + 1e-6
    return [
        cut
        for text in paragraphs
        for cut in (_kept if len(text) <= _LONGEST_KEPT else _broken)(text, room, width)
    ]


def _most_lines(height: float, size: float, setting: Setting) -> int:
    """How many lines of this size stand one below the other."""
    em = size * MM_PER_POINT
    return max(1, int((height - em) / (em * setting.leading) + 1e-6) + 1)


def _placed(lines: Sequence[tuple[str, int]], area: Area, size: float, setting: Setting) -> list[Line]:
    em = size * MM_PER_POINT
    step = em * setting.leading
    first = area.y + em * _BASELINE
    shift = {"left": 0.0, "centre": 0.5, "right": 1.0}[setting.align]
    return [
        Line(area.x + (area.width - run * em / 1000) * shift, first + number * step, size, text)
        for number, (text, run) in enumerate(lines)
        if text
    ]


def _broken(text: str, room: float, width: Width) -> Sequence[tuple[str, int]]:
    """A paragraph in lines, with the width of each."""
    run = list(accumulate(map(width, text), initial=0))  # How wide it is before each of its characters.
    end = len(text)
    if run[end] <= room:
        return [(text, run[end])]
    lines, start = list[tuple[str, int]](), 0
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


_kept = lru_cache(maxsize=_KEPT)(_broken)


def _may_break(before: str, after: str) -> bool:
    if after in _NOT_FIRST or before in _NOT_LAST:
        return False
    return not (before in _IN_WORDS and after in _IN_WORDS)
