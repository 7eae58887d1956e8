"""Seals that we lay out ourselves: pyHanko finds them valid, and they are what it would have written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.generic import DictionaryObject, IndirectObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm, enumerate_sig_fields
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from services.eseal.domain import Place
from services.eseal.envelope import pades_envelope
from services.eseal.pdf import increment
from services.eseal.pdf.inspection import inspect
from services.eseal.pdf.sealing import prepare, prepare_by_pyhanko
from services.eseal.refusals import DocumentError
from services.eseal.sealing.prepared import Imprint
from services.eseal.verifying.finding import Modification
from tests.unit.eseal.documents import (
    KIND,
    NOW,
    OFFICE,
    SealKit,
    encrypted,
    hostile,
    make_kit,
    parsed,
    plain,
)
from tests.unit.eseal.forms import KINDS, Form, build, forms

LATER = NOW + timedelta(minutes=1)
KIT = make_kit()
IMPRINT = Imprint(KIT.picture, field_name="seal-1", signer_name=OFFICE + KIND, moment=NOW)


def sealed(document: bytes, place: Place = Place()) -> bytes:  # noqa: B008  # frozen
    """The document sealed by way of our own layout, whatever pyHanko would do."""
    prepared = increment.prepare(document, place, IMPRINT)
    assert prepared is not None, "not taken for a file of ordinary form"
    return prepared.filled(asyncio.run(pades_envelope(KIT.signer, prepared.digest)))


def validated(document: bytes) -> None:
    """Passes a document whose one seal pyHanko finds valid, and over all of it."""
    (signature,) = PdfFileReader(BytesIO(document), strict=True).embedded_signatures
    context = ValidationContext(trust_roots=[parsed(KIT.root)], allow_fetching=False, moment=LATER)
    status = validate_pdf_signature(signature, context)
    assert status.bottom_line
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    assert status.docmdp_ok


def said_of_seal(document: bytes) -> Mapping[str, object]:
    """All that a reader sees of the seal in the field `seal-1`, and of what a seal changes in the file."""
    reader = PdfFileReader(BytesIO(document), strict=True)
    root, form = reader.root, reader.root["/AcroForm"]
    (field,) = (it for it in form["/Fields"] if it.get_object().get("/T") == "seal-1")
    widget = field.get_object()
    appearance = widget["/AP"]["/N"]
    page, _ = reader.find_page_for_modification(_page_index(reader, widget.raw_get("/P")))
    kept = ("/FT", "/Type", "/Subtype", "/F", "/T", "/TU")
    seen = ("/Type", "/Subtype", "/BBox", "/Matrix", "/Resources")
    signed = ("/Type", "/Filter", "/SubFilter", "/M", "/Name")
    return {
        "widget": {name: widget[name] for name in kept},
        "rectangle": [round(float(number), 3) for number in widget["/Rect"]],
        "page": widget.raw_get("/P").idnum,
        "annotations": [it.idnum == field.idnum for it in page.get_object()["/Annots"]],
        "appearance": {name: _plain(appearance[name]) for name in seen},
        "picture": appearance.data,
        "signature": {name: widget["/V"][name] for name in signed},
        "fields": len(form["/Fields"]),
        "flags": form["/SigFlags"],
        "needs": "/NeedAppearances" in form,
        "version": reader.input_version,
        "extensions": _plain(root.get("/Extensions")),
        "catalogue": {
            name: _plain(it) for name, it in root.items() if name not in {"/AcroForm", "/Metadata"}
        },
        "first_identifier": reader.document_id[0] if reader.trailer.raw_get("/Prev") else b"",
        "kind": reader.has_xref_stream,
        "revisions": reader.total_revisions,
    }


def place_of_seal(document: bytes) -> tuple[int, list[float]]:
    """The page's object, and the rectangle, of the one seal in a file."""
    ((_, _, field),) = enumerate_sig_fields(PdfFileReader(BytesIO(document), strict=True))
    widget = field.get_object()
    return widget.raw_get("/P").idnum, [round(float(number), 3) for number in widget["/Rect"]]


def _page_index(reader: PdfFileReader, wanted: IndirectObject) -> int:
    pages = range(int(reader.root["/Pages"]["/Count"]))
    return next(it for it in pages if reader.find_page_for_modification(it)[0].idnum == wanted.idnum)


def _plain(value: object) -> object:
    """A value without the names of its kinds, which two writers choose differently."""
    if isinstance(value, DictionaryObject):
        return {name: _plain(value.raw_get(name)) for name in value if name != "/Type"}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return f"{value.idnum} R" if isinstance(value, IndirectObject) else str(value)


@settings(max_examples=120, deadline=None)
@given(forms(), st.integers(0, 9))
@example(Form(kind="table", free=True), 0)
@example(Form(kind="stream", free=True), 0)
@example(Form(kind="packed", version="2.0", predictor=True, revisions=3), 0)
def test_whatever_its_form_a_sealed_file_is_valid_and_begins_with_the_file(form: Form, page: int) -> None:
    document, place = build(form), Place(min(page, form.pages))

    ours = sealed(document, place)

    assert ours.startswith(document)
    validated(ours)


@settings(max_examples=120, deadline=None)
@given(forms(), st.integers(0, 9))
def test_a_seal_is_what_pyhanko_would_have_written(form: Form, page: int) -> None:
    # An identifier that a file lacks is made up, by each on its own.
    document, place = build(replace(form, identifier=True)), Place(min(page, form.pages))

    ours, theirs = sealed(document, place), prepare_by_pyhanko(document, place, IMPRINT).document

    assert said_of_seal(ours) == said_of_seal(theirs)


@settings(max_examples=40, deadline=None)
@given(forms())
def test_a_further_seal_holds_and_the_first_with_it(form: Form) -> None:
    once = sealed(build(form))
    further = replace(IMPRINT, field_name="seal-2")
    prepared = prepare(once, Place(1, 60, 60), further)
    twice = prepared.filled(asyncio.run(pades_envelope(KIT.signer, prepared.digest)))

    first, second = asyncio.run(inspect(twice, roots=[KIT.root], moment=LATER))

    assert twice.startswith(once)
    assert all(it.intact and it.valid and it.trusted_now and it.permitted for it in (first, second))
    assert (first.field_name, second.field_name) == ("seal-1", "seal-2")
    assert first.modification is Modification.FORM_FILLING
    assert second.covers_whole_document


@settings(max_examples=300, deadline=None)
@given(
    forms(),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["flip", "cut", "double", "other"])),
        min_size=1,
        max_size=3,
    ),
    st.binary(min_size=1, max_size=4),
)
def test_a_damaged_file_that_we_take_is_sealed_validly_where_pyhanko_would_seal_it(
    form: Form, damages: list[tuple[float, str]], other: bytes
) -> None:
    """Most of what is damaged is left to pyHanko; what is not is damaged where no seal has to do with it."""
    document = bytearray(build(form))
    for share, kind in damages:
        at = int(share * len(document))
        piece = {
            "flip": bytes([document[at] ^ 0x01]),
            "cut": b"",
            "double": bytes(document[at : at + 1]) * 2,
            "other": other,
        }
        document[at : at + 1] = piece[kind]

    ours = increment.prepare(bytes(document), Place(), IMPRINT)

    if ours is None:
        return
    validated(ours.filled(asyncio.run(pades_envelope(KIT.signer, ours.digest))))
    with suppress(DocumentError):
        theirs = prepare_by_pyhanko(bytes(document), Place(), IMPRINT)
        assert place_of_seal(ours.document) == place_of_seal(theirs.document)


@pytest.mark.parametrize("name", sorted(hostile()))
def test_a_hostile_file_is_left_to_pyhanko_which_refuses_it(name: str) -> None:
    document = hostile()[name]

    assert increment.prepare(document, Place(), IMPRINT) is None
    with pytest.raises(DocumentError):
        prepare(document, Place(), IMPRINT)


@pytest.mark.parametrize("permission", list(MDPPerm))
def test_a_certified_file_is_left_to_pyhanko(permission: MDPPerm) -> None:
    assert increment.prepare(KIT.certified(plain(), permission), Place(), IMPRINT) is None


async def test_a_sealed_file_is_left_to_pyhanko_which_looks_at_the_seal_that_is_there() -> None:
    assert increment.prepare(await KIT.seal(plain()), Place(), IMPRINT) is None


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (encrypted(), Place()),
        (plain(2), Place(3)),
        (plain(2), Place(1, 4000, 10)),
        (plain().replace(b"1.7", b"9.7"), Place()),
        (plain().replace(b"/Type /Page /", b"/Type /Plan /"), Place()),
        (plain().replace(b"/Parent 2 0 R", b"/Parent 1 0 R"), Place()),
        (plain(page_entries=b"/MediaBox [0 0 595 842] /Annots null"), Place()),
        (plain(page_entries=b"/MediaBox [0 0 595 842] /Annots 2 0 R"), Place()),
        (plain(page_entries=b"/MediaBox [0 0 595 842] /UserUnit 0"), Place()),
        (plain(page_entries=b"/MediaBox [0 0 595 842] /Rotate 90.5"), Place()),
    ],
)
def test_what_is_unusual_or_to_be_refused_is_left_to_pyhanko(document: bytes, place: Place) -> None:
    assert increment.prepare(document, place, IMPRINT) is None


def test_a_form_with_a_field_of_the_seals_name_is_left_to_pyhanko() -> None:
    document = build(Form(fields="indirect"))

    assert increment.prepare(document, Place(), replace(IMPRINT, field_name="agreed")) is None
    assert increment.prepare(document, Place(), IMPRINT) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_remark_in_a_dictionary_stays_a_remark(kind: str) -> None:
    document = build(Form(kind=kind, strange=b"/Note 1 % the last >> of all\n"))

    validated(sealed(document))


def test_names_and_signers_may_hold_what_texts_hold() -> None:
    for signer in ("Bureau (No. 7) \\ East", "某局印章", "é", "𠮷野家"):
        prepared = increment.prepare(plain(), Place(), replace(IMPRINT, signer_name=signer))
        assert prepared is not None
        field = PdfFileReader(BytesIO(prepared.document)).root["/AcroForm"]["/Fields"][0]
        assert (field["/TU"], field["/V"]["/Name"]) == (signer, signer)


def test_a_seal_kit_uses_the_layout_of_our_own() -> None:
    """The tests of this folder that go by `SealKit.seal` are about it too."""
    kit: SealKit = KIT
    document = plain()

    assert asyncio.run(kit.seal(document)).startswith(document)
    assert increment.prepare(document, Place(), IMPRINT) is not None
