"""A seal's picture by the dot: how it is kept, and what a PDF says of it. Pure rules, no I/O.

It is kept as a PNG of one plain form: 8 bits of red, green and blue a dot, white where it is transparent,
not interlaced, one IDAT. A PDF takes that part as it is (ISO 32000-2 7.4.4.4: predictor 15 is PNG's). The
picture's ink multiplies with what lies below, and then white and transparent are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.eseal.domain import Picture
from services.eseal.photo import PNG, plain_png
from services.eseal.sheet import size_of

SIGNATURE = PNG


@dataclass(frozen=True)
class Raster:
    """Dots across and down, and the deflated rows, each with its filter."""

    width: int
    height: int
    rows: bytes = field(repr=False)

    @property
    def entries(self) -> bytes:
        """The image's dictionary but for its length. Readers that do not multiply leave white dots out."""
        return (
            b"/Type /XObject /Subtype /Image /ColorSpace /DeviceRGB /BitsPerComponent 8"
            b" /Width %d /Height %d /Mask [255 255 255 255 255 255] /Filter /FlateDecode"
            b" /DecodeParms <</Predictor 15 /Colors 3 /BitsPerComponent 8 /Columns %d>>"
            % (self.width, self.height, self.width)
        )


def is_raster(picture: Picture) -> bool:
    """Whether a picture is kept by the dot, and not as PDF operators."""
    return picture.content.startswith(SIGNATURE)


def raster_of(picture: Picture) -> Raster | None:
    """The dots of a picture; None where it is kept as PDF operators. Raises ValueError on another PNG."""
    if not is_raster(picture):
        return None
    width, height, colours, rows = plain_png(picture.content)
    if colours != 3:
        raise ValueError("not the form in which pictures are kept")
    return Raster(width, height, rows)


def operators(picture: Picture) -> bytes:
    """What draws the image `/Picture` over the whole of a seal's appearance, not deflated."""
    return b"q /Ink gs %.4f 0 0 %.4f 0 0 cm /Picture Do Q" % size_of(picture)
