"""The Merkle tree of a log as it is read once, from the first leaf to the last, in little memory.

Written apart from the ledger's own tree on purpose: what is to be checked does not check itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.merkle import EMPTY_ROOT, node_hash

TILE_WIDTH = 256


class Frontier:
    """The complete subtrees at the right edge, and through them the root at every size (RFC 6962)."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Takes the next leaf's hash."""
        node, size = leaf, self.size
        while size & 1:
            node = node_hash(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The root of what was taken so far."""
        if not self._peaks:
            return EMPTY_ROOT
        *rest, node = self._peaks
        for peak in reversed(rest):
            node = node_hash(peak, node)
        return node


class Tiles:
    """The full tiles (C2SP tlog-tiles) that the leaves make, as they become full."""

    def __init__(self) -> None:
        self._rows: list[list[bytes]] = [[]]
        self._indexes: list[int] = [0]

    def add(self, leaf: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
        """Takes the next leaf's hash; level, index, hashes and root of each tile that it fills."""
        level, node = 0, leaf
        while True:
            if level == len(self._rows):
                self._rows.append([])
                self._indexes.append(0)
            row = self._rows[level]
            row.append(node)
            if len(row) < TILE_WIDTH:
                return
            node = _root(row)
            yield level, self._indexes[level], b"".join(row), node
            row.clear()
            self._indexes[level] += 1
            level += 1


def _root(row: list[bytes]) -> bytes:
    hashes = list(row)
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]
