"""Where on a given file the pictures of a seal stand, one signature for all of them: plain geometry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.errors import FieldFault
from services.eseal.domain import Box, Picture, Place
from services.eseal.refusals import PageNotFoundError, TooManyPlacesError
from services.eseal.sealing.placing import OverEdges
from services.eseal.sheet import POINTS_PER_MM, Sheet, own_box, seal_box, seen_size, size_of

MOST_PLACES = 256
"""Pictures that one seal may put on a file."""
PAGES_A_SEAL = 20
"""Over the edges of more pages than these goes more than one picture, so that each strip can be seen."""


@dataclass(frozen=True)
class Spot:
    """One picture on one page: the page from 0, the rectangle in the page's own coordinates, and which part
    of the picture's width, from 0 to 1, is seen."""

    page: int
    box: Box
    left: float = 0.0
    right: float = 1.0


def page_index(number: int, count: int) -> int:
    """The index from 0 of a page from 1, 0 being the last. Raises PageNotFoundError."""
    if number > count:
        message = f"the document has {count} page(s)"
        raise PageNotFoundError(message, faults=[FieldFault("place.page", "lte", message)])
    return (number or count) - 1


def at_points(sheets: Mapping[int, Sheet], point: Place, picture: Picture) -> list[Spot]:
    """The same point on each of these pages."""
    return [Spot(index, seal_box(sheet, point, picture)) for index, sheet in sheets.items()]


def over_edges(sheets: Sequence[Sheet], placing: OverEdges, picture: Picture) -> list[Spot]:
    """A strip on each page's right edge as the page is seen, so that fanned out pages show the whole picture.

    Raises PageNotFoundError for a file of one page, or a height off a page.
    """
    if len(sheets) < 2:
        message = "a seal over the edges needs two pages or more"
        raise PageNotFoundError(message, faults=[FieldFault("place.over_edges", "pages", message)])
    spots: list[Spot] = []
    for group in _groups(len(sheets)):
        for order, index in enumerate(group):
            box = _edge(sheets[index], placing, picture, len(group))
            spots.append(Spot(index, box, order / len(group), (order + 1) / len(group)))
    return spots


def _groups(count: int) -> list[range]:
    """Pages in groups of nearly the same size, each of at least two and at most PAGES_A_SEAL."""
    groups = -(-count // PAGES_A_SEAL)
    bounds = [round(count * number / groups) for number in range(groups + 1)]
    return [range(start, end) for start, end in pairwise(bounds)]


def _edge(sheet: Sheet, placing: OverEdges, picture: Picture, strips: int) -> Box:
    width, height = size_of(picture)
    wide, tall = seen_size(sheet)
    middle = placing.y_mm * POINTS_PER_MM or tall / 2
    if not 0 <= middle <= tall:
        message = f"the height lies off a page, which is {tall / POINTS_PER_MM:.0f} mm tall"
        raise PageNotFoundError(message, faults=[FieldFault("place.y_mm", "on_page", message)])
    return own_box(sheet, Box(wide - width / strips, middle - height / 2, wide, middle + height / 2))


def around(sheet: Sheet, centre: tuple[float, float], picture: Picture) -> Box:
    """The rectangle of a picture whose centre is given in the page's own coordinates."""
    width, height = (length / sheet.unit for length in size_of(picture))
    if sheet.turn in (90, 270):
        width, height = height, width
    x, y = centre
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def require_few(count: int) -> None:
    """Passes a number of pictures that one seal may put, else raises TooManyPlacesError."""
    if count > MOST_PLACES:
        raise TooManyPlacesError(f"the seal would stand in {count} places, of at most {MOST_PLACES}")
