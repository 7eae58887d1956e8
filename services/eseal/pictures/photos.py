"""A picture for a field of a template, PNG or JPEG, read and written anew. Runs in a confined worker only.

What goes on is dots alone, no finer than the picture's place in the document shows: where and with what a
photograph was taken, what stands behind its end and how it was packed stay behind. It is turned as its camera
says, what is transparent becomes white, and colours are taken to be sRGB, whatever profile says otherwise.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageOps

from services.eseal.photo import JPEG, MOST_BYTES, PNG
from services.eseal.pictures.dots import kept_form, on_white, read_dots, require_dots
from services.eseal.refusals import SealPictureInvalidError

MOST_PNG_DOTS = 4096
MOST_JPEG_DOTS = 8192
_LOSSLESS_BYTES = 96 * 1024
"""Up to so much a PNG stays one; a larger one is a photograph, or as good as one."""
_QUALITIES = (88, 75, 60)
_MODES = frozenset(("L", "RGB"))


def read_photo(file: bytes, room: tuple[int, int]) -> bytes:
    """The picture within a room of so many dots across and down, as `photo.py` has it. Raises
    SealPictureInvalidError."""
    is_png = file.startswith(PNG)
    if is_png:
        dots = read_dots(file, MOST_PNG_DOTS)
    elif file.startswith(JPEG):
        dots = _read_jpeg(file, room)
    else:
        raise SealPictureInvalidError.by("form", "the file is neither a PNG nor a JPEG")
    dots.thumbnail(room, Image.Resampling.LANCZOS)
    paper = _without_colour(on_white(dots.convert("RGBA")))
    if is_png:
        kept = kept_form(paper)
        if len(kept) <= _LOSSLESS_BYTES:
            return kept
    return _jpeg_of(paper)


def _read_jpeg(file: bytes, room: tuple[int, int]) -> Image.Image:
    try:
        with Image.open(BytesIO(file), formats=["JPEG"]) as opened:
            require_dots(*opened.size, MOST_JPEG_DOTS)
            if opened.mode not in _MODES:
                said = "the JPEG is for a printing press (CMYK); save it as RGB"
                raise SealPictureInvalidError.by("colours", said)
            # What nobody will see is not decoded, which takes less memory and time; turned, the sides change.
            opened.draft(opened.mode, (max(room), max(room)))
            return ImageOps.exif_transpose(opened)
    except SealPictureInvalidError:
        raise
    except Exception as fault:  # a decoder may raise anything at all on a file that lies about itself
        raise SealPictureInvalidError.by("form", "the dots of the JPEG cannot be read") from fault


def _without_colour(paper: Image.Image) -> Image.Image:
    """In grey, where it shows nothing else."""
    red, green, blue = (band.tobytes() for band in paper.split())
    return paper.convert("L") if red == green == blue else paper


def _jpeg_of(paper: Image.Image) -> bytes:
    for quality in _QUALITIES:
        out = BytesIO()
        paper.save(out, "JPEG", quality=quality, optimize=True)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
    raise SealPictureInvalidError.by(
        "size",
        f"the picture takes more than {MOST_BYTES // 1024} KiB in the document; use one with fewer dots",
    )
