"""Key files: versions, what a rotation makes of them, and how they are written."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from core.identity import Subject
from core.keyring import Keyring
from core.vault import Vault

SUBJECT = Subject("111", "440299199001010010")
DATA_KEYS = {1: b"k" * 32}


def test_a_key_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path, ring = tmp_path / "a-keyring.json", Keyring.generate().with_new_index()

    ring.save(path)

    assert Keyring.load(path) == ring
    assert Keyring.load(path).fingerprint == ring.fingerprint
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_key_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a-keyring.json"
    Keyring.generate().save(path)
    path.chmod(0o640)

    Keyring.load(path).with_new_kek().save(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_key_file_behind_a_link_is_replaced_itself(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "a-keyring.json"
    Keyring.generate().save(real)
    link.symlink_to(real)

    ring = Keyring.load(link).with_new_kek()
    ring.save(link)

    assert link.is_symlink()
    assert Keyring.load(real) == ring


def test_hashes_stay_the_same_whatever_is_rotated(tmp_path: Path) -> None:
    ring = Keyring.generate()
    hashed = Vault(ring, DATA_KEYS).keyed_hash(b"request")

    ring = ring.with_new_kek().without_old_keks().with_announced_index().with_newest_index()
    ring.without_old_indexes().save(tmp_path / "ring.json")

    assert Vault(Keyring.load(tmp_path / "ring.json"), DATA_KEYS).keyed_hash(b"request") == hashed


def test_a_file_without_a_hash_key_goes_on_with_the_oldest_index_key(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    keys = {"1": base64.b64encode(b"i" * 32).decode()}
    path.write_text(json.dumps({"kek": keys, "index": keys, "current_kek": 1, "current_index": 1}))
    before = Keyring.load(path)
    hashed = Vault(before, DATA_KEYS).keyed_hash(b"request")

    before.with_new_index().without_old_indexes().save(path)

    after = Keyring.load(path)
    assert list(after.index) == [2]
    assert Vault(after, DATA_KEYS).keyed_hash(b"request") == hashed


def test_an_announced_index_key_finds_and_does_not_write() -> None:
    ring = Keyring.generate()
    before, meanwhile = Vault(ring, DATA_KEYS), Vault(announced := ring.with_announced_index(), DATA_KEYS)
    after = Vault(announced.with_newest_index(), DATA_KEYS)

    assert meanwhile.blind_index(SUBJECT) == before.blind_index(SUBJECT)
    assert after.blind_index(SUBJECT) in meanwhile.blind_indexes(SUBJECT)
    assert before.blind_index(SUBJECT) in after.blind_indexes(SUBJECT)


def test_two_key_files_are_told_apart_by_any_difference() -> None:
    ring = Keyring.generate()
    others = [
        Keyring.generate(),
        ring.with_new_kek(),
        ring.with_announced_index(),
        (twice := ring.with_announced_index()).with_newest_index(),
        twice.with_newest_index().without_old_indexes(),
    ]

    assert len({ring.fingerprint, *(other.fingerprint for other in others)}) == 6


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"kek": {"1": "AAAA"}, "index": {}, "current_kek": 1, "current_index": 1}']
)
def test_what_is_no_key_file_is_told_without_its_content(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ring.json"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"ring\.json is no keyring") as failure:
        Keyring.load(path)

    assert "AAAA" not in str(failure.value)


def test_neither_a_keyring_nor_its_keys_show() -> None:
    ring = Keyring.generate()

    shown = repr(ring)

    for key in (*ring.kek.values(), *ring.index.values(), ring.hashing_key):
        assert repr(key) not in shown
