from __future__ import annotations

import math
import re
import zlib
from itertools import pairwise

import pytest

from core.errors import InvalidError
from services.eseal.pictures.vector import DIAMETER_MM, PlacedGlyph, draw_round_seal, lay_out
from tests.unit.eseal.documents import KIND, OFFICE

CODE = "4402990000012"
LONG = "乳源瑶族自治县人力资源和社会保障局劳动人事争议仲裁院"


def said(content: bytes) -> list[str]:
    """What the picture's texts say, in order, to a reader that cannot see (ISO 32000-2 14.9.4)."""
    found = re.findall(rb"/ActualText <([0-9A-F]+)>", zlib.decompress(content))
    return [bytes.fromhex(text.decode()).decode("utf-16") for text in found]


def test_the_picture_says_name_kind_and_code_in_order() -> None:
    assert said(draw_round_seal(OFFICE, bottom_text=KIND, code=CODE).content) == [OFFICE, KIND, CODE]
    assert said(draw_round_seal(OFFICE).content) == [OFFICE]


@pytest.mark.parametrize("name", ["某局", "韶关市公安局", OFFICE, LONG])
def test_the_name_runs_clockwise_along_the_ring_its_middle_at_the_top(name: str) -> None:
    placed = lay_out(name, KIND, CODE).name

    assert "".join(glyph.char for glyph in placed) == name
    turns = [glyph.turn for glyph in placed]
    assert turns == sorted(turns)
    assert sum(turns) == pytest.approx(0, abs=1e-6)
    assert turns[-1] - turns[0] <= 240
    for glyph in placed:
        assert math.degrees(math.atan2(glyph.x, glyph.y)) == pytest.approx(glyph.turn)
        assert math.hypot(glyph.x, glyph.y) + glyph.height / 2 < DIAMETER_MM / 2 - 1.25


@pytest.mark.parametrize("name", ["某局", OFFICE, LONG])
def test_characters_do_not_touch(name: str) -> None:
    layout = lay_out(name, KIND, CODE)

    for glyphs in (layout.name, layout.bottom, layout.code):
        for one, next_one in pairwise(glyphs):
            assert distance_at_feet(one, next_one) >= one.width * 0.999


def distance_at_feet(one: PlacedGlyph, other: PlacedGlyph) -> float:
    """Between two neighbours' middles where they are closest: at the foot of a character on the ring."""
    inner = 1 - one.height / 2 / max(math.hypot(one.x, one.y), 1) if one.turn else 1
    return math.hypot(one.x - other.x, one.y - other.y) * inner


def test_the_code_reads_from_left_to_right_along_the_bottom() -> None:
    placed = lay_out(OFFICE, KIND, CODE).code

    assert "".join(glyph.char for glyph in placed) == CODE
    assert [glyph.x for glyph in placed] == sorted(glyph.x for glyph in placed)
    assert all(glyph.y < -14 for glyph in placed)


def test_the_picture_is_plain_vector_content_of_moderate_size() -> None:
    picture = draw_round_seal(LONG, bottom_text=KIND, code=CODE)
    operators = zlib.decompress(picture.content)

    assert (picture.width_mm, picture.height_mm) == (42, 42)
    assert len(picture.content) < 40_000
    assert operators.count(b"q ") == operators.count(b" Q") + 1 == operators.count(b"cm")
    assert not re.search(rb"\b(Do|Tj|BI|sh)\b", operators)


@pytest.mark.parametrize(
    ("name", "bottom", "code", "rule"),
    [
        ("局", "", "", "length"),
        ("局" * 31, "", "", "length"),
        (OFFICE, "章" * 13, "", "length"),
        (OFFICE, "", "123", "form"),
        (OFFICE, "", "１２３４５６７８９０１２３", "form"),
        ("某 局", "", "", "character"),
        ("某\U0010ffff局", "", "", "character"),
    ],
)
def test_texts_that_do_not_fit_a_seal_are_refused(name: str, bottom: str, code: str, rule: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        draw_round_seal(name, bottom_text=bottom, code=code)

    assert refusal.value.faults[0].rule == rule
