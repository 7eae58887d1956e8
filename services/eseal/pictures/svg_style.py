"""What elements of an uploaded SVG say of colours, lines and places: a closed list, all else is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import ImageColor

from services.eseal.pictures.vector import number
from services.eseal.refusals import SealPictureInvalidError

Matrix = tuple[float, float, float, float, float, float]
ONE: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
FARTHEST = 1e6
"""No number of a picture is larger."""

_NEUTRAL = frozenset({"none", "normal", "auto", "visible", "1", "inherit", "0", "nonzero"})
_INERT = re.compile(
    r"-inkscape-.*|font.*|text-.*|line-height|letter-spacing|word-spacing|writing-mode|direction|color"
    r"|shape-rendering|image-rendering|color-.*|white-space|stroke-dashoffset|stop-.*|solid-.*"
    r"|enable-background|baseline-shift|block-progression"
)
"""Properties that say nothing of a path that is drawn in full strength."""
_WORDS: Mapping[str, tuple[str, Mapping[str, int | bool]]] = {
    "fill-rule": ("even_odd", {"nonzero": False, "evenodd": True}),
    "stroke-linecap": ("cap", {"butt": 0, "round": 1, "square": 2}),
    "stroke-linejoin": ("join", {"miter": 0, "round": 1, "bevel": 2}),
}
"""Properties whose values are words, and what each means."""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LENGTH = re.compile(rf"({_NUMBER.pattern})(?:px)?")
_CALL = re.compile(r"\s*(matrix|translate|scale|rotate|skewX|skewY)\s*\(([^()]*)\)[\s,]*")

PROPERTIES = frozenset(
    {
        *("fill", "fill-rule", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap"),
        *("stroke-linejoin", "stroke-miterlimit", "stroke-dasharray", "opacity", "display", "visibility"),
        *("filter", "mask", "clip-path", "mix-blend-mode", "marker-start", "marker-mid", "marker-end"),
        *("marker", "paint-order", "isolation", "overflow", "vector-effect"),
    }
)
"""What may stand as an attribute of its own; in `style` there may be others that say nothing here."""


@dataclass(frozen=True)
class Paint:
    """How a shape is painted; colours as PDF says them, empty for none."""

    fill: str = "0 0 0"
    stroke: str = ""
    width: float = 1.0
    even_odd: bool = False
    cap: int = 0
    join: int = 0
    miter: float = 4.0
    hidden: bool = False

    @property
    def operator(self) -> str:
        """What paints a path; empty where nothing is to be seen."""
        if self.hidden:
            return ""
        stroked = bool(self.stroke) and self.width > 0
        if self.fill:
            return ("B" if stroked else "f") + ("*" if self.even_odd else "")
        return "S" if stroked else ""

    @property
    def setting(self) -> str:
        """The operators that set colours and lines."""
        said = [f"{self.fill} rg"] if self.fill else []
        if self.stroke:
            said.append(
                f"{self.stroke} RG {number(self.width)} w {self.cap} J {self.join} j {number(self.miter)} M"
            )
        return " ".join(said)


def paint_of(name: str, attributes: Mapping[str, str], above: Paint) -> Paint:
    """How an element is painted that stands in another. Raises SealPictureInvalidError naming the element."""
    said = {key: value for key, value in attributes.items() if key in PROPERTIES}
    for declaration in attributes.get("style", "").split(";"):
        key, colon, value = declaration.partition(":")
        if colon:
            said[key.strip().lower()] = value
        elif declaration.strip():
            raise refused(name, "style", "a style that cannot be read")
    paint = above
    for key, value in said.items():
        paint = _with(name, paint, key, value.strip())
    return paint


def _with(name: str, paint: Paint, key: str, value: str) -> Paint:
    if value == "inherit":
        return paint
    if key.endswith("opacity") and key in PROPERTIES:
        return _with_opacity(name, paint, key, value)
    if key in _WORDS and value in _WORDS[key][1]:
        field, meanings = _WORDS[key]
        changes: dict[str, Any] = {field: meanings[value]}
        return replace(paint, **changes)
    match key:
        case "fill" | "stroke":
            return _inked(paint, key, _colour(name, value))
        case "stroke-width":
            return replace(paint, width=float_of(name, value))
        case "stroke-miterlimit":
            return replace(paint, miter=max(1.0, float_of(name, value)))
        case "display":
            return replace(paint, hidden=paint.hidden or value == "none")
        case "visibility":
            return replace(paint, hidden=value != "visible")
    if value in _NEUTRAL or _INERT.fullmatch(key):
        return paint
    raise refused(name, "style", f"{key}: {value[:32]}, which is not drawn here")


def _inked(paint: Paint, what: str, colour: str) -> Paint:
    return replace(paint, fill=colour) if what == "fill" else replace(paint, stroke=colour)


def _with_opacity(name: str, paint: Paint, key: str, value: str) -> Paint:
    """Nothing is drawn in part: an ink is there or not."""
    strength = float_of(name, value)
    if strength == 0 and key != "opacity":
        return _inked(paint, key.partition("-")[0], "")
    if strength != 1:
        raise refused(name, "opacity", f"{key}; a seal's ink is whole, so give it a lighter colour")
    return paint


def _colour(name: str, value: str) -> str:
    if value in ("none", "transparent"):
        return ""
    if value == "currentColor":
        return "0 0 0"
    try:
        red, green, blue, *alpha = ImageColor.getrgb(value)
    except ValueError:
        raise refused(name, "colour", f"the colour {value[:32]!r}; write it as #rrggbb") from None
    if alpha and alpha[0] != 255:
        raise refused(name, "opacity", "a colour that lets through; give it a lighter one")
    return " ".join(number(round(part / 255, 4)) for part in (red, green, blue))


def float_of(name: str, value: str) -> float:
    """A length in the picture's own units. Raises SealPictureInvalidError."""
    found = _LENGTH.fullmatch(value.strip())
    if found is None or not abs(float(found[1])) <= FARTHEST:
        raise refused(name, "number", f"{value[:32]!r} where a number is due, without a unit")
    return float(found[1])


def numbers_of(name: str, value: str) -> list[float]:
    """Numbers that stand one after another. Raises SealPictureInvalidError."""
    if _NUMBER.sub("", value).strip(" ,\t\r\n"):
        raise refused(name, "number", f"{value[:32]!r} where numbers are due")
    return [float_of(name, found) for found in _NUMBER.findall(value)]


def matrix_of(name: str, value: str) -> Matrix:
    """A list of transformations as one. Raises SealPictureInvalidError."""
    made, at = ONE, 0
    while at < len(value.rstrip()):
        call = _CALL.match(value, at)
        if call is None:
            raise refused(name, "transform", f"the transformation {value[at : at + 32]!r}")
        made, at = times(made, _called(name, call[1], numbers_of(name, call[2]))), call.end()
    return made


def _called(name: str, what: str, given: list[float]) -> Matrix:
    match what, given:
        case "matrix", [a, b, c, d, e, f]:
            return a, b, c, d, e, f
        case "translate", [x, *rest] if len(rest) < 2:
            return 1.0, 0.0, 0.0, 1.0, x, rest[0] if rest else 0.0
        case "scale", [x, *rest] if len(rest) < 2:
            return x, 0.0, 0.0, rest[0] if rest else x, 0.0, 0.0
        case "rotate", [angle, *rest] if len(rest) in (0, 2):
            x, y = rest or (0.0, 0.0)
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            return cos, sin, -sin, cos, x - cos * x + sin * y, y - sin * x - cos * y
        case "skewX", [angle]:
            return 1.0, 0.0, math.tan(math.radians(angle)), 1.0, 0.0, 0.0
        case "skewY", [angle]:
            return 1.0, math.tan(math.radians(angle)), 0.0, 1.0, 0.0, 0.0
    raise refused(name, "transform", f"{what} with {len(given)} numbers")


def times(outer: Matrix, inner: Matrix) -> Matrix:
    """The transformation that does the inner one first."""
    a, b, c, d, e, f = outer
    p, q, r, s, t, u = inner
    return (
        *(a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s),
        *(a * t + c * u + e, b * t + d * u + f),
    )


def refused(name: str, rule: str, what: str) -> SealPictureInvalidError:
    """What is said of an element that is not drawn."""
    return SealPictureInvalidError.by(rule, f"the SVG's <{name[:32]}> holds {what}")
