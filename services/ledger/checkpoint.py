"""The log's own signature: Ed25519 over checkpoints (C2SP signed-note, tlog-checkpoint).

While the key is rotated two keys sign, each with a line of its own; verifiers ignore lines of keys that they
do not know. Keys that no longer sign stay known, for what they have signed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.merkle import VerificationError
from core.note import Checkpoint, VerifierKey, open_checkpoint, parse_keys, signature_line, signers
from services.ledger.domain import CustodyError, TreeHead

_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


class KeyFileError(Exception):
    """A key file cannot be used; the message says which and why, never what it holds."""


class CheckpointNotary:
    """Signs this log's checkpoints under its origin, and opens them again."""

    def __init__(
        self,
        key: VerifierKey,
        private: Ed25519PrivateKey,
        *others: tuple[VerifierKey, Ed25519PrivateKey],
        former: Sequence[VerifierKey] = (),
    ) -> None:
        self._signers = [(key, private), *others]
        self._known = [one for one, _ in self._signers] + list(former)
        self._files: tuple[Path, Path] | None = None
        self._stamp: tuple[object, ...] = ()

    @classmethod
    def load(cls, signing_key: Path, verifier_key: Path) -> Self:
        """From the private keys that sign (PEM, the current one first), and the verifier keys of these and of
        those that have signed, a line each; their name is the log's origin.

        Raises KeyFileError where a file is malformed or the verifier key of the current key is not there.
        """
        stamp = _stamp(signing_key, verifier_key)
        try:
            keys = parse_keys(verifier_key.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, VerificationError) as error:
            raise KeyFileError(f"{verifier_key.name} is no verifier key: {error}") from None
        if len({key.name for key in keys}) > 1:
            raise KeyFileError(f"{verifier_key.name} has keys of several origins")
        by_public = {key.public: key for key in keys}
        pairs = []
        for number, private in enumerate(_private_keys(signing_key)):
            key = by_public.pop(private.public_key().public_bytes_raw(), None)
            if key is not None:
                pairs.append((key, private))
            elif number == 0:
                raise KeyFileError(f"{signing_key.name} and {verifier_key.name} are not a pair")
        made = cls(*pairs[0], *pairs[1:], former=list(by_public.values()))
        made._files, made._stamp = (signing_key, verifier_key), stamp
        return made

    @property
    def verifier_key(self) -> str:
        """The current key's public half in C2SP form, `<origin>+<id>+<key>`."""
        return str(self._signers[0][0])

    @property
    def verifier_keys(self) -> list[str]:
        """All that are published: the current one, one that is coming, and those that have signed before."""
        return [str(key) for key in self._known]

    @property
    def signs_with(self) -> list[str]:
        """The verifier keys of those that sign."""
        return [str(key) for key, _ in self._signers]

    def refresh(self) -> bool:
        """Takes up changed files; whether they had changed. Raises KeyFileError; the keys then stay."""
        if self._files is None or _stamp(*self._files) == self._stamp:
            return False
        anew = self.load(*self._files)
        self._signers, self._known, self._stamp = anew._signers, anew._known, anew._stamp
        return True

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._signers[0][0].name

    def sign(self, head: TreeHead) -> str:
        """The checkpoint of a tree, as a signed note."""
        text = Checkpoint(self._signers[0][0].name, head.size, head.root).text
        lines = [signature_line(key, private.sign(text.encode())) for key, private in self._signers]
        return f"{text}\n{''.join(lines)}"

    def is_current(self, checkpoint: str) -> bool:
        """Whether exactly the keys that sign now have signed it; what they say is not checked."""
        return signers(checkpoint) == {(key.name, key.key_id) for key, _ in self._signers}

    def open(self, checkpoint: str) -> TreeHead:
        """What a checkpoint says. Raises CustodyError unless a key of this log signed it."""
        try:
            opened = open_checkpoint(checkpoint, *self._known)
        except VerificationError as failure:
            raise CustodyError(f"a kept checkpoint does not verify: {failure}") from None
        return TreeHead(opened.size, opened.root)


def _private_keys(path: Path) -> list[Ed25519PrivateKey]:
    try:
        blocks = _PEM.findall(path.read_bytes())
        keys = [load_pem_private_key(block + b"\n", None) for block in blocks]
    except (OSError, ValueError, TypeError):
        keys = []
    if not keys:
        raise KeyFileError(f"{path.name} is no private key in PEM form")
    found = [key for key in keys if isinstance(key, Ed25519PrivateKey)]
    if len(found) != len(keys):
        raise KeyFileError(f"{path.name} is no Ed25519 key")
    return found


def _stamp(*paths: Path) -> tuple[object, ...]:
    try:
        return tuple((s.st_mtime_ns, s.st_size, s.st_ino) for s in (path.stat() for path in paths))
    except OSError as error:
        raise KeyFileError(f"a key file cannot be read: {error.strerror}") from None
