"""The rules of what is fit for development only, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.keyring import Keyring
from core.production import (
    is_weak,
    unsafe_address,
    unsafe_callers,
    unsafe_certificates,
    unsafe_database,
    unsafe_keyring,
)

PROVED = "sslmode=verify-full&sslrootcert=/a&sslcert=/b&sslkey=/c"
STRONG = "Wq7-vT2xkQ9sLm4e"


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        (f"postgresql://o:{STRONG}@db.example/o?{PROVED}", []),
        (f"postgresql://o@db.example/o?{PROVED}", []),
        (f"postgresql://o:{STRONG}@127.0.0.1/o?sslmode=disable", ["disable", "sslrootcert"]),
        (f"postgresql://o:{STRONG}@/o?host=/run/postgresql", ["not set", "sslrootcert"]),
        (f"postgresql://o:{STRONG}@db.example/o?{PROVED.replace('full', 'ca')}", ["verify-ca"]),
        (f"postgresql://o:{STRONG}@db.example/o?sslmode=verify-full&sslrootcert=/a", ["sslcert, sslkey"]),
        (f"postgresql://o:postgres@db.example/o?{PROVED}", ["guessed"]),
        (f"postgresql://o:short@db.example/o?{PROVED}", ["guessed"]),
        (f"postgresql://o@db.example/o?{PROVED}&password=changeme", ["guessed"]),
        (f"postgresql://onestop%5Fledger%5F2026:onestop_ledger_2026@db.example/o?{PROVED}", ["guessed"]),
    ],
)
def test_a_database_is_reached_by_proof_on_both_ends(tmp_path: Path, dsn: str, words: list[str]) -> None:
    path = tmp_path / "dsn"
    path.write_text(dsn)
    path.chmod(0o600)

    told = list(unsafe_database("X", path))

    assert len(told) == len(words)
    for (variable, text), word in zip(told, words, strict=True):
        assert variable == "X"
        assert word in text
        assert STRONG not in text


@pytest.mark.parametrize("secret", ["", "x", "Password-1234567890", "POSTGRES_POSTGRES_1", "fifteen-letters"])
def test_a_short_or_usual_secret_is_weak(secret: str) -> None:
    assert is_weak(secret)
    assert not is_weak(STRONG)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("https://localhost:8480", True),
        ("https://sso.localhost", True),
        ("https://127.0.0.2", True),
        ("https://[::1]:8480", True),
        ("https://sso.example", False),
        ("https://10.0.0.7", False),
        ("", False),
    ],
)
def test_an_address_on_this_machine_is_known(url: str, here: bool) -> None:
    assert bool(list(unsafe_address("X", url, "the provider"))) == here


def test_what_holds_no_certificate_is_told_once(tmp_path: Path) -> None:
    empty = tmp_path / "ca.crt"
    empty.touch()

    assert [text for _, text in unsafe_certificates("X", empty)] == [
        f"{empty} holds no certificate in PEM form"
    ]
    assert len(list(unsafe_callers("X", empty, empty))) == 1
    assert list(unsafe_certificates("X", None)) == []


def test_a_development_keyring_stays_one_whatever_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    Keyring.generate(development=True).save(path)

    Keyring.load(path).with_new_kek().without_old_keks().with_new_index().without_old_indexes().save(path)

    assert [text for _, text in unsafe_keyring("X", path)] == [
        f"{path} is a development keyring; have one made for this city"
    ]
    Keyring.generate().save(path)
    assert list(unsafe_keyring("X", path)) == []
