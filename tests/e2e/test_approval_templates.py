"""The approval platform has decision letters made that prove themselves for years."""

from __future__ import annotations

import uuid

import pytest

from tests.city import City
from tests.story import Json, Machine, case_of
from tests.unit.eseal.forms_filled import DECISION, LICENCE

SEALS = "/approval/v1/seals"


@pytest.mark.parametrize(
    ("template", "fields", "level"),
    [("permit_decision", DECISION, "b_lta"), ("business_licence", LICENCE, "b_t")],
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
