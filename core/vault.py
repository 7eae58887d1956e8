"""Encrypts identity payload at rest, and finds numbers by keyed blind index.

Envelope: a data key per version seals fields with AES-256-GCM; the keyring's key-encryption key wraps
the data keys, which lie in the part's own schema. A sealed value is bound to its row and column.

Keys change while the service runs (./onestop keys). Beside its server every service runs `keep_fresh`, which
takes up what has changed and tells the database what this process knows; rotation waits until all know. A
process that could not do so for a while looks no numbers up until it can: under an index key that has been
dropped meanwhile it would find nobody, and say so. What a process seals with a retired key, or indexes under
one, the database refuses.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import os
import secrets
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Self
from uuid import UUID, uuid4

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core import log, queries
from core.db import Connection, Pool, is_outage
from core.errors import UnavailableError
from core.identity import Subject
from core.keyring import Keyring

Q = queries.load("core", "vault.sql")

REFRESH_SECONDS = 5.0
RETRY_SECONDS = 1.0
STALE_SECONDS = 30.0
"""So long after its last refresh a process trusts its index keys."""
GONE_SECONDS = 60.0
"""So long after its last refresh a process counts as gone; a statement begun in time has ended by then."""

_FORMAT = 1
_NONCE_BYTES = 12
_HEADER_BYTES = 5

_logger = log.get_logger()


class SealBrokenError(Exception):
    """A sealed value does not open: altered, moved to another row, or of a lost key."""


class KeysStaleError(UnavailableError):
    """This process has not been able to see which keys are live; nothing can be looked up before it has."""


class Vault:
    """Seals and unseals fields of one part."""

    def __init__(
        self, keyring: Keyring, data_keys: Mapping[int, bytes], *, current: int | None = None
    ) -> None:
        self._use_keyring(keyring)
        self._ciphers = {version: AESGCM(key) for version, key in data_keys.items()}
        self._seal_with(current or max(data_keys))
        self._wrapped: dict[int, bytes] = {}
        self._pool: Pool | Connection | None = None
        self._stamp: tuple[int, ...] | None = None
        self._holder = uuid4()
        self._trusted_until = math.inf
        self._wanted = asyncio.Event()
        self._complaint = ""

    @classmethod
    async def open(cls, pool: Pool | Connection, keyring: Keyring) -> Self:
        """The vault with the data keys of the schema; makes the first one."""
        rows = await pool.fetch(Q.data_keys)
        if not rows:
            wrapped = wrap(keyring, 1, secrets.token_bytes(32))
            await pool.execute(Q.insert_data_key, 1, wrapped, keyring.current_kek)
            rows = await pool.fetch(Q.data_keys)
        keys = {row["version"]: _unwrapped(keyring, row) for row in rows}
        vault = cls(keyring, keys, current=_newest(rows))
        vault._pool = pool
        vault._wrapped = {row["version"]: row["wrapped"] for row in rows}
        if isinstance(pool, asyncpg.Pool):
            await vault.refresh()  # A process counts from when it has keys on, not from its first look-up.
        return vault

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
        version = sealed_version(sealed)
        cipher = self._ciphers.get(version)
        if cipher is None or sealed[0] != _FORMAT:
            if version > max(self._ciphers):
                self._wanted.set()  # It may be of a key that came into use a moment ago.
            raise SealBrokenError(f"a sealed {column} is of an unknown key or format")
        nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        bound = row.bytes + column.encode("ascii")
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], bound)
        except InvalidTag:
            raise SealBrokenError(f"a sealed {column} does not open for its row") from None

    def blind_index(self, subject: Subject) -> bytes:
        """The subject's index under the current key: what is written now. Raises KeysStaleError."""
        self._require_fresh()
        return blind_index(self._index_keys[self.index_version], subject)

    def blind_indexes(self, subject: Subject) -> list[bytes]:
        """The subject's index under every live key: what to look for. Raises KeysStaleError."""
        self._require_fresh()
        return [blind_index(key, subject) for key in self._index_keys.values()]

    def keyed_hash(self, *parts: bytes) -> bytes:
        """A keyed hash over length-prefixed parts, for comparing without keeping.

        Its key is the same for as long as there is a database: what it must recognise is never forgotten.
        """
        prefixed = b"".join(piece for part in parts for piece in (len(part).to_bytes(8, "big"), part))
        return hmac.digest(self._hash_key, prefixed, "sha256")

    async def refresh(self) -> None:
        """Takes up what has changed in the keyring's file and among the data keys, then says what it knows.

        A file or a key that cannot be used is left alone: what is said then tells the operator so. Raises
        what the database raises.
        """
        if self._pool is None:
            raise RuntimeError("only a vault that was opened on a database can be refreshed")
        # Off the loop: the file may name a command, which takes its time.
        changed, trouble = await asyncio.to_thread(self._changed_keyring)
        if changed is not None:
            self._use_keyring(changed)
        complaint = trouble + self._take_up(await self._pool.fetch(Q.data_keys))
        if complaint and complaint != self._complaint:
            _logger.warning("keys_not_taken_up", why=complaint)
        self._complaint = complaint
        await self._pool.execute(
            Q.hold_keys,
            self._holder,
            f"{socket.gethostname()}/{os.getpid()}",
            self._keyring.fingerprint,
            sorted(self._ciphers),
            self._current,
        )

    async def keep_fresh(self) -> None:
        """Refreshes every few seconds until it is cancelled. Runs beside the server."""
        assert self._pool is not None
        self._trusted_until = time.monotonic() + STALE_SECONDS
        prune = True
        try:
            while True:
                began = time.monotonic()
                try:
                    async with asyncio.timeout(STALE_SECONDS / 2):
                        if prune:
                            await self._pool.execute(Q.forget_old_holders)
                            prune = False
                        await self.refresh()
                except Exception as error:
                    if not is_outage(error):
                        _logger.exception("keys_not_refreshed")
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    self._trusted_until = began + STALE_SECONDS
                    await self._pause()
        finally:
            with suppress(Exception):
                async with asyncio.timeout(1.0):
                    await self._pool.execute(Q.leave, self._holder)

    async def _pause(self) -> None:
        """Until it is time again, or somebody met a value of an unknown key; at least a second."""
        await asyncio.sleep(RETRY_SECONDS)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), REFRESH_SECONDS - RETRY_SECONDS)
        self._wanted.clear()

    def _changed_keyring(self) -> tuple[Keyring | None, str]:
        """The keyring's file if it has changed; says what is wrong with it."""
        path = self._keyring.path
        if path is None:
            return None, ""
        try:
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            if stamp != self._stamp:
                changed = Keyring.load(path)
                self._stamp = stamp
                return changed, ""
        except (OSError, ValueError) as failure:
            return None, f"{path.name}: {failure}; "
        return None, ""

    def _take_up(self, rows: Sequence[asyncpg.Record]) -> str:
        """Makes these the data keys, as far as they can be unwrapped; says which cannot."""
        ciphers: dict[int, AESGCM] = {}
        wrapped: dict[int, bytes] = {}
        complaints = []
        for row in rows:
            version = row["version"]
            if self._wrapped.get(version) != row["wrapped"]:
                try:
                    ciphers[version] = AESGCM(_unwrapped(self._keyring, row))
                    wrapped[version] = row["wrapped"]
                    continue
                except SealBrokenError as failure:
                    complaints.append(f"data key {version}: {failure}; ")
            if version in self._ciphers:
                ciphers[version] = self._ciphers[version]
                if version in self._wrapped:
                    wrapped[version] = self._wrapped[version]
        usable = [row for row in rows if row["version"] in ciphers]
        if not any(row["active_at"] for row in usable):
            return "".join(complaints) + "no data key can be used; "
        self._ciphers, self._wrapped = ciphers, wrapped
        self._seal_with(_newest(usable))
        return "".join(complaints)

    def _use_keyring(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._index_keys = keyring.index
        self._hash_key = keyring.hashing_key
        self.index_version = keyring.current_index

    def _seal_with(self, version: int) -> None:
        self._current = version
        self._header = sealed_header(version)

    def _require_fresh(self) -> None:
        if time.monotonic() > self._trusted_until:
            raise KeysStaleError("which keys are live cannot be seen at the moment", retry_after=1.0)


def sealed_header(version: int) -> bytes:
    """What every value begins with that is sealed with this version of the data key."""
    return bytes([_FORMAT]) + version.to_bytes(_HEADER_BYTES - 1, "big")


def sealed_version(sealed: bytes) -> int:
    """The version of the data key that a sealed value names; 0 where it is none."""
    return int.from_bytes(sealed[1:_HEADER_BYTES], "big")


def wrap(keyring: Keyring, version: int, key: bytes) -> bytes:
    """A data key under the current key-encryption key."""
    nonce = os.urandom(_NONCE_BYTES)
    bound = f"data-key-{version}".encode()
    return nonce + AESGCM(keyring.kek[keyring.current_kek]).encrypt(nonce, key, bound)


def unwrap(keyring: Keyring, version: int, wrapped: bytes, kek_version: int) -> bytes:
    """A data key. Raises SealBrokenError where the keyring is not the one it was wrapped with."""
    kek = keyring.kek.get(kek_version)
    if kek is None:
        raise SealBrokenError(f"the keyring lacks key-encryption key {kek_version}")
    bound = f"data-key-{version}".encode()
    try:
        return AESGCM(kek).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound)
    except InvalidTag:
        raise SealBrokenError("the keyring does not belong to this database") from None


def blind_index(key: bytes, subject: Subject) -> bytes:
    """A subject's index under a key."""
    return hmac.digest(key, f"{subject.code_type}:{subject.code}".encode(), "sha256")


def _unwrapped(keyring: Keyring, row: asyncpg.Record) -> bytes:
    return unwrap(keyring, row["version"], row["wrapped"], row["kek_version"])


def _newest(rows: Iterable[asyncpg.Record]) -> int:
    """The newest data key that is in use."""
    newest: int = max(row["version"] for row in rows if row["active_at"] is not None)
    return newest
