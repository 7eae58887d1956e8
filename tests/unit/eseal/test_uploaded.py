"""Pictures that owners bring: drawn as they are on PDF and OFD, or refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from services.eseal.domain import Picture, Place
from services.eseal.envelope import pades_envelope
from services.eseal.gm.ses_making import SealFace
from services.eseal.pdf import increment
from services.eseal.pdf.inspection import inspect
from services.eseal.pdf.sealing import prepare, prepare_by_pyhanko
from services.eseal.pictures.dots import kept_form, on_white
from services.eseal.pictures.uploaded import read_uploaded
from services.eseal.raster import raster_of
from services.eseal.refusals import SealPictureInvalidError
from services.eseal.sealing.placing import OnPages
from services.eseal.sealing.prepared import RESERVED_HEX, Imprint, PreparedDocument
from services.eseal.templates.face import serif
from services.eseal.templates.pdf import make_plate
from tests.unit.eseal.documents import KIND, NOW, OFFICE, make_kit, pdf_of, plain, stream_of
from tests.unit.eseal.forms_filled import DECISION, NUMBER, codes, plate
from tests.unit.eseal.uploads import RED, REFUSED_SVGS, SVG, drawn, head, png, svg, with_chunk

FILES = {"png": png(drawn()), "svg": SVG.encode()}
MIDDLE = Place(1, 100, 150)
KIT = make_kit()


def refusal_of(file: bytes, width_mm: float = 42.0) -> tuple[str, str]:
    """The rule and the message by which a picture is refused."""
    with pytest.raises(SealPictureInvalidError) as refusal:
        read_uploaded(file, width_mm)
    (fault,) = refusal.value.faults
    assert fault.field == "picture"
    return fault.rule, fault.message


def shown(document: bytes, x_mm: float, y_mm: float, page: int = 0) -> tuple[int, int, int]:
    """The colour of a point of a page, millimetres from its lower left corner."""
    opened = pypdfium2.PdfDocument(document)
    opened.init_forms()
    image = opened[page].render(scale=4).to_pil().convert("RGB")
    opened.close()
    dots = 4 * 72 / 25.4
    x, y = round(x_mm * dots), round(image.height - y_mm * dots)
    red, green, blue = image.crop((x, y, x + 1, y + 1)).tobytes()
    return red, green, blue


def dot(face: SealFace, x: int, y: int) -> tuple[int, int, int, int]:
    """A dot of a picture for OFD: red, green, blue, alpha."""
    red, green, blue, alpha = (
        Image.open(BytesIO(face.picture)).convert("RGBA").crop((x, y, x + 1, y + 1)).tobytes()
    )
    return red, green, blue, alpha


def near(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return all(abs(mine - theirs) <= 3 for mine, theirs in zip(one, other, strict=True))


def imprint(picture: Picture) -> Imprint:
    return Imprint(picture, field_name="seal-1", signer_name=OFFICE + KIND, moment=NOW)


def laid_out(picture: Picture, way: str) -> PreparedDocument:
    """A seal on a plain page, laid out by us or by pyHanko, in one place or in two."""
    if way == "increment":
        prepared = increment.prepare(plain(), MIDDLE, imprint(picture))
        assert prepared is not None
        return prepared
    if way == "pyhanko":
        return prepare_by_pyhanko(plain(), MIDDLE, imprint(picture))
    return prepare_by_pyhanko(plain(2), OnPages((1, 2), 100, 150), imprint(picture))


@pytest.mark.parametrize("kind", sorted(FILES))
@pytest.mark.parametrize("way", ["increment", "pyhanko", "pages"])
def test_the_picture_shows_on_the_page_wherever_it_is_put(kind: str, way: str) -> None:
    picture, _ = read_uploaded(FILES[kind], 42.0)

    document = laid_out(picture, way).document

    for page in range(2 if way == "pages" else 1):
        assert near(shown(document, 100, 150, page), RED)
        assert near(shown(document, 100, 150 + 20, page), RED)
        assert shown(document, 100, 150 + 10, page) == (255, 255, 255)


@pytest.mark.parametrize("way", ["increment", "pages"])
async def test_a_seal_with_such_a_picture_holds_and_lets_another_follow(way: str) -> None:
    picture, _ = read_uploaded(FILES["png"], 30.0)
    prepared = laid_out(picture, way)
    once = prepared.filled(await pades_envelope(KIT.signer, prepared.digest))
    again = prepare(once, Place(1, 60, 60), replace(imprint(picture), field_name="seal-2"))

    twice = again.filled(await pades_envelope(KIT.signer, again.digest))

    found = await inspect(twice, roots=[KIT.root], moment=NOW)
    assert [(one.intact, one.valid, one.trusted_now, one.permitted) for one in found] == [(True,) * 4] * 2
    assert [one.covers_whole_document for one in found] == [False, True]


def test_alpha_lets_what_lies_below_show_through_and_ink_multiplies_with_it() -> None:
    page = b"<</Type /Page /Parent 2 0 R /Resources <<>> /MediaBox [0 0 595 842] /Contents 4 0 R>>"
    tree = b"<</Type /Pages /Kids [3 0 R] /Count 1>>"
    grey = stream_of(b"0.5 g 0 0 595 842 re f")
    document = pdf_of([b"<</Type /Catalog /Pages 2 0 R>>", tree, page, grey])
    picture = drawn()
    picture.putalpha(picture.getchannel("A").point(lambda alpha: alpha // 2))

    sealed = increment.prepare(document, MIDDLE, imprint(read_uploaded(png(picture), 42.0)[0]))

    assert sealed is not None
    half = (round((255 + RED[0]) / 4), round((255 + RED[1]) / 4), round((255 + RED[2]) / 4))
    assert near(shown(sealed.document, 100, 150), half)
    assert near(shown(sealed.document, 100, 160), (128, 128, 128))


@pytest.mark.parametrize("kind", sorted(FILES))
def test_a_templates_document_shows_the_picture_and_stays_whole(kind: str) -> None:
    picture, _ = read_uploaded(FILES[kind], 30.0)
    usual = plate("permit_decision")
    made = make_plate(usual.template, usual.face, codes(), picture=picture, signer_name=OFFICE)

    values = made.template.shown(DECISION, NUMBER, serif().characters)
    document = made.fill(values, NUMBER, NOW, b"{}", RESERVED_HEX).document

    seal = made.template.seal
    red, green, blue = shown(document, seal.x, made.template.height - seal.y)
    assert red > 150 > green
    assert blue < 150
    plain_size = len(plate("permit_decision").content)
    assert (b"/Picture" in document) == (kind == "png")
    assert len(made.content) < plain_size + 20_000


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "LA", "L", "P", "1"])
@pytest.mark.parametrize("laced", [False, True])
def test_every_kind_of_png_comes_out_dot_for_dot_with_its_alpha(mode: str, laced: bool) -> None:
    file = png(drawn(mode), interlace=laced)

    picture, face = read_uploaded(file, 42.0)

    opened = Image.open(BytesIO(file)).convert("RGBA")
    assert Image.open(BytesIO(face.picture)).convert("RGBA").tobytes() == opened.tobytes()
    assert Image.open(BytesIO(picture.content)).tobytes() == on_white(opened).tobytes()
    raster = raster_of(picture)
    assert raster is not None
    assert (raster.width, raster.height, face.width_mm, face.height_mm) == (200, 200, 42, 42)


def test_an_svg_stays_drawn_on_pdf_and_is_dots_on_a_clear_ground_for_ofd() -> None:
    picture, face = read_uploaded(SVG.encode(), 40.0)

    dots = Image.open(BytesIO(face.picture))
    assert raster_of(picture) is None
    assert (face.picture_type, face.width_mm, face.height_mm, dots.size) == ("PNG", 40, 40, (480, 480))
    red, green, blue, alpha = dot(face, 240, 240)
    assert near((red, green, blue), RED)
    assert alpha == 255
    assert dot(face, 240, 120)[3] == 0


@pytest.mark.parametrize(
    "shape",
    [
        '<circle cx="50" cy="50" r="30"/>',
        '<ellipse cx="50" cy="50" rx="30" ry="20"/>',
        '<polygon points="20,20 80,20 80,80 20,80"/>',
        '<polyline points="20 20 80 20 80 80 20 80"/>',
        '<line x1="0" y1="50" x2="100" y2="50" stroke="black" stroke-width="20"/>',
        '<rect x="20" y="20" width="60" height="60" rx="5"/>',
        '<path d="M20 20h60v60h-60z"/>',
        '<path d="M20,50a30 30 0 1160 0a30 30 0 11-60 0"/>',
        '<path d="M20 50Q50 -40 80 50T20 50"/>',
        '<g transform="translate(50 50) rotate(45)"><rect x="-9" y="-9" width="18" height="18"/></g>',
        '<circle r="3" transform="translate(50,50) scale(3 4)"/>',
        '<rect width="60" height="60" transform="matrix(1 0 0 1 20 20)"/>',
        '<path d="M0 0H100V100H0zM20 20H80V80H20z"/>',
    ],
)
def test_every_shape_is_drawn_where_it_stands(shape: str) -> None:
    file = f'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">{shape}</svg>'

    _, face = read_uploaded(file.encode(), 42.0)

    assert dot(face, 252, 252 if "Q50" not in shape else 240)[3] == 255


def test_a_hole_is_a_hole_by_the_rule_that_the_file_names() -> None:
    ring = '<path {} d="M0 0H100V100H0zM20 20H80V80H20z"/>'
    for rule, alpha in (('fill-rule="evenodd"', 0), ('fill-rule="nonzero"', 255)):
        file = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{ring.format(rule)}</svg>'
        _, face = read_uploaded(file.encode(), 42.0)
        assert dot(face, 252, 252)[3] == alpha


def test_notes_of_a_drawing_program_do_not_matter() -> None:
    notes = (
        '<defs id="d"/><title>章</title><metadata><a xmlns="urn:b"/></metadata>'
        '<n:namedview xmlns:n="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"/>'
        '<path d="M1 1h9v9h-9z" style="fill:#de0512;-inkscape-stroke:none;stroke-dasharray:none"/>'
    )

    picture, _ = read_uploaded(svg(notes), 42.0)

    assert (picture.width_mm, picture.height_mm) == (42, 42)


@pytest.mark.parametrize("name", sorted(REFUSED_SVGS))
def test_what_an_svg_must_not_have_is_refused_by_the_elements_name(name: str) -> None:
    file, rule, said = REFUSED_SVGS[name]

    found = refusal_of(file)

    assert found[0] == rule
    assert said in found[1]


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        (head(depth=16), "bit_depth"),
        (head(kind=3, depth=16), "bit_depth"),
        (head(kind=5), "colour_type"),
        (head(width=100_000, height=100_000), "dots"),
        (head(width=16), "dots"),
        (head(packing=1), "form"),
        (head(), "form"),
        (png(drawn())[:-20], "form"),
        (png(drawn()) + b"more", "form"),
        (png(drawn()).replace(b"IDAT", b"IDAU", 1), "form"),
        (with_chunk(b"acTL", bytes(8)), "animation"),
        (with_chunk(b"ABCD"), "chunk"),
        (b"\x89PNG\r\n\x1a\n", "form"),
        (png(Image.new("RGBA", (64, 64), (9, 9, 9, 0))), "blank"),
        (png(Image.new("L", (64, 64), 255)), "blank"),
        (png(Image.effect_noise((700, 700), 100)), "size"),
    ],
)
def test_a_png_that_no_seal_can_have_is_refused_by_a_rule(file: bytes, rule: str) -> None:
    assert refusal_of(file)[0] == rule


def test_texts_and_profiles_of_a_png_go_nowhere() -> None:
    file = with_chunk(b"tEXt", b"Author\0Li Si") + b""

    picture, face = read_uploaded(file, 42.0)

    assert b"Li Si" not in picture.content + face.picture


def test_only_the_form_in_which_pictures_are_kept_is_put_on_documents() -> None:
    kept = kept_form(on_white(drawn()))

    assert raster_of(Picture(kept, 1, 1)) is not None
    for other in (png(drawn()), kept[:-12] + kept[33:], kept[:40]):
        with pytest.raises(ValueError, match="picture"):
            raster_of(Picture(other, 1, 1))


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), kind=st.sampled_from(sorted(FILES)))
def test_a_damaged_file_is_drawn_or_refused(place: int, byte: int, kind: str) -> None:
    file = bytearray(FILES[kind])
    file[place % len(file)] = byte

    try:
        picture, _ = read_uploaded(bytes(file), 42.0)
    except SealPictureInvalidError:
        return
    assert replace(picture, content=b"").width_mm == 42.0
