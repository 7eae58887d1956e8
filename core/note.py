"""Signed notes and checkpoints of transparency logs (C2SP signed-note, tlog-checkpoint), Ed25519 only."""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.merkle import HASH_LENGTH, VerificationError

_ED25519 = 0x01
_KEY_LENGTH = 32
# A verifier must accept sixteen signatures of up to nearly 5 kB (signed-note, "Format").
_MAX_NOTE = 1 << 20
_MAX_SIGNATURES = 100


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A log's public key by name; its text form is `<name>+<key id in hex>+<base64(0x01 || key)>`."""

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
            raise VerificationError("a verifier key is written <name>+<id>+<base64>") from None
        material = decode_base64(encoded, "verifier key")
        if material[:1] != bytes([_ED25519]):
            raise VerificationError("the verifier key is not an Ed25519 key")
        key = cls(name, material[1:])
        if given_id != key.key_id.hex():
            raise VerificationError("the verifier key's id does not belong to its name and key")
        return key

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || newline || 0x01 || key)."""
        return sha256(self.name.encode() + b"\n" + bytes([_ED25519]) + self.public).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([_ED25519]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def verify(self, note: str) -> str:
        """The note's text, once this key's signature on it is proved. Raises VerificationError otherwise."""
        text, signatures = split_note(note)
        proved = False
        for name, key_id, signature in signatures:
            if (name, key_id) != (self.name, self.key_id):
                continue  # Unknown keys are ignored: they may be witnesses, or a key being rotated in.
            try:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
            except InvalidSignature:
                raise VerificationError(f"the signature of {self.name} is wrong") from None
            proved = True
        if not proved:
            raise VerificationError(f"the note carries no signature of {self.name} by the given key")
        return text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: who keeps the log, how many leaves, which root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text: origin, size, base64 root, a line each."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a note text; extension lines are let pass. Raises VerificationError where malformed."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() != "" or not all(lines):
            raise VerificationError("a checkpoint has three non-empty lines: origin, size, root")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdigit()) or (size[0] == "0" and size != "0"):
            raise VerificationError("the checkpoint's size is not a decimal number")
        digest = decode_base64(root, "checkpoint root")
        if len(digest) != HASH_LENGTH:
            raise VerificationError("the checkpoint's root is not a SHA-256 hash")
        return cls(origin, int(size), digest)


def parse_keys(text: str) -> list[VerifierKey]:
    """The verifier keys of a log, a line each: the current one first. Raises VerificationError."""
    lines = [line for line in text.splitlines() if line.strip()]
    return [VerifierKey.parse(line) for line in lines] or [VerifierKey.parse(text)]


def signers(note: str) -> set[tuple[str, bytes]]:
    """Names and ids of a note's signers, as it tells them: proves nothing. Raises VerificationError."""
    return {(name, key_id) for name, key_id, _ in split_note(note)[1]}


def open_checkpoint(note: str, *keys: VerifierKey) -> Checkpoint:
    """The checkpoint in a note signed by one of the log's `keys`, whose name must be the origin.

    Every signature by one of them must be right. Raises VerificationError.
    """
    if not keys:
        raise VerificationError("there is no key to verify the checkpoint with")
    given = signers(note)
    usable = [key for key in keys if (key.name, key.key_id) in given] or keys[:1]
    (text, *_) = [key.verify(note) for key in usable]
    checkpoint = Checkpoint.parse(text)
    for key in usable:
        if checkpoint.origin != key.name:
            raise VerificationError(f"the checkpoint is of {checkpoint.origin}, the key of {key.name}")
    return checkpoint


def signature_line(key: VerifierKey, signature: bytes) -> str:
    """The note's line for a signature: em dash, key name, base64(key id || signature), newline."""
    return f"— {key.name} {base64.b64encode(key.key_id + signature).decode()}\n"


def split_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Text of a note (with its last newline), and (key name, key id, signature) of each signature line.

    Raises VerificationError where the form is not that of C2SP signed-note. Proves nothing.
    """
    if len(note) > _MAX_NOTE or any(one < " " and one != "\n" for one in note):
        raise VerificationError("the note is too long or has control characters")
    text, separator, tail = note.rpartition("\n\n")
    if not separator or not text or not tail.endswith("\n"):
        raise VerificationError("the note is not a text, an empty line and signature lines")
    lines = tail.removesuffix("\n").split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise VerificationError("the note has too many signatures")
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not parts[1]:
        raise VerificationError("a signature line of the note is malformed")
    blob = decode_base64(parts[2], "note signature")
    if len(blob) < 5:
        raise VerificationError("a signature of the note is too short")
    return parts[1], blob[:4], blob[4:]


def decode_base64(text: str, what: str) -> bytes:
    """Strict standard base64 (RFC 4648 section 4, padded, canonical). Raises VerificationError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(f"the {what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise VerificationError(f"the {what} is not canonical base64")
    return data
