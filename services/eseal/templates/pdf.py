"""A template's PDF/A-3 with its seal: what stands still is written once, and a document adds the rest.

What stands still comes first in the file, so that it is digested once too. A document appends its text, the
glyphs that only it shows, its metadata, the data that it was filled with (an associated file, ISO 19005-3
6.8), the empty signature, and its QR code.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO

from PIL import Image as Pictures

from services.eseal.domain import Box, Picture
from services.eseal.photo import NO_PHOTOS, Photo
from services.eseal.raster import is_raster, operators, raster_of
from services.eseal.sealing.filling import FORM_FIELD
from services.eseal.sealing.prepared import PreparedDocument
from services.eseal.sheet import POINTS_PER_MM, size_of
from services.eseal.template import Image, Template
from services.eseal.templates.archival import colour_profile, metadata
from services.eseal.templates.cff import small_font
from services.eseal.templates.face import Face
from services.eseal.templates.objects import Objects, text_string
from services.eseal.templates.pdf_fonts import OWN_TAG, READY_TAG, unicode_map, width_array, write_font
from services.eseal.templates.pdf_marks import Pen, fixed_content, photo_content, placed, point
from services.eseal.templates.qr import Codes
from services.eseal.templates.setting import Standing, set_fields, standing_of
from services.eseal.typesetting import Area

DATA_NAME = "data.json"
"""The associated file's name."""
_CATALOG, _PAGES, _PAGE, _FIXED, _READY, _READY_FILE, _OWN = 1, 2, 3, 4, 5, 8, 9
_TO_UNICODE, _WIDTHS, _PROFILE, _SEAL, _WIDGET, _FILE_SPEC, _IMAGES = 12, 13, 14, 15, 16, 17, 18
_HEADER = b"%PDF-1.7\n%\xe5\x8d\xb0\xe7\xab\xa0\n"
_RANGE = b"/ByteRange[0 %010d %010d %010d]"


@dataclass(frozen=True)
class PdfPlate:
    """A template with one seal, ready to be filled."""

    content: bytes = field(repr=False)
    """What every document begins with."""
    template: Template
    face: Face
    codes: Codes
    signer_name: str
    _standing: Standing = field(repr=False)
    _first: int
    """The first object that a document adds."""
    _table: bytes = field(repr=False)

    def fill(
        self,
        shown: Mapping[str, str],
        number: str,
        moment: datetime,
        data: bytes,
        room: int,
        *,
        photos: Mapping[str, Photo] = NO_PHOTOS,
    ) -> PreparedDocument:
        """The document with these fields, all but its signature, which gets `room` hexadecimal digits.

        `shown` is what `Template.shown` made; `data` the JSON that is attached; `photos` the pictures of
        fields. Raises TemplateFieldsError where a text has no room.
        """
        content, own = self._text(shown, photos)
        objects = Objects(len(self.content))
        first, template = self._first, self.template
        objects.stream(first, b"", content)
        # One glyph at least: a font without any is none.
        objects.stream(first + 1, b"/Subtype/CIDFontType0C", small_font(self.face, own or {"　"}, OWN_TAG))
        objects.stream(first + 2, b"/Type/Metadata/Subtype/XML", metadata(template.title, moment))
        day = moment.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ").encode("ascii")
        objects.stream(
            first + 3,
            b"/Type/EmbeddedFile/Subtype/application#2Fjson/Params<</ModDate(%b)/Size %d>>"
            % (day, len(data)),
            data,
        )
        gap = self._signature(objects, first + 4, day, room)
        if template.code:
            objects.stream(first + 5, self._code_entries(), self.codes.bits(number))
        at = first + 5 + bool(template.code)
        for name in _photo_names(template):
            photo = photos.get(name)
            if photo is None:
                objects.add(at, b"null")  # Its name among the page's resources stands for nothing then.
            else:
                objects.stream(at, photo.entries, photo.data)
            at += 1
        return self._finished(objects, gap, room, at)

    def _text(self, shown: Mapping[str, str], photos: Mapping[str, Photo]) -> tuple[bytes, set[str]]:
        """The operators that show the fields, and the characters that the font made ready lacks."""
        out, own = ["BT"], set[str]()
        pen = Pen(self.face, self._standing.chars, self.template.height)
        for text, lines in set_fields(self._standing, shown, self.face):
            own |= pen.write(out, text, lines)
        out.append("ET")
        template, code = self.template, self.template.code
        if code:
            area = Area(code.x, code.y, code.size, code.size)
            out += ["0 g", placed("Code", area, template.height)]
        names = _photo_names(template)
        out += [
            photo_content(place, names[place.field], photos[place.field], template.height)
            for place in template.photos
            if place.field in photos
        ]
        return "\n".join(out).encode("ascii"), own

    def _code_entries(self) -> bytes:
        size = self.codes.modules
        return (
            b"/Type/XObject/Subtype/Image/ImageMask true/BitsPerComponent 1/Decode[1 0]/Width %d/Height %d"
            % (size, size)
        )

    def _signature(self, objects: Objects, number: int, day: bytes, room: int) -> int:
        """The empty signature; answers where its gap begins in the file."""
        head = (
            b"<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(%b)/Name%b"
            % (day, text_string(self.signer_name))
        ) + _RANGE % (0, 0, 0)
        content = b"%b/Contents<%b>>>" % (head, b"0" * room)
        return objects.add(number, content) + len(head) + len(b"/Contents")

    def _finished(self, objects: Objects, gap: int, room: int, count: int) -> PreparedDocument:
        table = objects.table()
        identity = secrets.token_hex(16).encode("ascii")
        end = b"xref\n0 %d\n%b%btrailer\n<</Size %d/Root %d 0 R/ID[<%b><%b>]>>\nstartxref\n%d\n%%%%EOF\n" % (
            *(count, self._table, table, count, _CATALOG, identity, identity, objects.at),
        )
        update = b"".join((*objects.parts, end))
        gap_end = gap + room + 2
        start = len(self.content)
        said = _RANGE % (gap, gap_end, start + len(update) - gap_end)
        at = gap - start - len(b"/Contents") - len(said)
        update = b"".join((update[:at], said, update[at + len(said) :]))
        return PreparedDocument(self.content, update, gap, gap_end, is_first=True)


def make_plate(
    template: Template, face: Face, codes: Codes, *, picture: Picture, signer_name: str
) -> PdfPlate:
    """Lays a template out with a seal; takes a millisecond for each glyph that nobody has needed yet."""
    standing = standing_of(template, face)
    objects = Objects(len(_HEADER))
    raster = raster_of(picture)
    dots = _IMAGES + len(template.images)
    first = dots + bool(raster)
    # The numbers below follow one another: the table of what stands still has no gaps.
    _write_document(objects, template, first)
    fixed = "\n".join(fixed_content(template, standing, face)).encode("ascii")
    objects.stream(_FIXED, b"/Filter/FlateDecode", zlib.compress(fixed, 9))
    shared = (_TO_UNICODE, _WIDTHS)
    write_font(objects, _READY, READY_TAG, file=_READY_FILE, face=face, shared=shared)
    ready = zlib.compress(small_font(face, standing.chars, READY_TAG), 9)
    objects.stream(_READY_FILE, b"/Subtype/CIDFontType0C/Filter/FlateDecode", ready)
    write_font(objects, _OWN, OWN_TAG, file=first + 1, face=face, shared=shared)
    objects.stream(_TO_UNICODE, b"/Filter/FlateDecode", unicode_map(face))
    objects.add(_WIDTHS, width_array(face))
    objects.stream(_PROFILE, b"/N 3/Filter/FlateDecode", zlib.compress(colour_profile(), 9))
    _write_seal(objects, template, picture, signer_name, dots=dots, signature=first + 4)
    name = text_string(DATA_NAME)
    objects.add(
        _FILE_SPEC,
        b"<</Type/Filespec/F%b/UF%b/AFRelationship/Data/Desc%b/EF<</F %d 0 R/UF %d 0 R>>>>"
        % (name, name, text_string("填写内容"), first + 3, first + 3),
    )
    for number, image in enumerate(template.images):
        _write_image(objects, _IMAGES + number, image)
    if raster is not None:
        objects.stream(dots, raster.entries, raster.rows)
    content = _HEADER + b"".join(objects.parts)
    table = b"0000000000 65535 f \n" + objects.table()
    return PdfPlate(content, template, face, codes, signer_name, standing, first, table)


def _photo_names(template: Template) -> dict[str, str]:
    """The fields for pictures, in the order of their objects, and how the page calls each picture."""
    fields = dict.fromkeys(place.field for place in template.photos)
    return {field: f"Photo{number}" for number, field in enumerate(fields)}


def _write_document(objects: Objects, template: Template, first: int) -> None:
    objects.add(
        _CATALOG,
        b"<</Type/Catalog/Version/1.7/Pages %d 0 R/Lang(zh-CN)/Metadata %d 0 R/AF[%d 0 R]"
        b"/Names<</EmbeddedFiles<</Names[%b %d 0 R]>>>>/AcroForm<</Fields[%d 0 R]/SigFlags 3>>"
        b"/Extensions<</ESIC<</BaseVersion/1.7/ExtensionLevel 1>>>>"
        b"/ViewerPreferences<</DisplayDocTitle true>>"
        b"/OutputIntents[<</Type/OutputIntent/S/GTS_PDFA1/OutputConditionIdentifier(sRGB)/Info(sRGB)"
        b"/DestOutputProfile %d 0 R>>]>>"
        % (_PAGES, first + 2, _FILE_SPEC, text_string(DATA_NAME), _FILE_SPEC, _WIDGET, _PROFILE),
    )
    objects.add(_PAGES, b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % _PAGE)
    pictures = b"".join(
        b"/Image%d %d 0 R" % (number, _IMAGES + number) for number in range(len(template.images))
    )
    if template.code:
        pictures += b"/Code %d 0 R" % (first + 5)
    own = first + 5 + bool(template.code)
    for place, name in enumerate(_photo_names(template).values()):
        pictures += b"/%b %d 0 R" % (name.encode("ascii"), own + place)
    wide, tall = template.width * POINTS_PER_MM, template.height * POINTS_PER_MM
    objects.add(
        _PAGE,
        b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 %.3f %.3f]/Contents[%d 0 R %d 0 R]/Annots[%d 0 R]"
        b"/Resources<</Font<</A %d 0 R/B %d 0 R>>/XObject<<%b>>>>>>"
        % (_PAGES, wide, tall, _FIXED, first, _WIDGET, _READY, _OWN, pictures),
    )


def _write_seal(
    objects: Objects, template: Template, picture: Picture, signer_name: str, *, dots: int, signature: int
) -> None:
    """The seal's picture and the field that shows it. Its ink multiplies with what lies below.

    `dots` is the object that a picture by the dot has.
    """
    wide, tall = size_of(picture)
    by_dot = is_raster(picture)
    objects.stream(
        _SEAL,
        b"/Type/XObject/Subtype/Form/BBox[0 0 %.4f %.4f]/Resources<</ExtGState<</Ink<</BM/Multiply>>>>%b>>%b"
        % (
            *(wide, tall),
            *((b"/XObject<</Picture %d 0 R>>" % dots, b"") if by_dot else (b"", b"/Filter/FlateDecode")),
        ),
        operators(picture) if by_dot else picture.content,
    )
    box = seal_box(template, picture)
    objects.add(
        _WIDGET,
        b"<</Type/Annot/Subtype/Widget/FT/Sig/T%b/TU%b/F 132/P %d 0 R/Rect[%.3f %.3f %.3f %.3f]"
        b"/AP<</N %d 0 R>>/V %d 0 R>>"
        % (
            *(text_string(FORM_FIELD), text_string(signer_name), _PAGE),
            *(box.left, box.bottom, box.right, box.top, _SEAL, signature),
        ),
    )


def seal_box(template: Template, picture: Picture) -> Box:
    """Where the seal's picture stands, in points from the page's lower left corner."""
    wide, tall = size_of(picture)
    x, y = point(template.seal.x, template.seal.y, template.height)
    return Box(x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2)


def _write_image(objects: Objects, number: int, image: Image) -> None:
    with Pictures.open(BytesIO(image.png), formats=["PNG"]) as opened:
        picture = Pictures.new("RGB", opened.size, "white")
        shown = opened.convert("RGBA")
        picture.paste(shown, mask=shown.getchannel("A"))
    objects.stream(
        number,
        b"/Type/XObject/Subtype/Image/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/FlateDecode"
        b"/Width %d/Height %d" % picture.size,
        zlib.compress(picture.tobytes(), 9),
    )
