"""Lays out the demo's decision letter, 准予个体工商户登记通知书, as a one-page PDF with its fonts embedded.

The signing-off stands at the lower right, where a seal without a given place goes, so that the seal
covers name and date as custom wants (骑年盖月). People and shops in it are made up, and it says so.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pylopdf_fonts_zh_cn as fonts
from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos

TITLE = "准予个体工商户登记通知书"
NOTE = "演示文书：所涉人员、字号与办件均为虚构。加盖电子印章后可由验章服务核验真伪。"
MARGIN_MM = 28.0
_LINE_MM = 10.0
NOT_FIRST = "，。、；：？！）》”"
SIGN_OFF_MIDDLE_MM = 174.0
"""Middle of the signing-off from the left edge; a 42 mm seal 15 mm off the edges is centred there too."""


def make_letter(  # noqa: PLR0917  # the call that the demo has agreed on
    path: Path, office_name: str, applicant_name: str, trade_name: str, case_number: str, on: date
) -> None:
    """Writes the letter to `path`. `on` is the day of the decision."""
    pdf = FPDF(format="A4")
    pdf.set_auto_page_break(False)
    pdf.set_margins(MARGIN_MM, 25, MARGIN_MM)
    pdf.add_font("serif", fname=str(fonts.serif_path()))
    pdf.set_title(TITLE)
    pdf.set_author(office_name)
    pdf.set_lang("zh-CN")
    pdf.set_creation_date(datetime(on.year, on.month, on.day, tzinfo=UTC))
    pdf.add_page()
    _head(pdf, office_name, case_number)
    _body(pdf, applicant_name, trade_name)
    _sign_off(pdf, office_name, on)
    pdf.output(str(path))


def _head(pdf: FPDF, office_name: str, case_number: str) -> None:
    """The office's name in red over a red rule, the title, the case number."""
    pdf.set_text_color(200, 16, 24)
    pdf.set_font("serif", size=_fitting(pdf, office_name, 27))
    _line(pdf, office_name, Align.C, 15)
    pdf.set_draw_color(200, 16, 24)
    pdf.set_line_width(0.7)
    y = pdf.get_y() + 3
    pdf.line(MARGIN_MM, y, 210 - MARGIN_MM, y)
    pdf.set_text_color(0)
    pdf.set_y(y + 12)
    pdf.set_font("serif", size=21)
    _line(pdf, TITLE, Align.C, 12)
    pdf.set_font("serif", size=12)
    _line(pdf, f"业务流水号：{case_number}", Align.C, 9)
    pdf.ln(7)


def paragraphs(trade_name: str) -> tuple[str, ...]:
    """What the letter says."""
    return (
        f"你提交的个体工商户设立登记申请（字号名称：{trade_name}）收悉。经审查，申请材料齐全、"
        "符合法定形式。根据《中华人民共和国市场主体登记管理条例》第十九条的规定，"
        "本机关决定准予登记。",
        "自本通知书作出之日起，你可以凭本人有效身份证件领取营业执照。"
        "电子营业执照与纸质营业执照具有同等法律效力。",
        "特此通知。",
    )


def _body(pdf: FPDF, applicant_name: str, trade_name: str) -> None:
    pdf.set_font("serif", size=15)
    _line(pdf, f"{applicant_name}：", Align.L, _LINE_MM)
    for paragraph in paragraphs(trade_name):
        for line in _lines(pdf, "　　" + paragraph):
            _line(pdf, line, Align.L, _LINE_MM)


def _sign_off(pdf: FPDF, office_name: str, on: date) -> None:
    """Office and date at the lower right, under the seal, and the note that this is a demonstration."""
    pdf.set_font("serif", size=14)
    for text, y in ((office_name, 258.0), (f"{on.year}年{on.month}月{on.day}日", 268.0)):
        half = pdf.get_string_width(text) / 2
        left = min(SIGN_OFF_MIDDLE_MM - half, 210 - 12 - 2 * half)
        pdf.text(left, y, text)
    pdf.set_draw_color(150)
    pdf.set_line_width(0.2)
    pdf.line(MARGIN_MM, 284, 210 - MARGIN_MM, 284)
    pdf.set_font("serif", size=8.5)
    pdf.set_text_color(110)
    pdf.text(MARGIN_MM, 288.5, NOTE)


def _line(pdf: FPDF, text: str, align: Align, height: float) -> None:
    pdf.cell(0, height, text, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _lines(pdf: FPDF, text: str) -> list[str]:
    """The text in lines of the page's width. No line begins with closing punctuation (避头尾)."""
    width = 210 - 2 * MARGIN_MM
    lines, start = [], 0
    for index in range(len(text)):
        if pdf.get_string_width(text[start : index + 1]) <= width:
            continue
        cut = index
        while text[cut] in NOT_FIRST:
            cut -= 1
        lines.append(text[start:cut])
        start = cut
    return [*lines, text[start:]]


def _fitting(pdf: FPDF, text: str, size: float) -> float:
    """The largest size in points, at most `size`, in which the text takes one line."""
    pdf.set_font("serif", size=size)
    return min(size, size * (210 - 2 * MARGIN_MM) / pdf.get_string_width(text))
