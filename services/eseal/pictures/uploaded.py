"""An uploaded picture as a seal's: once for PDF, once for OFD. Runs in a confined worker only.

A PNG stays one of dots. An SVG becomes PDF operators, and for OFD, whose readers take pictures by the dot,
what these show.
"""

from __future__ import annotations

import zlib

import pypdfium2 as pdfium
from PIL import Image

from services.eseal.domain import Picture
from services.eseal.gm.ses_making import SealFace
from services.eseal.pictures.dots import kept_form, on_white, read_dots, with_alpha
from services.eseal.pictures.png import DOTS_PER_MM
from services.eseal.pictures.svg import number_line, read_svg
from services.eseal.raster import SIGNATURE
from services.eseal.refusals import SealPictureInvalidError
from services.eseal.sheet import POINTS_PER_MM

MOST_KEPT = 128 * 1024
"""Bytes of a picture as it stands in each document."""
LEAST_MM, MOST_MM = 5.0, 60.0


def read_uploaded(file: bytes, width_mm: float) -> tuple[Picture, SealFace]:
    """The picture, so many millimetres wide, as tall as it is drawn. Raises SealPictureInvalidError."""
    return _of_png(file, width_mm) if file.startswith(SIGNATURE) else _of_svg(file, width_mm)


def _of_png(file: bytes, width_mm: float) -> tuple[Picture, SealFace]:
    dots = read_dots(file)
    height_mm = _height(width_mm, dots.height / dots.width)
    picture = Picture(kept_form(on_white(dots)), width_mm, height_mm)
    return _kept(picture, dots)


def _of_svg(file: bytes, width_mm: float) -> tuple[Picture, SealFace]:
    drawing = read_svg(file)
    height_mm = _height(width_mm, drawing.height / drawing.width)
    scale = width_mm * POINTS_PER_MM / drawing.width
    wide, tall = width_mm * POINTS_PER_MM, height_mm * POINTS_PER_MM
    matrix = number_line((scale, 0, 0, -scale, -drawing.left * scale, tall + drawing.top * scale))
    content = f"q /Ink gs 0 0 {wide:.4f} {tall:.4f} re W n {matrix}\n{drawing.operators}\nQ".encode("ascii")
    picture = Picture(zlib.compress(content, 9), width_mm, height_mm)
    shown = _rendered(content, wide, tall)
    on_white(shown)  # It says so where nothing is to be seen.
    return _kept(picture, shown)


def _kept(picture: Picture, dots: Image.Image) -> tuple[Picture, SealFace]:
    face = with_alpha(dots)
    if max(len(picture.content), len(face)) > MOST_KEPT:
        raise SealPictureInvalidError.by(
            "size",
            f"the picture takes more than {MOST_KEPT // 1024} KiB in each document; use fewer dots or shades",
        )
    return picture, SealFace("PNG", face, round(picture.width_mm), round(picture.height_mm))


def _height(width_mm: float, ratio: float) -> float:
    height = width_mm * ratio
    if not LEAST_MM <= height <= MOST_MM:
        raise SealPictureInvalidError.by(
            "shape",
            f"the picture would be {height:.1f} mm high; {LEAST_MM:.0f} to {MOST_MM:.0f} are possible",
        )
    return height


def _rendered(content: bytes, wide: float, tall: float) -> Image.Image:
    """What operators show, on a transparent ground."""
    resources = b"<</ExtGState <</Ink <</BM /Normal>>>>>>"
    bodies = (
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 %.4f %.4f] /Contents 4 0 R /Resources %b>>"
        % (wide, tall, resources),
        b"<</Length %d>>\nstream\n%b\nendstream" % (len(content), content),
    )
    file, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    file += (
        b"xref\n0 5\n0000000000 65535 f \n%btrailer\n<</Size 5 /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (
            table,
            len(file),
        )
    )
    document = pdfium.PdfDocument(file)
    try:
        scale = DOTS_PER_MM / POINTS_PER_MM
        bitmap = document[0].render(scale=scale, fill_color=(255, 255, 255, 0), force_bitmap_format=4)
        shown: Image.Image = bitmap.to_pil().convert("RGBA")
        return shown
    finally:
        document.close()
