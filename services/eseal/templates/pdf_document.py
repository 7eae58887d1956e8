"""A document of a template's plate: what it adds to the beginning that all of them share.

That is its text, the glyphs that only it shows, its metadata, the data that it was filled with (an associated
file, ISO 19005-3 6.8), the empty signature, its QR code, its pictures; and its pages, where their number
differs.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache

from services.eseal.domain import Box
from services.eseal.photo import NO_PHOTOS, Photo
from services.eseal.sealing.filling import FORM_FIELD
from services.eseal.sealing.prepared import PreparedDocument
from services.eseal.sheet import POINTS_PER_MM
from services.eseal.template import Template
from services.eseal.templates.archival import metadata
from services.eseal.templates.cff import small_font
from services.eseal.templates.face import Face
from services.eseal.templates.objects import Objects, text_string
from services.eseal.templates.pdf_fonts import OWN_TAG
from services.eseal.templates.pdf_marks import Pen, own_content, photo_names
from services.eseal.templates.qr import Codes
from services.eseal.templates.setting import SetPage, Standing, set_pages

CATALOG, RESOURCES, SEAL = 1, 2, 3
"""Objects of a plate that others name."""
_RANGE = b"/ByteRange[0 %010d %010d %010d]"


@dataclass(frozen=True)
class Numbers:
    """The objects of a file: those that a document adds are numbered from `first`."""

    first: int
    stills: Sequence[int]
    """What stands still on each kind of page."""
    code: bool
    photos: int
    runs: bool
    """Whether each document has pages of its own."""
    moves: bool
    """Whether the seal stands elsewhere in each document."""

    @property
    def font(self) -> int:
        """The program of the font of the glyphs that only the document shows."""
        return self.first

    @property
    def metadata(self) -> int:
        """The XMP packet."""
        return self.first + 1

    @property
    def data(self) -> int:
        """The attached file."""
        return self.first + 2

    @property
    def signature(self) -> int:
        """The signature's dictionary."""
        return self.first + 3

    @property
    def field(self) -> int:
        """The signature's field, which shows the seal: the last of the plate, or the document's own."""
        return self.first + 4 if self.moves else self.first - 1

    @property
    def pictures(self) -> int:
        """The QR code, if there is one; then the pictures of fields."""
        return self.first + 4 + self.moves

    @property
    def tree(self) -> int:
        """The root of a document's own pages; the page with the seal comes next."""
        return self.pictures + self.code + self.photos

    @property
    def contents(self) -> int:
        """What the document itself shows on each page, one after another; other pages of its own follow."""
        return self.tree + 2 * self.runs


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
    _numbers: Numbers
    _box: Box
    """Where the seal stands, in points."""
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
        template, numbers = self.template, self._numbers
        pages = set_pages(template, self._standing, shown, self.face)
        pen = Pen(self.face, self._standing.chars, template.height)
        contents, own = [], set[str]()
        for page in pages:
            content, lacking = own_content(template, page, pen, photos)
            contents.append(content)
            own |= lacking
        objects = Objects(len(self.content))
        # One glyph at least: a font without any is none.
        font = small_font(self.face, own or {"　"}, OWN_TAG)
        objects.stream(numbers.font, b"/Subtype/CIDFontType0C", font)
        objects.stream(numbers.metadata, b"/Type/Metadata/Subtype/XML", metadata(template.title, moment))
        day = _day(moment)
        entries = b"/Type/EmbeddedFile/Subtype/application#2Fjson/Params<</ModDate(%b)/Size %d>>"
        objects.stream(numbers.data, entries % (day, len(data)), data)
        gap = self._signature(objects, numbers.signature, day, room)
        if numbers.moves:
            box = self._box
            up = next(page.lift for page in pages if page.leaf.bears(template.seal.on)) * POINTS_PER_MM
            lifted = replace(box, bottom=box.bottom + up, top=box.top + up)
            objects.add(numbers.field, field_object(numbers, lifted, self.signer_name, numbers.tree + 1))
        self._pictures(objects, number, photos)
        count = self._pages(objects, pages, contents)
        return self._finished(objects, gap, room, count)

    def _pictures(self, objects: Objects, number: str, photos: Mapping[str, Photo]) -> None:
        at = self._numbers.pictures
        if self.template.code:
            objects.stream(at, self._code_entries(), self.codes.bits(number))
            at += 1
        for name in photo_names(self.template):
            photo = photos.get(name)
            if photo is None:
                objects.add(at, b"null")  # Its name among the pages' resources stands for nothing then.
            else:
                objects.stream(at, photo.entries, photo.data)
            at += 1

    def _pages(self, objects: Objects, pages: Sequence[SetPage], contents: Sequence[bytes]) -> int:
        """What stands on each page, and the pages where they are the document's own; answers the number after
        the last one."""
        template, numbers = self.template, self._numbers
        if not numbers.runs:
            for place, content in enumerate(contents):
                objects.stream(numbers.contents + place, b"", content)
            return numbers.contents + len(contents)
        sealed = next(place for place, page in enumerate(pages) if page.leaf.bears(template.seal.on))
        after = numbers.contents + len(pages)
        others = [place for place in range(len(pages)) if place != sealed]
        objects_of = {sealed: numbers.tree + 1} | {place: after + at for at, place in enumerate(others)}
        objects.add(numbers.tree, page_tree([objects_of[place] for place in range(len(pages))]))
        written = [
            page_object(
                template,
                numbers.tree,
                (numbers.stills[template.kind_of(page.leaf)], numbers.contents + place),
                field=numbers.field if place == sealed else 0,
            )
            for place, page in enumerate(pages)
        ]
        objects.add(objects_of[sealed], written[sealed])
        for place, content in enumerate(contents):
            objects.stream(numbers.contents + place, b"/Filter/FlateDecode", zlib.compress(content, 1))
        for place in others:
            objects.add(objects_of[place], written[place])
        return after + len(others)

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
            *(count, self._table, table, count, CATALOG, identity, identity, objects.at),
        )
        update = b"".join((*objects.parts, end))
        gap_end = gap + room + 2
        start = len(self.content)
        said = _RANGE % (gap, gap_end, start + len(update) - gap_end)
        at = gap - start - len(b"/Contents") - len(said)
        update = b"".join((update[:at], said, update[at + len(said) :]))
        return PreparedDocument(self.content, update, gap, gap_end, is_first=True)


@lru_cache(maxsize=64)
def _day(moment: datetime) -> bytes:
    """A date (7.9.4): many documents are of one second."""
    return moment.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ").encode("ascii")


def page_tree(pages: Sequence[int]) -> bytes:
    """The root of the pages (ISO 32000-1 7.7.3.2), by their objects."""
    kids = b" ".join([b"%d 0 R" % page for page in pages])
    return b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, len(pages))


def page_object(template: Template, tree: int, contents: tuple[int, int], *, field: int) -> bytes:
    """A page: what stands still on it and what is the document's own, and the seal's field if it is there, 0
    if not."""
    wide, tall = template.width * POINTS_PER_MM, template.height * POINTS_PER_MM
    return (
        b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 %.3f %.3f]/Contents[%d 0 R %d 0 R]/Resources %d 0 R%b>>"
        % (
            *(tree, wide, tall, *contents, RESOURCES),
            b"/Annots[%d 0 R]" % field if field else b"",
        )
    )


def field_object(numbers: Numbers, box: Box, signer_name: str, page: int) -> bytes:
    """The signature's field, which shows the seal's picture in its box on a page."""
    return (
        b"<</Type/Annot/Subtype/Widget/FT/Sig/T%b/TU%b/F 132/P %d 0 R/Rect[%.3f %.3f %.3f %.3f]"
        b"/AP<</N %d 0 R>>/V %d 0 R>>"
        % (
            *(text_string(FORM_FIELD), text_string(signer_name), page),
            *(box.left, box.bottom, box.right, box.top, SEAL, numbers.signature),
        )
    )
