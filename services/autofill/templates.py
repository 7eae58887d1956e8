"""Reads the matters' files, checks each against the meta-schema and against itself, and builds the forms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError

from services.autofill.comparison import CompareKind, Json, Option, ValueRule
from services.autofill.matter import FormField, Material, Matter, Pick, Source, SubjectRole
from services.autofill.quantity import convert

Document = Mapping[str, Json]

META_SCHEMA = "matter.schema.json"
CODE_LISTS = "code_lists.json"
_LIST_PREFIX = "#/$defs/"
_MOST_FAULTS = 20


class TemplateError(ValueError):
    """One or more matters' files are wrong; says which file, where in it, and what would be right."""

    def __init__(self, faults: Sequence[str]) -> None:
        more = f"\n… and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        super().__init__("the matters' files are wrong:\n" + "\n".join(faults[:_MOST_FAULTS]) + more)
        self.faults = tuple(faults)


def load_matters(folder: Traversable | None = None) -> dict[str, Matter]:
    """Every matter by code. `folder` holds the files `<code>.json`; the service's own where none is given.

    Raises TemplateError that tells all faults of all files at once.
    """
    package = resources.files(__package__ or "services.autofill")
    folder = folder or package.joinpath("matters")
    lists = cast(dict[str, Document], json.loads(package.joinpath(CODE_LISTS).read_text(encoding="utf-8")))
    meta = json.loads(package.joinpath(META_SCHEMA).read_text(encoding="utf-8"))
    validator = Draft202012Validator(meta)
    matters: dict[str, Matter] = {}
    faults: list[str] = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".json"):
            continue
        try:
            document = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
        except ValueError as failure:
            faults.append(f"{file.name}: is not JSON: {failure}")
            continue
        found = [_sentence(error) for error in validator.iter_errors(document)]
        found = found or list(_contradictions(document, lists, file.name.removesuffix(".json")))
        if found:
            faults += [f"{file.name}: {fault}" for fault in found]
        else:
            matters[document["code"]] = build(document, lists)
    if faults:
        raise TemplateError(faults)
    if not matters:
        raise TemplateError([f"{folder}: holds no matter"])
    return matters


def build(document: Document, lists: Mapping[str, Document]) -> Matter:
    """The matter that a checked document says, its form made whole by the code lists it uses."""
    form = dict(_object(document["form"]))
    used = sorted(set(_references(form)))
    if used:
        form["$defs"] = {name: lists[name] for name in used}
    fields = {
        name: _field(name, _object(described), form, lists)
        for name, described in _object(form["properties"]).items()
        if "x-sources" in _object(described)
    }
    return Matter(
        code=str(document["code"]),
        name=str(document["name"]),
        name_en=str(document["name_en"]),
        catalogue_code=str(document["catalogue_code"]),
        office_name=str(document["office_name"]),
        version=int(cast(int, document["version"])),
        form=_object(_in_order(form)),
        fields=fields,
        materials=tuple(
            Material(str(m["name"]), str(m.get("licence_type_code", "")), bool(m["required"]))
            for m in _objects(document["materials"])
        ),
        roles=tuple(
            SubjectRole(
                str(r["role"]), str(r["title"]), tuple(map(str, _list(r["code_types"]))), bool(r["required"])
            )
            for r in _objects(document["subject_roles"])
        ),
    )


def _in_order(schema: Json) -> Json:
    """The schema with `x-order` in each object: the contract's Struct keeps no order, and a form has one."""
    if isinstance(schema, Mapping):
        made = {name: _in_order(inner) for name, inner in schema.items()}
        if schema.get("type") == "object":
            made["x-order"] = list(_object(schema["properties"]))
        return made
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_in_order(element) for element in schema]
    return schema


def rule_of(described: Document, lists: Mapping[str, Document]) -> ValueRule:
    """How a property's values are shaped and compared."""
    kind = CompareKind(str(described["x-compare"]))
    columns: Sequence[tuple[str, ValueRule]] = ()
    if kind is CompareKind.ROWS:
        properties = _object(_object(described["items"])["properties"])
        columns = [(name, rule_of(_object(column), lists)) for name, column in properties.items()]
    whole = described.get("type") == "integer"
    return ValueRule(
        kind=kind,
        options=tuple(_options(described, lists)),
        unit=str(described.get("x-unit", "")),
        step=Decimal(1) if whole else Decimal(1).scaleb(-int(cast(int, described.get("x-decimals", 2)))),
        whole=whole,
        columns=tuple(columns),
    )


def _field(name: str, described: Document, form: Document, lists: Mapping[str, Document]) -> FormField:
    codes = {
        name: [entry["const"] for entry in _objects(_object(entries)["oneOf"])]
        for name, entries in _object(form.get("$defs", {})).items()
    }
    sources = tuple(_source(entry) for entry in _objects(described["x-sources"]))
    return FormField(name, rule_of(described, lists), sources, acceptance(described, codes))


def acceptance(described: Document, codes: Mapping[str, Sequence[Json]]) -> Callable[[Json], bool]:
    """Whether a property's schema takes a value; `codes` are those of each list that it may refer to.

    Schemas that say no more than most do are tried without the library, twenty times faster.
    """
    said = {name: value for name, value in described.items() if _asserts(name)}
    if set(said) == {"$ref"}:
        allowed = frozenset(codes[str(said["$ref"]).removeprefix(_LIST_PREFIX)])
        return lambda value: isinstance(value, str) and value in allowed
    if "type" in said and set(said) <= set(_TESTS):
        tests = [test(said[name]) for name, test in _TESTS.items() if name in said]
        return lambda value: all(test(value) for test in tests)
    # Of a code list only the codes matter here, and an enum is tried ten times faster than alternatives.
    lists = {name: {"enum": list(known)} for name, known in codes.items()}
    schema = cast(dict[str, object], {**described, "$defs": lists})
    return Draft202012Validator(schema, format_checker=_FORMATS).is_valid


def _asserts(keyword: str) -> bool:
    """Whether a keyword restricts values, and does not only describe them."""
    return keyword not in ("title", "description") and not keyword.startswith("x-")


_FORMATS = FormatChecker(["date"])
_TESTS: Mapping[str, Callable[[Any], Callable[[Any], bool]]] = {
    # What stands behind `type` is only asked about values of that type.
    "type": lambda name: lambda value: Draft202012Validator.TYPE_CHECKER.is_type(value, name),
    "maxLength": lambda most: lambda value: len(value) <= most,
    "pattern": lambda pattern: lambda value: re.search(pattern, value) is not None,
    "format": lambda name: lambda value: _FORMATS.conforms(value, name),
    "minimum": lambda least: lambda value: value >= least,
    "maximum": lambda most: lambda value: value <= most,
}


def _source(entry: Document) -> Source:
    where = {
        name: tuple(value) if isinstance(value, list) else (value,)
        for name, value in _object(entry.get("where", {})).items()
    }
    return Source(
        resource=str(entry["resource"]),
        role=str(entry["role"]),
        field=str(entry.get("field", "")),
        pick=Pick(str(entry.get("pick", "every"))),
        unit=str(entry.get("unit", "")),
        order_by=str(entry.get("order_by", "")),
        where=tuple(where.items()),
        blank_means=entry.get("blank_means"),
        columns=tuple((name, str(column)) for name, column in _object(entry.get("columns", {})).items()),
    )


def _options(described: Document, lists: Mapping[str, Document]) -> Iterator[Option]:
    reference = described.get("$ref")
    entries = lists[str(reference).removeprefix(_LIST_PREFIX)] if reference else described
    if described["x-compare"] != CompareKind.CODE:
        return
    for entry in _objects(entries.get("oneOf", [])):
        aliases = tuple(map(str, _list(entry.get("x-aliases", []))))
        yield Option(str(entry["const"]), str(entry["title"]), aliases)


def _contradictions(document: Document, lists: Mapping[str, Document], stem: str) -> Iterator[str]:
    """What the meta-schema cannot say: names that must agree with one another."""
    if document["code"] != stem:
        yield f"code: the file's name says {stem}"
    form = _object(document["form"])
    properties = _object(form["properties"])
    roles = [str(role["role"]) for role in _objects(document["subject_roles"])]
    if len(set(roles)) != len(roles):
        yield "subject_roles: two roles have one name"
    used = {
        entry["role"]
        for described in properties.values()
        for entry in _objects(_object(described).get("x-sources", []))
    }
    for role in roles:
        if role not in used:
            yield f"subject_roles: no field has a source about {role}"
    for name in _list(form["required"]):
        if name not in properties:
            yield f"form.required: {name} is not a property of the form"
    for name in _references(form):
        if name not in lists:
            yield f"form: {_LIST_PREFIX}{name} is no list of {CODE_LISTS}"
            return
    for name, described in properties.items():
        where = f"form.properties.{name}"
        for entry in _objects(_object(described).get("x-sources", [])):
            yield from (f"{where}: {fault}" for fault in _source_faults(_object(described), entry, roles))
    try:
        Draft202012Validator.check_schema(form)
    except SchemaError as failure:
        yield f"form: is no JSON Schema 2020-12: {failure.message}"


def _source_faults(described: Document, entry: Document, roles: Sequence[str]) -> Iterator[str]:
    if entry["role"] not in roles:
        yield f"a source has the role {entry['role']}; the roles are {', '.join(roles)}"
    unit, target = str(entry.get("unit", "")), str(described.get("x-unit", ""))
    if unit and convert(Decimal(1), unit, target) is None:
        yield f"a source's unit {unit} cannot be had in the form's unit {target or '(none)'}"
    is_table = described["x-compare"] == CompareKind.ROWS
    if is_table != ("columns" in entry):
        yield "a source has columns exactly when the field is a table"
    elif is_table:
        columns = set(_object(_object(described["items"])["properties"]))
        if set(_object(entry["columns"])) - columns:
            yield f"a source fills columns that the table has not; it has {', '.join(sorted(columns))}"
    pick = entry.get("pick", "every")
    if pick == Pick.SUM and described["x-compare"] != CompareKind.NUMBER:
        yield "only a number can be a sum"
    if pick == Pick.EXISTS and described["x-compare"] != CompareKind.BOOLEAN:
        yield "only a yes or no can say whether a record exists"


def _references(node: Json) -> Iterator[str]:
    """The code lists that a form refers to."""
    if isinstance(node, Mapping):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_LIST_PREFIX)
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def _sentence(error: ValidationError) -> str:
    """The most telling part of a fault: of alternatives, what the nearest one misses."""
    while error.context:
        error = min(error.context, key=lambda child: -len(child.absolute_path))
    told = error.message if error.validator is not None else "must not stand here"
    return f"{'.'.join(map(str, error.absolute_path)) or 'the file'}: {told}"


def _no_duplicates(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"names stand twice in one object: {', '.join(repeated)}")
    return dict(pairs)


def _object(value: Json) -> Document:
    return cast(Document, value)


def _list(value: Json) -> Sequence[Json]:
    return cast(Sequence[Json], value)


def _objects(value: Json) -> Sequence[Document]:
    return cast(Sequence[Document], value)
