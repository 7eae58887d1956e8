"""The books of a real city balance, and whoever changes a service's own records is found out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from cli.audit.evidence import audit_city
from cli.audit.findings import Report
from deploy.local.migrate import ROOT
from tests.city import City
from tests.companies import digest_of, signing_company
from tests.story import (
    ID_CARD,
    PURPOSE,
    ask_consent,
    bank_of,
    case_of,
    cast_of,
    citizen_of,
    grant,
    person,
    platform_of,
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def town() -> Iterator[City]:
    """A city that has done a day's work: looked up, filled, sealed, consented, fetched, revoked."""
    made = City(people=100)
    try:
        made.start()
        done = command(made, "demo")
        assert done.returncode == 0, done.stdout + done.stderr
        cast = cast_of(made)
        with platform_of(made) as platform, bank_of(made) as bank, citizen_of(made) as farmer:
            body = {
                "case": case_of(made),
                "holder": person(cast["applicant"]["code"]),
                "type_codes": [ID_CARD],
            }
            for key in ("", uuid.uuid4().hex):
                platform.post("/approval/v1/licences:search", body, key)
            farmer.sign_in(cast["farmer"]["login"], cast["password"])
            consent_id = grant(farmer, ask_consent(bank, cast["farmer"]["code"]))
            for key in ("", uuid.uuid4().hex):
                wanted = {"consent_id": consent_id, "purpose_code": PURPOSE}
                bank.post("/partner/v1/farmers:land_rights", wanted, key)
        with signing_company(made) as company:
            hashes = [digest_of(b"one"), digest_of(b"two")]
            company.sign_hash(company.authorize(hashes), hashes)
        apply_for_seal(made, cast["office"]["code"])
        yield made
        made.stop()
    finally:
        made.remove()


def command(city: City, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The city's command, for this city."""
    environment = {**city.settings.environment, "PATH": os.environ["PATH"]}
    line = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


def apply_for_seal(city: City, owner: str) -> None:
    """An operator of the city's applies for a seal, and waits until the service has done it."""
    login = f"audited_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        role = f"CREATE ROLE {login} LOGIN PASSWORD 'p-{login}' IN ROLE onestop_administration"
        connection.execute(role.encode())
    address = urlsplit(city.admin_dsn)
    netloc = f"{login}:p-{login}@{address.netloc.rpartition('@')[2]}"
    dsn_file = city.home / f"{login}.dsn"
    dsn_file.write_text(urlunsplit(address._replace(netloc=netloc)))
    words = ["--owner", owner, "--owner-name", "审计局", "--title", "合同专用章", "--kind", "contract"]
    more = ["--division", "440299", "--valid-until", "2030-01-01", "--reason", "order 7", "--wait", "30"]
    line = [sys.executable, "-m", "cli", "seal", "apply", *words, *more]
    environment = {**city.environment, "ONESTOP_OPERATOR_DSN_FILE": str(dsn_file)}
    done = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def found(report: Report) -> set[tuple[str, str]]:
    """What kinds of things were found, and of which part."""
    return {(one.kind.value, one.part) for one in report.findings}


def test_the_books_of_a_city_that_runs_balance(town: City) -> None:
    report = audit_city(town.settings)

    assert report.clean, report.document()
    assert report.limits == []
    for what in (
        "signatures (eseal)",
        "remote signatures (eseal)",
        "lives of seals (eseal)",
        "consents (agricredit)",
        "uses of consents (agricredit)",
        "ends of acts (eseal)",
        "ends of acts (agricredit)",
        "kept answers (licence)",
        "answers in the logs",
        "checkpoints from outside",
    ):
        assert report.checked.get(what), (what, report.checked)
    # Each answer is told of twice: by the part that released it, and by the gateway that it left through.
    assert report.checked["answers in the logs"] >= 2 * 15


def test_the_command_says_so_to_people_and_to_scripts(town: City) -> None:
    told, scripted = command(town, "audit"), command(town, "audit", "--json")

    assert told.returncode == scripted.returncode == 0, told.stderr + scripted.stderr
    assert "CLEAN" in told.stdout
    assert json.loads(scripted.stdout)["clean"] is True


def test_an_auditor_elsewhere_names_what_there_is_to_look_at(town: City, tmp_path: Path) -> None:
    elsewhere = City(home=tmp_path / "nothing")
    keys, checkpoint = town.settings.keys, tmp_path / "witnessed"
    checkpoint.write_text(rows(town, "SELECT note FROM ledger.checkpoint ORDER BY size LIMIT 1")[0][0])
    named = ["--database", keys / "auditor.dsn", "--key", keys / "ledger.vkey", "--checkpoint", checkpoint]
    unfounded = tmp_path / "unfounded"
    origin, _size, rest = checkpoint.read_text().split("\n", 2)
    unfounded.write_text(f"{origin}\n1000000\n{rest}")

    clean = command(elsewhere, "audit", "--json", *map(str, named))
    found = command(elsewhere, "audit", *map(str, named), "--checkpoint", str(unfounded))
    unusable = command(elsewhere, "audit")

    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert len(json.loads(clean.stdout)["limits"]) == 2
    assert found.returncode == 1
    assert "wrong_key" in found.stdout
    assert unusable.returncode == 2
    assert "auditor.dsn cannot be read" in unusable.stderr


def test_the_auditor_can_neither_write_nor_see_what_is_sealed(town: City) -> None:
    dsn = (town.settings.keys / "auditor.dsn").read_text()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        for refused in (
            "DELETE FROM ledger.entry",
            "UPDATE eseal.signature SET caller = 'x'",
            "SELECT sealed FROM ledger.opening",
            "SELECT outcome FROM eseal.intent_terminal",
            "SELECT answer FROM licence.reply",
            "SELECT number FROM agricredit.farmer",
            "SELECT sealed_code FROM licence.holder",
            "SELECT wrapped FROM ledger.data_key",
            "CREATE TABLE public.mine (a int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused.encode())


SIGNATURES, ENDS, REPLY = "eseal.signature", "eseal.intent_terminal", "licence.reply"
COPY_SIGNATURE = (
    "INSERT INTO eseal.signature SELECT gen_random_uuid(), seal_id, key_id, signed_at, document_sha256,"
    " sealed_sha256, sha256(cms_sha256), gen_random_uuid(), caller, office_code, matter_code, case_number"
    " FROM eseal.signature LIMIT 1"
)
REMOTE, ENTRY = "eseal.remote_signature", "ledger.entry"
ACT, SEAL = "eseal.seal_act", "eseal.seal"
COPY_REMOTE = (
    f"INSERT INTO {REMOTE} SELECT gen_random_uuid(), credential_id, authorisation_id, gen_random_uuid(),"
    f" digest, signed_at, caller FROM {REMOTE} LIMIT 1"
)
TOLD_TWICE = (
    f'UPDATE {ENTRY} SET leaf = leaf || substring(leaf FROM position(\'"resource":"remote_signature"\'::bytea'
    " IN leaf)) WHERE kind = 3 AND position('eseal.remote_sign_hashes'::bytea IN leaf) > 0"
)
END = "(intent_id, completed, outcome) VALUES (gen_random_uuid(), true, '')"
OTHER_ENTRY = "(SELECT item_id FROM ledger.entry WHERE kind = 1 AND recorder = 'licence' LIMIT 1)"
INTENT = "(SELECT item_id FROM ledger.entry WHERE kind = 2 LIMIT 1)"
ONE_ENTRY = "(SELECT entry_id FROM agricredit.consent_use WHERE entry_id IS NOT NULL LIMIT 1)"
LONG_AGO = "granted_at - interval '1 h'"
NAMED = "(SELECT min(use_id::text)::uuid FROM agricredit.consent_use WHERE entry_id IS NOT NULL)"
CONSENT, REQUEST, USE = "agricredit.consent", "agricredit.consent_request", "agricredit.consent_use"


@pytest.mark.parametrize(
    ("table", "change", "kind"),
    [
        (SIGNATURES, "DELETE FROM eseal.signature", "unknown"),
        (SIGNATURES, "UPDATE eseal.signature SET caller = 'somebody else'", "altered"),
        (SIGNATURES, "UPDATE eseal.signature SET case_number = 'another'", "altered"),
        (SIGNATURES, COPY_SIGNATURE, "unrecorded"),
        (ACT, f"DELETE FROM {ACT} WHERE intent_id IS NOT NULL", "unknown"),
        (ACT, f"UPDATE {ACT} SET action = 'make' WHERE intent_id IS NOT NULL", "altered"),
        (ACT, f"UPDATE {ACT} SET intent_id = gen_random_uuid() WHERE intent_id IS NOT NULL", "unrecorded"),
        (SEAL, f"UPDATE {SEAL} SET standing = 3 WHERE standing = 1", "altered"),
        (REMOTE, f"DELETE FROM {REMOTE}", "unknown"),
        (REMOTE, f"UPDATE {REMOTE} SET caller = 'somebody else'", "altered"),
        (REMOTE, f"UPDATE {REMOTE} SET credential_id = gen_random_uuid()", "altered"),
        (REMOTE, f"UPDATE {REMOTE} SET intent_id = {INTENT}", "altered"),
        (REMOTE, COPY_REMOTE, "unrecorded"),
        (ENTRY, TOLD_TWICE, "doubled"),
        (ENDS, f"UPDATE {ENDS} SET completed = NOT completed", "altered"),
        (ENDS, f"DELETE FROM {ENDS}", "unknown"),
        (ENDS, f"INSERT INTO {ENDS} {END}", "unrecorded"),
        (REPLY, f"UPDATE {REPLY} SET receipt_id = gen_random_uuid()", "unrecorded"),
        (REPLY, f"UPDATE {REPLY} SET receipt_id = {INTENT}", "altered"),
        (CONSENT, f"UPDATE {CONSENT} SET revoked_at = NULL", "altered"),
        (CONSENT, f"UPDATE {CONSENT} SET revoked_at = {LONG_AGO} WHERE revoked_at IS NULL", "unrecorded"),
        (CONSENT, f"UPDATE {CONSENT} SET uses = 0", "altered"),
        (CONSENT, f"UPDATE {CONSENT} SET consent_id = gen_random_uuid()", "unrecorded"),
        (CONSENT, f"DELETE FROM {CONSENT}", "unknown"),
        (REQUEST, f"DELETE FROM {REQUEST}", "unknown"),
        (REQUEST, f"UPDATE {REQUEST} SET partner_id = 'other'", "altered"),
        (USE, f"DELETE FROM {USE}", "unknown"),
        (USE, f"UPDATE {USE} SET entry_id = gen_random_uuid() WHERE use_id = {NAMED}", "unrecorded"),
        (USE, f"UPDATE {USE} SET entry_id = {OTHER_ENTRY} WHERE use_id = {NAMED}", "altered"),
        (USE, f"UPDATE {USE} SET entry_id = {ONE_ENTRY}", "doubled"),
    ],
)
def test_a_changed_record_of_a_service_is_found(town: City, table: str, change: str, kind: str) -> None:
    with kept(town, table) as intruder:
        assert intruder.execute(change.encode()).rowcount > 0

        report = audit_city(town.settings)

    part = "eseal" if table == ENTRY else table.partition(".")[0]
    assert (kind, part) in found(report), report.document()


GET = "/onestop.licence.v1.LicenceService/BatchGetLicences"


@pytest.mark.parametrize(
    ("part", "line", "kind"),
    [
        ("licence", {"receipt": str(uuid.UUID(int=7)), "entry": 3, "leaf": "00"}, "lost"),
        ("gateway", {"receipt": str(uuid.UUID(int=7))}, "lost"),
        ("licence", {"receipt": "LICENCE", "entry": 100_000, "leaf": "00"}, "altered"),
        (
            "licence",
            {"outcome": "ok", "method": "/onestop.licence.v1.LicenceService/BatchGetLicences"},
            "unrecorded",
        ),
    ],
)
def test_an_answer_in_the_logs_without_its_entry_is_found(
    town: City, part: str, line: dict[str, object], kind: str
) -> None:
    receipt = json.loads(last(town.settings.logs / "licence.log", b'"receipt"'))["receipt"]
    text = json.dumps({"event": "call", **line}, separators=(",", ":")).replace("LICENCE", receipt)
    path = town.settings.logs / f"{part}.log"
    before = path.stat().st_size
    with path.open("ab") as log:
        log.write(text.encode() + b"\n")
    try:
        report = audit_city(town.settings)
    finally:
        os.truncate(path, before)

    assert found(report) == {(kind, part)}, report.document()


def test_a_city_that_is_stopped_is_audited_too(town: City) -> None:
    assert town.stop() == 0
    try:
        done = command(town, "audit", "--json")
    finally:
        town.start()

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["clean"] is True
    assert "the city is stopped" in done.stderr


@contextmanager
def kept(city: City, table: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The superuser, past triggers and references; afterwards the table is again as it was."""
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(f"CREATE TEMPORARY TABLE kept AS TABLE {table}".encode())
        try:
            yield connection
        finally:
            connection.execute(f"DELETE FROM {table}".encode())
            connection.execute(f"INSERT INTO {table} SELECT * FROM kept".encode())


def rows(city: City, query: str) -> list[tuple[str, ...]]:
    """What the database's owner sees."""
    with psycopg.connect(city.admin_dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def last(path: Path, what: bytes) -> bytes:
    """The last line that holds something."""
    return [line for line in path.read_bytes().splitlines() if what in line][-1]
