"""Writes a seal's fields, pictures and empty signature into a PDF, by pyHanko, for any number of places.

Each place is a signature field of its own with one widget (ISO 32000-2 12.7.5.5); all of them name one
signature, so that the file is signed once, and a reader that shows signatures shows each picture as signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.content import AnnotAppearances
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter, append_signature_field
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest, SignatureObject

from services.eseal.domain import Picture
from services.eseal.places import Spot
from services.eseal.raster import Raster, operators, raster_of
from services.eseal.sealing.prepared import Imprint, PreparedDocument
from services.eseal.sheet import MATRICES, size_of


def lay_out(
    writer: IncrementalPdfFileWriter,
    document: bytes,
    *,
    spots: Sequence[Spot],
    turns: Sequence[int],
    imprint: Imprint,
) -> PreparedDocument:
    """A field, a picture and one signature for all of them, after the document; `turns` are the pages' of the
    spots, in degrees."""
    first = spots[0]
    spec = _spec(first, imprint.field_name, imprint.signer_name)
    embedder = PdfCMSEmbedder(new_field_spec=spec).write_cms(field_name=imprint.field_name, writer=writer)
    field = next(embedder).get_object()
    pictures = _Pictures(writer, imprint.picture, shared=len(spots) > 1 or first.right - first.left < 1)
    field[pdf_name("/AP")] = pictures.on(first, turns[0])
    signature = embedder.send(_setup(imprint))
    for number, (spot, turn) in enumerate(zip(spots[1:], turns[1:], strict=True), start=2):
        name = f"{imprint.field_name}-{number}"
        append_signature_field(writer, _spec(spot, name, imprint.signer_name))
        further = writer.root["/AcroForm"]["/Fields"][-1]
        further[pdf_name("/AP")] = pictures.on(spot, turn)
        further[pdf_name("/V")] = signature
    return _written(writer, document, embedder)


def lay_out_in_field(
    writer: IncrementalPdfFileWriter,
    document: bytes,
    *,
    name: str,
    area: tuple[float, float],
    turn: int,
    imprint: Imprint,
) -> PreparedDocument:
    """The seal in an empty field of the file, its picture as large as the field's area in points allows."""
    embedder = PdfCMSEmbedder().write_cms(field_name=name, writer=writer, existing_fields_only=True)
    field = next(embedder).get_object()
    shared = _Pictures(writer, imprint.picture, shared=True)
    field[pdf_name("/AP")] = shared.within(area, turn)
    field[pdf_name("/F")] = generic.NumberObject(132)  # locked, and printed
    embedder.send(_setup(imprint))
    return _written(writer, document, embedder)


def _spec(spot: Spot, name: str, signer_name: str) -> SigFieldSpec:
    box = spot.box
    return SigFieldSpec(
        name,
        on_page=spot.page,
        box=(box.left, box.bottom, box.right, box.top),  # type: ignore[arg-type]  # it takes any numbers
        readable_field_name=signer_name,
    )


def _setup(imprint: Imprint) -> SigObjSetup:
    """The empty signature; of one that certifies with the lock on all that follows (ISO 32000-2 12.8.2.2)."""
    signature = SignatureObject(
        timestamp=imprint.moment,
        subfilter=SigSeedSubFilter.PADES,
        name=imprint.signer_name,
        bytes_reserved=imprint.room,
    )
    if not imprint.certify:
        return SigObjSetup(sig_placeholder=signature)
    # The digest named here is deprecated with the entry that it would stand in, and is not written.
    lock = SigMDPSetup(md_algorithm="sha256", certify=True, docmdp_perms=MDPPerm.NO_CHANGES)
    return SigObjSetup(sig_placeholder=signature, mdp_setup=lock)


def _written(writer: IncrementalPdfFileWriter, document: bytes, embedder: object) -> PreparedDocument:
    """The file as it stands, its signature's gap still empty."""
    writer.ensure_output_version((1, 7))
    if writer.output_version < (2, 0):
        writer.register_extension(ESIC_EXTENSION_1)
    gap: PreparedByteRangeDigest
    gap, output = embedder.send(SigIOSetup(md_algorithm="sha256", output=BytesIO()))  # type: ignore[attr-defined]
    laid_out = output.getbuffer()
    if laid_out[: len(document)] != document:
        raise ValueError("what came before the seal did not stay")
    update = bytes(laid_out[len(document) :])
    return PreparedDocument(document, update, gap.reserved_region_start, gap.reserved_region_end)


class _Pictures:
    """The seal's picture in a file: written once, and shown whole, in part or scaled."""

    def __init__(self, writer: IncrementalPdfFileWriter, picture: Picture, *, shared: bool) -> None:
        self._writer = writer
        self._picture = picture
        self._size = size_of(picture)
        raster = raster_of(picture)
        self._image = writer.add_object(_image(raster)) if raster else None
        self._whole = writer.add_object(self._picture_form()) if shared else None

    def on(self, spot: Spot, turn: int) -> generic.DictionaryObject:
        """The appearance of a spot's widget on a page that is shown turned."""
        width, height = self._size
        if self._whole is None:
            return self._appearance(self._picture_form(), turn)
        form = self._form(b"/Seal Do", {"/XObject": self._named(self._whole)}, deflated=False)
        form[pdf_name("/BBox")] = _numbers(width * spot.left, 0, width * spot.right, height)
        return self._appearance(form, turn)

    def within(self, area: tuple[float, float], turn: int) -> generic.DictionaryObject:
        """The appearance in a field of this width and height: whole, upright, in the middle."""
        wide, tall = area if turn in (0, 180) else (area[1], area[0])
        width, height = self._size
        scale = min(wide / width, tall / height)
        x, y = (wide - width * scale) / 2, (tall - height * scale) / 2
        content = b"%.4f 0 0 %.4f %.4f %.4f cm /Seal Do" % (scale, scale, x, y)
        assert self._whole is not None
        form = self._form(content, {"/XObject": self._named(self._whole)}, deflated=False)
        form[pdf_name("/BBox")] = _numbers(0, 0, wide, tall)
        return self._appearance(form, turn)

    def _appearance(self, form: generic.StreamObject, turn: int) -> generic.DictionaryObject:
        form[pdf_name("/Matrix")] = _numbers(*MATRICES[turn], 0, 0)
        appearance: generic.DictionaryObject = AnnotAppearances(
            normal=self._writer.add_object(form)
        ).as_pdf_object()
        return appearance

    def _picture_form(self) -> generic.StreamObject:
        """The whole picture: its own operators, or those that show its dots."""
        if self._image is None:
            return self._form(self._picture.content, self._ink(), deflated=True)
        dots = generic.DictionaryObject({pdf_name("/Picture"): self._image})
        return self._form(operators(self._picture), {**self._ink(), "/XObject": dots}, deflated=False)

    def _form(
        self, content: bytes, resources: dict[str, generic.PdfObject], *, deflated: bool
    ) -> generic.StreamObject:
        """A form XObject of the picture's size."""
        entries: dict[generic.NameObject, generic.PdfObject] = {
            pdf_name("/Type"): pdf_name("/XObject"),
            pdf_name("/Subtype"): pdf_name("/Form"),
            pdf_name("/BBox"): _numbers(0, 0, *self._size),
            pdf_name("/Resources"): generic.DictionaryObject(
                {pdf_name(name): value for name, value in resources.items()}
            ),
        }
        if not deflated:
            return generic.StreamObject(entries, stream_data=content)
        entries[pdf_name("/Filter")] = pdf_name("/FlateDecode")
        return generic.StreamObject(entries, encoded_data=content)

    @staticmethod
    def _ink() -> dict[str, generic.PdfObject]:
        """The picture's ink multiplies with what lies below, as on paper."""
        ink = generic.DictionaryObject({pdf_name("/BM"): pdf_name("/Multiply")})
        return {"/ExtGState": generic.DictionaryObject({pdf_name("/Ink"): ink})}

    @staticmethod
    def _named(whole: generic.PdfObject) -> generic.DictionaryObject:
        return generic.DictionaryObject({pdf_name("/Seal"): whole})


def _numbers(*values: float) -> generic.ArrayObject:
    return generic.ArrayObject(generic.FloatObject(round(value, 4)) for value in values)


def _image(raster: Raster) -> generic.StreamObject:
    """The dots of a picture, as the rules for them say it."""
    entries = generic.DictionaryObject.read_from_stream(
        BytesIO(b"<<%b>>" % raster.entries), generic.TrailerReference(None)
    )
    return generic.StreamObject(dict(entries), encoded_data=raster.rows)
