"""The plate of a template's PDF/A-3 with its seal: what stands still, written once.

It comes first in the file, so that it is digested once too; a document adds the rest (pdf_document.py).
"""

from __future__ import annotations

import zlib
from io import BytesIO

from PIL import Image as Pictures

from services.eseal.domain import Box, Picture
from services.eseal.leaves import CLOSING, Image
from services.eseal.raster import is_raster, operators, raster_of
from services.eseal.sheet import size_of
from services.eseal.template import Template
from services.eseal.templates.archival import colour_profile
from services.eseal.templates.cff import small_font
from services.eseal.templates.face import Face
from services.eseal.templates.objects import Objects, text_string
from services.eseal.templates.pdf_document import (
    CATALOG,
    RESOURCES,
    SEAL,
    Numbers,
    PdfPlate,
    field_object,
    page_object,
    page_tree,
)
from services.eseal.templates.pdf_fonts import OWN_TAG, READY_TAG, unicode_map, width_array, write_font
from services.eseal.templates.pdf_marks import fixed_content, photo_names, point
from services.eseal.templates.qr import Codes
from services.eseal.templates.setting import standing_of

DATA_NAME = "data.json"
"""The associated file's name."""
_READY, _READY_FILE, _OWN = 4, 7, 8
_TO_UNICODE, _WIDTHS, _PROFILE, _FILE_SPEC, _IMAGES = 11, 12, 13, 14, 15
_HEADER = b"%PDF-1.7\n%\xe5\x8d\xb0\xe7\xab\xa0\n"


def make_plate(
    template: Template, face: Face, codes: Codes, *, picture: Picture, signer_name: str
) -> PdfPlate:
    """Lays a template out with a seal; takes a millisecond for each glyph that nobody has needed yet."""
    standing = standing_of(template, face)
    objects = Objects(len(_HEADER))
    raster = raster_of(picture)
    dots = _IMAGES + len(template.images)
    stills = range(dots + bool(raster), dots + bool(raster) + len(template.leaves))
    runs = template.running is not None
    tree = stills.stop
    first = tree if runs else tree + 1 + template.pages
    moves = template.seal.on == CLOSING
    numbers = Numbers(
        first + (not moves), stills, bool(template.code), len(photo_names(template)), runs, moves
    )
    if runs:
        tree = numbers.tree
    pages = [tree + 1] if runs else list(range(tree + 1, first))
    sealed = next(place for place, leaf in enumerate(template.leaves) if leaf.bears(template.seal.on))
    # The numbers below follow one another: the table of what stands still has no gaps.
    _write_catalog(objects, numbers, tree)
    _write_resources(objects, template, numbers)
    _write_seal(objects, picture, dots)
    shared = (_TO_UNICODE, _WIDTHS)
    write_font(objects, _READY, READY_TAG, file=_READY_FILE, face=face, shared=shared)
    ready = zlib.compress(small_font(face, standing.chars, READY_TAG), 9)
    objects.stream(_READY_FILE, b"/Subtype/CIDFontType0C/Filter/FlateDecode", ready)
    write_font(objects, _OWN, OWN_TAG, file=numbers.font, face=face, shared=shared)
    objects.stream(_TO_UNICODE, b"/Filter/FlateDecode", unicode_map(face))
    objects.add(_WIDTHS, width_array(face))
    objects.stream(_PROFILE, b"/N 3/Filter/FlateDecode", zlib.compress(colour_profile(), 9))
    name = text_string(DATA_NAME)
    objects.add(
        _FILE_SPEC,
        b"<</Type/Filespec/F%b/UF%b/AFRelationship/Data/Desc%b/EF<</F %d 0 R/UF %d 0 R>>>>"
        % (name, name, text_string("填写内容"), numbers.data, numbers.data),
    )
    for number, image in enumerate(template.images):
        _write_image(objects, _IMAGES + number, image)
    if raster is not None:
        objects.stream(dots, raster.entries, raster.rows)
    for kind, number in enumerate(stills):
        fixed = zlib.compress(fixed_content(template, standing, kind, face), 9)
        objects.stream(number, b"/Filter/FlateDecode", fixed)
    if not runs:
        objects.add(tree, page_tree(pages))
        for place, page in enumerate(pages):
            contents, field = (stills[place], numbers.contents + place), numbers.field * (place == sealed)
            objects.add(page, page_object(template, tree, contents, field=field))
    box = seal_box(template, picture)
    if not moves:
        page = pages[0 if runs else sealed]
        objects.add(numbers.field, field_object(numbers, box, signer_name, page))
    content = _HEADER + b"".join(objects.parts)
    table = b"0000000000 65535 f \n" + objects.table()
    return PdfPlate(content, template, face, codes, signer_name, standing, numbers, box, table)


def _write_catalog(objects: Objects, numbers: Numbers, tree: int) -> None:
    objects.add(
        CATALOG,
        b"<</Type/Catalog/Version/1.7/Pages %d 0 R/Lang(zh-CN)/Metadata %d 0 R/AF[%d 0 R]"
        b"/Names<</EmbeddedFiles<</Names[%b %d 0 R]>>>>/AcroForm<</Fields[%d 0 R]/SigFlags 3>>"
        b"/Extensions<</ESIC<</BaseVersion/1.7/ExtensionLevel 1>>>>"
        b"/ViewerPreferences<</DisplayDocTitle true>>"
        b"/OutputIntents[<</Type/OutputIntent/S/GTS_PDFA1/OutputConditionIdentifier(sRGB)/Info(sRGB)"
        b"/DestOutputProfile %d 0 R>>]>>"
        % (tree, numbers.metadata, _FILE_SPEC, text_string(DATA_NAME), _FILE_SPEC, numbers.field, _PROFILE),
    )


def _write_resources(objects: Objects, template: Template, numbers: Numbers) -> None:
    """Fonts and pictures, for all pages."""
    named = [f"Image{number}" for number in range(len(template.images))]
    pictures = {name: _IMAGES + number for number, name in enumerate(named)}
    if template.code:
        pictures["Code"] = numbers.pictures
    for place, name in enumerate(photo_names(template).values()):
        pictures[name] = numbers.pictures + numbers.code + place
    said = b"".join([b"/%b %d 0 R" % (name.encode("ascii"), at) for name, at in pictures.items()])
    objects.add(RESOURCES, b"<</Font<</A %d 0 R/B %d 0 R>>/XObject<<%b>>>>" % (_READY, _OWN, said))


def _write_seal(objects: Objects, picture: Picture, dots: int) -> None:
    """The seal's picture. Its ink multiplies with what lies below. `dots` is the object that a picture by the
    dot has."""
    wide, tall = size_of(picture)
    by_dot = is_raster(picture)
    objects.stream(
        SEAL,
        b"/Type/XObject/Subtype/Form/BBox[0 0 %.4f %.4f]/Resources<</ExtGState<</Ink<</BM/Multiply>>>>%b>>%b"
        % (
            *(wide, tall),
            *((b"/XObject<</Picture %d 0 R>>" % dots, b"") if by_dot else (b"", b"/Filter/FlateDecode")),
        ),
        operators(picture) if by_dot else picture.content,
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
