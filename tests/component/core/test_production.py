"""Each part as a process: what production refuses is told line by line, and what is right is taken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.config import PARTS
from deploy.local.keys import make_keys, write_policy
from deploy.local.migrate import ROOT
from deploy.local.pki import Leaf, make_pki, open_authority, write_leaf
from deploy.local.settings import WITNESS, read_settings

EVERYBODY = (*PARTS, "gateway")
ORIGIN = "data.city.example/ledger"
DEVELOPMENT = "is of the development authority; bring certificates of an authority of your own"
OPEN_PASSWORD = "has a password that can be guessed; take at least 16 random characters"


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a development city."""
    home = tmp_path_factory.mktemp("development")
    make_pki(home / "pki", (*EVERYBODY, WITNESS, "idp"))
    make_keys(home / "keys", EVERYBODY)
    write_policy(home / "keys", "https://localhost:7108")
    for part in (*EVERYBODY, "idp"):
        dsn = f"postgresql://onestop_{part}:onestop_{part}@database.example/onestop?sslmode=require"
        (home / "keys" / f"{part}.dsn").write_text(dsn)
        (home / "keys" / f"{part}.dsn").chmod(0o600)
    return home


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a city with authorities, keys and secrets of its own."""
    home = tmp_path_factory.mktemp("production")
    pki = home / "pki"
    pki.mkdir()
    now = datetime.now(UTC)
    authority = open_authority(pki / "ca", "City authority", now)
    for name in ("callers-ca", "seal-ca", "oidc-ca"):
        open_authority(pki / name, f"City {name}", now)
    for part in EVERYBODY:
        write_leaf(pki, Leaf(part, server=True), authority, now=now)
        write_leaf(pki, Leaf(f"onestop_{part}", server=False), authority, now=now)
    make_keys(home / "keys", EVERYBODY, origin=ORIGIN)
    write_policy(home / "keys", "https://witness.example")
    write_leaf(pki, Leaf(WITNESS, server=True), authority, now=now)
    for part in EVERYBODY:
        role = f"onestop_{part}"
        files = f"sslrootcert={pki}/ca.crt&sslcert={pki}/{role}.crt&sslkey={pki}/{role}.key"
        dsn = home / "keys" / f"{part}.dsn"
        dsn.write_text(f"postgresql://{role}:Wq7-vT2xkQ9sLm4e@database.example/o?sslmode=verify-full&{files}")
        dsn.chmod(0o600)
    return home


def settings_of(home: Path, part: str, **other: str) -> dict[str, str]:
    """What a part is told: as `make run` tells it, with `other` for what a data centre sets."""
    made = read_settings({"ONESTOP_HOME": str(home)}).part_environment(part)
    return {**made, "ONESTOP_MODE": "production", **other}


def as_production(home: Path, part: str, **other: str) -> dict[str, str]:
    """The settings of a city that may go into production."""
    provider = {"ONESTOP_OIDC_ISSUER": "https://sso.example", "ONESTOP_OIDC_CA": f"{home}/pki/oidc-ca.crt"}
    gateway = {
        "ONESTOP_PEOPLE_URL": "https://people.example",
        "ONESTOP_MACHINES_CA": f"{home}/pki/callers-ca.crt",
    }
    eseal = {
        "ONESTOP_TIMESTAMP_AUTHORITY": "https://time.example/tsa",
        "ONESTOP_TIMESTAMP_ROOTS": f"{home}/pki/seal-ca.crt",
        "ONESTOP_REVOCATION_UNKNOWN": "accept",
    }
    chosen = {"gateway": provider | gateway, "issuer": provider, "eseal": eseal}.get(part, {})
    made = settings_of(home, part, **{**chosen, **other})
    made.pop(
        "ONESTOP_SEAL_AUTHORITY", None
    )  # Seals' certificates come from a real one, by request and import.
    return made


def refusals(environment: dict[str, str], part: str) -> list[str]:
    """What `--check` tells; empty where the settings are taken."""
    module = {"gateway": "gateway", "idp": "deploy.idp"}.get(part, f"services.{part}")
    done = subprocess.run(
        [sys.executable, "-m", module, "--check"],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    if done.returncode == 0:
        assert (done.stdout, lines) == ("the settings are complete\n", [])
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert lines
    return lines


def common(home: Path, part: str) -> Iterator[str]:
    """What is refused of every part of a development city."""
    yield f"ONESTOP_TLS_CA: {DEVELOPMENT}"
    yield f"ONESTOP_TLS_CERT: {DEVELOPMENT}"
    yield "ONESTOP_DATABASE_DSN_FILE: sslmode is require where it must be verify-full"
    yield (
        "ONESTOP_DATABASE_DSN_FILE: lacks sslrootcert, sslcert, sslkey: the database and its client prove"
        " themselves by certificate"
    )
    yield f"ONESTOP_DATABASE_DSN_FILE: {OPEN_PASSWORD}"
    keyring = home / "keys" / f"{part}-keyring.json"
    yield f"ONESTOP_KEYRING: {keyring} is a development keyring; have one made for this city"


def key_line(home: Path, variable: str, name: str) -> str:
    return f"{variable}: {home}/keys/{name} is a development key; have one made for this city"


def own(home: Path, part: str) -> list[str]:
    """What is refused of one part alone."""
    provider = "localhost is this machine itself; set the address of the citizens' identity provider"
    return {
        "ledger": [
            key_line(home, "ONESTOP_SIGNING_KEY", "ledger-signing.key"),
            "ONESTOP_VERIFIER_KEY: onestop.example/ledger is development's log; name this city's own, as"
            " <its domain>/<log>",
            f"ONESTOP_WITNESSES_CA: {DEVELOPMENT}",
        ],
        "issuer": [
            key_line(home, "ONESTOP_SIGNING_KEY", "issuer-signing.key"),
            f"ONESTOP_OIDC_ISSUER: {provider}",
            f"ONESTOP_OIDC_CA: {DEVELOPMENT}",
        ],
        "agricredit": [key_line(home, "ONESTOP_ANSWER_KEY", "answer-signing.key")],
        "eseal": [
            f"ONESTOP_SEAL_ROOTS: {DEVELOPMENT}",
            f"ONESTOP_SM2_SEAL_ROOTS: {DEVELOPMENT}",
            "ONESTOP_SEAL_AUTHORITY: is set: the key of an authority does not belong beside the service",
            "ONESTOP_TIMESTAMP_AUTHORITY: is unset: nobody but this machine's own clock would say when a seal"
            " was made",
            "ONESTOP_REVOCATION_SOURCES: is unset: nobody would say that a certificate was revoked; name"
            " them, or set ONESTOP_REVOCATION_UNKNOWN to accept",
        ],
        "gateway": [
            "ONESTOP_MACHINES_CA: is unset: callers need an authority of their own, or it could vouch for a"
            " part's name",
            "ONESTOP_PEOPLE_URL: localhost is this machine itself; set the address of this gateway",
            f"ONESTOP_OIDC_ISSUER: {provider}",
            f"ONESTOP_OIDC_CA: {DEVELOPMENT}",
        ],
    }.get(part, [])


@pytest.mark.parametrize("part", EVERYBODY)
def test_a_development_city_is_refused_in_production_line_by_line(development: Path, part: str) -> None:
    told = refusals(settings_of(development, part), part)

    assert sorted(told) == sorted([*common(development, part), *own(development, part)])


@pytest.mark.parametrize("part", EVERYBODY)
def test_a_development_city_is_taken_in_development(development: Path, part: str) -> None:
    environment = settings_of(development, part, ONESTOP_MODE="development")

    assert refusals(environment, part) == []


@pytest.mark.parametrize("part", EVERYBODY)
def test_a_city_with_keys_and_authorities_of_its_own_is_taken(production: Path, part: str) -> None:
    assert refusals(as_production(production, part), part) == []


def test_a_witness_is_asked_for_keys_of_its_own_too(development: Path, production: Path) -> None:
    assert refusals(settings_of(development, WITNESS), WITNESS) == [
        f"ONESTOP_TLS_CA: {DEVELOPMENT}",
        f"ONESTOP_TLS_CERT: {DEVELOPMENT}",
        key_line(development, "ONESTOP_SIGNING_KEY", "witness-signing.key"),
    ]
    assert refusals(as_production(production, WITNESS), WITNESS) == []


def test_without_a_mode_it_is_production(development: Path) -> None:
    environment = settings_of(development, "datanode")
    del environment["ONESTOP_MODE"]

    assert refusals(environment, "datanode") == list(common(development, "datanode"))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ONESTOP_LOG_LEVEL", "debug", "DEBUG lets libraries write down what they carry; take INFO"),
        ("SSLKEYLOGFILE", "/dev/null", "would write down the keys of every TLS connection; unset it"),
        ("GRPC_TRACE", "http", "would log what the parts send each other; unset it"),
    ],
)
def test_what_would_write_secrets_down_is_refused(
    production: Path, variable: str, value: str, told: str
) -> None:
    environment = as_production(production, "licence", **{variable: value})

    assert refusals(environment, "licence") == [f"{variable}: {told}"]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o644, "can be read by everybody on this machine; chmod o-rwx"),
        (0o620, "can be written by others than its owner; chmod go-w"),
    ],
)
def test_a_secret_file_that_is_open_to_others_is_refused(production: Path, mode: int, told: str) -> None:
    names = {
        "ONESTOP_TLS_KEY": production / "pki" / "ledger.key",
        "ONESTOP_DATABASE_DSN_FILE": production / "keys" / "ledger.dsn",
        "ONESTOP_KEYRING": production / "keys" / "ledger-keyring.json",
        "ONESTOP_SIGNING_KEY": production / "keys" / "ledger-signing.key",
    }
    for path in names.values():
        path.chmod(mode)
    try:
        found = refusals(as_production(production, "ledger"), "ledger")
    finally:
        for path in names.values():
            path.chmod(0o600)

    assert found == [f"{variable}: {path} {told}" for variable, path in names.items()]


def test_callers_may_not_share_the_parts_authority(production: Path) -> None:
    shared = as_production(production, "gateway", ONESTOP_MACHINES_CA=f"{production}/pki/ca.crt")

    assert refusals(shared, "gateway") == [
        "ONESTOP_MACHINES_CA: shares an authority with ONESTOP_TLS_CA; callers need one of their own"
    ]


def test_a_client_secret_that_can_be_guessed_is_refused(production: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("changeme-changeme-changeme\n")
    secret.chmod(0o600)
    environment = as_production(production, "gateway", ONESTOP_OIDC_CLIENT_SECRET_FILE=str(secret))

    assert refusals(environment, "gateway") == [
        "ONESTOP_OIDC_CLIENT_SECRET_FILE: holds what can be guessed; take at least 16 random characters"
    ]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        (
            "ONESTOP_TIMESTAMP_AUTHORITY",
            "http://127.0.0.1:3180",
            "127.0.0.1 is this machine itself; set the address of a timestamp authority",
        ),
        (
            "ONESTOP_TIMESTAMP_ROOTS",
            "",
            "is unset: a timestamp authority is believed by its roots alone",
        ),
    ],
)
def test_a_timestamp_authority_is_elsewhere_and_believed_by_its_roots(
    production: Path, variable: str, value: str, told: str
) -> None:
    environment = as_production(production, "eseal", **{variable: value})
    if not value:
        del environment[variable]

    assert refusals(environment, "eseal") == [f"{variable}: {told}"]


def test_what_make_run_starts_is_no_production() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT}/gen", "ONESTOP_MODE": "production"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "ONESTOP_MODE is 'production', and this starts a development city" in done.stderr
