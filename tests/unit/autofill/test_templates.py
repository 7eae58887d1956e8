"""A matter's file that is wrong is refused at start, with a sentence that says where and why."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from services.autofill.comparison import Json
from services.autofill.templates import TemplateError, load_matters

GOOD = json.loads(
    resources.files("services.autofill").joinpath("matters/old-age-allowance.json").read_text("utf-8")
)
Change = Callable[[dict[str, Any]], object]


def _fields(document: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = document["form"]["properties"]
    return fields


def _faults(folder: Path, *changes: Change) -> str:
    document = copy.deepcopy(GOOD)
    for change in changes:
        change(document)
    (folder / "old-age-allowance.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(TemplateError) as refusal:
        load_matters(folder)
    return str(refusal.value)


CASES: dict[str, tuple[Change, str]] = {
    "a signature with a source": (
        lambda d: _fields(d)["signature"].update({"x-sources": [{"resource": "a.b", "role": "applicant"}]}),
        "form.properties.signature",
    ),
    "a declaration that is filled": (
        lambda d: _fields(d).update(declaration=_fields(d)["name"]),
        "form.properties.declaration",
    ),
    "neither typed nor filled": (lambda d: _fields(d)["name"].pop("x-sources"), "form.properties.name"),
    "an unknown way to compare": (
        lambda d: _fields(d)["name"].update({"x-compare": "soundex"}),
        "soundex",
    ),
    "an unknown word in a source": (
        lambda d: _fields(d)["name"]["x-sources"][0].update(colour="red"),
        "colour",
    ),
    "an unknown role": (
        lambda d: _fields(d)["name"]["x-sources"][0].update(role="neighbour"),
        "the role neighbour; the roles are applicant, agent",
    ),
    "an unknown code list": (
        lambda d: _fields(d)["sex"].update({"$ref": "#/$defs/gender"}),
        "gender is no list",
    ),
    "units that do not measure the same": (
        lambda d: _fields(d)["name"]["x-sources"][0].update(unit="mu"),
        "unit mu cannot be had",
    ),
    "a sum of words": (
        lambda d: _fields(d)["name"]["x-sources"][0].update(pick="sum"),
        "only a number can be a sum",
    ),
    "a latest without an order": (
        lambda d: _fields(d)["name"]["x-sources"][0].update(pick="latest"),
        "order_by",
    ),
    "a required field that is not there": (
        lambda d: d["form"]["required"].append("shoe_size"),
        "shoe_size is not a property",
    ),
    "a number that is compared as text": (
        lambda d: _fields(d)["name"].update(type="number"),
        "form.properties.name",
    ),
    "a role that nothing is about": (
        lambda d: d["subject_roles"].append(
            {"role": "neighbour", "title": "邻居", "code_types": ["111"], "required": True}
        ),
        "no field has a source about neighbour",
    ),
    "another file's code": (lambda d: d.update(code="old-age"), "the file's name says old-age-allowance"),
    "no office": (lambda d: d.pop("office_name"), "office_name"),
    "a catalogue code of the wrong length": (lambda d: d.update(catalogue_code="123"), "catalogue_code"),
    "a schema that is none": (lambda d: _fields(d)["phone"].update(maxLength=-1), "JSON Schema"),
}


@pytest.mark.parametrize(("change", "sentence"), CASES.values(), ids=list(CASES))
def test_a_wrong_file_is_refused_by_what_is_wrong(tmp_path: Path, change: Change, sentence: str) -> None:
    told = _faults(tmp_path, change)

    assert "old-age-allowance.json" in told
    assert sentence in told


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", "utf-8")
    (tmp_path / "twice.json").write_text('{"code": 1, "code": 2}', "utf-8")

    told = _faults(tmp_path, CASES["no office"][0], CASES["another file's code"][0])

    assert "broken.json: is not JSON" in told
    assert "names stand twice in one object: code" in told
    assert "office_name" in told


def test_a_folder_without_matters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="holds no matter"):
        load_matters(tmp_path)


def test_a_form_brings_the_code_lists_it_uses_and_no_others() -> None:
    form = load_matters()["old-age-allowance"].form

    assert set(form["$defs"]) == {"sex", "ethnicity", "household_kind", "insurance_scheme"}  # type: ignore[arg-type]  # an object


ANY: list[Json] = [None, True, "", "男", "1", "2026-02-30", "2026-02-28", "440299199407168477", "x" * 300]
ANY += [0, 3, -1, 3.0, 2.5, 10**9, [], ["a"], {}, {"name": "a"}, [{"name": "a"}]]


@pytest.mark.parametrize("code", sorted(load_matters()))
def test_a_field_accepts_exactly_what_its_schema_does(code: str) -> None:
    matter = load_matters()[code]
    properties: Any = matter.form["properties"]

    for field in matter.fields.values():
        schema: Any = {**properties[field.name], "$defs": matter.form.get("$defs", {})}
        library = Draft202012Validator(schema, format_checker=FormatChecker(["date"]))
        known: list[Json] = [option.code for option in field.rule.options]
        for value in [*ANY, *known]:
            assert field.accepts(value) == library.is_valid(value), (field.name, value)
