"""The XML parts of a template's OFD (GB/T 33190-2016), as text: objects of a page, and what lists them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from xml.sax.saxutils import escape

from services.eseal.leaves import Rule, Text
from services.eseal.photo import Photo
from services.eseal.template import Template
from services.eseal.templates.face import NAME, Face
from services.eseal.templates.setting import runs_of
from services.eseal.typesetting import MM_PER_POINT, Line

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SPACE = 'xmlns:ofd="http://www.ofdspec.org/2016"'
_PAGE_ID, _BACKGROUND_ID, ATTACHMENT_ID = 1, 2, 3
READY_ID, OWN_ID, CODE_ID, IMAGES_ID, PHOTOS_ID = 11, 12, 13, 20, 40
DOCUMENT, MEDIA = "Document.xml", "DocumentRes.xml"
FIXED_IDS, OWN_IDS = 100, 10_000
"""Where the ids of objects begin that stand still, and of those that do not."""
_LAST_ID = 99_999
_KEPT = 4096
"""Lines that are kept as they are told: many documents have the same."""
_INVERTED = bytes(range(255, -1, -1))
"""Each byte's bits the other way."""
_FURTHER_IDS = 90_000
"""Where the ids of further pages begin, and of what each has one of."""


def page_id(place: int) -> int:
    """The id of a page, counted from 0."""
    return _FURTHER_IDS + place if place else _PAGE_ID


def background_id(kind: int) -> int:
    """The id of what stands still on a kind of page."""
    return _FURTHER_IDS + 1000 + kind if kind else _BACKGROUND_ID


def layer_id(kind: int) -> int:
    """The id of the layer of what stands still."""
    return _FURTHER_IDS + 2000 + kind if kind else 8


def own_layer_id(place: int) -> int:
    """The id of the layer of what a document itself shows on a page."""
    return _FURTHER_IDS + 3000 + place if place else 9


@dataclass
class Page:
    """The objects of a page in the making; `ready` are the characters of the font that is made once."""

    face: Face
    ready: frozenset[str]
    number: int
    parts: list[str] = field(default_factory=list)

    def text(self, text: Text, lines: Sequence[Line]) -> set[str]:
        """Lines of text, an object for each run in one font; answers the characters that `ready` lacks."""
        colour = " ".join(map(str, text.colour))
        own = list[str]()
        for left, baseline, size, whole in lines:
            em, x = size * MM_PER_POINT, left
            top, tall = f"{baseline - em:.3f}", f"{em * 1.4:.3f}"
            ink = f'" Size="{em:.3f}"><ofd:FillColor Value="{colour}"/><ofd:TextCode X="0" Y="{em:.3f}"'
            for run, wide, said in _runs(whole, size, self.face, self.ready):
                is_ready = run[0] in self.ready
                if not is_ready:
                    own.append(run)
                self.number += 1
                self.parts.append(
                    f'<ofd:TextObject ID="{self.number}" Boundary="{x:.3f} {top} {wide:.3f} {tall}"'
                    f' Font="{READY_ID if is_ready else OWN_ID}{ink}{said}</ofd:TextCode></ofd:TextObject>'
                )
                x += wide
        return set("".join(own))

    def rule(self, rule: Rule) -> None:
        """A line or a frame."""
        area, half = rule.area, rule.thickness / 2
        wide, tall = area.width + rule.thickness, area.height + rule.thickness
        if area.width and area.height:
            right, bottom = half + area.width, half + area.height
            path = f"M {half} {half} L {right} {half} L {right} {bottom} L {half} {bottom} C"
        else:
            path = f"M {half} {half} L {half + area.width} {half + area.height}"
        self.number += 1
        self.parts.append(
            f'<ofd:PathObject ID="{self.number}" LineWidth="{rule.thickness}"'
            f' Boundary="{area.x - half:.3f} {area.y - half:.3f} {wide:.3f} {tall:.3f}">'
            f'<ofd:StrokeColor Value="{" ".join(map(str, rule.colour))}"/>'
            f"<ofd:AbbreviatedData>{path}</ofd:AbbreviatedData></ofd:PathObject>"
        )

    def image(self, resource: int, box: tuple[float, float, float, float]) -> None:
        """A picture: its resource, its left and upper edge, width and height."""
        x, y, wide, tall = box
        self.number += 1
        self.parts.append(
            f'<ofd:ImageObject ID="{self.number}" ResourceID="{resource}" CTM="{wide:.5g} 0 0 {tall:.5g} 0 0"'
            f' Boundary="{x:.5g} {y:.5g} {wide:.5g} {tall:.5g}"/>'
        )

    def written(self, layer: int, before: str = "") -> bytes:
        """The page's part; `before` stands before its content."""
        return "".join(
            (
                f'{HEAD}<ofd:Page {SPACE}>{before}<ofd:Content><ofd:Layer ID="{layer}">',
                *self.parts,
                "</ofd:Layer></ofd:Content></ofd:Page>",
            )
        ).encode("utf-8")


@lru_cache(maxsize=_KEPT)
def _runs(whole: str, size: float, face: Face, ready: frozenset[str]) -> Sequence[tuple[str, float, str]]:
    """A line's runs in one font: each with its width in mm, and how the rest of its object goes on."""
    em, said, runs = size * MM_PER_POINT, _advances(size), []
    for run in runs_of(whole, ready):
        widths = list(map(face.width, run))
        deltas = _deltas(widths, said) if widths[1:] else ""
        runs.append((run, sum(widths) * em / 1000, f"{deltas}>{escape(run)}"))
    return runs


def _deltas(widths: list[int], said: Mapping[int, str]) -> str:
    """How far each character of a run is from the next; where all are as far, told once, in the
    form (`g`) that the national e-invoices have, too."""
    count, first = len(widths) - 1, widths[0]
    if count > 2 and widths[:-1].count(first) == count:
        return f' DeltaX="g {count} {said[first]}"'
    return f' DeltaX="{" ".join([said[one] for one in widths[:-1]])}"'


class _Advances(dict[int, str]):
    """How far a character of a width in thousandths advances at a size, as it is written."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self._em = size * MM_PER_POINT

    def __missing__(self, width: int) -> str:
        said = self[width] = f"{width * self._em / 1000:.3f}"
        return said


_advances = lru_cache(maxsize=256)(_Advances)


def over_background(kind: int) -> str:
    """What a page says that shows its own objects over what stands still."""
    return f'<ofd:Template TemplateID="{background_id(kind)}" ZOrder="Background"/>'


def listing_parts(template: Template) -> Iterator[tuple[str, bytes]]:
    """The parts that list others, below the document's folder, where they are the same for every document."""
    if template.running is None:
        yield DOCUMENT, document_part(template, template.pages)
    fonts = "".join(
        f'<ofd:Font ID="{number}" FontName="{NAME}" FamilyName="{NAME}"><ofd:FontFile>{name}</ofd:FontFile>'
        "</ofd:Font>"
        for number, name in ((READY_ID, "ready.otf"), (OWN_ID, "own.otf"))
    )
    yield "PublicRes.xml", _part(f'<ofd:Res {SPACE} BaseLoc="Res"><ofd:Fonts>{fonts}</ofd:Fonts></ofd:Res>')
    if _has_media(template) and not template.photos:
        yield MEDIA, media_part(template, {})
    yield (
        "Attachs/Attachments.xml",
        _part(
            f'<ofd:Attachments {SPACE}><ofd:Attachment ID="{ATTACHMENT_ID}" Name="data" Format="json"'
            ' Visible="false"><ofd:FileLoc>data.json</ofd:FileLoc></ofd:Attachment></ofd:Attachments>'
        ),
    )
    yield (
        "Signs/Signatures.xml",
        _part(
            f'<ofd:Signatures {SPACE}><ofd:MaxSignId>1</ofd:MaxSignId><ofd:Signature ID="1" Type="Seal"'
            ' BaseLoc="/Doc_0/Signs/Sign_0/Signature.xml"/></ofd:Signatures>'
        ),
    )


def document_part(template: Template, pages: int) -> bytes:
    """The root of a document with so many pages."""
    size = f"0 0 {template.width} {template.height}"
    resources = f"<ofd:DocumentRes>{MEDIA}</ofd:DocumentRes>" if _has_media(template) else ""
    backgrounds = "".join(
        f'<ofd:TemplatePage ID="{background_id(kind)}" ZOrder="Background"'
        f' BaseLoc="Tpls/Tpl_{kind}/Content.xml"/>'
        for kind in range(len(template.leaves))
    )
    listed = "".join(
        f'<ofd:Page ID="{page_id(place)}" BaseLoc="Pages/Page_{place}/Content.xml"/>'
        for place in range(pages)
    )
    return _part(
        f"<ofd:Document {SPACE}><ofd:CommonData><ofd:MaxUnitID>{_LAST_ID}</ofd:MaxUnitID><ofd:PageArea>"
        f"<ofd:PhysicalBox>{size}</ofd:PhysicalBox></ofd:PageArea><ofd:PublicRes>PublicRes.xml</ofd:PublicRes>"
        f"{resources}{backgrounds}</ofd:CommonData><ofd:Pages>{listed}</ofd:Pages>"
        "<ofd:Attachments>Attachs/Attachments.xml</ofd:Attachments></ofd:Document>"
    )


def _has_media(template: Template) -> bool:
    return bool(template.images or template.code or template.photos)


def media_part(template: Template, photos: Mapping[int, Photo]) -> bytes:
    """The part that lists pictures: the template's own, the code, and those of fields, by their ids."""
    pictures = [(IMAGES_ID + number, f"{number}.png") for number in range(len(template.images))]
    if template.code:
        pictures.append((CODE_ID, "code.png"))
    pictures += [(number, photo_file(number, photo)) for number, photo in photos.items()]
    media = "".join(
        f'<ofd:MultiMedia ID="{number}" Type="Image" Format="{"JPEG" if name.endswith("jpg") else "PNG"}">'
        f"<ofd:MediaFile>{name}</ofd:MediaFile></ofd:MultiMedia>"
        for number, name in pictures
    )
    return _part(f'<ofd:Res {SPACE} BaseLoc="Res"><ofd:MultiMedias>{media}</ofd:MultiMedias></ofd:Res>')


def photo_file(number: int, photo: Photo) -> str:
    """What the part with a field's picture is called."""
    return f"photo{number - PHOTOS_ID}.{photo.extension}"


def root_part(title: str, number: str, day: str) -> bytes:
    """OFD.xml of a document."""
    return _part(
        f'<ofd:OFD {SPACE} Version="1.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo><ofd:DocID>{number}'
        f"</ofd:DocID><ofd:Title>{escape(title)}</ofd:Title><ofd:CreationDate>{day}</ofd:CreationDate>"
        "<ofd:Creator>onestop</ofd:Creator></ofd:DocInfo><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>"
        "<ofd:Signatures>Doc_0/Signs/Signatures.xml</ofd:Signatures></ofd:DocBody></ofd:OFD>"
    )


def code_png(bits: bytes, modules: int, stride: int) -> bytes:
    """A QR code as a PNG of one bit a module, from rows in which dark modules are set."""
    light = bits.translate(_INVERTED)
    rows = b"".join(b"\0" + light[start : start + stride] for start in range(0, len(light), stride))
    head = struct.pack(">2I5B", modules, modules, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", _stored(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _stored(data: bytes) -> bytes:
    """Up to 65,535 bytes as a zlib stream (RFC 1950) of one stored block: there is little to deflate, and to
    make a packer ready costs more than all the rest of a code."""
    size = len(data)
    return (
        b"\x78\x01\x01"
        + struct.pack("<2H", size, size ^ 0xFFFF)
        + data
        + struct.pack(">I", zlib.adler32(data))
    )


def _part(body: str) -> bytes:
    return (HEAD + body).encode("utf-8")
