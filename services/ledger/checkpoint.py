"""The log's own signature: Ed25519 over checkpoints (C2SP signed-note, tlog-checkpoint)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.merkle import VerificationError
from core.note import Checkpoint, VerifierKey, open_checkpoint, signature_line
from services.ledger.domain import CustodyError, TreeHead


class KeyFileError(Exception):
    """A key file cannot be used; the message says which and why, never what it holds."""


class CheckpointNotary:
    """Signs this log's checkpoints under its origin, and opens them again."""

    def __init__(self, key: VerifierKey, private: Ed25519PrivateKey) -> None:
        self._key = key
        self._private = private

    @classmethod
    def load(cls, signing_key: Path, verifier_key: Path) -> Self:
        """From the private key (PEM) and the verifier key, whose name is the log's origin.

        Raises KeyFileError where one is malformed or they are not a pair.
        """
        try:
            key = VerifierKey.parse(verifier_key.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, VerificationError) as error:
            raise KeyFileError(f"{verifier_key.name} is no verifier key: {error}") from None
        try:
            private = load_pem_private_key(signing_key.read_bytes(), None)
        except (OSError, ValueError, TypeError):
            raise KeyFileError(f"{signing_key.name} is no private key in PEM form") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"{signing_key.name} is no Ed25519 key")
        if private.public_key().public_bytes_raw() != key.public:
            raise KeyFileError(f"{signing_key.name} and {verifier_key.name} are not a pair")
        return cls(key, private)

    @property
    def verifier_key(self) -> str:
        """The public key in C2SP form, `<origin>+<id>+<key>`."""
        return str(self._key)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._key.name

    def sign(self, head: TreeHead) -> str:
        """The checkpoint of a tree, as a signed note."""
        text = Checkpoint(self._key.name, head.size, head.root).text
        return f"{text}\n{signature_line(self._key, self._private.sign(text.encode()))}"

    def open(self, checkpoint: str) -> TreeHead:
        """What a checkpoint says. Raises CustodyError unless this log's key signed it."""
        try:
            opened = open_checkpoint(checkpoint, self._key)
        except VerificationError as failure:
            raise CustodyError(f"a kept checkpoint does not verify: {failure}") from None
        return TreeHead(opened.size, opened.root)
