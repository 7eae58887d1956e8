"""A part's key file: key-encryption keys and blind-index keys, each with versions, and the key of hashes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from core import keycommand
from core.production import DEVELOPMENT_MEMBER

KEY_BYTES = 32


@dataclass(frozen=True)
class Keyring:
    """Keys by version; the current ones are used for what is written now.

    `hash_key` makes hashes that must compare for as long as they are kept, so it has no versions. Where a
    file has none, the oldest index key does its work. `path` is the file it was read from.
    """

    kek: dict[int, bytes] = field(repr=False)
    index: dict[int, bytes] = field(repr=False)
    current_kek: int
    current_index: int
    hash_key: bytes = field(default=b"", repr=False)
    path: Path | None = field(default=None, compare=False)
    development: bool = field(default=False, compare=False)
    """Whether development made it; production refuses it (core/production.py)."""

    @classmethod
    def generate(cls, *, development: bool = False) -> Self:
        """A new keyring of one version each."""
        return cls({1: _new_key()}, {1: _new_key()}, 1, 1, _new_key(), development=development)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a keyring file, or has it read by the command that it names (core/keycommand.py).

        Raises ValueError that says what is wrong, never what it holds.
        """
        content = path.read_bytes()
        if (command := _command(content)) is not None:
            content = keycommand.fetched(path, command)
        try:
            document = json.loads(content)
            ring = cls(
                _keys(document["kek"]),
                _keys(document["index"]),
                int(document["current_kek"]),
                int(document["current_index"]),
                _key(document["hash"]) if "hash" in document else b"",
                path,
                bool(document.get(DEVELOPMENT_MEMBER)),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ValueError(
                f"{path.name} is no keyring: kek, index, current_kek, current_index, hash"
            ) from None
        if ring.current_kek not in ring.kek or ring.current_index not in ring.index:
            raise ValueError(f"{path.name} lacks the version that it names as current")
        return ring

    def save(self, path: Path) -> None:
        """Writes the file in one step, durably, readable by its owner alone; an existing one keeps its owner
        and its permissions. One that names a command stays: its program for writing takes the keys, or
        ValueError is raised."""
        document = {
            "kek": {str(v): base64.b64encode(k).decode() for v, k in self.kek.items()},
            "index": {str(v): base64.b64encode(k).decode() for v, k in self.index.items()},
            "current_kek": self.current_kek,
            "current_index": self.current_index,
            "hash": base64.b64encode(self.hashing_key).decode(),
            **({DEVELOPMENT_MEMBER: True} if self.development else {}),
        }
        path = path.resolve()
        if path.exists() and (command := _command(path.read_bytes())) is not None:
            keycommand.written(path, command, json.dumps(document).encode())
            os.utime(path)  # So that every process asks for the keys anew.
            return
        scratch = path.with_suffix(".new")
        scratch.unlink(missing_ok=True)  # of a writing that was cut off
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if path.exists():
                before = path.stat()
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            json.dump(document, file)
            file.flush()
            os.fsync(descriptor)
        scratch.replace(path)
        # A key must not be used before the file that holds it survives a power cut.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def hashing_key(self) -> bytes:
        """The key of hashes."""
        return self.hash_key or self.index[min(self.index)]

    @property
    def fingerprint(self) -> str:
        """Tells two keyrings apart without telling their keys: they are random, and this is one way."""
        digest = hashlib.sha256(b"onestop keyring\n")
        for name, keys, current in (
            ("kek", self.kek, self.current_kek),
            ("index", self.index, self.current_index),
            ("hash", {0: self.hashing_key}, 0),
        ):
            for version in sorted(keys):
                digest.update(f"{name} {version} {version == current} ".encode() + keys[version])
        return digest.hexdigest()[:16]

    def with_new_kek(self) -> Keyring:
        """A further key-encryption key, made current."""
        version = max(self.kek) + 1
        return replace(self, path=None, kek={**self.kek, version: _new_key()}, current_kek=version)

    def with_announced_index(self) -> Keyring:
        """A further blind-index key: rows are looked for under it too, and not yet written under it."""
        return replace(
            self, path=None, index={**self.index, max(self.index) + 1: _new_key()}, hash_key=self.hashing_key
        )

    def with_newest_index(self) -> Keyring:
        """The newest blind-index key made current; the old ones still find what they indexed."""
        return replace(self, path=None, current_index=max(self.index))

    def with_new_index(self) -> Keyring:
        """A further blind-index key, made current at once."""
        return self.with_announced_index().with_newest_index()

    def without_old_keks(self) -> Keyring:
        """With the current key-encryption key alone."""
        return replace(self, path=None, kek={self.current_kek: self.kek[self.current_kek]})

    def without_old_indexes(self) -> Keyring:
        """With the current blind-index key alone; the key of hashes stays what it is."""
        index = {self.current_index: self.index[self.current_index]}
        return replace(self, path=None, index=index, hash_key=self.hashing_key)


def _command(content: bytes) -> Mapping[str, object] | None:
    """What a key file says that names a command; None of one that holds keys."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    return document if keycommand.is_command(document) else None


def _new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _key(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError("keys are 32 bytes")
    return key


def _keys(document: dict[str, str]) -> dict[int, bytes]:
    keys = {int(version): _key(text) for version, text in document.items()}
    if not keys:
        raise ValueError("there must be a key")
    return keys
