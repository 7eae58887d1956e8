from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from xml.etree.ElementTree import Element, fromstring

import pytest
from fontTools.ttLib import TTFont
from PIL import Image, ImageFont

from services.eseal.domain import Place, Stamp
from services.eseal.leaves import Image as Picture
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.sealing.prepared_ofd import PreparedOfd
from services.eseal.templates.face import serif
from services.eseal.templates.ofd import OfdPlate, make_ofd_plate
from services.eseal.templates.otf import small_opentype
from services.eseal.typesetting import Area
from services.eseal.verifying.finding import Modification
from tests.unit.eseal.forms_filled import (
    DECISION,
    LICENCE,
    NOW,
    NUMBER,
    OPERATOR,
    codes,
    photograph,
    read_whole,
    templates,
)
from tests.unit.eseal.ofds import Sealer, inspected, package, sealer, unpacked

OFD = "{http://www.ofdspec.org/2016}"


@lru_cache(maxsize=1)
def seal() -> Sealer:
    return sealer()


@lru_cache(maxsize=4)
def plate(name: str) -> OfdPlate:
    stamp = Stamp(draw_round_seal("武江区市场监督管理局"), seal().seal)
    return make_ofd_plate(templates()[name, 1], serif(), codes(), stamp=stamp)


def filled(name: str = "permit_decision", data: bytes = b"{}", **change: str) -> PreparedOfd:
    values = {**(DECISION if name == "permit_decision" else LICENCE), **change}
    ready = plate(name)
    return ready.fill(ready.template.shown(values, NUMBER, serif().characters), NUMBER, NOW, data, 0)


async def sealed(prepared: PreparedOfd) -> bytes:
    return await seal().finish(prepared)


def shown_in(part: bytes) -> str:
    """The text of a page."""
    return "".join(code.text or "" for code in fromstring(part).iter(f"{OFD}TextCode"))


@pytest.mark.parametrize("name", ["permit_decision", "business_licence"])
async def test_the_seal_on_a_filled_template_is_whole_and_covers_every_part(name: str) -> None:
    (found,) = inspected(await sealed(filled(name)), [seal()])

    assert (found.intact, found.valid, found.trusted_now, found.genuine_now) == (True, True, True, True)
    assert (found.altered_parts, found.uncovered_parts) == ((), ())
    assert found.covers_whole_document
    assert found.modification is Modification.NONE


async def test_a_further_seal_may_follow_and_the_first_stays_valid() -> None:
    twice = await seal().put(await sealed(filled()), Place(0, 60, 60))

    first, second = inspected(twice, [seal()])

    assert (first.intact, first.valid, second.intact, second.valid) == (True, True, True, True)


async def test_a_changed_word_is_told() -> None:
    parts = unpacked(await sealed(filled()))
    name = "Doc_0/Attachs/data.json"

    (found,) = inspected(package({**parts, name: b"{ }"}), [seal()])

    assert (found.intact, found.altered_parts) == (False, (name,))


async def test_text_data_and_code_are_in_their_parts() -> None:
    data = json.dumps({"fields": DECISION}, ensure_ascii=False).encode()
    parts = unpacked(await sealed(filled(data=data)))

    text = shown_in(parts["Doc_0/Pages/Page_0/Content.xml"])
    for field in ("applicant", "legal_basis"):
        assert DECISION[field] in text
    assert DECISION["content"].replace("\n", "　　") in text
    assert "准予行政许可决定书" in shown_in(parts["Doc_0/Tpls/Tpl_0/Content.xml"])
    assert parts["Doc_0/Attachs/data.json"] == data
    with Image.open(BytesIO(parts["Doc_0/Res/code.png"])) as code:
        assert code.size == (codes().modules, codes().modules)
        corner = [code.getpixel((x, 0)) for x in range(8)]
    assert corner == [0] * 7 + [255]  # The finder's upper edge, and the light module after it.


def advances(code: Element) -> list[float]:
    """How far each character of a run is from the next, what is told once written out."""
    said, out = iter(code.attrib.get("DeltaX", "").split()), list[float]()
    for one in said:
        count, value = (int(next(said)), next(said)) if one == "g" else (1, one)
        out += [float(value)] * count
    return out


async def test_characters_stand_as_far_from_each_other_as_the_font_makes_them_wide() -> None:
    page = fromstring(unpacked(await sealed(filled()))["Doc_0/Pages/Page_0/Content.xml"])

    objects = list(page.iter(f"{OFD}TextObject"))
    codes_of = [one.find(f"{OFD}TextCode") for one in objects]
    runs = [
        (one, code, code.text or "") for one, code in zip(objects, codes_of, strict=True) if code is not None
    ]
    for one, code, text in runs:
        assert text
        em = float(one.attrib["Size"])
        widths = [serif().width(char) * em / 1000 for char in text]
        assert advances(code) == pytest.approx(widths[:-1], abs=0.001)
        assert float(one.attrib["Boundary"].split()[2]) == pytest.approx(sum(widths), abs=0.01)
    forms = {"g" in code.attrib["DeltaX"] for _, code, text in runs if len(text) > 3}
    assert forms == {True, False}


async def test_everything_that_is_named_is_there_and_ids_are_used_once() -> None:
    parts = unpacked(await sealed(filled("business_licence", company_name="<甲>&“乙”有限公司")))

    ids: list[str] = []
    for name, content in parts.items():
        if name.endswith(".xml") and "Signs" not in name:
            root: Element = fromstring(content)
            ids += [element.attrib["ID"] for element in root.iter() if "ID" in element.attrib]
            folder = {"PublicRes.xml": "Res/", "DocumentRes.xml": "Res/"}.get(name.split("/")[-1], "")
            base = name.rpartition("/")[0]
            for element in root.iter():
                where = element.attrib.get("BaseLoc", "") if element.tag != f"{OFD}Res" else ""
                if element.tag in {f"{OFD}FontFile", f"{OFD}MediaFile", f"{OFD}FileLoc"}:
                    where = element.text or ""
                if where:
                    assert f"{base}/{folder}{where}" in parts
    assert len(ids) == len(set(ids))
    used = {int(one) for one in re.findall(rb'Font="(\d+)"', b"".join(parts.values()))}
    assert used <= {11, 12}


async def test_a_template_s_own_picture_is_a_part_that_the_seal_covers() -> None:
    png = BytesIO()
    Image.new("RGB", (2, 1)).save(png, "PNG")
    own = replace(templates()["business_licence", 1], images=(Picture(Area(10, 10, 20, 10), png.getvalue()),))
    stamp = Stamp(draw_round_seal("武江区市场监督管理局"), seal().seal)
    made = make_ofd_plate(own, serif(), codes(), stamp=stamp)

    document = await sealed(made.fill(own.shown(LICENCE, NUMBER, serif().characters), NUMBER, NOW, b"{}", 0))

    (found,) = inspected(document, [seal()])
    assert (found.intact, found.uncovered_parts) == (True, ())
    parts = unpacked(document)
    assert parts["Doc_0/Res/0.png"] == png.getvalue()
    assert b'ResourceID="20"' in parts["Doc_0/Tpls/Tpl_0/Content.xml"]
    assert b'ID="20"' in parts["Doc_0/DocumentRes.xml"]


@pytest.mark.parametrize(("kind", "name", "said"), [("JPEG", "jpg", "JPEG"), ("PNG", "png", "PNG")])
async def test_a_field_s_picture_is_a_part_of_its_own_that_the_seal_covers(
    kind: str, name: str, said: str
) -> None:
    photo = read_whole(photograph(kind, (100, 50)))
    ready = plate("equipment_operator")
    shown = ready.template.shown(OPERATOR, NUMBER, serif().characters, {"photo": b"x"})

    document = await sealed(ready.fill(shown, NUMBER, NOW, b"{}", 0, photos={"photo": photo}))

    (found,) = inspected(document, [seal()])
    parts = unpacked(document)
    assert (found.intact, found.uncovered_parts) == (True, ())
    assert parts[f"Doc_0/Res/photo0.{name}"] == photo.content
    listed = {
        one.attrib["ID"]: one for one in fromstring(parts["Doc_0/DocumentRes.xml"]).iter(f"{OFD}MultiMedia")
    }
    assert listed.keys() == {"13", "40"}
    assert listed["40"].attrib["Format"] == said
    (placed,) = [
        one
        for one in fromstring(parts["Doc_0/Pages/Page_0/Content.xml"]).iter(f"{OFD}ImageObject")
        if one.attrib["ResourceID"] == "40"
    ]
    assert placed.attrib["Boundary"] == "24 61.75 35 17.5"


async def test_a_picture_that_need_not_be_there_is_not_listed() -> None:
    prepared = plate("equipment_operator").fill(
        templates()["equipment_operator", 1].shown(OPERATOR, NUMBER, serif().characters, {"photo": b"x"}),
        *(NUMBER, NOW, b"{}", 0),
    )

    parts = unpacked(await sealed(prepared))

    assert not any("photo" in name for name in parts)
    assert b"photo" not in parts["Doc_0/DocumentRes.xml"]


def test_a_small_font_is_read_by_others_and_finds_its_glyphs_by_character() -> None:
    face = serif()
    beyond = next(iter(face.beyond))
    data = small_opentype(face, "永A，" + beyond, "ABCDEF")

    font = TTFont(BytesIO(data), checkChecksums=2)
    names, whole = font.getBestCmap(), face._font

    assert sorted(names) == sorted(map(ord, "永A，" + beyond))
    for char in ("永", "A", beyond):
        assert font["hmtx"][names[ord(char)]][0] == face.width(char)
        assert whole["hmtx"][whole.getBestCmap()[ord(char)]][0] == face.width(char)
    drawn = ImageFont.truetype(BytesIO(data), 40)
    same = ImageFont.truetype(str(face.path), 40)
    assert drawn.getlength("永A") == pytest.approx(same.getlength("永A"), abs=0.5)
    assert drawn.getbbox("永") == pytest.approx(same.getbbox("永"), abs=2)
