"""The approval platform has decision letters made that prove themselves for years."""

from __future__ import annotations

import base64
import json
import uuid
from io import BytesIO
from zipfile import ZipFile

import pytest

from tests.city import City
from tests.story import Json, Machine, case_of
from tests.unit.eseal.forms_filled import DECISION, LICENCE, OPERATOR, long_penalty, photograph

SEALS = "/approval/v1/seals"


@pytest.mark.parametrize(
    ("template", "fields", "level"),
    [
        ("permit_decision", DECISION, "b_lta"),
        ("business_licence", LICENCE, "b_t"),
        ("penalty_decision", long_penalty(), "b_lta"),
    ],
)
def test_a_filled_template_reaches_the_level_that_is_asked_for(
    city: City, platform: Machine, cast: Json, template: str, fields: Json, level: str
) -> None:
    case = case_of(city)
    seals = platform.get(SEALS, office=cast["office"]["code"])["seals"]
    seal = next(one["id"] for one in seals if one["document_type"] == "application/pdf")
    fill = {"case": case, "template": template, "fields": fields, "level": level}

    made = platform.ask(
        "POST", f"{SEALS}/{seal}:sign_template", {"Idempotency-Key": uuid.uuid4().hex}, json=fill
    )
    report = platform.upload("/approval/v1/documents:verify", made.content, {"case": case}).json()

    assert made.status_code == 200, made.text
    assert report["verdict"] == "valid"
    assert [one["level"] for one in report["seals"]] == [level]


def test_a_line_of_many_brings_a_photograph_and_gets_an_ofd_with_it(
    city: City, platform: Machine, cast: Json
) -> None:
    case = case_of(city)
    seals = platform.get(SEALS, office=cast["office"]["code"])["seals"]
    seal = next(one["id"] for one in seals if one["document_type"] == "application/ofd")
    pictures = {"photo": base64.b64encode(photograph()).decode()}
    line = {"case": case, "template": "equipment_operator", "fields": OPERATOR, "pictures": pictures}
    headers = {"Content-Type": "application/x-ndjson"}

    answer = platform.ask(
        "POST",
        f"{SEALS}/{seal}:sign_bulk",
        headers,
        content=json.dumps({**line, "key": uuid.uuid4().hex}) + "\n",
    )

    made, summary = map(json.loads, answer.text.splitlines())
    document = base64.b64decode(made["document"])
    assert summary == {"summary": {"lines": 1, "sealed": 1, "failed": 0}}
    assert "Doc_0/Res/photo0.jpg" in ZipFile(BytesIO(document)).namelist()
    report = platform.upload("/approval/v1/documents:verify", document, {"case": case}).json()
    assert report["verdict"] == "valid"
