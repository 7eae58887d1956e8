"""The log's signing key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.merkle import EMPTY_ROOT
from core.note import VerifierKey, open_checkpoint
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
