"""Templates of several pages, fixed and running over: which page shows what, on PDF and on OFD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pypdfium2
import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from services.eseal.domain import Stamp
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.refusals import TemplateFieldsError
from services.eseal.sealing.prepared import RESERVED_HEX
from services.eseal.template import Template
from services.eseal.templates.face import serif
from services.eseal.templates.loading import load_templates
from services.eseal.templates.ofd import make_ofd_plate
from services.eseal.templates.pdf import make_plate, seal_box
from tests.unit.eseal.forms_filled import (
    NOW,
    NUMBER,
    OPERATOR,
    PENALTY,
    codes,
    long_penalty,
    photograph,
    plate,
    read_whole,
    templates,
)
from tests.unit.eseal.ofds import Sealer, inspected, sealer, unpacked

OFD = "{http://www.ofdspec.org/2016}"
SEAL = draw_round_seal("武江区市场监督管理局")


def decision(**change: str) -> bytes:
    """A decision on penalties as PDF."""
    ready = plate("penalty_decision")
    shown = ready.template.shown({**long_penalty(), **change}, NUMBER, serif().characters)
    return ready.fill(shown, NUMBER, NOW, b"{}", RESERVED_HEX).document


def texts_of(document: bytes) -> list[str]:
    """The text of each page, without what breaks lines."""
    pdf = pypdfium2.PdfDocument(document)
    try:
        return [re.sub(r"\s", "", str(page.get_textpage().get_text_bounded())) for page in pdf]
    finally:
        pdf.close()


def test_a_long_decision_runs_over_and_each_page_says_which_it_is() -> None:
    pages = texts_of(decision())

    assert len(pages) == 3
    assert [re.findall("第.页共.页", page) for page in pages] == [[f"第{n}页共3页"] for n in (1, 2, 3)]
    assert [PENALTY["decided_on"][:4] + "年3月2日" in page for page in pages] == [False, False, True]
    header = "武江区市场监督管理局行政处罚决定书武市监处罚〔2026〕第0007号"
    assert [header in page for page in pages] == [False, True, True]
    assert [NUMBER in page for page in pages] == [True, False, False]
    around = f"第.页共.页|本文书加盖.*?为准。|{header}|扫描二维码核验本文书编号：{NUMBER}"
    whole = "".join(re.sub(around, "", page) for page in pages)
    assert re.sub(r"\s", "", long_penalty()["facts"]) in whole
    for words in (PENALTY["penalty"].replace("\n", ""), "向武江区人民政府申请行政复议"):
        assert words in whole


def short() -> Template:
    """The same template with little that is said in any case."""
    usual = templates()["penalty_decision", 1]
    assert usual.running is not None
    text = replace(usual.running.text, paragraphs=("　　{facts}",))
    return replace(usual, running=replace(usual.running, text=text))


def test_a_short_decision_has_one_page_with_the_seal_below_its_text() -> None:
    made = make_plate(short(), serif(), codes(), picture=SEAL, signer_name="专用章")
    shown = short().shown(PENALTY, NUMBER, serif().characters)

    document = made.fill(shown, NUMBER, NOW, b"{}", RESERVED_HEX).document

    (page,) = texts_of(document)
    assert "第1页共1页" in page
    assert page.index("货值金额980.00元。") < page.index("2026年3月2日")
    (only,) = pages_of(document)
    assert "/Annots" in only


def pages_of(document: bytes) -> list[Any]:
    """The pages' dictionaries."""
    return [
        page.get_object() for page in PdfFileReader(BytesIO(document), strict=True).root["/Pages"]["/Kids"]
    ]


def test_the_seal_is_on_the_page_that_the_template_says_and_the_code_on_the_first() -> None:
    document = decision()
    pdf = PdfFileReader(BytesIO(document), strict=True)
    kids, objects = pages_of(document), pdf.root["/Pages"]["/Kids"]

    assert pdf.root["/Pages"]["/Count"] == 3
    assert ["/Annots" in page for page in kids] == [False, False, True]
    field = kids[2]["/Annots"][0].get_object()
    assert field.raw_get("/P").idnum == objects.raw_get(2).idnum
    left, bottom, right, top = (float(edge) for edge in field["/Rect"])
    box = seal_box(plate("penalty_decision").template, SEAL)
    assert (left, right, top - bottom) == pytest.approx((box.left, box.right, box.top - box.bottom), abs=0.01)
    assert bottom > box.bottom + 100  # The text has two lines on this page, and the seal stands below them.
    drawn = [b"/Code Do" in page["/Contents"][1].get_object().data for page in kids]
    assert drawn == [True, False, False]
    # Each object that the file's table names is there, and none besides.
    assert pdf.trailer["/Size"] == len(re.findall(rb"(?m)^[0-9]{10} [0-9]{5} [nf] $", document))
    for number in range(1, pdf.trailer["/Size"]):
        assert pdf.get_object(generic.Reference(number, 0, pdf)) is not None


def test_documents_of_any_number_of_pages_share_one_plate() -> None:
    ready = plate("penalty_decision")

    def filled(times: int) -> tuple[bytes, int]:
        shown = ready.template.shown(long_penalty(times), NUMBER, serif().characters)
        made = ready.fill(shown, NUMBER, NOW, b"{}", RESERVED_HEX)
        return made.original, len(texts_of(made.document))

    assert [filled(times) for times in (1, 6, 20)] == [(ready.content, pages) for pages in (2, 3, 5)]


def test_a_text_that_needs_more_pages_than_there_may_be_is_refused() -> None:
    ready = plate("penalty_decision")
    shown = ready.template.shown(PENALTY, NUMBER, serif().characters) | {"facts": "行\n" * 3000}

    with pytest.raises(TemplateFieldsError) as refused:
        ready.fill(shown, NUMBER, NOW, b"{}", RESERVED_HEX)

    assert [(fault.field, fault.rule) for fault in refused.value.faults] == [("fields.facts", "fits")]


def test_fixed_pages_show_each_its_own() -> None:
    ready = plate("equipment_operator")
    shown = ready.template.shown(OPERATOR, NUMBER, serif().characters, {"photo": b"x"})

    made = ready.fill(
        shown, NUMBER, NOW, b"{}", RESERVED_HEX, photos={"photo": read_whole(photograph())}
    ).document

    first, second = texts_of(made)
    assert ("使用说明" in first, "使用说明" in second) == (False, True)
    assert ("第1页共2页" in first, "第2页共2页" in second) == (True, True)
    assert (first.count("TS6JDEM000001"), second.count("TS6JDEM000001")) == (1, 1)
    assert ["/Annots" in page for page in pages_of(made)] == [True, False]


@lru_cache(maxsize=1)
def seal() -> Sealer:
    return sealer()


async def ofd(template: Template, values: dict[str, str]) -> bytes:
    """A sealed OFD of a template."""
    ready = make_ofd_plate(template, serif(), codes(), stamp=Stamp(SEAL, seal().seal))
    shown = template.shown(
        values, NUMBER, serif().characters, {place.field: b"x" for place in template.photos}
    )
    photos = {place.field: read_whole(photograph()) for place in template.photos}
    return await seal().finish(ready.fill(shown, NUMBER, NOW, b"{}", 0, photos=photos))


async def test_seal_and_signature_stand_as_far_below_the_text_however_long_it_is() -> None:
    distances, seals = [], []
    for times in (1, 6, 9):
        parts = unpacked(await ofd(templates()["penalty_decision", 1], long_penalty(times)))
        (stamp,) = fromstring(parts["Doc_0/Signs/Sign_0/Signature.xml"]).iter(f"{OFD}StampAnnot")
        upper = float(stamp.attrib["Boundary"].split()[1])
        last = parts[f"Doc_0/Pages/Page_{count_of(parts) - 1}/Content.xml"]
        heights = {
            code.text: float(text.attrib["Boundary"].split()[1])
            for text in fromstring(last).iter(f"{OFD}TextObject")
            for code in text.iter(f"{OFD}TextCode")
        }
        (end,) = [height for said, height in heights.items() if said and said.endswith("的除外。")]
        (day,) = [height for said, height in heights.items() if said == "2026年3月2日"]
        distances.append((upper - end, day - end))
        seals.append(upper)

    assert distances == [pytest.approx(distances[0], abs=0.02)] * 3
    assert len({round(upper) for upper in seals}) == 3


def count_of(parts: Mapping[str, bytes]) -> int:
    """How many pages an OFD has."""
    return len(list(fromstring(parts["Doc_0/Document.xml"]).iter(f"{OFD}Page")))


@pytest.mark.parametrize(
    ("template", "values", "count", "sealed"),
    [
        (templates()["penalty_decision", 1], long_penalty(), 3, 2),
        (short(), PENALTY, 1, 0),
        (templates()["equipment_operator", 1], OPERATOR, 2, 0),
    ],
    ids=["running over", "short", "fixed"],
)
async def test_an_ofd_has_the_same_pages_and_the_seal_covers_them(
    template: Template, values: dict[str, str], count: int, sealed: int
) -> None:
    document = await ofd(template, values)

    (found,) = inspected(document, [seal()])
    parts = unpacked(document)
    listed = list(fromstring(parts["Doc_0/Document.xml"]).iter(f"{OFD}Page"))
    assert (found.intact, found.valid, found.uncovered_parts) == (True, True, ())
    assert [one.attrib["BaseLoc"] for one in listed] == [f"Pages/Page_{n}/Content.xml" for n in range(count)]
    assert all(f"Doc_0/{one.attrib['BaseLoc']}" in parts for one in listed)
    backgrounds = {
        one.attrib["ID"]: parts[f"Doc_0/{one.attrib['BaseLoc']}"]
        for one in fromstring(parts["Doc_0/Document.xml"]).iter(f"{OFD}TemplatePage")
    }
    shown = []
    for one in listed:
        page = parts[f"Doc_0/{one.attrib['BaseLoc']}"]
        (over,) = fromstring(page).iter(f"{OFD}Template")
        both = (backgrounds[over.attrib["TemplateID"]], page)
        shown.append(
            "".join(code.text or "" for part in both for code in fromstring(part).iter(f"{OFD}TextCode"))
        )
    assert [f"第 {n + 1} 页　共 {count} 页" in text for n, text in enumerate(shown)] == [True] * count
    assert [NUMBER in text for text in shown] == [True] + [False] * (count - 1)
    (stamp,) = fromstring(parts["Doc_0/Signs/Sign_0/Signature.xml"]).iter(f"{OFD}StampAnnot")
    assert stamp.attrib["PageRef"] == listed[sealed].attrib["ID"]
    ids = [
        element.attrib["ID"]
        for part, content in parts.items()
        if part.endswith(".xml") and "Signs" not in part
        for element in fromstring(content).iter()
        if "ID" in element.attrib
    ]
    assert len(ids) == len(set(ids))


def test_the_template_that_the_docs_show_is_one_and_shows_its_plan(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "seals.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"`site_notice\.1\.json`:\n\n```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "site_notice.1.json").write_text(example, encoding="utf-8")
    template = load_templates(serif(), tmp_path)["site_notice", 1]
    values = {
        "project": "演示农产品仓库",
        "particulars": "占地两亩，建筑一层。\n" * 60 + "公示七日。",
        "office_name": "武江区自然资源局",
        "posted_on": "2026-03-02",
    }
    made = make_plate(template, serif(), codes(), picture=SEAL, signer_name="专用章")

    document = made.fill(
        template.shown(values, NUMBER, serif().characters, {"plan": b"x"}),
        *(NUMBER, NOW, b"{}", RESERVED_HEX),
        photos={"plan": read_whole(photograph("PNG", (400, 200)))},
    ).document

    texts = texts_of(document)
    assert len(texts) == 3
    assert "公示七日。武江区自然资源局2026年3月2日第3页共3页" in texts[-1]
    drawn = [b"/Photo0 Do" in page["/Contents"][1].get_object().data for page in pages_of(document)]
    assert drawn == [True, False, False]
