"""Where a caller wants the pictures of one seal: at a point, on several pages, at a keyword, over the edges,
or in a field. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import FieldFault, InvalidError
from services.eseal.domain import Place

Json = dict[str, object]


@dataclass(frozen=True)
class OnPages:
    """The same point on several pages, from 1; on every page where none is named."""

    pages: tuple[int, ...]
    x_mm: float = 0.0
    y_mm: float = 0.0


@dataclass(frozen=True)
class AtKeyword:
    """At each place where a text stands (关键字签章), centred on it; on one page, or on all (0)."""

    keyword: str
    page: int = 0


@dataclass(frozen=True)
class OverEdges:
    """One picture split over the right edges of all pages (骑缝章), its centre so high; 0 is the middle."""

    y_mm: float = 0.0


@dataclass(frozen=True)
class InField:
    """In a signature field that the file has already, and nobody has signed."""

    name: str


Placing = Place | OnPages | AtKeyword | OverEdges | InField


def placing_of(
    *,
    page: int,
    x_mm: float,
    y_mm: float,
    keyword: str,
    pages: Sequence[int],
    every_page: bool,
    over_edges: bool,
    field_name: str,
) -> Placing:
    """What a request says. Raises InvalidError where it says more than one thing."""
    wishes = {
        "keyword": bool(keyword),
        "pages": bool(pages),
        "every_page": every_page,
        "over_edges": over_edges,
        "field_name": bool(field_name),
    }
    said = [name for name, wished in wishes.items() if wished]
    if len(said) > 1:
        raise _contradiction(said[1], f"cannot be given together with {said[0]}")
    takes = {"keyword": {"page"}, "pages": {"x_mm", "y_mm"}, "every_page": {"x_mm", "y_mm"}}
    takes |= {"over_edges": {"y_mm"}, "field_name": set()}
    for name, value in (("page", page), ("x_mm", x_mm), ("y_mm", y_mm)):
        if said and value and name not in takes[said[0]]:
            raise _contradiction(name, f"means nothing together with {said[0]}")
    match said:
        case ["keyword"]:
            if not keyword.strip():
                message = "a text to look for has more than blanks"
                raise InvalidError(message, faults=[FieldFault("place.keyword", "blank", message)])
            return AtKeyword(keyword, page)
        case ["pages"] | ["every_page"]:
            return OnPages(tuple(dict.fromkeys(pages)), x_mm, y_mm)
        case ["over_edges"]:
            return OverEdges(y_mm)
        case ["field_name"]:
            return InField(field_name)
    return Place(page, x_mm, y_mm)


def _contradiction(name: str, message: str) -> InvalidError:
    return InvalidError(
        f"the place is not clear: {name} {message}", faults=[FieldFault(f"place.{name}", "alone", message)]
    )


def to_json(placing: Placing) -> Json:
    """The form in which it travels to a worker."""
    return {"kind": type(placing).__name__, **vars(placing)}


def from_json(document: Mapping[str, object]) -> Placing:
    """Reads what `to_json` wrote. Raises ValueError."""
    said = dict(document)
    kind = {one.__name__: one for one in (Place, OnPages, AtKeyword, OverEdges, InField)}.get(
        str(said.pop("kind", ""))
    )
    if kind is None:
        raise ValueError("a place of no kind")
    if kind is OnPages:
        pages = said["pages"]
        said["pages"] = tuple(pages) if isinstance(pages, Iterable) else ()
    return kind(**said)  # type: ignore[arg-type]  # what a frame of our own says
