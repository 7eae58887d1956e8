"""Draws an uploaded SVG as PDF operators: shapes and their colours, nothing else. Runs in a confined worker.

A closed list: groups, paths and the basic shapes. What runs, fetches, embeds, refers or sets text is refused,
and the refusal names the element: a seal that shows something else than was approved is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from fontTools.pens.basePen import BasePen
from fontTools.svgLib.path import parse_path

from services.eseal.pictures.svg_style import (
    FARTHEST,
    Paint,
    float_of,
    matrix_of,
    numbers_of,
    paint_of,
    refused,
)
from services.eseal.pictures.vector import number
from services.eseal.refusals import SealPictureInvalidError

MOST_ELEMENTS = 4096
DEEPEST = 32
MOST_OPERATORS = 1024 * 1024
"""Bytes of operators, before they are deflated."""

_SVG = "http://www.w3.org/2000/svg"
_EDITORS = (
    "http://www.inkscape.org/namespaces/inkscape",
    "http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd",
)
"""Notes of drawing programs to themselves: left out."""
_WORDS = frozenset({"title", "desc", "metadata"})
_PATH = re.compile(r"[MmZzLlHhVvCcSsQqTtAa0-9eE+\-., \t\r\n]*")
_ODD_NUMBER = re.compile(r"\.[eE]|[MmLlHhVvCcSsQqTt][^A-Za-z]*(?<![\d.])0\d")
"""Of a path: numbers that are read in different ways by different programs."""


@dataclass(frozen=True)
class Drawing:
    """PDF operators in the picture's own units, y downwards, and its box."""

    operators: str
    left: float
    top: float
    width: float
    height: float


@dataclass
class _Page:
    """What has been drawn so far."""

    parts: list[str] = field(default_factory=list)
    length: int = 0
    elements: int = 0
    shapes: int = 0

    def put(self, *parts: str) -> None:
        self.parts += parts
        self.length += sum(map(len, parts))
        if self.length > MOST_OPERATORS:
            raise _invalid("size", "the SVG draws too much for a seal; simplify its paths")


def read_svg(file: bytes) -> Drawing:
    """What the SVG draws. Raises SealPictureInvalidError."""
    if b"<?xml-stylesheet" in file:
        raise _invalid("element", "the SVG names a style sheet; write colours into its shapes")
    try:
        root = fromstring(file, forbid_dtd=True)
    except DefusedXmlException:
        raise _invalid("element", "the SVG has a <!DOCTYPE>, or entities in it; leave it out") from None
    except (ParseError, ValueError, LookupError) as fault:
        raise _invalid("form", "the file is no well-formed SVG") from fault
    if root.tag != f"{{{_SVG}}}svg":
        raise _invalid("form", "the file is no SVG: its root is something else")
    page = _Page()
    _walk(root, Paint(), page, depth=0)
    if not page.shapes:
        raise _invalid("blank", "the SVG draws nothing")
    return Drawing("\n".join(page.parts), *_box(root))


def _box(root: Element) -> tuple[float, float, float, float]:
    box = numbers_of("svg", root.get("viewBox", ""))
    if not box:
        box = [0.0, 0.0, *(float_of("svg", root.get(side, "")) for side in ("width", "height"))]
    if len(box) != 4 or not all(1e-3 <= side <= FARTHEST for side in box[2:]):
        raise refused("svg", "size", "no viewBox of four numbers that says how large it is")
    return box[0], box[1], box[2], box[3]


def _walk(element: Element, above: Paint, page: _Page, *, depth: int) -> None:
    """Draws an element and what stands in it."""
    page.elements += 1
    if page.elements > MOST_ELEMENTS or depth > DEEPEST:
        raise _invalid("size", f"the SVG has more than {MOST_ELEMENTS} elements, or {DEEPEST} in one another")
    namespace, name = _named(element)
    if namespace in _EDITORS:
        return
    if namespace != _SVG:
        raise refused(name, "element", "an element of another language; save it as plain SVG")
    if name in _WORDS:
        return
    attributes = _attributes(name, element)
    if name == "defs":
        _require_no_definitions(element)
    elif name in _SHAPES:
        _draw(name, element, attributes, paint_of(name, attributes, above), page)
    elif name == "g" or (name == "svg" and depth == 0):
        moved = _moved(name, attributes)
        page.put(*(f"q {one}" for one in moved))
        paint = paint_of(name, attributes, above)
        for child in element:
            _walk(child, paint, page, depth=depth + 1)
        page.put(*("Q" for _ in moved))
    else:
        hint = "turn text into outlines" if name in ("text", "tspan") else "a seal is drawn of plain shapes"
        raise _invalid("element", f"the SVG has a <{name[:32]}>, which is refused: {hint}")


def _draw(name: str, element: Element, attributes: Mapping[str, str], paint: Paint, page: _Page) -> None:
    """Draws a shape."""
    within = [child for _, child in map(_named, element) if child not in _WORDS]
    if within:
        raise _invalid("element", f"the SVG has a <{within[0][:32]}> in a <{name}>, which is refused")
    path = _path(name, _SHAPES[name](name, attributes))
    if path and paint.operator:
        page.shapes += 1
        page.put(" ".join(["q", *_moved(name, attributes), paint.setting, path, paint.operator, "Q"]))


def _moved(name: str, attributes: Mapping[str, str]) -> list[str]:
    return [number_line(matrix_of(name, attributes["transform"]))] if "transform" in attributes else []


def _require_no_definitions(element: Element) -> None:
    """Passes definitions that are empty but for a drawing program's notes to itself."""
    for namespace, name in map(_named, element):
        if namespace not in _EDITORS:
            raise refused("defs", "element", f"a <{name[:32]}>, which shapes would refer to")


def number_line(matrix: tuple[float, ...]) -> str:
    """The operator that moves to another system of coordinates."""
    if not all(abs(value) <= FARTHEST for value in matrix):
        raise _invalid("number", "the SVG moves something too far")
    return " ".join(f"{value:.9f}".rstrip("0").rstrip(".") for value in matrix) + " cm"


def _named(element: Element) -> tuple[str, str]:
    tag = element.tag if isinstance(element.tag, str) else ""
    namespace, brace, name = tag.rpartition("}")
    return namespace.removeprefix("{") if brace else "", name


def _attributes(name: str, element: Element) -> Mapping[str, str]:
    """The element's own attributes. Raises SealPictureInvalidError where one runs or refers to something."""
    own = {}
    for key, value in element.attrib.items():
        local = key.rpartition("}")[2]
        if local.lower().startswith("on"):
            raise refused(name, "script", f"a script ({local[:32]})")
        if local.lower() in ("href", "src", "base"):
            raise refused(name, "reference", f"a reference ({local[:32]}); a seal's picture stands by itself")
        if "url(" in value.lower().replace(" ", "") or "@import" in value.lower() or "\\" in value:
            raise refused(name, "reference", f"a reference in its {local[:32]}")
        if local == key:
            own[key] = value
    return own


def _path(name: str, data: str) -> str:
    """A path's data as PDF operators."""
    if not _PATH.fullmatch(data) or _ODD_NUMBER.search(data):
        raise refused(name, "path", "a path that cannot be read")
    pen = _Pen(name)
    try:
        parse_path(data.replace("\r", " ").replace("\n", " "), pen)
    except (ValueError, IndexError, TypeError, AssertionError, ArithmeticError, AttributeError):
        raise refused(name, "path", "a path that cannot be read") from None
    return " ".join(pen.parts)


class _Pen(BasePen):  # type: ignore[misc]  # fontTools has no types
    """Writes paths as PDF operators; quadratic curves come as cubic ones."""

    def __init__(self, name: str) -> None:
        super().__init__(None)
        self._name = name
        self.parts: list[str] = []

    def _moveTo(self, pt: tuple[float, float]) -> None:
        self._add("m", pt)

    def _lineTo(self, pt: tuple[float, float]) -> None:
        self._add("l", pt)

    def _curveToOne(self, *points: tuple[float, float]) -> None:
        self._add("c", *points)

    def _closePath(self) -> None:
        self.parts.append("h")

    def _endPath(self) -> None:
        pass

    def _add(self, operator: str, *points: tuple[float, float]) -> None:
        for x, y in points:
            if not (abs(x) <= FARTHEST and abs(y) <= FARTHEST):
                raise refused(self._name, "number", "a point that is too far away")
            self.parts.append(f"{number(x)} {number(y)}")
        self.parts.append(operator)


def _said(name: str, attributes: Mapping[str, str], *keys: str) -> list[float]:
    return [float_of(name, attributes.get(key, "0")) for key in keys]


def _round(name: str, x: float, y: float, rx: float, ry: float) -> str:
    if rx < 0 or ry < 0:
        raise refused(name, "number", "a radius below nought")
    if not (rx and ry):
        return ""
    return f"M{x - rx!r} {y!r} A{rx!r} {ry!r} 0 1 1 {x + rx!r} {y!r} A{rx!r} {ry!r} 0 1 1 {x - rx!r} {y!r} Z"


def _circle(name: str, attributes: Mapping[str, str]) -> str:
    x, y, r = _said(name, attributes, "cx", "cy", "r")
    return _round(name, x, y, r, r)


def _ellipse(name: str, attributes: Mapping[str, str]) -> str:
    x, y, rx, ry = _said(name, attributes, "cx", "cy", "rx", "ry")
    return _round(name, x, y, rx, ry)


def _rect(name: str, attributes: Mapping[str, str]) -> str:
    x, y, width, height = _said(name, attributes, "x", "y", "width", "height")
    if width < 0 or height < 0:
        raise refused(name, "number", "a side below nought")
    if not (width and height):
        return ""
    wanted = [attributes.get(key, "auto") for key in ("rx", "ry")]
    wanted = [wanted[1 - place] if value == "auto" else value for place, value in enumerate(wanted)]
    rx, ry = (0.0 if value == "auto" else abs(float_of(name, value)) for value in wanted)
    rx, ry = min(rx, width / 2), min(ry, height / 2)
    if not (rx and ry):
        return f"M{x!r} {y!r} H{x + width!r} V{y + height!r} H{x!r} Z"
    corner = f"a{rx!r} {ry!r} 0 0 1"
    return (
        f"M{x + rx!r} {y!r} H{x + width - rx!r} {corner} {rx!r} {ry!r} V{y + height - ry!r} "
        f"{corner} {-rx!r} {ry!r} "
        f"H{x + rx!r} {corner} {-rx!r} {-ry!r} V{y + ry!r} {corner} {rx!r} {-ry!r} Z"
    )


def _line(name: str, attributes: Mapping[str, str]) -> str:
    x, y, to_x, to_y = _said(name, attributes, "x1", "y1", "x2", "y2")
    return f"M{x!r} {y!r} L{to_x!r} {to_y!r}"


def _polyline(name: str, attributes: Mapping[str, str]) -> str:
    points = numbers_of(name, attributes.get("points", ""))
    if len(points) % 2:
        raise refused(name, "path", "an odd count of numbers as its points")
    return "M" + " ".join(map(repr, points)) if points else ""


def _polygon(name: str, attributes: Mapping[str, str]) -> str:
    line = _polyline(name, attributes)
    return f"{line} Z" if line else ""


_SHAPES: Mapping[str, Callable[[str, Mapping[str, str]], str]] = {
    "path": lambda _, attributes: attributes.get("d", ""),
    "rect": _rect,
    "circle": _circle,
    "ellipse": _ellipse,
    "line": _line,
    "polyline": _polyline,
    "polygon": _polygon,
}


def _invalid(rule: str, message: str) -> SealPictureInvalidError:
    return SealPictureInvalidError.by(rule, message)
