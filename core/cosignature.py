"""Timestamped cosignatures of checkpoints by witnesses (C2SP tlog-cosignature), Ed25519 only."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.merkle import VerificationError
from core.note import decode_base64, split_note

_COSIGNATURE_V1 = 0x04
_KEY_LENGTH = 32
_TIME_LENGTH = 8
_LATEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's public key by name; its text form is `<name>+<key id in hex>+<base64(0x04 || key)>`."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not self.name or "+" in self.name or any(one.isspace() or one < " " for one in self.name):
            raise VerificationError("a key name must be non-empty, without spaces and without '+'")
        if len(self.public) != _KEY_LENGTH:
            raise VerificationError(f"an Ed25519 public key has {_KEY_LENGTH} bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the text form. Raises VerificationError where it is malformed or its id is not the key's."""
        try:
            name, given_id, encoded = text.strip().split("+", 2)
        except ValueError:
            raise VerificationError("a witness's key is written <name>+<id>+<base64>") from None
        material = decode_base64(encoded, "witness's key")
        if material[:1] != bytes([_COSIGNATURE_V1]):
            raise VerificationError("the key is none for Ed25519 cosignatures")
        key = cls(name, material[1:])
        if given_id != key.key_id.hex():
            raise VerificationError("the key's id does not belong to its name and key")
        return key

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || newline || 0x04 || key)."""
        return sha256(self.name.encode() + b"\n" + bytes([_COSIGNATURE_V1]) + self.public).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([_COSIGNATURE_V1]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def line(self, seconds: int, signature: bytes) -> str:
        """The note's line for this key's signature over `signed_message`, made at `seconds`."""
        blob = self.key_id + seconds.to_bytes(_TIME_LENGTH, "big") + signature
        return f"— {self.name} {base64.b64encode(blob).decode()}\n"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A proved cosignature: whose, and when it was made, in POSIX seconds."""

    key: WitnessKey
    seconds: int


def signed_message(seconds: int, text: str) -> bytes:
    """What a witness signs: header, time and the whole note text."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def cosignatures(note: str, keys: Iterable[WitnessKey]) -> list[Cosignature]:
    """The proved cosignatures of a checkpoint by these keys, one a key: the newest.

    Signatures of other keys are passed over. Raises VerificationError where the note is malformed, or where
    a signature that names one of the keys is not by it.
    """
    text, signatures = split_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    proved: dict[WitnessKey, int] = {}
    for name, key_id, blob in signatures:
        key = known.get((name, key_id))
        if key is None:
            continue
        seconds = int.from_bytes(blob[:_TIME_LENGTH], "big")
        if len(blob) <= _TIME_LENGTH or not 0 < seconds <= _LATEST:
            raise VerificationError(f"the cosignature of {name} has no time")
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(
                blob[_TIME_LENGTH:], signed_message(seconds, text)
            )
        except InvalidSignature:
            raise VerificationError(f"the cosignature of {name} is wrong") from None
        proved[key] = max(seconds, proved.get(key, 0))
    return [Cosignature(key, seconds) for key, seconds in proved.items()]
