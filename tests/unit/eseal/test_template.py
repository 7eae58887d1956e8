from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.eseal.refusals import TemplateFieldsError
from services.eseal.template import MOST_PICTURES, NUMBER, Field, FieldType
from services.eseal.templates.face import serif
from services.eseal.templates.loading import TemplateFileError, load_templates
from tests.unit.eseal import forms_filled
from tests.unit.eseal.forms_filled import DECISION, LICENCE, OPERATOR, templates


def refused(name: str = "permit_decision", **change: str) -> list[tuple[str, str]]:
    """Fields and rules at fault."""
    values = {**(DECISION if name == "permit_decision" else LICENCE), **change}
    with pytest.raises(TemplateFieldsError) as failure:
        templates()[name, 1].shown(values, forms_filled.NUMBER, serif().characters)
    told = "".join(fault.message for fault in failure.value.faults) + failure.value.message
    assert not any(value and len(value) > 2 and value in told for value in change.values())
    return [(fault.field, fault.rule) for fault in failure.value.faults]


def test_fields_are_shown_in_their_form() -> None:
    shown = templates()["business_licence", 1].shown(LICENCE, forms_filled.NUMBER, serif().characters)

    assert shown["capital"] == "1,000,000.00"
    assert shown["founded_on"] == "2026年3月1日"
    assert shown[NUMBER] == forms_filled.NUMBER


def test_every_fault_is_told_at_once_and_names_field_and_rule() -> None:
    faults = refused(
        "business_licence",
        credit_code="91440299ma00000001",
        company_name="",
        company_type="无此类型",
        capital="1,000",
        founded_on="2026-02-30",
        address="路" * 121,
        representative=" 林小满",
        nobody="x",
    )

    assert sorted(faults) == [
        ("fields.address", "max_length"),
        ("fields.capital", "amount"),
        ("fields.company_name", "required"),
        ("fields.company_type", "choice"),
        ("fields.credit_code", "pattern"),
        ("fields.founded_on", "date"),
        ("fields.nobody", "unknown"),
        ("fields.representative", "trimmed"),
    ]


@pytest.mark.parametrize(
    "text",
    ["林\u202e小满", "林\u200b小满", "林\x00满", "林\n小满", "林\ue000满", "林👪满", "e\u0301", "林\ufeff满"],
)
def test_characters_that_show_nothing_or_that_the_font_lacks_are_refused(text: str) -> None:
    assert refused(applicant=text) == [("fields.applicant", "character")]


def test_pictures_are_asked_for_by_their_fields() -> None:
    template = templates()["equipment_operator", 1]

    def told(values: dict[str, str], pictures: dict[str, bytes]) -> list[tuple[str, str]]:
        with pytest.raises(TemplateFieldsError) as failure:
            template.shown(values, forms_filled.NUMBER, serif().characters, pictures)
        return [(fault.field, fault.rule) for fault in failure.value.faults]

    assert "photo" not in template.shown(OPERATOR, "", serif().characters, {"photo": b"x"})
    assert told(OPERATOR, {"photo": b""}) == [("pictures.photo", "required")]
    assert told({**OPERATOR, "photo": "x"}, {}) == [("fields.photo", "picture")]
    assert told(OPERATOR, {"photo": b"x", "logo": b"x"}) == [("pictures.logo", "unknown")]
    assert told(OPERATOR, {"photo": bytes(MOST_PICTURES + 1)}) == [("pictures", "size")]
    assert template.room_for("photo") == (35, 49)


def test_a_template_s_own_words_never_come_from_a_field() -> None:
    """A field that looks like a placeholder stays what it is."""
    text = templates()["permit_decision", 1].texts[3]

    assert text.filled({"applicant": "{office_name}", "office_name": "x"}) == ["{office_name}："]


WORDS = {"name": "words", "title": "内容"}
PHOTO = {"name": "photo", "title": "照片", "type": "picture"}
PICTURED = {"fields": [WORDS, PHOTO], "images": [{"area": [0, 0, 9, 9], "field": "photo"}]}


WORD: dict[str, Any] = {"area": [10, 10, 80, 20], "size": 12, "paragraphs": ["便条：{words}"]}
RUNNING: dict[str, Any] = {
    "area": [10, 40, 80, 50],
    "further": [10, 10, 80, 80],
    "end": 80,
    "most_pages": 3,
    "size": 12,
    "paragraphs": ["{words}"],
}


def described(**change: Any) -> dict[str, Any]:
    """A small template's file."""
    usual: dict[str, Any] = {
        "name": "note",
        "version": 1,
        "title": "便条",
        "page": {"width": 100, "height": 100},
        "fields": [{"name": "words", "title": "内容"}],
        "texts": [WORD],
        "seal": {"x": 70, "y": 70},
    }
    return {**usual, **change}


def loaded(folder: Path, said: object, name: str = "note.1.json") -> Any:
    (folder / name).write_text(json.dumps(said), encoding="utf-8")
    return load_templates(serif(), folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "other"}, "is not called by its name and version"),
        ({"colour": 1}, "colour"),
        ({"version": 0}, "version"),
        ({"fields": [{"name": "words", "title": "x", "type": "choice"}]}, "choices"),
        ({"fields": [{"name": NUMBER, "title": "x"}, {"name": "words", "title": "x"}]}, "fields"),
        ({"fields": [{"name": "words", "title": "x", "pattern": "(", "example": "x"}]}, "pattern"),
        ({"texts": [{"area": [50, 10, 80, 20], "size": 12, "paragraphs": ["x"]}]}, "over the page's edge"),
        ({"texts": [{"area": [0, 0, 80, 20], "size": 12, "paragraphs": ["{who}"]}]}, "who"),
        ({"texts": [{"area": [0, 0, 80, 20], "size": 12, "paragraphs": ["{words.x}"]}]}, "brace"),
        ({"texts": [{"area": [0, 0, 9, 5], "size": 12, "paragraphs": ["太长的文字"]}]}, "do not fit"),
        ({"texts": [{"area": [0, 0, 80, 20], "size": 12, "paragraphs": ["👪"]}]}, "font lacks"),
        ({"images": [{"area": [0, 0, 9, 9], "file": "none.png"}]}, "none.png"),
        ({"images": [{"area": [0, 0, 9, 9], "field": "words"}]}, "words is no field for a picture"),
        ({"images": [{"area": [0, 0, 9, 0], "field": "photo"}], "fields": [WORDS, PHOTO]}, "images[0].area"),
        ({"images": [{"area": [0, 0, 9, 9]}]}, "images[0]"),
        ({"pages": 2, "running": RUNNING}, "pages"),
        ({"pages": 0}, "pages"),
        ({"texts": [{**WORD, "on": 2}]}, "stands on a page that there need not be"),
        ({"texts": [{**WORD, "on": "odd"}]}, "texts[0].on"),
        ({"running": RUNNING, "seal": {"x": 70, "y": 70, "on": "next"}}, "seal: stands on a page"),
        ({"seal": {"x": 70, "y": 70, "on": "every"}}, "seal: stands on a page"),
        ({"running": {**RUNNING, "further": [10, 10, 70, 80]}}, "is not as wide"),
        ({"running": {**RUNNING, "further": [10, 10, 80, 99]}}, "running: reaches over the page's edge"),
        ({"texts": [{**WORD, "on": "closing"}]}, "stands on a page that there need not be"),
        ({"seal": {"x": 70, "y": 70, "on": "closing"}}, "seal: stands on a page"),
        ({"running": RUNNING, "texts": [{**WORD, "on": "closing"}]}, "begins above where the text may end"),
        (
            {"running": RUNNING, "rules": [{"area": [9, 90, 9, 0], "thickness": 1, "on": "closing"}]},
            "rules[0]: stands on a page",
        ),
        ({"running": {**RUNNING, "end": 45}}, "above its second line"),
        ({"running": {**RUNNING, "end": 95}}, "below its frame"),
        ({"running": {**RUNNING, "paragraphs": ["{who}"]}}, "running: names fields that there are not: who"),
        ({"fields": [WORDS, {"name": "pages", "title": "页数"}]}, "page, pages"),
        ({"fields": [WORDS, PHOTO]}, "photo: is a picture that has no place"),
        ({"texts": [{"area": [0, 0, 80, 20], "size": 12, "paragraphs": ["{photo}"]}], **PICTURED}, "photo"),
    ],
)
def test_a_template_s_file_is_checked(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    assert loaded(tmp_path, described())["note", 1].title == "便条"
    (tmp_path / "note.1.json").unlink()

    with pytest.raises(TemplateFileError, match="note") as failure:
        loaded(tmp_path, described(**change))

    assert told in str(failure.value)


def test_a_field_without_a_type_is_text() -> None:
    assert Field("words", "内容").type is FieldType.TEXT
