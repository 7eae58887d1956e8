"""A template's OFD with its seal by GB/T 38540: what stands still is packed and digested once.

The plate is the packed parts that every document has; a document adds OFD.xml, its page over the template's
background, a font of the glyphs that only it shows, its QR code, the data that it was filled with (an
attachment), and its signature.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.eseal.digests import SM3
from services.eseal.domain import Stamp
from services.eseal.gm.sm2 import sm3
from services.eseal.gm.sm2_certificate import SM2_WITH_SM3
from services.eseal.leaves import CLOSING
from services.eseal.ofd.sealing import CHINA, PROVIDER
from services.eseal.photo import NO_PHOTOS, Photo
from services.eseal.sealing.packing import Written
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.splice import Piece
from services.eseal.template import Template
from services.eseal.templates.face import Face
from services.eseal.templates.ofd_parts import (
    CODE_ID,
    DOCUMENT,
    FIXED_IDS,
    HEAD,
    IMAGES_ID,
    MEDIA,
    OWN_IDS,
    PHOTOS_ID,
    SPACE,
    Page,
    code_png,
    document_part,
    layer_id,
    listing_parts,
    media_part,
    over_background,
    own_layer_id,
    page_id,
    photo_file,
    root_part,
)
from services.eseal.templates.otf import small_opentype
from services.eseal.templates.pdf_fonts import OWN_TAG, READY_TAG
from services.eseal.templates.qr import Codes
from services.eseal.templates.setting import SetPage, Standing, set_pages, standing_of

_FOLDER, _SIGN = "Doc_0", "Doc_0/Signs/Sign_0"
_LIST = f"{_FOLDER}/Signs/Signatures.xml"
"""Left out of what the seal covers, so that others can follow."""
_DATED = datetime(2026, 1, 1, tzinfo=CHINA)
"""What parts that stand still are dated with, always: the same template and seal make the same plate."""


@dataclass(frozen=True)
class OfdPlate:
    """A template with one seal, ready to be filled."""

    content: bytes = field(repr=False)
    """The packed parts that every document has, one after another."""
    template: Template
    face: Face
    codes: Codes
    _standing: Standing = field(repr=False)
    _written: Written = field(repr=False)
    _covered: str = field(repr=False)
    """The references of the signature to those parts."""
    _place: tuple[float, float, float, float]
    """Where the seal's picture stands on its page: left and upper edge, width and height."""

    def fill(
        self,
        shown: Mapping[str, str],
        number: str,
        moment: datetime,
        data: bytes,
        room: int,
        *,
        photos: Mapping[str, Photo] = NO_PHOTOS,
    ) -> PreparedOfd:
        """The document with these fields, all but its signature value, for which `room` does not matter.

        `shown` is what `Template.shown` made; `data` the JSON that is attached; `photos` the pictures of
        fields. Raises TemplateFieldsError where a text has no room.
        """
        template = self.template
        pages = set_pages(template, self._standing, shown, self.face)
        shown_parts, own = self._pages(pages, photos)
        local = moment.astimezone(CHINA)
        parts = {
            "OFD.xml": root_part(template.title, number, local.date().isoformat()),
            f"{_FOLDER}/Attachs/data.json": data,
            f"{_FOLDER}/Res/own.otf": small_opentype(self.face, own or {"　"}, OWN_TAG),
        }
        if template.running is not None:
            parts[f"{_FOLDER}/{DOCUMENT}"] = document_part(template, len(pages))
        if template.code:
            png = code_png(self.codes.bits(number), self.codes.modules, self.codes.stride)
            parts[f"{_FOLDER}/Res/code.png"] = png
        if template.photos:
            parts |= _photo_parts(template, photos)
        parts |= shown_parts
        sealed = next(place for place, page in enumerate(pages) if page.leaf.bears(template.seal.on))
        lift = pages[sealed].lift if template.seal.on == CLOSING else 0.0
        said = self._signature(parts, self._stamp(page_id(sealed), lift), local)
        written = self._written
        for name, content in parts.items():
            written = written.with_new(name, content, moment, packed=False)
        written = written.with_new(f"{_SIGN}/Signature.xml", said, moment, packed=False)
        return PreparedOfd(
            original=self.content,
            written=written,
            path=f"/{_SIGN}/Signature.xml",
            value_path=f"{_SIGN}/SignedValue.dat",
            data_hash=sm3(said),
            moment=moment,
            is_first=True,
        )

    def _pages(
        self, pages: Sequence[SetPage], photos: Mapping[str, Photo]
    ) -> tuple[Mapping[str, bytes], set[str]]:
        """The parts of the pages, and the characters that the font made ready lacks."""
        template, numbers = self.template, _photo_ids(self.template)
        parts, own, after = dict[str, bytes](), set[str](), OWN_IDS
        for place, one in enumerate(pages):
            page = Page(self.face, self._standing.chars, after)
            for text, lines in one.texts:
                own |= page.text(text, lines)
            code = template.code
            if code and one.leaf.bears(code.on):
                page.image(CODE_ID, (code.x, code.y, code.size, code.size))
            for spot in template.photos:
                if spot.field in photos and one.leaf.bears(spot.on):
                    x, y, wide, tall = photos[spot.field].within(spot.area.width, spot.area.height)
                    page.image(numbers[spot.field], (spot.area.x + x, spot.area.y + y, wide, tall))
            written = page.written(own_layer_id(place), over_background(template.kind_of(one.leaf)))
            parts[f"{_FOLDER}/Pages/Page_{place}/Content.xml"] = written
            after = page.number
        return parts, own

    def _stamp(self, page: int, lift: float) -> str:
        """Where the seal's picture stands."""
        x, y, wide, tall = self._place
        place = f"{x:.2f} {y - lift:.2f} {wide:.2f} {tall:.2f}"
        return f'<ofd:StampAnnot ID="1" PageRef="{page}" Boundary="{place}"/>'

    def _signature(self, parts: Mapping[str, bytes], stamp: str, local: datetime) -> bytes:
        """Signature.xml (GB/T 33190 chapter 18): what the seal covers, and where its picture stands."""
        provider = " ".join(f'{name}="{value}"' for name, value in PROVIDER.items())
        return "".join(
            (
                f"{HEAD}<ofd:Signature {SPACE}><ofd:SignedInfo><ofd:Provider {provider}/>",
                f"<ofd:SignatureMethod>{SM2_WITH_SM3}</ofd:SignatureMethod>",
                f"<ofd:SignatureDateTime>{local:%Y-%m-%d %H:%M:%S}</ofd:SignatureDateTime>",
                f'<ofd:References CheckMethod="{SM3}">',
                self._covered,
                *map(_reference, parts, parts.values()),
                f"</ofd:References>{stamp}",
                f"<ofd:Seal><ofd:BaseLoc>/{_SIGN}/Seal.esl</ofd:BaseLoc></ofd:Seal>",
                f"</ofd:SignedInfo><ofd:SignedValue>/{_SIGN}/SignedValue.dat</ofd:SignedValue></ofd:Signature>",
            )
        ).encode("utf-8")


def make_ofd_plate(template: Template, face: Face, codes: Codes, *, stamp: Stamp) -> OfdPlate:
    """Lays a template out with a seal; takes a millisecond for each glyph that nobody has needed yet."""
    standing = standing_of(template, face)
    parts = {f"{_FOLDER}/{name}": content for name, content in listing_parts(template)}
    after = FIXED_IDS
    for kind, leaf in enumerate(template.leaves):
        page = Page(face, standing.chars, after)
        for number, image in enumerate(template.images):
            area = image.area
            if leaf.bears(image.on):
                page.image(IMAGES_ID + number, (area.x, area.y, area.width, area.height))
        for rule in template.rules:
            if leaf.bears(rule.on):
                page.rule(rule)
        for text, lines in standing.lines[kind]:
            page.text(text, lines)
        parts[f"{_FOLDER}/Tpls/Tpl_{kind}/Content.xml"] = page.written(layer_id(kind))
        after = page.number
    parts[f"{_FOLDER}/Res/ready.otf"] = small_opentype(face, standing.chars, READY_TAG)
    parts |= {f"{_FOLDER}/Res/{number}.png": one.png for number, one in enumerate(template.images)}
    parts[f"{_SIGN}/Seal.esl"] = stamp.structure
    written = Written()
    for name, content in parts.items():
        written = written.with_new(name, content, _DATED)
    content = b"".join(piece.own for piece in written.pieces)
    whole = Written((Piece(b"", 0, len(content)),), written.length, written.directory, written.count)
    covered = "".join(_reference(name, part) for name, part in parts.items() if name != _LIST)
    wide, tall = stamp.picture.width_mm, stamp.picture.height_mm
    place = template.seal.x - wide / 2, template.seal.y - tall / 2, wide, tall
    return OfdPlate(content, template, face, codes, standing, whole, covered, place)


def _photo_ids(template: Template) -> Mapping[str, int]:
    """The ids of the pictures in fields."""
    fields = dict.fromkeys(place.field for place in template.photos)
    return {field: PHOTOS_ID + at for at, field in enumerate(fields)}


def _photo_parts(template: Template, photos: Mapping[str, Photo]) -> Mapping[str, bytes]:
    """The parts of the pictures in fields, and the one that lists them."""
    listed = {number: photos[field] for field, number in _photo_ids(template).items() if field in photos}
    return {
        f"{_FOLDER}/{MEDIA}": media_part(template, listed),
        **{f"{_FOLDER}/Res/{photo_file(number, one)}": one.content for number, one in listed.items()},
    }


def _reference(name: str, content: bytes) -> str:
    """What the signature says of a part."""
    digest = base64.b64encode(sm3(content)).decode("ascii")
    return f'<ofd:Reference FileRef="/{name}"><ofd:CheckValue>{digest}</ofd:CheckValue></ofd:Reference>'
