"""What stands on a page of a template's PDF, as its operators (ISO 32000-1 8 and 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from services.eseal.leaves import PhotoPlace, Rule, Text
from services.eseal.photo import Photo
from services.eseal.sheet import POINTS_PER_MM
from services.eseal.template import Template
from services.eseal.templates.face import Face
from services.eseal.templates.pdf_fonts import shown as shown_in
from services.eseal.templates.setting import SetPage, Standing
from services.eseal.typesetting import Area, Line


def fixed_content(template: Template, standing: Standing, kind: int, face: Face) -> bytes:
    """The operators that draw what stands still on a page, or on each page of a kind."""
    leaf = template.leaves[kind]
    out = [
        placed(f"Image{number}", image.area, template.height)
        for number, image in enumerate(template.images)
        if leaf.bears(image.on)
    ]
    out += [_ruled(rule, template.height) for rule in template.rules if leaf.bears(rule.on)]
    out.append("BT")
    pen = Pen(face, standing.chars, template.height)
    for text, lines in standing.lines[kind]:
        pen.write(out, text, lines)
    out.append("ET")
    return "\n".join(out).encode("ascii")


def own_content(
    template: Template, page: SetPage, pen: Pen, photos: Mapping[str, Photo]
) -> tuple[bytes, set[str]]:
    """The operators that show the fields on a page, and the characters that the font made ready lacks."""
    out, own = ["BT"], set[str]()
    for text, lines in page.texts:
        own |= pen.write(out, text, lines)
    out.append("ET")
    code = template.code
    if code and page.leaf.bears(code.on):
        area = Area(code.x, code.y, code.size, code.size)
        out += ["0 g", placed("Code", area, template.height)]
    names = photo_names(template)
    out += [
        photo_content(place, names[place.field], photos[place.field], template.height)
        for place in template.photos
        if place.field in photos and page.leaf.bears(place.on)
    ]
    return "\n".join(out).encode("ascii"), own


def photo_names(template: Template) -> dict[str, str]:
    """The fields for pictures, in the order of their objects, and how the pages call each picture."""
    fields = dict.fromkeys(place.field for place in template.photos)
    return {field: f"Photo{number}" for number, field in enumerate(fields)}


def photo_content(place: PhotoPlace, name: str, photo: Photo, height: float) -> str:
    """The operators that draw a field's picture in its place, on a page so high in mm."""
    x, y, wide, tall = photo.within(place.area.width, place.area.height)
    return placed(name, Area(place.area.x + x, place.area.y + y, wide, tall), height)


def placed(name: str, area: Area, height: float) -> str:
    """The operators that draw an image over an area of a page so high in mm."""
    x, y = point(area.x, area.y + area.height, height)
    wide, tall = area.width * POINTS_PER_MM, area.height * POINTS_PER_MM
    return f"q {wide:.3f} 0 0 {tall:.3f} {x:.3f} {y:.3f} cm/{name} Do Q"


def _ruled(rule: Rule, height: float) -> str:
    area = rule.area
    x, y = point(area.x, area.y, height)
    wide, tall = area.width * POINTS_PER_MM, area.height * POINTS_PER_MM
    head = f"{_colour(rule.colour)} RG {rule.thickness * POINTS_PER_MM:.3f} w "
    if wide and tall:
        return head + f"{x:.3f} {y - tall:.3f} {wide:.3f} {tall:.3f} re S"
    return head + f"{x:.3f} {y:.3f} m {x + wide:.3f} {y - tall:.3f} l S"


@dataclass(frozen=True)
class Pen:
    """Writes text on a page so high in mm; the characters `ready` are in the file already."""

    face: Face
    ready: frozenset[str]
    height: float

    def write(self, out: list[str], text: Text, lines: Sequence[Line]) -> set[str]:
        """Writes lines; answers those of their characters that the font made ready lacks."""
        out.append(_inked(text.colour))
        height, own = self.height, list[str]()
        for x, baseline, size, said in lines:
            right, up = x * POINTS_PER_MM, (height - baseline) * POINTS_PER_MM
            shown, lacking = shown_in(said, size, self.face, self.ready)
            own.append(lacking)
            out.append(f"1 0 0 1 {right:.2f} {up:.2f} Tm{shown}")
        return set("".join(own))


def point(x: float, y: float, height: float) -> tuple[float, float]:
    """A point from the upper left corner in mm, from the lower left in points."""
    return x * POINTS_PER_MM, (height - y) * POINTS_PER_MM


@lru_cache(maxsize=256)
def _inked(colour: tuple[int, int, int]) -> str:
    return f"{_colour(colour)} rg"


def _colour(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return f"{red / 255:.3g} {green / 255:.3g} {blue / 255:.3g}"
