"""The approval platform fills and checks forms: every value with its source, no value where none is due."""

from __future__ import annotations

from collections.abc import Iterator

import jsonschema
import pytest

from tests.city import City
from tests.e2e.contract import faults, refused
from tests.e2e.everything import fill_every_form
from tests.story import MATTER, Json, Machine, case_of, entry_of, person

MATTERS = "/approval/v1/matters"


def fill(city: City, platform: Machine, matter: str, subjects: Json, **more: object) -> Json:
    """A filled form of a fresh case."""
    body = {"case": case_of(city, matter_code=matter), "subjects": subjects, **more}
    return platform.post(f"{MATTERS}/{matter}:autofill", body)


@pytest.fixture(scope="module")
def filled(city: City, platform: Machine, cast: Json) -> dict[str, tuple[Json, Json]]:
    """Every matter's form with the answer that fills it, by matter."""
    return fill_every_form(city, platform, cast)


def values_of(answer: Json) -> Iterator[tuple[object, Json]]:
    """Every value that an answer shows, with its provenance."""
    for field in answer["fields"]:
        if "value" in field:
            yield field["value"], field["provenance"]
        for candidate in field["candidates"]:
            yield candidate["value"], candidate["provenance"]


def test_the_matters_are_listed_page_by_page(platform: Machine) -> None:
    whole = platform.get(MATTERS)
    pages: list[Json] = []
    token = ""
    while token or not pages:
        pages.append(platform.get(MATTERS, page_size="4", page_token=token))
        token = pages[-1]["next_page_token"]

    assert len(whole["matters"]) >= 8
    assert [len(page["matters"]) for page in pages] == [4, 4, len(whole["matters"]) - 8]
    assert [one for page in pages for one in page["matters"]] == whole["matters"]


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        ("page_size=0", "REQUEST_INVALID", "page_size"),
        ("page_size=101", "REQUEST_INVALID", "page_size"),
        ("page_size=1&page_size=2", "REQUEST_INVALID", "page_size"),
        ("page_token=zzz", "PAGE_TOKEN_INVALID", "page_token"),
        ("citizen=1", "REQUEST_INVALID", "citizen"),
    ],
)
def test_a_page_that_cannot_be_is_refused(platform: Machine, query: str, reason: str, field: str) -> None:
    assert field in faults(refused(platform.ask("GET", f"{MATTERS}?{query}"), 400, reason))


def test_an_unknown_matter_is_not_found(city: City, platform: Machine, cast: Json) -> None:
    body = {"case": case_of(city, matter_code="no-such"), "subjects": {"applicant": person("1")}}

    refused(platform.ask("GET", f"{MATTERS}/no-such"), 404, "MATTER_NOT_FOUND")
    refused(platform.ask("POST", f"{MATTERS}/no-such:autofill", json=body), 404, "MATTER_NOT_FOUND")


def test_forms_are_schemas_that_fit_what_fills_them(filled: dict[str, tuple[Json, Json]]) -> None:
    for matter, answer in filled.values():
        form = matter["form"]
        jsonschema.Draft202012Validator.check_schema(form)
        typed = {field["name"]: field["value"] for field in answer["fields"] if "value" in field}
        assert typed
        jsonschema.Draft202012Validator({**form, "required": []}).validate(typed)


def test_every_filled_field_says_where_it_came_from(filled: dict[str, tuple[Json, Json]]) -> None:
    for matter, answer in filled.values():
        shown = list(values_of(answer))
        assert shown, matter["matter"]["code"]
        for _, provenance in shown:
            assert provenance["resource"]
            assert provenance["record_version"]
            assert provenance["as_of"].endswith("Z")
        for field in answer["fields"]:
            assert (
                ("value" in field) == (field["status"] in {"filled", "conflict"}) == ("provenance" in field)
            )


def test_every_filled_form_is_proved_and_its_entry_names_fields_without_values(
    city: City, filled: dict[str, tuple[Json, Json]], cast: Json
) -> None:
    for code, (_, answer) in filled.items():
        entry = entry_of(city, answer)
        assert entry["basis"]["matter_code"] == code
        learnt = {f["name"] for f in answer["fields"] if f["status"] in {"filled", "conflict", "no_data"}}
        assert set(entry["field_names"]) == learnt
        records = {one["resource"] for one in entry["records"]}
        assert records == {provenance["resource"] for _, provenance in values_of(answer)}
        assert all(str(value) not in str(entry) for value, _ in values_of(answer) if len(str(value)) > 4)
        assert cast["applicant"]["code"] not in str(entry)


def test_only_the_fields_asked_for_are_answered(city: City, platform: Machine, cast: Json) -> None:
    subjects = {"applicant": person(cast["applicant"]["code"])}

    answer = fill(city, platform, MATTER, subjects, field_names=["sex", "birth_date"])

    assert {field["name"]: field["value"] for field in answer["fields"]} == {
        "sex": "2",
        "birth_date": "1990-05-18",
    }
    assert set(entry_of(city, answer)["field_names"]) == {"sex", "birth_date"}
    assert "housing.real_estate" not in {source["resource"] for source in answer["sources"]}


def test_sources_that_disagree_are_shown_side_by_side(filled: dict[str, tuple[Json, Json]]) -> None:
    _, answer = filled["arable-land-subsidy"]

    account = next(field for field in answer["fields"] if field["name"] == "bank_account")

    assert account["status"] == "conflict"
    assert account["value"] == account["candidates"][0]["value"]
    assert len({one["value"] for one in account["candidates"]}) == 2
    assert len({one["provenance"]["resource"] for one in account["candidates"]}) == 2


def test_what_no_source_holds_is_said_to_be_no_data(filled: dict[str, tuple[Json, Json]]) -> None:
    _, answer = filled["sole-trader-registration"]

    assert {f["name"]: f["status"] for f in answer["fields"]}["current_address"] == "no_data"


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"field_names": ["name", "shoe_size"]}, "FIELD_UNKNOWN", "field_names.shoe_size"),
        ({"field_names": ["trade_name"]}, "FIELD_UNKNOWN", "field_names.trade_name"),
        ({"subjects": {"company": {"code_type": "001", "code": "x"}}}, "REQUEST_INVALID", "subjects.company"),
        (
            {"subjects": {"applicant": {"code_type": "001", "code": "x"}}},
            "REQUEST_INVALID",
            "subjects.applicant.code_type",
        ),
        ({"subjects": {}}, "REQUEST_INVALID", "subjects"),
    ],
    ids=["unknown-field", "field-without-source", "foreign-role", "foreign-number", "nobody"],
)
def test_what_the_form_does_not_know_is_refused_by_name(
    city: City, platform: Machine, cast: Json, change: Json, reason: str, field: str
) -> None:
    body = {"case": case_of(city), "subjects": {"applicant": person(cast["applicant"]["code"])}, **change}

    answer = platform.ask("POST", f"{MATTERS}/{MATTER}:autofill", json=body)

    assert field in faults(refused(answer, 400, reason))


def check(city: City, platform: Machine, code: str, case: Json | None = None, **values: object) -> Json:
    """Checks typed values about a person."""
    body = {"case": case or case_of(city), "subjects": {"applicant": person(code)}, "values": values}
    return platform.post(f"{MATTERS}/{MATTER}:verify", body)


def test_typed_values_are_checked_without_showing_what_the_register_holds(
    city: City, platform: Machine, cast: Json
) -> None:
    answer = check(
        city,
        platform,
        cast["applicant"]["code"],
        name="林 晓棠",
        phone="15400010009",
        current_address="广东省韶关市武江区某路1号",
    )

    verdicts = {field["name"]: (field["verdict"], field["reason"]) for field in answer["fields"]}
    assert verdicts == {
        "name": ("match", ""),
        "phone": ("mismatch", ""),
        "current_address": ("unknown", "no_data"),
    }
    for secret in (cast["applicant"]["name"], cast["applicant"]["code"], "15400010001"):
        assert secret not in str(answer)
    for field in answer["fields"]:
        assert ("provenance" in field) == (field["verdict"] != "unknown")
    assert entry_of(city, answer)["method"] == "autofill.verify"


def test_guessing_ends_after_five_wrong_tries_and_says_nothing_of_the_sixth(
    city: City, platform: Machine, cast: Json
) -> None:
    case, code = case_of(city), cast["lapsed"]["code"]
    for day in range(1, 6):
        told = check(city, platform, code, case, birth_date=f"1979-03-0{day}")
        assert told["fields"][0]["verdict"] == "mismatch"

    body = {"case": case, "subjects": {"applicant": person(code)}}
    path = f"{MATTERS}/{MATTER}:verify"
    wrong = platform.ask("POST", path, json={**body, "values": {"birth_date": "1979-03-09"}})
    right = platform.ask("POST", path, json={**body, "values": {"birth_date": "1979-02-23"}})

    told_apart = [refused(one, 429, "GUESS_BUDGET_SPENT")["errors"] for one in (wrong, right)]
    assert told_apart[0] == told_apart[1]
    assert told_apart[0][0]["field"] == "values.birth_date"
    assert check(city, platform, code, case, sex="1")["fields"][0]["verdict"] == "match"
