from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.eseal.typesetting import (
    MM_PER_POINT,
    Area,
    DoesNotFitError,
    Frames,
    Line,
    Setting,
    run_over,
    set_text,
)


def width(char: str) -> int:
    """Chinese characters are as wide as the font is high, others half of it."""
    return 500 if char.isascii() else 1000


def lines(text: str, chars: float, *, height: float = 1000.0) -> list[str]:
    """The text in lines of so many Chinese characters."""
    area = Area(0, 0, chars * 10 * MM_PER_POINT, height)
    return [line.text for line in set_text([text], area, Setting(10, 10), width)]


def test_a_line_breaks_between_any_two_chinese_characters() -> None:
    assert lines("准予行政许可决定", 3) == ["准予行", "政许可", "决定"]


def test_no_line_begins_with_closing_punctuation_or_ends_with_opening_punctuation() -> None:
    assert lines("申请材料，齐全", 4) == ["申请材", "料，齐全"]
    assert lines("根据规定《办法》", 5) == ["根据规定", "《办法》"]


def test_numbers_and_words_are_not_torn_unless_a_line_cannot_hold_them() -> None:
    assert lines("许可证号SC12345号", 6) == ["许可证号", "SC12345号"]
    assert lines("SC123456789", 3) == ["SC1234", "56789"]


def test_a_text_is_set_smaller_until_it_fits_and_refused_below_the_least_size() -> None:
    area = Area(0, 0, 10 * 10 * MM_PER_POINT, 10 * MM_PER_POINT)

    (line,) = set_text(["一二三四五六七八九十甲乙"], area, Setting(10, 8), width)
    with pytest.raises(DoesNotFitError) as refused:
        set_text(["一" * 13], area, Setting(10, 8), width)

    assert line.size == 8  # The largest step below at which twelve characters take one line.
    assert refused.value.most == 12


def test_lines_stand_where_their_alignment_says() -> None:
    area = Area(10, 20, 100 * MM_PER_POINT, 10)

    (left,) = set_text(["三字文"], area, Setting(10, 10), width)
    (centre,) = set_text(["三字文"], area, Setting(10, 10, align="centre"), width)
    (right,) = set_text(["三字文"], area, Setting(10, 10, align="right"), width)

    assert left.x == 10
    assert centre.x == pytest.approx(10 + 35 * MM_PER_POINT)
    assert right.x == pytest.approx(10 + 70 * MM_PER_POINT)


@given(st.text("准予ab1，。《（A·", min_size=1, max_size=60), st.integers(1, 12))
def test_nothing_is_lost_and_no_line_is_too_long(text: str, chars: int) -> None:
    broken = lines(text, chars)

    assert "".join(broken) == text
    assert all(sum(map(width, line)) <= max(1000 * chars, width(line[0])) for line in broken)


TEN = 10 * MM_PER_POINT
"""What a line of ten points takes, set solid."""


def pages(*paragraphs: str, most: int = 20, least: float = 10) -> list[list[Line]]:
    """A text ten characters wide: five lines on the first page, eight on others, three and six where it
    ends."""
    frames = Frames(Area(0, 3 * TEN, 10 * TEN, 5 * TEN), Area(0, 0, 10 * TEN, 8 * TEN), 6 * TEN, most)
    return run_over(paragraphs, frames, Setting(10, least, leading=1), width)


def shares(*paragraphs: str) -> list[int]:
    return [len(page) for page in pages(*paragraphs)]


def test_a_text_runs_over_to_as_many_pages_as_it_needs() -> None:
    assert shares("字。" * 15) == [3]
    assert shares("字。" * 25) == [3, 2]  # Five lines stand on the page, but not above a seal.
    assert shares("字。" * 50) == [5, 5]
    assert shares("字。" * 100) == [5, 8, 5, 2]
    assert [page[0].baseline for page in pages("字。" * 50)] == pytest.approx([3.88 * TEN, 0.88 * TEN])


def test_no_page_ends_with_a_heading() -> None:
    assert shares("字。" * 20, "一、事实", "字。" * 30) == [4, 5, 2]
    assert shares("字。" * 15, "决定如下：", "一、处罚", "字。" * 30) == [3, 6, 2]
    assert shares(*["无句号的行"] * 20) == [3, 6, 6, 5]  # Where all lines are such, none is.


def test_it_is_set_smaller_only_where_there_would_be_too_many_pages() -> None:
    usual, smaller = pages("字" * 150), pages("字" * 150, most=2, least=8)
    with pytest.raises(DoesNotFitError) as refused:
        pages("字" * 150, most=2)

    assert (len(usual), usual[0][0].size) == (3, 10)
    assert (len(smaller), smaller[0][0].size) == (2, 8)
    assert refused.value.most == 130


@given(st.lists(st.text(alphabet="字，。（A1", max_size=60), min_size=1, max_size=20))
def test_pages_hold_the_whole_text_in_its_order_and_nothing_leaves_its_frame(paragraphs: list[str]) -> None:
    set_up = pages(*paragraphs, most=50)

    assert "".join(line.text for page in set_up for line in page) == "".join(paragraphs)
    for number, page in enumerate(set_up):
        bottom = (6 if number == len(set_up) - 1 else 8) * TEN
        assert all((0 if number else 3) * TEN < line.baseline < bottom for line in page)
