"""The log's signing key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.keys.signing import SigningFiles
from core.merkle import EMPTY_ROOT, VerificationError
from core.note import VerifierKey, open_checkpoint, split_note
from core.production import DEVELOPMENT_MARK
from deploy.local.keys import make_keys, private_pem
from services.ledger.checkpoint import CheckpointNotary, KeyFileError
from services.ledger.domain import CustodyError, TreeHead


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path, [])
    return tmp_path


def load(folder: Path) -> CheckpointNotary:
    return CheckpointNotary.load(folder / "ledger-signing.key", folder / "ledger.vkey")


def test_checkpoint_verifies_with_the_published_key(keys: Path) -> None:
    notary = load(keys)
    head = TreeHead(0, EMPTY_ROOT)

    note = notary.sign(head)

    assert notary.open(note) == head
    published = VerifierKey.parse((keys / "ledger.vkey").read_text())
    assert open_checkpoint(note, published).origin == published.name
    assert notary.verifier_key == str(published)


def test_checkpoint_of_another_key_is_not_ours(keys: Path, tmp_path: Path) -> None:
    make_keys(other := tmp_path / "other", [])

    with pytest.raises(CustodyError, match="does not verify"):
        load(keys).open(load(other).sign(TreeHead(0, EMPTY_ROOT)))


def test_keys_that_are_no_pair_are_refused(keys: Path) -> None:
    (keys / "ledger-signing.key").write_bytes(private_pem(Ed25519PrivateKey.generate()))

    with pytest.raises(KeyFileError, match="are not a pair"):
        load(keys)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("ledger-signing.key", b"", "no private key in PEM form"),
        ("ledger-signing.key", private_pem(ec.generate_private_key(ec.SECP256R1())), "no Ed25519 key"),
        ("ledger.vkey", b"onestop.example/ledger", "no verifier key"),
        ("ledger.vkey", b"\xff", "no verifier key"),
    ],
)
def test_malformed_key_file_is_named(keys: Path, name: str, content: bytes, why: str) -> None:
    (keys / name).write_bytes(content)

    with pytest.raises(KeyFileError, match=f"{name} is {why}"):
        load(keys)


def rotated(folder: Path, steps: int = 2) -> tuple[VerifierKey, VerifierKey]:
    """The old and the new verifier key of a rotation: 1 both sign, 2 the new one alone."""
    held = SigningFiles(folder)
    (old,) = held.signing()
    new = Ed25519PrivateKey.generate()
    held.publish([held.line(old), held.line(new)])
    held.sign_with([old, new])
    if steps == 2:
        held.publish([held.line(new)])
        held.sign_with([new])
    return VerifierKey.parse(held.line(old)), VerifierKey.parse(held.line(new))


def test_both_keys_of_a_rotation_sign_and_either_verifies(keys: Path) -> None:
    old, new = rotated(keys, 1)
    head = TreeHead(0, EMPTY_ROOT)

    note = load(keys).sign(head)

    for key in (old, new):
        assert open_checkpoint(note, key).origin == old.name
    assert split_note(note)[1][0][1] == old.key_id
    assert load(keys).is_current(note)


def test_what_a_former_key_has_signed_stays_ours(keys: Path) -> None:
    head = TreeHead(0, EMPTY_ROOT)
    before = load(keys).sign(head)
    old, new = rotated(keys)
    notary = load(keys)

    note = notary.sign(head)

    assert notary.open(before) == notary.open(note) == head
    assert not notary.is_current(before)
    assert notary.verifier_keys == [str(new), str(old)]
    with pytest.raises(VerificationError):
        open_checkpoint(note, old)


def test_running_ledger_takes_up_changed_files_and_keeps_its_keys_where_they_are_bad(keys: Path) -> None:
    notary = load(keys)
    assert not notary.refresh()
    _, new = rotated(keys)

    assert notary.refresh()
    assert notary.signs_with == [str(new)]

    (keys / "ledger-signing.key").write_bytes(b"")
    with pytest.raises(KeyFileError):
        notary.refresh()
    assert notary.signs_with == [str(new)]


def test_next_key_signs_only_when_its_verifier_key_is_published(keys: Path) -> None:
    held = SigningFiles(keys)
    (old,) = held.signing()
    held.sign_with([old, Ed25519PrivateKey.generate()])

    assert load(keys).signs_with == [held.line(old)]


def test_verifier_keys_of_several_origins_are_refused(keys: Path) -> None:
    other = VerifierKey("onestop.example/other", b"\x01" * 32)
    with (keys / "ledger.vkey").open("a") as file:
        file.write(f"{other}\n")

    with pytest.raises(KeyFileError, match="several origins"):
        load(keys)


def test_keys_that_are_there_are_published_at_every_start(keys: Path) -> None:
    rotated(keys)
    before = (keys / "ledger.vkey").read_text()

    make_keys(keys, [])

    assert (keys / "ledger.vkey").read_text() == before


@pytest.mark.parametrize("origin", ["", "city.example/ledger"])
def test_key_that_follows_a_development_key_is_one_too(tmp_path: Path, origin: str) -> None:
    make_keys(tmp_path, [], origin=origin)

    rotated(tmp_path)

    assert (DEVELOPMENT_MARK in (tmp_path / "ledger-signing.key").read_bytes()) == (not origin)
