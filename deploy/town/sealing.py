"""The vault, for millions of fields at once: the same sealed form, made a column at a time."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from core.vault import Vault
from deploy.town.pgcopy import NULL

ID_BYTES = 16
_NONCE, _TAG = 12, 16
_LONGEST = 8192

T = TypeVar("T")

Parts = tuple[Iterable[bytes], ...]
"""A column's fields for COPY. They may come in several parts, to be put one after another row by row."""


class BulkVault(Vault):
    """A part's vault with a faster way to seal. What it seals, every other vault of the part opens."""

    seconds = 0.0
    """Processor time that sealing and indexing have taken."""

    def seal_all(self, bound: Iterable[bytes], plaintexts: Iterable[bytes]) -> Parts:
        """Seals as `seal` does: gives the fields' heads, their nonces, and the ciphertexts with their tags.

        `bound` is what each plaintext is bound to: its row's id (16 bytes) and its column (ASCII).
        """
        began = time.process_time()
        plain = list(plaintexts)
        nonces = random_blocks(len(plain), _NONCE)
        sealed = list(map(self._ciphers[self._current].encrypt, nonces, plain, bound))
        self.seconds += time.process_time() - began
        return map(self._heads.__getitem__, map(len, plain)), nonces, sealed

    def seal_known(self, bound: Iterable[bytes], plaintexts: Sequence[bytes | None]) -> Parts:
        """Seals what there is; the field of what there is not is null."""
        known = [(one, plain) for one, plain in zip(bound, plaintexts, strict=True) if plain is not None]
        parts = self.seal_all([one for one, _ in known], [plain for _, plain in known])
        fields = map(b"".join, zip(*parts, strict=True))
        return ([NULL if plain is None else next(fields) for plain in plaintexts],)

    def index_all(self, subjects: Iterable[tuple[str, str]]) -> list[bytes]:
        """The blind indexes of some subjects, of code type and code each."""
        began = time.process_time()
        keyed = hmac.new(self._index_keys[self.index_version], digestmod=hashlib.sha256)
        indexes = []
        for code_type, code in subjects:
            mac = keyed.copy()
            mac.update(f"{code_type}:{code}".encode())
            indexes.append(mac.digest())
        self.seconds += time.process_time() - began
        return indexes

    @cached_property
    def _heads(self) -> list[bytes]:
        """By the length of a text, what its field begins with: the field's length, format and key version."""
        extra = len(self._header) + _NONCE + _TAG
        return [(extra + length).to_bytes(4, "big") + self._header for length in range(_LONGEST)]


def random_blocks(count: int, size: int) -> list[bytes]:
    """So many random values of so many bytes, from the system."""
    return list(chain.from_iterable(struct.iter_unpack(f"{size}s", os.urandom(count * size))))


def scattered(ones: Sequence[T]) -> tuple[list[bytes], list[T]]:
    """Some with a fresh random id each, in the order of the ids, in which an index wants their rows."""
    pairs = sorted(zip(random_blocks(len(ones), ID_BYTES), ones, strict=True), key=itemgetter(0))
    return [one for one, _ in pairs], [one for _, one in pairs]
