"""The vault, for millions of fields at once: the same sealed form, made with less ado."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable

from core.vault import Vault
from deploy.town.pgcopy import NULL

_NONCE, _TAG = 12, 16
_POOL = _NONCE * 4096
_LONGEST = 8192

SealField = Callable[[bytes, bytes, str | None], bytes]
"""Seals a text for a row (its id's 16 bytes) and a column (ASCII); gives the field as COPY takes it."""


class BulkVault(Vault):
    """A part's vault with a faster way to seal. What it seals, every other vault of the part opens."""

    def copy_sealer(self) -> SealField:
        """A function that seals as `seal` does."""
        encrypt = self._ciphers[self._current].encrypt
        header = self._header
        extra = len(header) + _NONCE + _TAG
        heads = [(extra + length).to_bytes(4, "big") + header for length in range(_LONGEST)]
        pool, position = b"", _POOL

        def seal(row: bytes, column: bytes, text: str | None) -> bytes:
            nonlocal pool, position
            if text is None:
                return NULL
            if position == _POOL:
                pool, position = os.urandom(_POOL), 0
            nonce = pool[position : position + _NONCE]
            position += _NONCE
            plaintext = text.encode()
            return heads[len(plaintext)] + nonce + encrypt(nonce, plaintext, row + column)

        return seal

    def indexer(self) -> Callable[[str, str], bytes]:
        """A function that makes a subject's blind index of code type and code."""
        keyed = hmac.new(self._index_keys[self.index_version], digestmod=hashlib.sha256)

        def index(code_type: str, code: str) -> bytes:
            mac = keyed.copy()
            mac.update(f"{code_type}:{code}".encode())
            return mac.digest()

        return index
