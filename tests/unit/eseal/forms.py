"""PDFs in the many forms that ordinary ones have, for the seals to be put on."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.unit.eseal.documents import stream_of

KINDS = ("table", "stream", "packed")
"""A cross-reference table; a cross-reference stream; one with all that can be in object streams."""


@dataclass(frozen=True)
class Form:
    """How a file is built."""

    version: str = "1.4"
    root_version: str = ""
    kind: str = "table"
    pages: int = 1
    branch: int = 0
    """Children of a node of the page tree; 0 puts all pages on one node."""
    annotations: str = "none"
    """`none`, `direct` or `indirect`."""
    fields: str = "none"
    """`none`, `direct` in the catalogue, `indirect`, or `array`: an array of its own."""
    turn: int = 0
    on_tree: bool = False
    """Whether box and turn stand on the root of the page tree."""
    crop: bool = False
    unit: float = 1.0
    extensions: str = "none"
    """`none`, `other`, or `esic`."""
    line: bytes = b"\n"
    entry_end: bytes = b" \n"
    last_line: bool = True
    revisions: int = 1
    """Later ones write every page again."""
    predictor: bool = False
    identifier: bool = True
    info: bool = True
    free: bool = False
    strange: bytes = b""
    """More entries for every page."""


def forms() -> st.SearchStrategy[Form]:
    """Files of ordinary form, in every combination."""
    return st.builds(
        Form,
        version=st.sampled_from(["1.3", "1.4", "1.5", "1.6", "1.7", "2.0"]),
        root_version=st.sampled_from(["", "", "2.0"]),
        kind=st.sampled_from(KINDS),
        pages=st.integers(1, 9),
        branch=st.sampled_from([0, 0, 2, 3]),
        annotations=st.sampled_from(["none", "direct", "indirect"]),
        fields=st.sampled_from(["none", "direct", "indirect", "array"]),
        turn=st.sampled_from([0, 90, 180, 270]),
        on_tree=st.booleans(),
        crop=st.booleans(),
        unit=st.sampled_from([1.0, 1.5]),
        extensions=st.sampled_from(["none", "other", "esic"]),
        line=st.sampled_from([b"\n", b"\r\n", b"\r"]),
        entry_end=st.sampled_from([b" \n", b" \r", b"\r\n"]),
        last_line=st.booleans(),
        revisions=st.integers(1, 3),
        predictor=st.booleans(),
        identifier=st.booleans(),
        info=st.booleans(),
        strange=st.sampled_from(
            [
                b"",
                b"/A#20B (a (nested\\)) string) /C <</D [1 -.5 +3. null true <0aF0>]>> ",
                b"/Note (no end >> yet) /E[/F/G]/H(\\\\)",
            ]
        ),
    ).filter(lambda form: form.pages > 1 or not form.branch)


def build(form: Form) -> bytes:
    """The file."""
    return _Builder(form).build()


@dataclass
class _Builder:
    form: Form
    objects: dict[int, bytes] = field(default_factory=dict)
    size: int = 2

    def build(self) -> bytes:
        form = self.form
        pages = self._page_tree()
        self.objects[1] = self._catalogue()
        if form.info:
            self.objects[self._number()] = b"<</Producer (nobody) /Title (\xfe\xff\x66\x6b)>>"
        out = bytearray(b"%PDF-" + form.version.encode() + form.line + b"%\xe2\xe3\xcf\xd3" + form.line)
        start = self._section(out, self.objects, 0)
        for revision in range(1, form.revisions):
            again = {n: self.objects[n][:-2] + b"/Revision %d>>" % revision for n in pages}
            start = self._section(out, again, start)
        return bytes(out) if form.last_line else bytes(out).rstrip(b"\r\n")

    def _number(self) -> int:
        self.size += 1
        return self.size - 1

    def _page_tree(self) -> list[int]:
        """Makes the tree below object 2; answers the pages' numbers in order."""
        root = self._number()
        assert root == 2
        box = b"/MediaBox [0 0 595.28 841.89] /Rotate %d" % self.form.turn
        pages: list[int] = []
        branch = self.form.branch or self.form.pages

        def node(number: int, parent: int, count: int) -> None:
            sizes = _parts(count, branch)
            kids = [self._number() for _ in sizes]
            for kid, size in zip(kids, sizes, strict=True):
                if size == 1:
                    pages.append(kid)
                    self.objects[kid] = self._page(number, kid, b"" if self.form.on_tree else box)
                else:
                    node(kid, number, size)
            above = b"/Parent %d 0 R" % parent if parent else box if self.form.on_tree else b""
            listed = b" ".join(b"%d 0 R" % kid for kid in kids)
            self.objects[number] = b"<</Type /Pages /Kids [%b] /Count %d %b>>" % (listed, count, above)

        node(root, 0, self.form.pages)
        return pages

    def _page(self, parent: int, number: int, box: bytes) -> bytes:
        form = self.form
        content = self._number()
        self.objects[content] = stream_of(b"q Q %% page %d" % number)
        entries = b"/Contents %d 0 R /Resources <<>> %b %b" % (content, box, form.strange)
        if form.crop:
            entries += b"/CropBox [10 20 500 700] "
        if form.unit != 1:
            entries += b"/UserUnit %f " % form.unit
        if form.annotations != "none":
            note = self._number()
            self.objects[note] = b"<</Type /Annot /Subtype /Text /Rect [9 9 30 30] /Contents (a note)>>"
            listed = b"[%d 0 R]" % note
            if form.annotations == "indirect":
                array = self._number()
                self.objects[array], listed = listed, b"%d 0 R" % array
            entries += b"/Annots %b " % listed
        return b"<</Type /Page /Parent %d 0 R %b>>" % (parent, entries)

    def _catalogue(self) -> bytes:
        form, entries = self.form, b""
        if form.root_version:
            entries += b"/Version /%b " % form.root_version.encode()
        if form.extensions != "none":
            level = b"<</BaseVersion /1.7 /ExtensionLevel 1>>"
            name = b"/ESIC" if form.extensions == "esic" else b"/ADBE"
            entries += b"/Extensions <<%b %b>> " % (name, level)
        if form.fields != "none":
            entries += b"/AcroForm %b " % self._form_of_fields()
        return b"<</Type /Catalog /Pages 2 0 R %b>>" % entries

    def _form_of_fields(self) -> bytes:
        parent, kid, button = self._number(), self._number(), self._number()
        self.objects[parent] = b"<</T (applicant) /FT /Tx /Kids [%d 0 R]>>" % kid
        self.objects[kid] = b"<</T (\xfe\xff\x59\xd3) /Parent %d 0 R /V (x)>>" % parent
        self.objects[button] = b"<</T (agreed) /FT /Btn /Ff 0>>"
        listed = b"[%d 0 R %d 0 R]" % (parent, button)
        if self.form.fields == "array":
            array = self._number()
            self.objects[array], listed = listed, b"%d 0 R" % array
        text = b"<</Fields %b /NeedAppearances true /SigFlags 0>>" % listed
        if self.form.fields == "direct":
            return text
        number = self._number()
        self.objects[number] = text
        return b"%d 0 R" % number

    def _section(self, out: bytearray, objects: Mapping[int, bytes], before: int) -> int:
        """Writes objects and their cross-reference; answers where that stands."""
        form, line = self.form, self.form.line
        places: dict[int, tuple[int, int, int]] = {}
        packed = {n: b for n, b in objects.items() if form.kind == "packed" and not b.endswith(b"endstream")}
        if packed:
            places |= self._pack(out, packed)
        for number, body in objects.items():
            if number not in packed:
                places[number] = (1, len(out), 0)
                out += b"%d 0 obj" % number + line + body + line + b"endobj" + line
        start = len(out)
        entries = b"/Root 1 0 R "
        if form.info:
            entries += b"/Info %d 0 R " % max(n for n, body in self.objects.items() if b"/Producer" in body)
        if form.identifier:
            entries += b"/ID [<%b> (two)] " % (b"ab" * 16)
        if before:
            entries += b"/Prev %d " % before
        if form.kind == "table":
            self._table(out, places, entries, not before)
        else:
            self._stream(out, places, entries, start, not before)
        out += line + b"startxref" + line + b"%d" % start + line + b"%%EOF" + line
        return start

    def _pack(self, out: bytearray, packed: Mapping[int, bytes]) -> dict[int, tuple[int, int, int]]:
        """Writes an object stream; answers the places of what is in it, and its own."""
        head, body = b"", b""
        for number, text in packed.items():
            head += b"%d %d " % (number, len(body))
            body += text + b" "
        content = zlib.compress(head + body)
        stream = self._number()
        entries = b"/Type /ObjStm /N %d /First %d /Filter /FlateDecode" % (len(packed), len(head))
        places = {number: (2, stream, index) for index, number in enumerate(packed)}
        places[stream] = (1, len(out), 0)
        out += b"%d 0 obj\n%b\nendobj\n" % (stream, stream_of(content, entries))
        return places

    def _table(
        self, out: bytearray, places: Mapping[int, tuple[int, int, int]], entries: bytes, is_first: bool
    ) -> None:
        line, end = self.form.line, self.form.entry_end
        out += b"xref" + line
        rows = {0: b"0000000000 65535 f" + end} if is_first else {}
        rows |= {number: b"%010d 00000 n" % place[1] + end for number, place in places.items()}
        if is_first and self.form.free:
            rows[self._number()] = b"0000000000 00001 f" + end
        for run in _runs(sorted(rows)):
            out += b"%d %d" % (run[0], len(run)) + line + b"".join(rows[number] for number in run)
        out += b"trailer" + line + b"<</Size %d %b>>" % (self.size, entries)

    def _stream(
        self,
        out: bytearray,
        places: Mapping[int, tuple[int, int, int]],
        entries: bytes,
        start: int,
        is_first: bool,
    ) -> None:
        own = self._number()
        rows = {0: (0, 0, 65535)} if is_first else {}
        rows |= {**places, own: (1, start, 0)}
        if is_first and self.form.free:
            rows[self._number()] = (0, 0, 1)
        packed = [
            bytes((kind,)) + one.to_bytes(3, "big") + two.to_bytes(2, "big")
            for kind, one, two in (rows[number] for number in sorted(rows))
        ]
        content = b"".join(packed)
        index = b" ".join(b"%d %d" % (run[0], len(run)) for run in _runs(sorted(rows)))
        entries += b"/Type /XRef /W [1 3 2] /Index [%b] /Size %d " % (index, self.size)
        if self.form.predictor:
            above = [bytes(6), *packed]
            content = zlib.compress(
                b"".join(
                    b"\x02" + bytes((b - a) & 0xFF for a, b in zip(before, row, strict=True))
                    for before, row in zip(above, packed, strict=False)
                )
            )
            entries += b"/Filter /FlateDecode /DecodeParms <</Columns 6 /Predictor 12>>"
        out += b"%d 0 obj\n%b\nendobj\n" % (own, stream_of(content, entries))


def _parts(count: int, branch: int) -> list[int]:
    """The count in at most so many parts, as even as can be."""
    parts = min(branch, count)
    return [count // parts + (index < count % parts) for index in range(parts)]


def _runs(numbers: list[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for number in numbers:
        if run and run[-1] + 1 != number:
            yield run
            run = []
        run.append(number)
    if run:
        yield run
