"""What each container is given: its own, whole, and readable by nobody else."""

from __future__ import annotations

import io
import stat
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509

from core.config import Mode
from core.production import DEVELOPMENT_MARK
from deploy.compose.handing import (
    DATABASE,
    belongings,
    hand_out,
    mode_of,
    origin_of,
    owner_dsn,
    part_dsn,
    parts_of,
)
from deploy.compose.keys import brought, prepare
from deploy.compose.outside import HELD, pack
from deploy.local.errors import GroundError
from deploy.local.keys import make_keys
from deploy.local.migrate import PARTS
from deploy.local.pki import make_pki
from deploy.local.settings import PROCESSES, WITNESS

KEYS = ("tls.key", "database.key", "keyring.json", "signing.key", "answer.key", "idp-signing.key")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A development city's folder, its parts' volumes beside it in `own`."""
    home = tmp_path_factory.mktemp("compose")
    for part in (DATABASE, *PROCESSES):
        (home / "own" / part).mkdir(parents=True)
    prepare(home / "city", home / "own", Mode.DEVELOPMENT)
    return home / "city"


def _own(city: Path, part: str) -> Path:
    return city.parent / "own" / part


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_part_is_given_its_own_and_nothing_else(city: Path) -> None:
    for part in PROCESSES:
        assert set(_content(_own(city, part))) == set(belongings(part))
    assert set(_content(_own(city, DATABASE))) == {*belongings(DATABASE), "pg_hba.conf"}


def test_no_two_parts_share_a_secret(city: Path) -> None:
    secrets = [
        content
        for part in (DATABASE, *PROCESSES)
        for name, content in _content(_own(city, part)).items()
        if name in KEYS
    ]

    assert len(set(secrets)) == len(secrets)


def test_authorities_keys_are_given_to_nobody(city: Path) -> None:
    kept = {
        (city / "pki" / name).read_bytes()
        for name in (
            "ca.key",
            "seal-ca.key",
            "seal-ca-sm2.key",
            "seal-maker-sm2.key",
            "time-ca.key",
            "onestop_owner.key",
        )
    }

    for part in (DATABASE, *PROCESSES):
        assert not kept & set(_content(_own(city, part)).values())


def test_files_are_private_but_the_database_reads_by_its_group(city: Path) -> None:
    for part in (DATABASE, *PROCESSES):
        folder = _own(city, part)
        shared = part == DATABASE
        assert stat.S_IMODE(folder.stat().st_mode) == (0o750 if shared else 0o700)
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == (0o640 if shared else 0o600)


def test_a_role_of_the_database_has_a_certificate_of_its_name(city: Path) -> None:
    certificate = x509.load_pem_x509_certificate(_content(_own(city, "licence"))["database.crt"])

    assert certificate.subject.rfc4514_string() == "CN=onestop_licence"
    assert certificate.not_valid_after_utc > datetime.now(UTC)


def test_a_second_run_changes_nothing(city: Path) -> None:
    before = {part: _content(_own(city, part)) for part in (DATABASE, *PROCESSES)}

    made = prepare(city, city.parent / "own", Mode.DEVELOPMENT)

    assert made == []
    assert {part: _content(_own(city, part)) for part in (DATABASE, *PROCESSES)} == before


def test_a_city_without_an_sm2_authority_hands_out_an_empty_file(city: Path) -> None:
    (city / "pki" / "seal-ca-sm2.crt").unlink()

    hand_out(city, city.parent / "own", PARTS)

    assert _content(_own(city, "eseal"))["seal-ca-sm2.crt"] == b""


def test_what_no_longer_belongs_to_a_part_is_removed(city: Path) -> None:
    stray = _own(city, "licence") / "ca.key"
    stray.write_text("left over")

    hand_out(city, city.parent / "own", PARTS)

    assert not stray.exists()


def test_the_database_takes_tls_password_and_certificate_together(city: Path) -> None:
    rules = [
        line.split()
        for line in (_own(city, DATABASE) / "pg_hba.conf").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert rules == [
        ["local", "all", "all", "scram-sha-256"],
        ["hostssl", "all", "all", "all", "scram-sha-256", "clientcert=verify-full"],
    ]


def test_the_owner_checks_the_server_and_brings_a_certificate(city: Path) -> None:
    address = urlsplit(owner_dsn(city))

    assert (address.hostname, address.username, address.path) == (DATABASE, "onestop_owner", "/onestop")
    assert {name: values[0] for name, values in parse_qs(address.query).items()} == {
        "sslmode": "verify-full",
        "sslrootcert": str(city / "pki" / "ca.crt"),
        "sslcert": str(city / "pki" / "onestop_owner.crt"),
        "sslkey": str(city / "pki" / "onestop_owner.key"),
    }


def test_a_parts_address_names_the_files_of_its_own_container() -> None:
    dsn = (
        "postgresql://onestop_ledger:p%40ss@postgres:5432/onestop?sslmode=verify-full"
        "&sslrootcert=/city/pki/ca.crt&sslcert=/city/pki/onestop_ledger.crt&sslkey=/city/pki/onestop_ledger.key"
    )

    assert part_dsn(dsn) == (
        "postgresql://onestop_ledger:p%40ss@postgres:5432/onestop?sslmode=verify-full"
        "&sslrootcert=/onestop/ca.crt&sslcert=/onestop/database.crt&sslkey=/onestop/database.key"
    )


@pytest.mark.parametrize(
    "query", ["", "?sslmode=require", "?sslmode=verify-full&sslrootcert=/city/pki/ca.crt"]
)
def test_an_address_that_proves_too_little_is_refused(query: str) -> None:
    with pytest.raises(GroundError, match="server's name"):
        part_dsn(f"postgresql://onestop_ledger:secret@postgres:5432/onestop{query}")


def test_production_has_no_development_provider_and_makes_no_certificate(tmp_path: Path) -> None:
    parts = parts_of(Mode.PRODUCTION)
    assert set(PARTS) - set(parts) == {"idp"}
    for part in (DATABASE, *parts, WITNESS):
        (tmp_path / "own" / part).mkdir(parents=True)

    with pytest.raises(GroundError, match=r"pki/gateway\.crt"):
        prepare(tmp_path / "city", tmp_path / "own", Mode.PRODUCTION)

    assert not (tmp_path / "city").exists()


def test_production_goes_on_with_the_certificates_that_were_brought(tmp_path: Path) -> None:
    parts = parts_of(Mode.PRODUCTION)
    for part in (DATABASE, *parts, WITNESS):
        (tmp_path / "own" / part).mkdir(parents=True)
    for name in brought(parts):
        (tmp_path / "city" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "city" / name).write_text(name)

    made = prepare(tmp_path / "city", tmp_path / "own", Mode.PRODUCTION)

    assert made == []
    assert (tmp_path / "own" / "gateway" / "tls.crt").read_text() == "pki/gateway.crt"
    assert not (tmp_path / "city" / "keys" / "idp-password").exists()


def test_an_unknown_mode_is_refused_and_none_means_production() -> None:
    assert mode_of({}) is mode_of({"ONESTOP_MODE": ""}) is Mode.PRODUCTION
    with pytest.raises(GroundError, match="'test'"):
        mode_of({"ONESTOP_MODE": "test"})


def test_outside_callers_hold_nothing_of_the_citys_own(city: Path) -> None:
    (city / "demo").mkdir()
    (city / "demo" / "cast.json").write_text("{}")
    target = io.BytesIO()

    pack(city, target)

    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        names = {entry.name: entry.mode for entry in archive if entry.isfile()}
    assert set(names) == set(HELD)
    assert set(names.values()) == {0o600}
    given = {f"pki/{part}.key" for part in PROCESSES} | {f"keys/{part}-keyring.json" for part in PARTS}
    assert not given & set(HELD)


def test_outside_callers_of_no_development_city_are_not_given_out(tmp_path: Path) -> None:
    make_pki(tmp_path / "pki", [])

    with pytest.raises(GroundError, match=r"demo/cast\.json"):
        pack(tmp_path, io.BytesIO())


@pytest.mark.parametrize(
    "origin", ["", "onestop.example/ledger", "ledger", "Data.City.example/ledger", "a.b/ c"]
)
def test_a_city_in_production_names_its_log(origin: str) -> None:
    with pytest.raises(GroundError, match="ONESTOP_LEDGER_ORIGIN"):
        origin_of({"ONESTOP_LEDGER_ORIGIN": origin}, Mode.PRODUCTION)

    named = {"ONESTOP_LEDGER_ORIGIN": "data.city.example/ledger"}
    assert origin_of(named, Mode.PRODUCTION) == "data.city.example/ledger"
    assert origin_of(named, Mode.DEVELOPMENT) == ""


def test_keys_of_a_named_log_are_not_marked_as_developments(tmp_path: Path) -> None:
    make_keys(tmp_path, ["ledger"], origin="data.city.example/ledger")
    make_keys(tmp_path, ["ledger"], origin="other.example/ledger")

    assert (tmp_path / "ledger.vkey").read_text().startswith("data.city.example/ledger+")
    marked = DEVELOPMENT_MARK.decode().strip()
    assert not [path for path in tmp_path.iterdir() if marked in path.read_text()]


def test_the_parts_of_a_development_city_trust_callers_by_the_citys_authority(city: Path) -> None:
    given = _content(_own(city, "gateway"))

    assert given["callers-ca.crt"] == given["ca.crt"]
