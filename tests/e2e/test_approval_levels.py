"""Seals that last, and certificates that are revoked, in a city as it comes up."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta

import httpx2
import psycopg
import pytest
from cryptography import x509

from deploy.local.migrate import ROOT
from tests.city import City
from tests.e2e.contract import refused
from tests.e2e.test_approval_seals import POLICE, SEALS, VERIFY, parts, sign
from tests.story import Json, Machine, case_of, letter_ofd


def seal_of(platform: Machine, office: str) -> str:
    """An office's seal for PDF."""
    seals = platform.get(SEALS, office=office)["seals"]
    return next(str(one["id"]) for one in seals if one["document_type"] == "application/pdf")


@pytest.fixture(scope="module")
def seal(platform: Machine, cast: Json) -> str:
    """That of the demo's office."""
    return seal_of(platform, cast["office"]["code"])


def report_on(city: City, platform: Machine, document: bytes) -> Json:
    """What is said of a document, and of its one seal."""
    report = platform.upload(VERIFY, document, {"case": case_of(city)}).json()
    (found,) = report["seals"]
    return {**found, "verdict": report["verdict"]}


def authority(city: City, *words: str) -> str:
    """An operator's command about certificates, and what it prints."""
    command = [sys.executable, "-m", "cli", "authority", *words]
    done = subprocess.run(
        command, env=city.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def serial_of(city: City, seal: str) -> str:
    """The serial number of a seal's certificate, in hexadecimal."""
    with psycopg.connect(city.admin_dsn) as connection:
        row = connection.execute(
            "SELECT certificate FROM eseal.seal_key WHERE seal_id = %s AND is_current", (seal,)
        ).fetchone()
    assert row is not None
    return f"{x509.load_der_x509_certificate(row[0]).serial_number:x}"


@pytest.mark.parametrize("level", ["b_t", "b_lt", "b_lta"])
def test_a_letter_is_sealed_at_each_level(city: City, platform: Machine, seal: str, level: str) -> None:
    answer = sign(platform, seal, case_of(city), level=level)
    assert answer.status_code == 200, answer.text
    found = report_on(city, platform, answer.content)

    said = ("verdict", "level", "time_proof", "revocation", "timestamp_authority")
    assert [found[name] for name in said] == [
        "valid",
        level,
        "timestamp",
        "good",
        "CN=Onestop development time",
    ]


def test_an_ofd_gets_a_timestamp_where_it_is_asked_for(city: City, platform: Machine, cast: Json) -> None:
    seals = platform.get(SEALS, office=cast["office"]["code"])["seals"]
    (national,) = [one["id"] for one in seals if one["document_type"] == "application/ofd"]

    def put(**request: str) -> httpx2.Response:
        files = parts({"case": case_of(city), **request}, letter_ofd())
        return platform.ask(
            "POST", f"{SEALS}/{national}:sign", {"Idempotency-Key": uuid.uuid4().hex}, files=files
        )

    answer = put(level="b_t")
    assert answer.status_code == 200, answer.text
    found = report_on(city, platform, answer.content)

    assert [found[name] for name in ("verdict", "time_proof", "revocation")] == ["valid", "timestamp", "good"]
    assert found["chain"][-1] == "CN=Onestop development SM2 seal CA"
    assert "由时间戳证明" in found["summary_zh"]
    refused(put(level="b_lt"), 400, "LEVEL_NOT_FOR_FORMAT")


def test_a_certified_letter_takes_nothing_more(city: City, platform: Machine, seal: str) -> None:
    answer = sign(platform, seal, case_of(city), level="b_lta", certify=True)

    found = report_on(city, platform, answer.content)

    assert (found["verdict"], found["certifies"], found["level"]) == ("valid", True, "b_lta")


@pytest.mark.usefixtures("mended")
def test_a_revoked_certificate_seals_nothing_and_what_it_sealed_is_told(
    city: City, platform: Machine
) -> None:
    seal, case = seal_of(platform, POLICE), case_of(city, office=POLICE)
    stamped = sign(platform, seal, case, level="b_t")
    serial = serial_of(city, seal)
    second = datetime.now(UTC).replace(microsecond=0)
    while datetime.now(UTC) < second + timedelta(seconds=1):  # Both times are of whole seconds.
        assert serial not in authority(city, "list")

    told = authority(city, "revoke", serial, "--reason", "cessation_of_operation")
    again = authority(city, "revoke", serial, "--reason", "superseded")
    city.restart("eseal")  # It has kept for a minute that the certificate was good.

    assert told.startswith(f"revoked: {serial}  seal-ca  ")
    assert again.startswith(f"was revoked already: {serial}  seal-ca  ")
    assert "cessation_of_operation" in authority(city, "list")
    refused(sign(platform, seal, case), 422, "CERTIFICATE_REVOKED")
    found = report_on(city, platform, stamped.content)
    assert (found["verdict"], found["revocation"], found["revoked"]) == ("valid", "revoked_since", False)
