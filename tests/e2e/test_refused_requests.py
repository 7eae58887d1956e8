"""What is refused: malformed, unknown, wrong, too large, asked before otherwise; each by its name."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest

from tests.city import City
from tests.e2e.contract import faults, refused
from tests.story import (
    ID_CARD,
    MATTER,
    Json,
    Machine,
    Person,
    ask_consent,
    case_of,
    grant,
    nobody,
    person,
)

SEARCH = "/approval/v1/licences:search"
STRANGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**64,
    10**400,
    "\0",
    "\ud800",
    "x" * 5000,
    [],
    [[]],
    {},
    {"": ""},
)
FILL = f"/approval/v1/matters/{MATTER}:autofill"


@pytest.fixture
def body(city: City, cast: Json) -> Json:
    """A search that would be answered."""
    return {"case": case_of(city), "holder": person(cast["applicant"]["code"]), "type_codes": [ID_CARD]}


def entries(city: City) -> int:
    """How many entries the ledger holds."""
    with psycopg.connect(city.admin_dsn) as connection:
        row = connection.execute("SELECT size FROM ledger.head").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'{"case": 1,}', "json"),
        (b'{"a": 1, "a": 2}', "json"),
        (b'{"a": NaN}', "json"),
        (b'{"a": "\xff"}', "json"),
        (b"[" * 5000, "json"),
        (b'["case"]', "type"),
        (b"null", "type"),
    ],
    ids=["empty", "cut", "comma", "doubled", "nan", "no-utf-8", "deep", "list", "null"],
)
def test_what_is_no_json_object_is_refused(platform: Machine, content: bytes, rule: str) -> None:
    answer = platform.ask("POST", SEARCH, {"Content-Type": "application/json"}, content=content)

    assert faults(refused(answer, 400, "REQUEST_INVALID")) == {"body": rule}


def mutations(body: Any) -> Iterator[Any]:
    """The body with something strange in place of each of its members in turn, at every depth."""
    yield from STRANGE
    members = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for place, member in members:
        for strange in mutations(member):
            changed = dict(body) if isinstance(body, dict) else list(body)
            changed[place] = strange
            yield changed


def test_nothing_that_json_can_say_makes_us_stumble(
    city: City, platform: Machine, bank: Machine, body: Json
) -> None:
    """It is refused as the caller's fault, or taken where the contract takes it; in no case it is ours."""
    typed = {"name": "x", "household_size": 3, "family_members": [{"name": "x"}]}
    checked = {"case": case_of(city), "subjects": {"applicant": person(nobody())}, "values": typed}
    asking = {
        "farmer": person(nobody()),
        "purpose_code": "strange",
        "items": ["subsidies"],
        "validity_days": 3,
        "max_uses": 2,
    }
    rounds = (
        (platform, SEARCH, body),
        (platform, f"/approval/v1/matters/{MATTER}:verify", checked),
        (bank, "/partner/v1/consent_requests", asking),
    )
    for caller, path, usual in rounds:
        for strange in mutations(usual):
            headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
            answer = caller.ask("POST", path, headers, content=json.dumps(strange))
            assert answer.status_code in {200, 400, 403}, (strange, answer.text)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"case": None}, "case"),
        ({"case": "A-1"}, "case"),
        ({"holder": None}, "holder"),
        ({"holder": {"code_type": "111", "code": "x", "name": "y"}}, "holder.name"),
        ({"holder": {"code_type": 111, "code": "x"}}, "holder.code_type"),
        ({"holder": {"code_type": "1111", "code": "x"}}, "holder.code_type"),
        ({"type_codes": ID_CARD}, "type_codes"),
        ({"type_codes": [7]}, "type_codes[0]"),
        ({"type_codes": ["short"]}, "type_codes[0]"),
        ({"type_codes": []}, "type_codes"),
        ({"type_codes": [ID_CARD, ID_CARD]}, "type_codes"),
    ],
)
def test_the_field_at_fault_is_named(platform: Machine, body: Json, change: Json, field: str) -> None:
    answer = platform.ask("POST", SEARCH, json={**body, **change})

    problem = refused(answer, 400, "REQUEST_INVALID")
    assert list(faults(problem)) == [field]
    assert field in problem["detail"]


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"office": ""}, "case.office", "REQUEST_INVALID"),
        ({"office": "Wujiang"}, "case.office", "REQUEST_INVALID"),
        ({"office": "11440299MB2L01030F"}, "case.office", "CHECK_DIGIT_WRONG"),
        ({"case_number": ""}, "case.case_number", "REQUEST_INVALID"),
        ({"case_number": "a b"}, "case.case_number", "REQUEST_INVALID"),
        ({"operator": "张三"}, "case.operator", "REQUEST_INVALID"),
        ({"purpose": "x" * 201}, "case.purpose", "REQUEST_INVALID"),
        ({"colour": "red"}, "case.colour", "REQUEST_INVALID"),
        ({"operator": 7}, "case.operator", "REQUEST_INVALID"),
    ],
)
def test_the_case_s_field_at_fault_is_named(
    city: City, platform: Machine, body: Json, change: Json, field: str, reason: str
) -> None:
    answer = platform.ask("POST", SEARCH, json={**body, "case": {**case_of(city), **change}})

    assert list(faults(refused(answer, 400, reason))) == [field]


def test_the_matter_of_the_path_cannot_be_contradicted(city: City, platform: Machine, body: Json) -> None:
    case = case_of(city, matter_code="company-change")

    answer = platform.ask("POST", FILL, json={"case": case, "subjects": {"applicant": body["holder"]}})

    assert faults(refused(answer, 400, "REQUEST_INVALID")) == {"case.matter_code": "same"}


@pytest.mark.parametrize(
    ("code", "reason", "rule"),
    [
        ("440299199005189807", "CHECK_DIGIT_WRONG", "gb11643.check_digit"),
        ("440299680907981", "NUMBER_MALFORMED", "gb11643"),
        ("440299199002309806", "NUMBER_MALFORMED", "gb11643.birth_date"),
        ("44029919900518980", "NUMBER_MALFORMED", "gb11643"),
        ("４４０２９９１９９００５１８９８０７", "CHECK_DIGIT_WRONG", "gb11643.check_digit"),
        ("\u200f440299199005189807", "CHECK_DIGIT_WRONG", "gb11643.check_digit"),
        ("4402991990\u202e05189807", "CHECK_DIGIT_WRONG", "gb11643.check_digit"),
        ("%34402991990051898%30%37", "NUMBER_MALFORMED", "gb11643"),
        ("٤٤٠٢٩٩١٩٩٠٠٥١٨٩٨٠٧", "NUMBER_MALFORMED", "gb11643"),
        ("440299199005189807\n", "CHECK_DIGIT_WRONG", "gb11643.check_digit"),
    ],
    ids=[
        "check-digit",
        "15-digits",
        "30-february",
        "17-digits",
        "full-width-check-digit",
        "right-to-left-mark",
        "right-to-left-override",
        "percent-encoded",
        "arabic-digits",
        "line-end",
    ],
)
def test_a_wrong_number_is_named_as_such_and_not_repeated(
    city: City, platform: Machine, body: Json, code: str, reason: str, rule: str
) -> None:
    search = platform.ask("POST", SEARCH, json={**body, "holder": person(code)})
    filled = platform.ask("POST", FILL, json={"case": case_of(city), "subjects": {"applicant": person(code)}})

    assert faults(refused(search, 400, reason)) == {"holder.code": rule}
    assert faults(refused(filled, 400, reason)) == {"subjects.applicant.code": rule}
    assert code not in search.text + filled.text


def test_a_number_may_be_typed_as_people_type(platform: Machine, body: Json, cast: Json) -> None:
    """Full-width digits, spaces around it, a small x: it is the same person."""
    wide = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
    code: str = cast["farmer"]["code"]
    found = [
        platform.post(SEARCH, {**body, "holder": person(typed)})["licences"]
        for typed in (code, code.translate(wide), f" {code.lower()} ")
    ]

    assert found[0]
    assert found[0] == found[1] == found[2]


def test_paths_methods_and_forms_that_there_are_not(platform: Machine, farmer: Person, body: Json) -> None:
    unknown = platform.ask("GET", "/approval/v2/licences")
    people_s = platform.ask("GET", "/citizen/v1/consent_requests")
    machines = farmer.ask("POST", SEARCH, json=body)
    operations = farmer.ask("GET", "/metrics")
    method = platform.ask("GET", SEARCH)
    form = platform.ask("POST", SEARCH, {"Accept": "text/html"}, json=body)

    for answer in (unknown, people_s, machines, operations):
        refused(answer, 404, "PATH_UNKNOWN")
    refused(method, 405, "METHOD_NOT_ALLOWED")
    assert method.headers["Allow"] == "POST"
    refused(form, 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize("name", ["Use-Code", "Office", "Operator", "Case-Number", "Idempotency-Key"])
@pytest.mark.parametrize("value", [b"\xff" * 20, "张三".encode() * 6], ids=["no-utf-8", "chinese"])
def test_headers_that_are_no_text_or_not_of_their_form(platform: Machine, name: str, value: bytes) -> None:
    headers: Json = {"Use-Code": "x" * 40, "Matter-Code": MATTER, "Case-Number": "A-1", name: value}

    answer = platform.ask("GET", f"/approval/v1/licences/{uuid.uuid4()}", headers)

    assert list(faults(refused(answer, 400, "REQUEST_INVALID"))) == [name]


def test_bodies_of_another_kind_or_size(platform: Machine, body: Json) -> None:
    text = json.dumps(body).encode()
    as_text = platform.ask("POST", SEARCH, {"Content-Type": "text/plain"}, content=text)
    zipped = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    packed = platform.ask("POST", SEARCH, zipped, content=text)
    large = platform.ask("POST", SEARCH, json={**body, "surprise": "x" * 300_000})
    upload: Json = {"document": b"%PDF-" + b"0" * (16 * 1024 * 1024), "request": b"{}"}
    huge = platform.ask("POST", "/approval/v1/documents:verify", files=upload)
    no_upload = platform.ask("POST", "/approval/v1/documents:verify", json={})

    refused(as_text, 415, "CONTENT_TYPE_UNSUPPORTED")
    refused(packed, 415, "CONTENT_ENCODING_UNSUPPORTED")
    refused(large, 413, "BODY_TOO_LARGE")
    refused(huge, 413, "BODY_TOO_LARGE")
    refused(no_upload, 415, "CONTENT_TYPE_UNSUPPORTED")


def test_a_deadline_that_cannot_be_kept_is_late_and_one_that_is_none_is_refused(
    platform: Machine, body: Json
) -> None:
    hurried = platform.ask("POST", SEARCH, {"Deadline-Ms": "1"}, json=body)
    nonsense = platform.ask("POST", SEARCH, {"Deadline-Ms": "soon"}, json=body)

    refused(hurried, 504, "DEADLINE_PASSED")
    assert faults(refused(nonsense, 400, "REQUEST_INVALID")) == {"Deadline-Ms": "range"}


def test_nothing_is_written_for_what_is_refused(
    city: City, platform: Machine, bank: Machine, farmer: Person, cast: Json, body: Json
) -> None:
    asked = ask_consent(bank, cast["farmer"]["code"])
    before = entries(city)
    key = {"Idempotency-Key": uuid.uuid4().hex}

    answers: list[httpx2.Response] = [
        platform.ask("POST", SEARCH, key, json={**body, "holder": person("440299199005189807")}),
        platform.ask("POST", SEARCH, key, json={**body, "type_codes": ["11440299MB2L00003D904"]}),
        platform.ask("POST", SEARCH, {"Authorization": ""}, json=body),
        bank.ask("POST", SEARCH, json=body),
        bank.ask("POST", "/partner/v1/consent_requests", key, json={}),
        bank.ask("POST", "/partner/v1/farmers:land_rights", key, json={"consent_id": asked["id"]}),
        farmer.ask("POST", "/citizen/v1/consents", key, json={"consent_request_id": asked["id"]}),
    ]

    assert {answer.status_code for answer in answers} <= {400, 401, 403, 404}
    assert entries(city) == before
    assert bank.get(f"/partner/v1/consent_requests/{asked['id']}")["consent_request"]["state"] == "pending"
    grant(farmer, asked)
