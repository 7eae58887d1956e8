"""Canaries: nothing that identifies the cast is in a log, a metric, a problem, a URL, or clear at rest.

A round of everything and a round of mistakes are made first. Then every log line, the metrics, every problem
document and every byte of every table are searched for the cast's names, numbers, addresses and phones, in
all the spellings in which bytes travel.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx2
import psycopg
import pytest
from psycopg import sql

from deploy.town.cast import make_cast
from tests.city import City
from tests.e2e.contract import Contract, is_problem
from tests.e2e.everything import do_everything
from tests.story import (
    ID_CARD,
    MATTER,
    PURPOSE,
    Json,
    Machine,
    Person,
    bank_of,
    case_of,
    citizen_of,
    nobody,
    person,
    platform_of,
)

SEARCH = "/approval/v1/licences:search"
VERIFY = "/approval/v1/licences:verify"
CASE = {"matter_code": MATTER, "case_number": "A-1"}
NOBODY = nobody(417)
"""Whom nobody knows: her number comes in from outside alone."""


@dataclass
class Traces:
    """What the rounds have left where others may look."""

    city: City
    tokens: list[str]
    problems: list[str] = field(default_factory=list)

    def logs(self) -> dict[str, bytes]:
        """Every part's own log, and what the supervisor prints."""
        paths = [*self.city.settings.logs.iterdir(), self.city.home / "output"]
        return {path.name: path.read_bytes() for path in paths}

    def metrics(self) -> dict[str, bytes]:
        """What the operators' collector gets."""
        return {"/metrics": httpx2.get(f"{self.city.operations}/metrics").content}

    def tables(self) -> Iterator[tuple[str, bytes]]:
        """Every table of every schema, as COPY writes it: text as it is, bytes in hexadecimal."""
        with psycopg.connect(self.city.admin_dsn) as connection:
            names = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
            ).fetchall()
            for schema, table in names:
                statement = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(schema, table))
                with connection.cursor().copy(statement) as rows:
                    yield f"{schema}.{table}", b"".join(bytes(piece) for piece in rows)


def identities() -> list[str]:
    """What identifies the cast: names, ID numbers, addresses, phones, and numbers of papers and accounts."""
    town = make_cast()
    found = {NOBODY}
    for one in town.people:
        street = one.household.address.removeprefix(one.household.village.prefix)
        found |= {one.number, one.name, street if len(street) > 8 else one.household.address}
        if one.phone is not None:
            found.add(one.phone)
        if one.insurance is not None and one.insurance.bank_account is not None:
            found.add(one.insurance.bank_account)
        if one.marriage is not None:
            found.add(one.marriage.number)
        if one.real_estate is not None:
            found |= {one.real_estate.certificate_number, one.real_estate.unit_number}
    for company in town.companies:
        found |= {company.uscc, company.name}
    return sorted(found)


def spellings(text: str) -> Iterator[bytes]:
    """A text as it may lie in other bytes: as it is, hexadecimal, escaped, in base64 wherever it begins."""
    raw = text.encode()
    yield from (raw, text.encode("utf-16-le"), text.encode("utf-16-be"))
    yield from (raw.hex().encode(), raw.hex().upper().encode())
    yield from (json.dumps(text)[1:-1].encode(), quote(text).encode())
    for shift in range(3):
        shifted = base64.b64encode(bytes(shift) + raw)
        whole = shifted[(0, 2, 3)[shift] : (shift + len(raw)) * 8 // 6]
        yield from (whole, whole.replace(b"+", b"-").replace(b"/", b"_"))


IDENTITIES = identities()
CANARIES = [(spelled, text) for text in IDENTITIES for spelled in spellings(text)]


def sung(content: bytes) -> set[str]:
    """The canaries in it, in whatever spelling."""
    return {text for spelled, text in CANARIES if spelled in content}


@pytest.fixture(scope="module")
def traces(city: City, contract: Contract, cast: Json) -> Traces:
    """A round of everything, and a round of mistakes with what identifies people in every place."""
    tokens = do_everything(city, contract.check)
    with platform_of(city) as platform, bank_of(city) as bank, citizen_of(city) as farmer:
        farmer.sign_in(cast["farmer"]["login"], cast["password"])
        answers = list(_mistakes(platform, bank, farmer, cast))
        platform.post(SEARCH, {"case": case_of(city), "holder": person(NOBODY), "type_codes": [ID_CARD]})
    with citizen_of(city) as guesser:
        guesser.browse_in(cast["applicant"]["code"], cast["applicant"]["name"])
    assert {answer.status_code for answer in answers} <= {303, 400, 401, 403, 404, 406}
    problems = [answer.text for answer in answers if is_problem(answer)]
    return Traces(city, tokens, [*contract.problems, *problems])


def test_the_search_finds_every_spelling() -> None:
    """The tests below would say nothing if it did not."""
    for text in IDENTITIES:
        raw = text.encode()
        for around in (b"", b"a", b"ab", b"abc"):
            hidden = around + raw + around
            encoded = (base64.b64encode(hidden), base64.urlsafe_b64encode(hidden), hidden.hex().encode())
            for content in (hidden, *encoded):
                assert text in sung(content), (text, content)
    assert sung(b"11440299MB2L01030E sole-trader-registration") == set()


def test_no_log_line_names_anybody(traces: Traces) -> None:
    for name, content in traces.logs().items():
        assert sung(content) == set(), name


def test_no_log_line_holds_a_token_a_use_code_or_a_password(traces: Traces, cast: Json) -> None:
    secrets = [secret.encode() for secret in (*traces.tokens, cast["password"])]
    signatures = [token.rpartition(b".")[2] for token in secrets]
    for name, content in traces.logs().items():
        assert not [one for one in (*secrets, *signatures) if one in content], name


def test_the_access_log_names_routes_and_no_paths(traces: Traces) -> None:
    lines = [json.loads(line) for line in traces.logs()["gateway.log"].splitlines()]
    requests = [line for line in lines if line["event"] == "request"]

    assert len(requests) > 60
    assert all(line["trace_id"] for line in requests)
    assert "/approval/v1/licences/{id}" in {line["route"] for line in requests}
    for line in requests:
        assert not re.search(r"[0-9]{6}|%|\?", line["route"]), line


def test_no_metric_names_anybody(traces: Traces) -> None:
    (content,) = traces.metrics().values()

    assert b"/approval/v1/licences/{id}" in content
    assert sung(content) == set()
    assert not [label for label in re.findall(rb'"([^"]*)"', content) if re.search(rb"[0-9]{6}", label)]


def test_no_problem_document_names_anybody(traces: Traces) -> None:
    for text in traces.problems:
        assert sung(text.encode()) == set(), text
        assert "Traceback" not in text


def test_nothing_that_identifies_anybody_lies_clear_in_the_database(traces: Traces) -> None:
    seen = {}
    for name, content in traces.tables():
        assert sung(content) == set(), name
        seen[name] = len(content)

    for filled in (
        "licence.licence",
        "datanode.population_person",
        "ledger.entry",
        "ledger.opening",
        "idp.account",
    ):
        assert seen[filled] > 0, filled
    assert sum(seen.values()) > 1_000_000


def test_nothing_that_identifies_anybody_lies_clear_in_the_database_s_files(traces: Traces) -> None:
    """Through the write-ahead log goes everything that is ever written, be it deleted since."""
    with psycopg.connect(traces.city.admin_dsn, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    plain = [text.encode() for text in IDENTITIES]
    searched = 0

    for path in (traces.city.home / "pg").rglob("*"):
        with suppress(FileNotFoundError):  # The server works on.
            content = path.read_bytes() if path.is_file() else b""
            assert not [one.decode() for one in plain if one in content], path
            searched += len(content)

    assert searched > 16 * 1024 * 1024


def _mistakes(platform: Machine, bank: Machine, farmer: Person, cast: Json) -> Iterator[httpx2.Response]:
    """Requests with what identifies people in every place where it does not belong."""
    number, name = cast["applicant"]["code"], cast["applicant"]["name"]
    case = {**CASE, "office": cast["office"]["code"]}
    for place in (f"/approval/v1/licences/{number}", f"/{number}/{name}", f"/approval/v1/matters/{number}"):
        yield platform.ask("GET", place, {"Use-Code": number * 2, "User-Agent": number, "Accept": number})
    yield platform.ask("GET", "/approval/v1/matters", params={"holder": number, number: name})
    yield platform.ask("GET", "/approval/v1/seals", params={"office": number})
    yield platform.ask("GET", "/approval/v1/seals", params={"office": "x", "page_token": name})
    yield platform.ask("GET", f"/ledger/v1/receipts/{number}", {"traceparent": number})
    search = {"case": case, "holder": person(number), "type_codes": [ID_CARD]}
    bad_searches: list[Json] = [
        {**search, "holder": person(number[:-1])},
        {**search, "holder": person(number[:17] + "7")},
        {**search, "holder": {"code_type": name, "code": number}},
        {**search, "holder": {"code_type": "111", "code": [number]}},
        {**search, "holder": number},
        {**search, number: name},
        {**search, "type_codes": [number]},
        {**search, "case": {**case, "office": number}},
        {**search, "case": {**case, "operator": name}},
        {**search, "case": {**case, "case_number": f"{name} {number}"}},
        {**search, "case": {**case, "matter_code": number}},
        {**search, "case": {**case, number: name}},
    ]
    for body in bad_searches:
        yield platform.ask("POST", SEARCH, {"Operator": name.encode().hex()}, json=body)
    yield platform.ask("POST", SEARCH, {"Content-Type": "application/json"}, content=f'{{"{number}'.encode())
    yield platform.ask("POST", SEARCH, {"Idempotency-Key": f"{number} {number}"}, json=search)
    yield platform.ask("POST", SEARCH, {"Authorization": f"Bearer {number}"}, json=search)
    yield platform.ask("POST", SEARCH, {"Authorization": f"Basic {number}"}, json=search)
    yield platform.ask("POST", VERIFY, json={"case": case, "identifier": [number]})
    subjects = {"applicant": person(number)}
    for body in (
        {"case": case, "subjects": {number: person(number)}},
        {"case": case, "subjects": subjects, "field_names": [number]},
        {"case": case, "subjects": {"applicant": {"code_type": "001", "code": number}}},
    ):
        yield platform.ask("POST", f"/approval/v1/matters/{MATTER}:autofill", json=body)
    for values in ({"birth_date": [number]}, {number: name}, {"name": ""}, {"family_members": number}):
        body = {"case": case, "subjects": subjects, "values": values}
        yield platform.ask("POST", f"/approval/v1/matters/{MATTER}:verify", json=body)
    files: Json = {"document": name.encode(), "request": json.dumps({"case": case, number: name}).encode()}
    yield platform.ask("POST", "/approval/v1/documents:verify", files=files)
    yield platform.ask("POST", "/approval/v1/documents:verify", files={number: name.encode()})
    yield platform.ask("POST", "/oauth2/token", data={"grant_type": name, "client_id": number})
    grant = {"grant_type": "client_credentials"}
    yield platform.ask("POST", "/oauth2/token", data={**grant, "client_id": number, "scope": number})
    key = {"Idempotency-Key": uuid.uuid4().hex}
    yield bank.ask(
        "POST", "/partner/v1/consent_requests", key, json={"farmer": person(NOBODY), "items": [name]}
    )
    yield bank.ask(
        "POST", "/partner/v1/farmers:land_rights", json={"consent_id": number, "purpose_code": PURPOSE}
    )
    yield bank.ask("GET", f"/partner/v1/consent_requests/{number}")
    yield farmer.ask("POST", f"/citizen/v1/consents/{number}:revoke", key, json={number: name})
    yield farmer.ask("GET", "/citizen/v1/consent_requests", {"Authorization": f"Bearer {number}"})
    yield farmer.ask("GET", "/citizen/callback", params={"code": number, "state": name, "error": number})
    yield farmer.ask("GET", "/citizen/login", params={"return_to": f"/{number}/{name}"})
