"""Where the pictures of a seal stand on an OFD's pages (GB/T 33190: StampAnnot), as on a PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.errors import FieldFault
from services.eseal.domain import Box, Picture, Place
from services.eseal.ofd.document import Body, Ofd, Page
from services.eseal.ofd.package import malformed
from services.eseal.places import Spot, at_points, over_edges, page_index, require_few
from services.eseal.refusals import PlaceNotForFormatError
from services.eseal.sealing.placing import OnPages, OverEdges, Placing
from services.eseal.sheet import POINTS_PER_MM, Sheet


def stamps_of(
    ofd: Ofd, body: Body, placing: Placing, size_mm: tuple[float, float]
) -> Sequence[Mapping[str, str]]:
    """The attributes of each picture: its page, its box, and what of it is seen.

    Errors: DOCUMENT_MALFORMED, PAGE_NOT_FOUND, PLACE_NOT_FOR_FORMAT, TOO_MANY_PLACES.
    """
    pages = ofd.pages(body)
    if not pages:
        raise malformed("the OFD has no page")
    picture = Picture(b"", *size_mm)

    def sheets(indexes: Sequence[int]) -> dict[int, Sheet]:
        require_few(len(indexes))
        return {index: _sheet(ofd, pages[index]) for index in indexes}

    match placing:
        case Place():
            spots = at_points(sheets([page_index(placing.page, len(pages))]), placing, picture)
        case OnPages():
            numbers = placing.pages or tuple(range(1, len(pages) + 1))
            indexes = [page_index(number, len(pages)) for number in numbers]
            spots = at_points(sheets(indexes), Place(0, placing.x_mm, placing.y_mm), picture)
        case OverEdges():
            spots = over_edges(list(sheets(range(len(pages))).values()), placing, picture)
        case _:
            message = "an OFD takes pictures at a point, on one page or several, or over the edges"
            raise PlaceNotForFormatError(message, faults=[FieldFault("place", "format", message)])
    return [_stamp(ofd, pages[spot.page], spot) for spot in spots]


def _sheet(ofd: Ofd, page: Page) -> Sheet:
    width, height = ofd.size(page)
    return Sheet(Box(0, 0, width * POINTS_PER_MM, height * POINTS_PER_MM), 0, 1.0)


def _stamp(ofd: Ofd, page: Page, spot: Spot) -> Mapping[str, str]:
    """A picture on its page: the box of the whole picture, from the page's upper left corner, in mm."""
    _, height = ofd.size(page)
    box = Box(
        *(side / POINTS_PER_MM for side in (spot.box.left, spot.box.bottom, spot.box.right, spot.box.top))
    )
    wide, tall = (box.right - box.left) / (spot.right - spot.left), box.top - box.bottom
    said = {
        "PageRef": page.id,
        "Boundary": _numbers(box.left - spot.left * wide, height - box.top, wide, tall),
    }
    if (spot.left, spot.right) != (0.0, 1.0):
        said["Clip"] = _numbers(spot.left * wide, 0, (spot.right - spot.left) * wide, tall)
    return said


def _numbers(*values: float) -> str:
    return " ".join(f"{value:.2f}" for value in values)
