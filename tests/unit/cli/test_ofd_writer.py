from __future__ import annotations

from datetime import date
from io import BytesIO
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pylopdf_fonts_zh_cn as fonts
import pytest
from fontTools.ttLib import TTFont

from cli.letter import NOT_FIRST, NOTE, TITLE, paragraphs
from cli.ofd_writer import NAMESPACE, OfdWriter, lines_of
from services.eseal.ofd.document import Ofd
from tests.unit.eseal.documents import OFFICE
from tests.unit.eseal.ofds import PNG, letter_ofd, unpacked

SERIF = Path(fonts.serif_path())
CONTENT = "Doc_0/Pages/Page_0/Content.xml"


def writer() -> OfdWriter:
    made = OfdWriter("题目", OFFICE, date(2026, 3, 2), SERIF, "Noto Serif SC")
    made.add_page()
    return made


def tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def test_a_letter_says_what_it_says_line_by_line() -> None:
    content = fromstring(unpacked(letter_ofd())[CONTENT])

    lines = [code.text or "" for code in content.iter(tag("TextCode"))]
    body = "".join(line for line in lines if line not in (OFFICE, TITLE, NOTE))

    assert lines[:2] == [OFFICE, TITLE]
    assert lines[-1] == NOTE
    for paragraph in paragraphs("武江区小满小吃店"):
        assert "　　" + paragraph in body
    assert not any(line[0] in NOT_FIRST for line in lines)
    for line in content.iter(tag("TextObject")):
        x, y, width, height = map(float, line.get("Boundary", "").split())
        assert 0 <= x <= x + width <= 210
        assert 0 <= y <= y + height <= 297


def test_the_font_in_it_has_every_character_and_little_else() -> None:
    parts = unpacked(letter_ofd())
    with TTFont(BytesIO(parts["Doc_0/Res/font.otf"])) as font:
        has = set(font.getBestCmap())

    used = {
        ord(letter) for code in fromstring(parts[CONTENT]).iter(tag("TextCode")) for letter in code.text or ""
    }
    assert used <= has
    assert len(has) < len(used) + 20
    assert len(letter_ofd()) < 100_000


def test_every_part_that_it_names_is_there_and_ids_are_unique() -> None:
    made = writer()
    made.image(10, 10, 30, 20, PNG)
    made.text(20, 50, "正文", 5)
    made.add_page(100, 80)
    made.rule(10, 10, 50, 0.5)

    read = Ofd(made.output())

    (body,) = read.bodies
    assert [read.size(page) for page in read.pages(body)] == [(210, 297), (100, 80)]
    parts = unpacked(made.output())
    assert parts["Doc_0/Res/0.png"] == PNG
    ids = [
        element.get("ID")
        for name in parts
        if name.endswith(".xml")
        for element in fromstring(parts[name]).iter()
        if element.get("ID")
    ]
    assert len(set(ids)) == len(ids)
    highest = fromstring(parts["Doc_0/Document.xml"]).find(f".//{tag('MaxUnitID')}")
    assert highest is not None
    assert max(map(int, filter(None, ids))) <= int(highest.text or "")


def test_advances_are_the_fonts_own() -> None:
    made = writer()

    assert made.width_of("中文", 5) == pytest.approx(10)
    assert 0 < made.width_of("i", 5) < made.width_of("W", 5) < 6


def test_lines_keep_their_width_and_begin_with_no_closing_mark() -> None:
    made, text = writer(), "一二三四五，六七八九十。" * 5

    lines = lines_of(made, text, 5, 25, NOT_FIRST)

    assert "".join(lines) == text
    assert all(made.width_of(line, 5) <= 25 and line[0] not in NOT_FIRST for line in lines)


def test_what_cannot_be_written_is_refused() -> None:
    made = writer()

    for wrong in ("", "\U0001f600", "line\nline"):
        with pytest.raises(ValueError, match="font lacks"):
            made.text(0, 10, wrong, 5)
    with pytest.raises(ValueError, match="PNG"):
        made.image(0, 0, 1, 1, b"GIF89a")
    with pytest.raises(ValueError, match="page"):
        OfdWriter("t", "a", date(2026, 3, 2), SERIF, "f").output()
    with pytest.raises(ValueError, match="page"):
        OfdWriter("t", "a", date(2026, 3, 2), SERIF, "f").rule(0, 0, 1, 1)
