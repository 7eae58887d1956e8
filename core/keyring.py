"""A part's key file: key-encryption keys and blind-index keys, each with versions."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Keyring:
    """Keys by version; the current ones are used for what is written now."""

    kek: dict[int, bytes] = field(repr=False)
    index: dict[int, bytes] = field(repr=False)
    current_kek: int
    current_index: int

    @classmethod
    def generate(cls) -> Keyring:
        """A new keyring of one version each."""
        return cls({1: secrets.token_bytes(32)}, {1: secrets.token_bytes(32)}, 1, 1)

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Reads a keyring file. Raises ValueError that says what is wrong, never what it holds."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            ring = cls(
                _keys(document["kek"]),
                _keys(document["index"]),
                int(document["current_kek"]),
                int(document["current_index"]),
            )
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{path.name} is no keyring: kek, index, current_kek, current_index") from None
        if ring.current_kek not in ring.kek or ring.current_index not in ring.index:
            raise ValueError(f"{path.name} lacks the version that it names as current")
        return ring

    def save(self, path: Path) -> None:
        """Writes the file atomically, readable by its owner alone."""
        document = {
            "kek": {str(v): base64.b64encode(k).decode() for v, k in self.kek.items()},
            "index": {str(v): base64.b64encode(k).decode() for v, k in self.index.items()},
            "current_kek": self.current_kek,
            "current_index": self.current_index,
        }
        scratch = path.with_suffix(".new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)

    def with_new_kek(self) -> Keyring:
        """A further key-encryption key, made current."""
        version = max(self.kek) + 1
        return Keyring(
            {**self.kek, version: secrets.token_bytes(32)}, self.index, version, self.current_index
        )

    def with_new_index(self) -> Keyring:
        """A further blind-index key, made current; the old ones still find what they indexed."""
        version = max(self.index) + 1
        return Keyring(self.kek, {**self.index, version: secrets.token_bytes(32)}, self.current_kek, version)


def _keys(document: dict[str, str]) -> dict[int, bytes]:
    keys = {int(version): base64.b64decode(text, validate=True) for version, text in document.items()}
    if not keys or any(len(key) != 32 for key in keys.values()):
        raise ValueError("keys are 32 bytes")
    return keys
