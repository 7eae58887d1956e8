"""Writes plain OFD documents (GB/T 33190-2016): text, rules and pictures, their font embedded.

Lengths are millimetres from the page's upper left corner. Of the font only the glyphs that are used go in.
"""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

NAMESPACE = "http://www.ofdspec.org/2016"
MM_PER_POINT = 25.4 / 72
BLACK = (0, 0, 0)
_FONT, _LAYER_IDS = 1, 1000
_DATE = (1980, 1, 1, 0, 0, 0)

Colour = tuple[int, int, int]

register_namespace("ofd", NAMESPACE)


@dataclass
class _Page:
    width: float
    height: float
    layer: Element


@dataclass
class OfdWriter:
    """A document in the making. `output` gives the file."""

    title: str
    author: str
    created_on: date
    font_file: Path
    font_name: str
    _pages: list[_Page] = field(default_factory=list)
    _pictures: list[bytes] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    _last_id: int = _LAYER_IDS

    def add_page(self, width: float = 210.0, height: float = 297.0) -> None:
        """A new page, A4 unless said otherwise; what follows goes on it."""
        self._pages.append(_Page(width, height, _new("Layer", ID=str(self._id()))))

    def width_of(self, text: str, size: float) -> float:
        """How wide the text runs, its font so many mm high."""
        return sum(self._advances(text, size))

    def text(self, x: float, baseline: float, text: str, size: float, colour: Colour = BLACK) -> None:
        """One line of text from `x` on. Raises ValueError where the font lacks a character of it."""
        lacking = {letter for letter in text if ord(letter) not in _metrics(self.font_file).names}
        if lacking or not text:
            raise ValueError("the font lacks a character of the text, or there is none")
        self._used |= set(text)
        advances = self._advances(text, size)
        box = _box(x, baseline - size, max(sum(advances), size), size * 1.4)
        line = self._object("TextObject", Boundary=box, Font=str(_FONT), Size=_n(size))
        _colour(line, "FillColor", colour)
        code = _new("TextCode", line, X="0", Y=_n(size))
        if len(text) > 1:
            code.set("DeltaX", " ".join(_n(advance) for advance in advances[:-1]))
        code.text = text

    def rule(self, x: float, y: float, length: float, thickness: float, colour: Colour = BLACK) -> None:
        """A level line."""
        path = self._object(
            "PathObject", Boundary=_box(x, y - thickness / 2, length, thickness), LineWidth=_n(thickness)
        )
        _colour(path, "StrokeColor", colour)
        middle = _n(thickness / 2)
        _new("AbbreviatedData", path).text = f"M 0 {middle} L {_n(length)} {middle}"

    def image(self, x: float, y: float, width: float, height: float, png: bytes) -> None:
        """A picture, PNG. Raises ValueError on any other kind."""
        if not png.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError("a picture must be PNG")
        self._pictures.append(png)
        self._object(
            "ImageObject",
            Boundary=_box(x, y, width, height),
            CTM=f"{_n(width)} 0 0 {_n(height)} 0 0",
            ResourceID=str(_FONT + len(self._pictures)),
        )

    def output(self) -> bytes:
        """The file. Raises ValueError on a document without a page."""
        if not self._pages:
            raise ValueError("a document has a page")
        parts = {"OFD.xml": _xml(self._root()), "Doc_0/Document.xml": _xml(self._document())}
        if self._used:
            parts["Doc_0/PublicRes.xml"] = _xml(self._public_resources())
            parts["Doc_0/Res/font.otf"] = _subset(self.font_file, "".join(sorted(self._used)))
        if self._pictures:
            parts["Doc_0/DocumentRes.xml"] = _xml(self._document_resources())
            parts |= {f"Doc_0/Res/{index}.png": png for index, png in enumerate(self._pictures)}
        for index, page in enumerate(self._pages):
            parts[f"Doc_0/Pages/Page_{index}/Content.xml"] = _xml(_content(page))
        out = BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
            for name, data in parts.items():
                package.writestr(zipfile.ZipInfo(name, _DATE), data, zipfile.ZIP_DEFLATED)
        return out.getvalue()

    def _root(self) -> Element:
        root = _new("OFD", Version="1.0", DocType="OFD")
        body = _new("DocBody", root)
        info = _new("DocInfo", body)
        said = {
            "DocID": uuid.uuid4().hex,
            "Title": self.title,
            "Author": self.author,
            "CreationDate": self.created_on.isoformat(),
            "Creator": "onestop",
        }
        for name, value in said.items():
            _new(name, info).text = value
        _new("DocRoot", body).text = "Doc_0/Document.xml"
        return root

    def _document(self) -> Element:
        document = _new("Document")
        common = _new("CommonData", document)
        _new("MaxUnitID", common).text = str(self._last_id + len(self._pages))
        first = self._pages[0]
        _new("PhysicalBox", _new("PageArea", common)).text = _box(0, 0, first.width, first.height)
        if self._used:
            _new("PublicRes", common).text = "PublicRes.xml"
        if self._pictures:
            _new("DocumentRes", common).text = "DocumentRes.xml"
        pages = _new("Pages", document)
        for index in range(len(self._pages)):
            _new("Page", pages, ID=str(self._last_id + 1 + index), BaseLoc=f"Pages/Page_{index}/Content.xml")
        return document

    def _public_resources(self) -> Element:
        resources = _new("Res", BaseLoc="Res")
        font = _new(
            "Font",
            _new("Fonts", resources),
            ID=str(_FONT),
            FontName=self.font_name,
            FamilyName=self.font_name,
        )
        _new("FontFile", font).text = "font.otf"
        return resources

    def _document_resources(self) -> Element:
        resources = _new("Res", BaseLoc="Res")
        media = _new("MultiMedias", resources)
        for index in range(len(self._pictures)):
            one = _new("MultiMedia", media, ID=str(_FONT + 1 + index), Type="Image", Format="PNG")
            _new("MediaFile", one).text = f"{index}.png"
        return resources

    def _object(self, kind: str, **attributes: str) -> Element:
        if not self._pages:
            raise ValueError("a document has a page before it has content")
        return _new(kind, self._pages[-1].layer, ID=str(self._id()), **attributes)

    def _id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _advances(self, text: str, size: float) -> list[float]:
        metrics = _metrics(self.font_file)
        return [metrics.advance(letter) * size for letter in text]


@dataclass(frozen=True)
class _Metrics:
    """Which characters a font has, and how wide they run."""

    names: dict[int, str]
    widths: dict[str, tuple[int, int]]
    em: int

    def advance(self, letter: str) -> float:
        """The width of a character in em; a whole one where the font lacks it."""
        name = self.names.get(ord(letter))
        return self.widths[name][0] / self.em if name else 1.0


@lru_cache(maxsize=4)
def _metrics(path: Path) -> _Metrics:
    with TTFont(str(path), lazy=True) as font:
        return _Metrics(font.getBestCmap(), dict(font["hmtx"].metrics), font["head"].unitsPerEm)


def _subset(path: Path, text: str) -> bytes:
    """The font with no other glyphs than the text needs, its characters mapped as before."""
    options = Options()
    options.layout_features = []
    options.hinting = False
    out = BytesIO()
    with TTFont(str(path)) as font:
        subsetter = Subsetter(options)
        subsetter.populate(text=text)
        subsetter.subset(font)
        font.save(out)
    return out.getvalue()


def _content(page: _Page) -> Element:
    content = _new("Page")
    _new("PhysicalBox", _new("Area", content)).text = _box(0, 0, page.width, page.height)
    _new("Content", content).append(page.layer)
    return content


def _new(name: str, parent: Element | None = None, **attributes: str) -> Element:
    tag = f"{{{NAMESPACE}}}{name}"
    return Element(tag, attributes) if parent is None else SubElement(parent, tag, attributes)


def _colour(element: Element, name: str, colour: Colour) -> None:
    _new(name, element, Value=" ".join(map(str, colour)))


def _xml(element: Element) -> bytes:
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + bytes(tostring(element, encoding="utf-8"))


def _box(*numbers: float) -> str:
    return " ".join(map(_n, numbers))


def _n(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def lines_of(writer: OfdWriter, text: str, size: float, width: float, not_first: str) -> Sequence[str]:
    """The text in lines of at most this width. No line begins with one of `not_first` (避头尾)."""
    lines, start = [], 0
    for index in range(len(text)):
        if writer.width_of(text[start : index + 1], size) <= width:
            continue
        cut = index
        while text[cut] in not_first:
            cut -= 1
        lines.append(text[start:cut])
        start = cut
    return [*lines, text[start:]]
