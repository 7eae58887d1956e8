"""The witness's own key: Ed25519 cosignatures (C2SP tlog-cosignature)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.cosignature import WitnessKey, signed_message
from core.merkle import VerificationError


class KeyFileError(Exception):
    """A key file cannot be used; the message says which and why, never what it holds."""


class FileCosigner:
    """Signs with a key from a file."""

    def __init__(self, key: WitnessKey, private: Ed25519PrivateKey) -> None:
        self._key = key
        self._private = private

    @classmethod
    def load(cls, signing_key: Path, verifier_key: Path) -> Self:
        """From the private key (PEM) and the public one in C2SP form.

        Raises KeyFileError where one is malformed or they are not a pair.
        """
        try:
            key = WitnessKey.parse(verifier_key.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, VerificationError) as error:
            raise KeyFileError(f"{verifier_key.name} is no witness's key: {error}") from None
        try:
            private = load_pem_private_key(signing_key.read_bytes(), None)
        except (OSError, ValueError, TypeError):
            raise KeyFileError(f"{signing_key.name} is no private key in PEM form") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"{signing_key.name} is no Ed25519 key")
        if private.public_key().public_bytes_raw() != key.public:
            raise KeyFileError(f"{signing_key.name} and {verifier_key.name} are not a pair")
        return cls(key, private)

    def cosign(self, seconds: int, text: str) -> str:
        """The signature line over a checkpoint's text, dated `seconds`."""
        return self._key.line(seconds, self._private.sign(signed_message(seconds, text)))
