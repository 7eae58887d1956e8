"""Pictures for templates' fields: what is taken, what goes on, and what a worker's answer may be."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from services.eseal.photo import MOST_BYTES, Photo, photo_of
from services.eseal.pictures.dots import chunk
from services.eseal.pictures.photos import read_photo
from services.eseal.raster import SIGNATURE
from services.eseal.refusals import SealPictureInvalidError
from tests.unit.eseal.forms_filled import CAMERA, photograph

ROOM = (420, 588)


def saved(picture: Image.Image, kind: str, **how: Any) -> bytes:
    out = BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def taken(file: bytes) -> Photo:
    """The picture as it goes on."""
    return photo_of(read_photo(file, ROOM), ROOM)


def refused(file: bytes) -> str:
    """The rule by which a file is refused."""
    with pytest.raises(SealPictureInvalidError) as refusal:
        read_photo(file, ROOM)
    (fault,) = refusal.value.faults
    return fault.rule


def opened(content: bytes) -> Image.Image:
    with Image.open(BytesIO(content)) as picture:
        return picture.convert("RGB")


def test_a_photograph_goes_on_as_dots_alone_and_no_finer_than_its_place_shows() -> None:
    file = photograph() + b"what stands behind the end"
    assert CAMERA.encode() in file

    photo = taken(file)

    assert (photo.width, photo.height, photo.colours, photo.extension) == (420, 588, 3, "jpg")
    assert b"Exif" not in photo.content
    assert photo.content.endswith(b"\xff\xd9")
    red, green, blue = opened(photo.content).getpixel((210, 220))  # type: ignore[misc]
    assert (abs(red - 236), abs(green - 196), abs(blue - 170)) < (12, 12, 12)


def test_a_photograph_is_turned_as_its_camera_says() -> None:
    left_is_black = Image.new("L", (200, 100), 255)
    left_is_black.paste(0, (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by a quarter, clockwise.

    photo = taken(saved(left_is_black, "JPEG", exif=exif))

    assert (photo.width, photo.height, photo.colours) == (100, 200, 1)
    red = opened(photo.content).getchannel("R").tobytes()
    assert (red[100 * 20 + 50] < 10, red[100 * 180 + 50] > 245) == (True, True)


def test_a_drawing_stays_without_loss_and_what_is_transparent_is_white() -> None:
    drawing = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    drawing.paste((200, 0, 0, 255), (0, 0, 150, 200))

    photo = taken(saved(drawing, "PNG"))
    grey = taken(saved(Image.linear_gradient("L"), "PNG"))

    assert (photo.extension, photo.colours, grey.colours) == ("png", 3, 1)
    assert opened(photo.content).getpixel((20, 20)) == (200, 0, 0)
    assert opened(photo.content).getpixel((280, 20)) == (255, 255, 255)
    assert len(zlib.decompress(grey.rows)) == 256 * 257  # Rows of a byte a dot, each behind its filter.


def test_a_photograph_that_comes_as_a_png_does_not_fill_the_document() -> None:
    noise = Image.effect_noise((600, 600), 90).convert("RGB")

    photo = photo_of(read_photo(saved(noise, "PNG"), (500, 500)), (500, 500))

    assert photo.extension == "jpg"
    assert len(photo.content) <= MOST_BYTES


def test_what_cannot_be_read_or_shown_is_refused_by_its_rule() -> None:
    photo = photograph()
    bomb = (
        SIGNATURE + chunk(b"IHDR", struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")
    )

    assert refused(b"GIF89a") == "form"
    assert refused(photo[:2000]) == "form"
    assert refused(bomb) == "dots"
    assert refused(saved(Image.new("RGB", (20, 20)), "JPEG")) == "dots"
    assert refused(saved(Image.new("CMYK", (100, 100)), "JPEG")) == "colours"
    assert refused(saved(Image.new("RGB", (100, 100), "white"), "JPEG")) == "blank"
    assert refused(saved(Image.new("RGBA", (100, 100)), "PNG")) == "blank"
    assert refused(saved(Image.new("I;16", (100, 100), 7), "PNG")) == "bit_depth"


def with_segment(jpeg: bytes, mark: int, body: bytes) -> bytes:
    """A JPEG with one more segment at its beginning."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body + jpeg[2:]


def is_taken(answer: bytes) -> bool:
    try:
        photo_of(answer, ROOM)
    except ValueError:
        return False
    return True


def test_a_worker_that_was_taken_over_can_answer_nothing_but_tables_and_dots() -> None:
    good = read_photo(photograph(), ROOM)
    png = read_photo(saved(Image.linear_gradient("L"), "PNG"), ROOM)
    end = chunk(b"IEND", b"")
    answers = {
        "a comment": with_segment(good, 0xFE, b"hello"),
        "application data": with_segment(good, 0xE1, b"Exif\0\0"),
        "another frame": with_segment(good, 0xC2, b"\x08\0\x10\0\x10\3" + bytes(9)),
        "a second scan": good[:-2] + b"\xff\xda\x00\x02\x00\xff\xd9",
        "something behind the end": good + b"%PDF",
        "cut off": good[:300],
        "larger than its room": read_photo(photograph(), (421, 589)),
        "fewer dots than it says": png[:19] + b"\x10" + png[20:],
        "rows that are none": png[:41] + bytes(8) + png[49:],
        "too much": good[:-2] + bytes(MOST_BYTES) + b"\xff\xd9",
        "text in a PNG": png.removesuffix(end) + chunk(b"tEXt", b"a\0b") + end,
        "something behind a PNG": png + b"%PDF",
        "neither": b"%PDF-1.7",
    }

    assert {what for what, answer in answers.items() if is_taken(answer)} == set()


def test_a_picture_keeps_its_proportions_in_its_place() -> None:
    photo = taken(photograph(size=(400, 200)))

    assert photo.within(35, 49) == pytest.approx((0, 15.75, 35, 17.5))
    assert photo.within(100, 20) == pytest.approx((30, 0, 40, 20))
