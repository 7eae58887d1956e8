"""Reads the templates' files, and checks each against the schema and against itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from services.eseal.leaves import (
    CLOSING,
    EVERY,
    FIRST,
    LAST,
    NEXT,
    PAGE,
    PAGES,
    Image,
    PhotoPlace,
    Rule,
    Running,
    Spot,
    Text,
)
from services.eseal.template import NUMBER, Field, FieldType, Template
from services.eseal.templates.face import Face
from services.eseal.typesetting import MM_PER_POINT, Area, DoesNotFitError, Frames, Setting, set_text

SCHEMA = "template.schema.json"
_OWN_NAMES = frozenset((NUMBER, PAGE, PAGES))
Key = tuple[str, int]
"""Name and version."""


class TemplateFileError(ValueError):
    """Templates' files are wrong: says which, where in it, and what would be right."""


def load_templates(face: Face, folder: Traversable | None = None) -> dict[Key, Template]:
    """Every template by name and version. `folder` holds `<name>.<version>.json`; the service's own, unless
    given.

    Raises TemplateFileError that tells all faults of all files.
    """
    package = resources.files(__package__ or "services.eseal.templates")
    folder = folder or package.joinpath("forms")
    schema = Draft202012Validator(json.loads(package.joinpath(SCHEMA).read_text(encoding="utf-8")))
    found: dict[Key, Template] = {}
    faults: list[str] = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".json"):
            continue
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as failure:
            faults.append(f"{file.name}: is not JSON: {failure}")
            continue
        wrong = [_sentence(error) for error in schema.iter_errors(said)]
        wrong = wrong or list(_contradictions(said, file.name, folder, face))
        if wrong:
            faults += [f"{file.name}: {fault}" for fault in wrong]
        else:
            template = built(said, folder)
            found[template.name, template.version] = template
    if faults:
        raise TemplateFileError("the templates' files are wrong:\n" + "\n".join(faults[:20]))
    return found


def built(said: Mapping[str, Any], folder: Traversable) -> Template:
    """The template that a checked file says; its pictures lie in the folder."""
    seal, code = said["seal"], said.get("code")
    return Template(
        name=said["name"],
        version=said["version"],
        title=said["title"],
        office=said.get("office", ""),
        width=said["page"]["width"],
        height=said["page"]["height"],
        fields={one["name"]: _field(one) for one in said["fields"]},
        texts=tuple(map(_text, said["texts"])),
        rules=tuple(
            Rule(Area(*one["area"]), one["thickness"], tuple(one.get("colour", (0, 0, 0))), _on(one))
            for one in said.get("rules", ())
        ),
        images=tuple(
            Image(Area(*one["area"]), folder.joinpath(one["file"]).read_bytes(), _on(one))
            for one in said.get("images", ())
            if "file" in one
        ),
        photos=tuple(
            PhotoPlace(Area(*one["area"]), one["field"], _on(one))
            for one in said.get("images", ())
            if "field" in one
        ),
        seal=Spot(seal["x"], seal["y"], on=_on(seal)),
        code=Spot(code["x"], code["y"], code["size"]) if code else None,
        common=said.get("common", ""),
        pages=said.get("pages", 1),
        running=_running(said["running"]) if "running" in said else None,
    )


def _field(said: Mapping[str, Any]) -> Field:
    return Field(
        name=said["name"],
        title=said["title"],
        type=FieldType(said.get("type", "text")),
        required=said.get("required", True),
        longest=said.get("max_length", 100),
        multiline=said.get("multiline", False),
        pattern=said.get("pattern", ""),
        example=said.get("example", ""),
        choices=tuple(said.get("choices", ())),
    )


def _text(said: Mapping[str, Any]) -> Text:
    size = said["size"]
    setting = Setting(size, said.get("least_size", size), said.get("leading", 1.5), said.get("align", "left"))
    colour = tuple(said.get("colour", (0, 0, 0)))
    return Text(Area(*said["area"]), setting, tuple(said["paragraphs"]), colour, _on(said))


def _running(said: Mapping[str, Any]) -> Running:
    text = _text(said)
    return Running(text, Frames(text.area, Area(*said["further"]), said["end"], said["most_pages"]))


def _on(said: Mapping[str, Any]) -> str:
    return str(said.get("on", FIRST))


def _contradictions(said: Mapping[str, Any], name: str, folder: Traversable, face: Face) -> Iterator[str]:
    """What is wrong with a file that the schema takes."""
    if name != f"{said['name']}.{said['version']}.json":
        yield "is not called by its name and version, <name>.<version>.json"
    names = [one["name"] for one in said["fields"]]
    if len(set(names)) < len(names) or _OWN_NAMES & set(names):
        taken = ", ".join(sorted(_OWN_NAMES))
        yield f"fields: two have one name, or one is called as what every template has: {taken}"
    for one in said["fields"]:
        yield from _faults_of_field(one, face)
    yield from _faults_of_images(said, folder)
    yield from _faults_of_places(said)
    texts = {one["name"] for one in said["fields"] if one.get("type") != FieldType.PICTURE}
    for number, one in enumerate(said["texts"]):
        yield from (f"texts[{number}]: {fault}" for fault in _faults_of_text(_text(one), texts, face))
    if "running" in said:
        yield from (f"running: {fault}" for fault in _faults_of_text(_text(said["running"]), texts, face))


def _faults_of_places(said: Mapping[str, Any]) -> Iterator[str]:
    """What stands over a page's edge, or on a page that there need not be."""
    running = said.get("running")
    for kind in ("texts", "rules", "images"):
        for number, one in enumerate(said.get(kind, ())):
            if _is_over(one["area"], said["page"]):
                yield f"{kind}[{number}]: reaches over the page's edge"
            if not _is_page(_on(one), said, closes=kind == "texts"):
                yield f"{kind}[{number}]: stands on a page that there need not be"
            elif _on(one) == CLOSING and one["area"][1] < said["running"]["end"]:
                yield f"{kind}[{number}]: is closing, and begins above where the text may end"
    if _on(said["seal"]) not in ({FIRST, LAST, CLOSING} if running else {FIRST, LAST, *_numbers(said)}):
        yield "seal: stands on a page that there need not be; it has one place"
    if running:
        yield from (f"running: {fault}" for fault in _faults_of_running(running, said["page"]))


def _numbers(said: Mapping[str, Any]) -> set[str]:
    """The pages that there are in any case."""
    return {str(number) for number in range(1, said.get("pages", 1) + 1)}


def _is_page(on: str, said: Mapping[str, Any], *, closes: bool) -> bool:
    if on == CLOSING:
        return closes and "running" in said
    return on in {FIRST, NEXT, LAST, EVERY, *_numbers(said)}


def _is_over(area: Sequence[float], page: Mapping[str, float]) -> bool:
    x, y, wide, tall = area
    return x + wide > page["width"] or y + tall > page["height"]


def _faults_of_running(said: Mapping[str, Any], page: Mapping[str, float]) -> Iterator[str]:
    """Frames that are not as wide, reach over the edge, or leave the last page no room for two lines."""
    area, further = Area(*said["area"]), Area(*said["further"])
    if _is_over(said["area"], page) or _is_over(said["further"], page):
        yield "reaches over the page's edge"
    if area.width != further.width:
        yield "is not as wide on further pages as on the first"
    two_lines = said["size"] * MM_PER_POINT * (1 + said.get("leading", 1.5))
    for where in (area, further):
        if not two_lines <= said["end"] - where.y <= where.height:
            yield "ends on the last page above its second line, or below its frame"


def _faults_of_images(said: Mapping[str, Any], folder: Traversable) -> Iterator[str]:
    """Files that are not there, places without a field for a picture, and such fields without a place."""
    pictures = {one["name"] for one in said["fields"] if one.get("type") == FieldType.PICTURE}
    placed = {one["field"] for one in said.get("images", ()) if "field" in one}
    for one in said.get("images", ()):
        if "file" in one and not folder.joinpath(one["file"]).is_file():
            yield f"images: {one['file']} does not lie beside it"
    for name in sorted(placed - pictures):
        yield f"images: {name} is no field for a picture"
    for name in sorted(pictures - placed):
        yield f"fields.{name}: is a picture that has no place among the images"


def _faults_of_field(said: Mapping[str, Any], face: Face) -> Iterator[str]:
    try:
        re.compile(said.get("pattern", ""))
    except re.error as failure:
        yield f"fields.{said['name']}: the pattern is no regular expression: {failure}"
    if set("".join(said.get("choices", ()))) - face.characters:
        yield f"fields.{said['name']}: a choice has a character that the font lacks"


def _faults_of_text(text: Text, names: set[str], face: Face) -> Iterator[str]:
    if not text.is_sound:
        yield "has a brace that does not name a field, as {name} does"
        return
    unknown = text.names - names - _OWN_NAMES
    if unknown:
        yield f"names fields that there are not: {', '.join(sorted(unknown))}"
        return
    if text.setting.least_size > text.setting.size:
        yield "its least size is larger than its size"
    fixed = text.filled({**dict.fromkeys(text.names, ""), PAGE: "99", PAGES: "99"})
    lacking = set("".join(fixed)) - face.characters
    if lacking:
        yield f"has characters that the font lacks: {' '.join(sorted(lacking))}"
        return
    try:
        set_text(fixed, text.area, text.setting, face.width)
    except DoesNotFitError:
        yield "its own words do not fit into its area"


def _sentence(error: ValidationError) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"{where.lstrip('.') or 'the file'}: {error.message}"
