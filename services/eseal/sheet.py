"""A page as its reader sees it, and where on it a seal goes: plain geometry, in points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.eseal.domain import Box, Picture, Place, box_of
from services.eseal.refusals import DocumentMalformedError

POINTS_PER_MM = 72 / 25.4

MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""How a picture is turned in the page's own coordinates, to stand upright on a page that is shown turned."""


@dataclass(frozen=True)
class Sheet:
    """A page: what of it is seen, how it is turned, and its unit in points (ISO 32000-2 table 31)."""

    box: Box
    turn: int
    unit: float

    def __post_init__(self) -> None:
        """Raises DocumentMalformedError where no page can be like this."""
        if self.turn not in MATRICES or not 0 < self.unit <= 1000:
            raise DocumentMalformedError("the page's /Rotate or /UserUnit is out of its range")


def rectangle(numbers: Sequence[float]) -> Box:
    """A box by two of its corners. Raises DocumentMalformedError where it is none."""
    if len(numbers) != 4:
        raise DocumentMalformedError("a page box is not four numbers")
    if not all(abs(number) < 1e6 for number in numbers):
        raise DocumentMalformedError("a page box is out of its range")
    x1, y1, x2, y2 = numbers
    return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def seen_part(media: Box, crop: Box) -> Box:
    """What of the page is seen: its crop box within its media box."""
    seen = Box(
        max(media.left, crop.left),
        max(media.bottom, crop.bottom),
        min(media.right, crop.right),
        min(media.top, crop.top),
    )
    return seen if seen.right > seen.left and seen.top > seen.bottom else media


def seal_box(sheet: Sheet, place: Place, picture: Picture) -> Box:
    """Where the picture goes in the page's own coordinates, the place being given as the page is seen.

    Raises PageNotFoundError where the place lies off the page.
    """
    return own_box(sheet, box_of(place, size_of(picture), Box(0, 0, *seen_size(sheet))))


def seen_size(sheet: Sheet) -> tuple[float, float]:
    """Width and height of the page as it is seen, in points."""
    wide, tall = sheet.box.right - sheet.box.left, sheet.box.top - sheet.box.bottom
    if sheet.turn in (90, 270):
        wide, tall = tall, wide
    return wide * sheet.unit, tall * sheet.unit


def own_box(sheet: Sheet, seen: Box) -> Box:
    """A rectangle given as the page is seen, in points from its lower left corner, in the page's own
    coordinates."""
    wide, tall = (length / sheet.unit for length in seen_size(sheet))
    x, y = (seen.left + seen.right) / 2 / sheet.unit, (seen.bottom + seen.top) / 2 / sheet.unit
    turned = {0: (x, y), 90: (tall - y, x), 180: (wide - x, tall - y), 270: (y, wide - x)}
    own_x, own_y = turned[sheet.turn]
    half_w, half_h = (seen.right - seen.left) / 2 / sheet.unit, (seen.top - seen.bottom) / 2 / sheet.unit
    if sheet.turn in (90, 270):
        half_w, half_h = half_h, half_w
    x, y = sheet.box.left + own_x, sheet.box.bottom + own_y
    return Box(x - half_w, y - half_h, x + half_w, y + half_h)


def size_of(picture: Picture) -> tuple[float, float]:
    """Width and height in points."""
    return POINTS_PER_MM * picture.width_mm, POINTS_PER_MM * picture.height_mm
