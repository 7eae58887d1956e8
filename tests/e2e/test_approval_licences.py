"""The approval platform looks licences up: found, opened by use code, verified, and what it never gets."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from core.keyring import Keyring
from core.vault import Vault
from services.licence.usecode import SealedUseCodes
from tests.city import City
from tests.e2e.contract import faults, refused
from tests.story import (
    HOUSEHOLD_REGISTER,
    ID_CARD,
    Json,
    Machine,
    case_of,
    enrol,
    entry_of,
    nobody,
    person,
)

SEARCH = "/approval/v1/licences:search"
VERIFY = "/approval/v1/licences:verify"
DRIVING_LICENCE = "11100000000013127D905"
FOOD_PERMIT = "11440299MB2L00003D904"


def search(platform: Machine, case: Json, code: str, *types: str) -> Json:
    """A look-up by ID number; of ID card and household register unless told otherwise."""
    body = {
        "case": case,
        "holder": person(code),
        "type_codes": list(types or (ID_CARD, HOUSEHOLD_REGISTER)),
    }
    return platform.post(SEARCH, body)


def read(platform: Machine, found: Json, place: int = 0, **headers: str) -> Json:
    """One of the licences that a search found, under its use code."""
    path = f"/approval/v1/licences/{found['licences'][place]['id']}"
    return platform.get(path, {"Use-Code": found["use_code"], **headers})


def expired(city: City, use_code: str) -> str:
    """The use code as it would be if it had been given out an hour ago."""

    async def forge() -> str:
        connection = await asyncpg.connect((city.settings.keys / "licence.dsn").read_text().strip())
        try:
            vault = await Vault.open(connection, Keyring.load(city.settings.keys / "licence-keyring.json"))
        finally:
            await connection.close()
        codes = SealedUseCodes(vault)
        grant = codes.open(use_code)
        return codes.issue(replace(grant, expires_at=datetime.now(UTC) - timedelta(minutes=50)))

    return asyncio.run(forge())


def test_a_search_names_licences_and_shows_nothing_of_what_is_in_them(
    city: City, platform: Machine, cast: Json
) -> None:
    found = search(platform, case_of(city), cast["applicant"]["code"])

    assert [licence["type_code"] for licence in found["licences"]] == [ID_CARD, HOUSEHOLD_REGISTER]
    assert {licence["state"] for licence in found["licences"]} == {"in_force"}
    assert found["missing_type_codes"] == []
    for secret in (cast["applicant"]["code"], cast["applicant"]["name"], "惠民北路"):
        assert secret not in str(found)
    assert entry_of(city, found)["method"] == "licence.search"


def test_states_are_told_by_the_day(city: City, platform: Machine, cast: Json) -> None:
    case = case_of(city, matter_code="residence-permit")

    found = search(platform, case, cast["lapsed"]["code"], ID_CARD, DRIVING_LICENCE)

    assert {one["type_code"]: one["state"] for one in found["licences"]} == {
        ID_CARD: "expired",
        DRIVING_LICENCE: "revoked",
    }


def test_somebody_unknown_is_answered_like_somebody_without_licences(city: City, platform: Machine) -> None:
    found = search(platform, case_of(city), nobody())

    assert found["licences"] == []
    assert found["missing_type_codes"] == [ID_CARD, HOUSEHOLD_REGISTER]
    assert found["use_code"] == ""
    assert entry_of(city, found)["method"] == "licence.search"


def test_a_use_code_opens_a_licence_with_its_source(city: City, platform: Machine, cast: Json) -> None:
    case = case_of(city)
    found = search(platform, case, cast["applicant"]["code"])

    card = read(platform, found)

    assert card["holder_name"] == cast["applicant"]["name"]
    assert card["number"] == cast["applicant"]["code"]
    assert card["provenance"]["resource"] == f"licence.{ID_CARD}"
    assert card["provenance"]["record_version"]
    assert card["provenance"]["as_of"]
    entry = entry_of(city, card)
    assert entry["basis"] == {
        "kind": "matter",
        "matter_code": case["matter_code"],
        "case_number": case["case_number"],
    }
    assert (entry["method"], entry["office"], entry["caller"]) == (
        "licence.get",
        case["office"],
        "approval-platform",
    )
    for secret in (cast["applicant"]["code"], cast["applicant"]["name"], case["operator"]):
        assert secret not in str(entry)


def test_each_matter_gets_the_fields_it_is_entitled_to_and_no_others(
    city: City, platform: Machine, cast: Json
) -> None:
    seen = {}
    for matter in ("sole-trader-registration", "food-operation-permit", "arable-land-subsidy"):
        found = search(platform, case_of(city, matter_code=matter), cast["applicant"]["code"], ID_CARD)
        card = read(platform, found)
        seen[matter] = set(card["fields"]) | ({"number", "holder_name"} & set(card))

    plain = {"number", "holder_name", "sex", "address"}
    assert seen["arable-land-subsidy"] == plain
    assert seen["food-operation-permit"] == plain
    assert seen["sole-trader-registration"] == plain | {"nation", "birth_date", "issuing_authority"}


def test_a_number_that_the_matter_may_not_read_is_not_shown(
    city: City, platform: Machine, cast: Json
) -> None:
    case = case_of(city, matter_code="residence-permit")

    page = read(platform, search(platform, case, cast["applicant"]["code"], HOUSEHOLD_REGISTER))

    assert "number" not in page
    assert "household_number" not in page["fields"]
    assert page["fields"]["relation"]


def test_a_type_that_the_matter_may_not_read_is_refused_by_name(
    city: City, platform: Machine, cast: Json
) -> None:
    holder = person(cast["applicant"]["code"])
    body = {"case": case_of(city), "holder": holder, "type_codes": [ID_CARD, FOOD_PERMIT]}

    problem = refused(platform.ask("POST", SEARCH, json=body), 403, "MATTER_NOT_ENTITLED")

    assert faults(problem) == {"type_codes": "entitled"}
    assert FOOD_PERMIT in problem["detail"]
    assert ID_CARD not in problem["detail"]


def test_a_use_code_is_worth_nothing_anywhere_else(city: City, platform: Machine, cast: Json) -> None:
    found = search(platform, case_of(city), cast["applicant"]["code"])
    other = search(platform, case_of(city), cast["farmer"]["code"])
    code = found["use_code"]
    path = f"/approval/v1/licences/{found['licences'][0]['id']}"
    stolen = f"/approval/v1/licences/{other['licences'][0]['id']}"

    refusals = [
        platform.ask("GET", path, {"Use-Code": code, "Case-Number": "B-2", "Matter-Code": "company-change"}),
        platform.ask("GET", path, {"Use-Code": code, "Operator": "clerk-2"}),
        platform.ask("GET", path, {"Use-Code": code, "Office": "11440299MB2L01014Q"}),
        platform.ask("GET", stolen, {"Use-Code": code}),
        platform.ask("GET", path, {"Use-Code": code[:-2] + ("AA" if code[-2:] != "AA" else "BB")}),
        platform.ask("GET", path, {"Use-Code": code + "AAAA"}),
        platform.ask("GET", path, {"Use-Code": expired(city, code)}),
        platform.ask("GET", "/approval/v1/licences/nonsense", {"Use-Code": code}),
    ]

    problems = [refused(one, 403, "USE_CODE_INVALID") for one in refusals]
    assert len({problem["detail"] for problem in problems}) == 1, "it says which of the reasons it is"
    assert read(platform, found)["receipt"]


def test_a_use_code_of_another_caller_is_refused(city: City, platform: Machine, cast: Json) -> None:
    """A second platform with every right of its own cannot use what was given to the first."""
    found = search(platform, case_of(city), cast["applicant"]["code"])
    name = f"platform-{uuid.uuid4().hex[:8]}"
    enrol(city, name, "approval-platform")

    with Machine(city, name) as other:
        answer = other.ask(
            "GET",
            f"/approval/v1/licences/{found['licences'][0]['id']}",
            {"Use-Code": found["use_code"]},
        )

    refused(answer, 403, "USE_CODE_INVALID")


def test_a_read_without_a_use_code_names_the_header(platform: Machine) -> None:
    answer = platform.ask("GET", "/approval/v1/licences/00000000-0000-4000-8000-000000000000")

    assert faults(refused(answer, 400, "REQUEST_INVALID")) == {"Use-Code": "required"}


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda identifier: identifier, "genuine"),
        (lambda identifier: identifier.lower(), "genuine"),
        (lambda identifier: identifier.replace("0000000000", "0000000009"), "check_differs"),
        (lambda identifier: identifier[:-4], "malformed"),
    ],
    ids=["genuine", "typed-small", "serial-changed", "cut"],
)
def test_an_identifier_is_verified_without_showing_the_licence(
    city: City, platform: Machine, cast: Json, change: Callable[[str], str], verdict: str
) -> None:
    case = case_of(city)
    identifier = read(platform, search(platform, case, cast["applicant"]["code"]))["identifier"]

    answer = platform.post(VERIFY, {"case": case, "identifier": change(identifier)})

    assert answer["verdict"] == verdict
    assert answer.get("state") == ("in_force" if verdict == "genuine" else None)
    assert cast["applicant"]["name"] not in str(answer)
    assert cast["applicant"]["code"] not in str(answer)
    assert entry_of(city, answer)["method"] == "licence.verify"
