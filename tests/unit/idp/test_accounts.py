"""Password hashes and what the provider remembers for a while."""

from __future__ import annotations

import pytest

from deploy.idp.accounts import hash_password, password_matches
from deploy.idp.sessions import Shelf


def test_password_matches_its_own_hash_only() -> None:
    hashed = hash_password("correct horse")

    assert password_matches("correct horse", hashed)
    assert not password_matches("correct horse ", hashed)
    assert "correct" not in hashed


def test_same_password_is_hashed_with_another_salt_each_time() -> None:
    assert hash_password("same") != hash_password("same")


def test_hash_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        password_matches("x", "md5$1$1$1$AA==$AA==")


def test_shelf_forgets_after_its_lifetime() -> None:
    now = 0.0
    shelf: Shelf[str] = Shelf(10, clock=lambda: now)
    shelf.put("a", "first")
    now = 9.9
    kept = shelf.get("a")
    now = 10.0

    assert kept == "first"
    assert shelf.get("a") is None
    assert list(shelf.values()) == []


def test_shelf_gives_a_value_once_when_it_is_taken() -> None:
    shelf: Shelf[str] = Shelf(10)
    shelf.put("a", "first")

    assert shelf.take("a") == "first"
    assert shelf.take("a") is None


def test_full_shelf_drops_the_oldest() -> None:
    shelf: Shelf[str] = Shelf(10, largest=2)
    for name in "abc":
        shelf.put(name, name)

    assert shelf.get("a") is None
    assert list(shelf.values()) == ["b", "c"]
