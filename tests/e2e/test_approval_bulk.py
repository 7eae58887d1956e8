"""The approval platform seals many letters by one call."""

from __future__ import annotations

import base64
import json
import uuid

import httpx2
import pytest

from tests.city import City
from tests.story import Json, Machine, case_of, letter, letter_ofd, proved_file
from tests.unit.eseal.forms_filled import DECISION

SEALS = "/approval/v1/seals"
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def seals(platform: Machine, cast: Json) -> list[str]:
    """The seals of the demo's office, of PDFs and of OFDs."""
    return [str(one["id"]) for one in platform.get(SEALS, office=cast["office"]["code"])["seals"]]


def line(key: str, case: Json, document: bytes, **more: object) -> bytes:
    said = {"key": key, "case": case, "document": base64.b64encode(document).decode(), **more}
    return json.dumps(said).encode() + b"\n"


def answers(answer: httpx2.Response) -> tuple[dict[int, Json], Json]:
    """What became of each line, by its number; and the last line."""
    assert answer.status_code == 200, answer.text
    *told, last = map(json.loads, answer.text.splitlines())
    return {one["line"]: one for one in told}, last


def test_letters_are_sealed_each_with_a_receipt_that_proves_it_and_sent_again_as_they_were(
    city: City, platform: Machine, seals: list[str]
) -> None:
    case, run = case_of(city), uuid.uuid4().hex
    lines = [
        line(f"{run}-{number}", {**case, "case_number": f"B-{number}"}, letter()) for number in range(1, 13)
    ]
    lines += [b"no json\n", line(f"{run}-14", case, b"no PDF")]
    lines.append(line(f"{run}-15", case, letter(), level="b_t"))
    body, path = b"".join(lines), f"{SEALS}/{seals[0]}:sign_bulk"

    first, last = answers(platform.ask("POST", path, LINES, content=body))
    again, _ = answers(platform.ask("POST", path, LINES, content=body))

    assert last == {"summary": {"lines": 15, "sealed": 13, "failed": 2}}
    assert sorted(first) == list(range(1, 16))
    told = [first[number]["error"]["reason"] for number in (13, 14)]
    assert told == ["REQUEST_INVALID", "DOCUMENT_MALFORMED"]
    sealed = [number for number, one in first.items() if "receipt" in one]
    assert {number: again[number]["document"] for number in sealed} == {
        number: first[number]["document"] for number in sealed
    }
    assert {number: again[number]["receipt"]["id"] for number in sealed} == {
        number: first[number]["receipt"]["id"] for number in sealed
    }
    assert len({first[number]["receipt"]["id"] for number in sealed}) == 13
    for number in (1, 12):
        document = base64.b64decode(first[number]["document"])
        assert document.startswith(letter())
        proof = proved_file(city, document, first[number]["receipt"])
        assert proof.answer_proved
        assert proof.entry["method"] == "eseal.sign"
        assert f'"case_number":"B-{number}"' in json.dumps(proof.entry, separators=(",", ":"))


def test_ofd_letters_are_sealed_too_and_a_seal_s_format_is_each_line_s_matter(
    city: City, platform: Machine, seals: list[str]
) -> None:
    case, run = case_of(city), uuid.uuid4().hex
    lines = line(f"{run}-1", case, letter_ofd()) + line(f"{run}-2", case, letter())

    told, last = answers(platform.ask("POST", f"{SEALS}/{seals[1]}:sign_bulk", LINES, content=lines))

    assert last["summary"] == {"lines": 2, "sealed": 1, "failed": 1}
    assert told[1]["media_type"] == "application/ofd"
    assert told[2]["error"]["reason"] == "SEAL_NOT_FOR_FORMAT"


@pytest.mark.parametrize(("place", "kind"), [(0, "application/pdf"), (1, "application/ofd")])
def test_templates_are_filled_and_sealed_and_a_key_counts_alone_too(
    city: City, platform: Machine, seals: list[str], place: int, kind: str
) -> None:
    case, run = case_of(city), uuid.uuid4().hex
    fill = {"case": case, "template": "permit_decision", "version": 1, "fields": DECISION}
    body = json.dumps({"key": run, **fill}).encode()

    told, _ = answers(platform.ask("POST", f"{SEALS}/{seals[place]}:sign_bulk", LINES, content=body))
    headers = {"Idempotency-Key": run, "Accept": kind}
    alone = platform.ask("POST", f"{SEALS}/{seals[place]}:sign_template", headers, json=fill)

    document = base64.b64decode(told[1]["document"])
    assert (alone.status_code, alone.content == document) == (200, True)
    assert told[1]["media_type"] == kind
    proof = proved_file(city, document, told[1]["receipt"])
    assert proof.answer_proved
    assert alone.headers["Verification-Link"] == told[1]["verification_link"]
