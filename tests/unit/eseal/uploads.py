"""Pictures that owners of seals bring, made here."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

from PIL import Image, ImageDraw

from services.eseal.pictures.dots import chunk
from services.eseal.raster import SIGNATURE

RED = (222, 5, 18)
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<g fill="none" stroke="#de0512" stroke-width="6"><circle cx="50" cy="50" r="46"/></g>
<rect x="40" y="40" width="20" height="20" style="fill:#de0512"/></svg>"""


def drawn(mode: str = "RGBA", size: int = 200) -> Image.Image:
    """A ring with a square in its middle, on a ground that lets through where the mode can say so."""
    picture = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((4, 4, size - 5, size - 5), outline=(*RED, 255), width=size // 16)
    draw.rectangle((size * 2 // 5, size * 2 // 5, size * 3 // 5, size * 3 // 5), fill=(*RED, 255))
    if mode in ("RGBA", "LA"):
        return picture.convert(mode)
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A"))
    return paper.convert(mode)


def png(picture: Image.Image, **how: object) -> bytes:
    """The file of a picture."""
    out = BytesIO()
    picture.save(out, "PNG", **how)
    return out.getvalue()


def head(**change: int) -> bytes:
    """A PNG that says something else of itself, such as another `depth`; its checks are right."""
    said = {
        "width": 64,
        "height": 64,
        "depth": 8,
        "kind": 2,
        "packing": 0,
        "filters": 0,
        "lacing": 0,
        **change,
    }
    width, height, *rest = said.values()
    start = chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes(rest))
    return SIGNATURE + start + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def with_chunk(name: bytes, data: bytes = b"") -> bytes:
    """A good PNG with one more chunk behind its size."""
    file = png(drawn())
    return file[:33] + chunk(name, data) + file[33:]


def svg(content: str, root: str = 'viewBox="0 0 100 100"', before: str = "") -> bytes:
    """A small SVG with this in it, beside a square."""
    start = (
        f'{before}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {root}>'
    )
    return f'{start}<rect x="10" y="10" width="80" height="80"/>{content}</svg>'.encode()


SQUARE = '<path d="M1 1h9v9h-9z" {}/>'
REFUSED_SVGS: Mapping[str, tuple[bytes, str, str]] = {
    "script": (svg("<script>alert(1)</script>"), "element", "<script>"),
    "event": (svg(SQUARE.format('onload="alert(1)"')), "script", "<path>"),
    "foreign object": (svg("<foreignObject/>"), "element", "<foreignObject>"),
    "image": (svg('<image href="http://example.com/a.png"/>'), "reference", "<image>"),
    "use": (svg('<use xlink:href="#a"/>'), "reference", "<use>"),
    "text": (svg("<text>某局</text>"), "element", "outlines"),
    "style sheet": (svg("<style>path{fill:red}</style>"), "element", "<style>"),
    "named style sheet": (svg("", before='<?xml-stylesheet href="a.css"?>'), "element", "style sheet"),
    "document type": (svg("", before='<!DOCTYPE svg SYSTEM "file:///etc/passwd">'), "element", "DOCTYPE"),
    "entity": (
        svg("<title>&b;</title>", before='<!DOCTYPE svg [<!ENTITY b SYSTEM "file:///etc/passwd">]>'),
        "element",
        "DOCTYPE",
    ),
    "url": (svg(SQUARE.format('fill="url(#a)"')), "reference", "<path>"),
    "url in a style": (svg(SQUARE.format('style="fill: u r l (http://example.com)"')), "reference", "<path>"),
    "escaped url": (svg(SQUARE.format('style="fill:\\75rl(#a)"')), "reference", "<path>"),
    "gradient": (svg('<defs><linearGradient id="a"/></defs>'), "element", "<linearGradient>"),
    "filter": (svg(SQUARE.format('style="filter:blur(2px)"')), "style", "<path>"),
    "another language": (svg('<a xmlns="urn:other"/>'), "element", "<a>"),
    "half strength": (svg(SQUARE.format('opacity="0.5"')), "opacity", "<path>"),
    "animation": (svg('<rect width="9" height="9"><animate/></rect>'), "element", "<animate>"),
    "an svg in it": (svg("<svg/>"), "element", "<svg>"),
    "no size": (svg("", root=""), "number", "<svg>"),
    "no room": (svg("", root='viewBox="0 0 0 9"'), "size", "<svg>"),
    "infinite": (svg(SQUARE.format('transform="scale(1e999)"')), "number", "<path>"),
    "far away": (svg('<path d="M0 0 L1e9 5"/>'), "number", "<path>"),
    "a path of words": (svg('<path d="M0 0 L five"/>'), "path", "<path>"),
    "half a path": (svg('<path d="M0 0 C1 2 3"/>'), "path", "<path>"),
    "a path without a start": (svg('<path d="L5 5"/>'), "path", "<path>"),
    "odd numbers": (svg('<path d="M0 0 L007 5"/>'), "path", "<path>"),
    "a unit": (svg('<circle cx="5mm" cy="5" r="3"/>'), "number", "<circle>"),
    "a colour of no name": (svg(SQUARE.format('fill="seal-red"')), "colour", "<path>"),
    "too deep": (svg("<g>" * 40 + "</g>" * 40), "size", "32"),
    "too many": (svg("<g/>" * 5000), "size", "4096"),
    "cut off": (svg("")[:-4], "form", "well-formed"),
    "no svg": (b"<html/>", "form", "root"),
    "nothing": (b"", "form", "well-formed"),
    "too tall": (svg("", root='viewBox="0 0 10 100"'), "shape", "high"),
}
