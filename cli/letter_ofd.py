"""Lays out the demo's decision letter (letter.py) as a one-page OFD with its font embedded."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pylopdf_fonts_zh_cn as fonts

from cli.letter import MARGIN_MM, NOT_FIRST, NOTE, SIGN_OFF_MIDDLE_MM, TITLE, paragraphs
from cli.ofd_writer import MM_PER_POINT, OfdWriter, lines_of

_RED, _GREY = (200, 16, 24), (110, 110, 110)
_WIDTH = 210 - 2 * MARGIN_MM
_LINE_MM = 10.0


def make_letter_ofd(  # noqa: PLR0917  # as letter.py's
    path: Path, office_name: str, applicant_name: str, trade_name: str, case_number: str, on: date
) -> None:
    """Writes the letter to `path`. `on` is the day of the decision."""
    letter = OfdWriter(TITLE, office_name, on, Path(fonts.serif_path()), "Noto Serif SC")
    letter.add_page()
    _centred(letter, office_name, 38, _fitting(letter, office_name, 27), _RED)
    letter.rule(MARGIN_MM, 44, _WIDTH, 0.7, _RED)
    _centred(letter, TITLE, 63, 21 * MM_PER_POINT)
    _centred(letter, f"业务流水号：{case_number}", 74, 12 * MM_PER_POINT)
    size, y = 15 * MM_PER_POINT, 93.0
    letter.text(MARGIN_MM, y, f"{applicant_name}：", size)
    for paragraph in paragraphs(trade_name):
        for line in lines_of(letter, "　　" + paragraph, size, _WIDTH, NOT_FIRST):
            y += _LINE_MM
            letter.text(MARGIN_MM, y, line, size)
    _sign_off(letter, office_name, on)
    path.write_bytes(letter.output())


def _sign_off(letter: OfdWriter, office_name: str, on: date) -> None:
    """Office and date at the lower right, under the seal, and the note that this is a demonstration."""
    size = 14 * MM_PER_POINT
    for text, y in ((office_name, 258.0), (f"{on.year}年{on.month}月{on.day}日", 268.0)):
        half = letter.width_of(text, size) / 2
        letter.text(min(SIGN_OFF_MIDDLE_MM - half, 210 - 12 - 2 * half), y, text, size)
    letter.rule(MARGIN_MM, 284, _WIDTH, 0.2, _GREY)
    letter.text(MARGIN_MM, 288.5, NOTE, 8.5 * MM_PER_POINT, _GREY)


def _centred(
    letter: OfdWriter, text: str, y: float, size: float, colour: tuple[int, int, int] = (0, 0, 0)
) -> None:
    letter.text(105 - letter.width_of(text, size) / 2, y, text, size, colour)


def _fitting(letter: OfdWriter, text: str, points: float) -> float:
    """The largest size in mm, at most so many points, in which the text takes one line."""
    size = points * MM_PER_POINT
    return min(size, size * _WIDTH / letter.width_of(text, size))
