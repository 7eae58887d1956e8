"""Encrypts identity payload at rest, and finds numbers by keyed blind index.

Envelope: a data key per version seals fields with AES-256-GCM; the keyring's key-encryption key wraps
the data keys, which lie in the part's own schema. A sealed value is bound to its row and column.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from typing import Self
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core import queries
from core.db import Connection, Pool
from core.identity import Subject
from core.keyring import Keyring

Q = queries.load("core", "vault.sql")

_FORMAT = 1
_NONCE_BYTES = 12
_HEADER_BYTES = 5


class SealBrokenError(Exception):
    """A sealed value does not open: altered, moved to another row, or of a lost key."""


class Vault:
    """Seals and unseals fields of one part."""

    def __init__(self, keyring: Keyring, data_keys: Mapping[int, bytes]) -> None:
        self._index_keys = keyring.index
        self.index_version = keyring.current_index
        self._current = max(data_keys)
        self._ciphers = {version: AESGCM(key) for version, key in data_keys.items()}
        self._header = bytes([_FORMAT]) + self._current.to_bytes(4, "big")

    @classmethod
    async def open(cls, pool: Pool | Connection, keyring: Keyring) -> Self:
        """The vault with the data keys of the schema; makes the first one."""
        rows = await pool.fetch(Q.data_keys)
        if not rows:
            wrapped = wrap(keyring, 1, secrets.token_bytes(32))
            await pool.execute(Q.insert_data_key, 1, wrapped, keyring.current_kek)
            rows = await pool.fetch(Q.data_keys)
        return cls(keyring, {row["version"]: unwrap(keyring, row) for row in rows})

    @property
    def current_version(self) -> int:
        """Version of the data key that seals what is written now."""
        return self._current

    def seal(self, plaintext: bytes, *, row: UUID, column: str) -> bytes:
        """Format byte, key version, nonce, ciphertext and tag; bound to row and column."""
        nonce = os.urandom(_NONCE_BYTES)
        bound = row.bytes + column.encode("ascii")
        return self._header + nonce + self._ciphers[self._current].encrypt(nonce, plaintext, bound)

    def unseal(self, sealed: bytes, *, row: UUID, column: str) -> bytes:
        """The plaintext. Raises SealBrokenError."""
        cipher = self._ciphers.get(int.from_bytes(sealed[1:_HEADER_BYTES], "big"))
        if cipher is None or sealed[0] != _FORMAT:
            raise SealBrokenError(f"a sealed {column} is of an unknown key or format")
        nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        bound = row.bytes + column.encode("ascii")
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], bound)
        except InvalidTag:
            raise SealBrokenError(f"a sealed {column} does not open for its row") from None

    def blind_index(self, subject: Subject) -> bytes:
        """The subject's index under the current key: what is written now."""
        return _index(self._index_keys[self.index_version], subject)

    def blind_indexes(self, subject: Subject) -> list[bytes]:
        """The subject's index under every live key: what to look for."""
        return [_index(key, subject) for key in self._index_keys.values()]

    def keyed_hash(self, *parts: bytes) -> bytes:
        """A keyed hash over length-prefixed parts, for comparing without keeping.

        Made with the oldest index key that is kept, so that a new key forgets nothing it must remember.
        """
        mac = hmac.new(self._index_keys[min(self._index_keys)], digestmod=hashlib.sha256)
        for part in parts:
            mac.update(len(part).to_bytes(8, "big"))
            mac.update(part)
        return mac.digest()


def wrap(keyring: Keyring, version: int, key: bytes) -> bytes:
    """A data key under the current key-encryption key."""
    nonce = os.urandom(_NONCE_BYTES)
    bound = f"data-key-{version}".encode()
    return nonce + AESGCM(keyring.kek[keyring.current_kek]).encrypt(nonce, key, bound)


def unwrap(keyring: Keyring, row: asyncpg.Record) -> bytes:
    """A data key. Raises SealBrokenError where the keyring is not the one it was wrapped with."""
    version, wrapped = row["version"], row["wrapped"]
    kek = keyring.kek.get(row["kek_version"])
    if kek is None:
        raise SealBrokenError(f"the keyring lacks key-encryption key {row['kek_version']}")
    bound = f"data-key-{version}".encode()
    try:
        return AESGCM(kek).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound)
    except InvalidTag:
        raise SealBrokenError("the keyring does not belong to this database") from None


def _index(key: bytes, subject: Subject) -> bytes:
    return hmac.new(key, f"{subject.code_type}:{subject.code}".encode(), hashlib.sha256).digest()
