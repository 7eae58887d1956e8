"""Recomputes the ledger's tree from the entries in a database, whatever its stored tiles say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import psycopg

from core.merkle import EMPTY_ROOT, HASH_LENGTH, VerificationError, leaf_hash, node_hash
from core.note import Checkpoint, VerifierKey, open_checkpoint
from deploy.local.errors import GroundError

ROWS_A_READ = 2000


@dataclass(slots=True)
class Growing:
    """The tree of RFC 6962 over the leaves added so far, by its frontier: at most one subtree a height."""

    size: int = 0
    _edge: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        """One leaf hash more."""
        height, node = 0, leaf
        while self._edge and self._edge[-1][0] == height:
            node = node_hash(self._edge.pop()[1], node)
            height += 1
        self._edge.append((height, node))
        self.size += 1

    def root(self) -> bytes:
        """MTH of all leaves, 32 bytes."""
        if not self._edge:
            return EMPTY_ROOT
        node = self._edge[-1][1]
        for _, left in reversed(self._edge[:-1]):
            node = node_hash(left, node)
        return node


@dataclass(frozen=True, slots=True)
class Proved:
    """The log of a database, whose head is signed and hashes to what its entries are."""

    size: int
    root: bytes


def newest_checkpoint(connection: psycopg.Connection[tuple[object, ...]]) -> str:
    """The signed note in the log's head; empty where the log has not begun."""
    row = connection.execute("SELECT checkpoint FROM ledger.head").fetchone()
    return str(row[0]) if row else ""


def opened(note: str, keys: str, what: str) -> Checkpoint:
    """What a checkpoint says. Raises GroundError unless one of these keys, a line each, signed it."""
    why = "there is no key"
    for key in keys.split():
        try:
            return open_checkpoint(note, VerifierKey.parse(key))
        except VerificationError as failure:
            why = str(failure)
    raise GroundError(
        f"{what} is not this log's: {why}.", "use the checkpoint and the keys of one and the same city."
    )


def prove_log(
    connection: psycopg.Connection[tuple[object, ...]],
    key: str,
    others: Mapping[str, Checkpoint],
    told: Callable[[float, float], None],
) -> Proved:
    """Hashes every entry, and compares the root with the head's checkpoint and with `others`, by their names.

    Of entries that were pruned the hash itself is taken. Those of `others` that are larger than the log are
    left to the caller. Raises GroundError where a root differs, or entries are missing.
    """
    note = newest_checkpoint(connection)
    head = (
        opened(note, key, "the newest checkpoint in the database") if note else Checkpoint("", 0, EMPTY_ROOT)
    )
    roots = _roots(connection, {head.size, *(one.size for one in others.values())}, head.size, told)
    for name, said in {"the newest checkpoint in the database": head, **others}.items():
        if said.size <= head.size and roots[said.size] != said.root:
            raise GroundError(
                f"The tree of the {said.size} first entries has another root than {name} says.",
                "the database was altered, or belongs to another city: use another backup.",
            )
    return Proved(head.size, head.root)


def _pruned_hashes(connection: psycopg.Connection[tuple[object, ...]]) -> Iterator[bytes]:
    """The leaf hashes of the entries that were pruned, from the tiles; the root proves them all the same."""
    (end,) = connection.execute("SELECT coalesce(max(end_idx), 0) FROM ledger.pruning").fetchone() or (0,)
    rows = connection.execute(
        "SELECT hashes FROM ledger.tile WHERE level = 0 AND (idx + 1) * 256 <= %s ORDER BY idx", (end,)
    )
    for (hashes,) in rows:
        assert isinstance(hashes, bytes)
        for at in range(0, len(hashes), HASH_LENGTH):
            yield hashes[at : at + HASH_LENGTH]


def _roots(
    connection: psycopg.Connection[tuple[object, ...]],
    sizes: Collection[int],
    end: int,
    told: Callable[[float, float], None],
) -> dict[int, bytes]:
    """The tree's roots at these sizes, as far as they are not larger than `end`."""
    tree = Growing()
    roots = {0: EMPTY_ROOT}
    for kept in _pruned_hashes(connection):
        tree.add(kept)
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    with connection.transaction(), connection.cursor(name="leaves") as cursor:
        cursor.itersize = ROWS_A_READ
        cursor.execute(
            "SELECT idx, leaf FROM ledger.entry WHERE idx >= %s AND idx < %s ORDER BY idx", (tree.size, end)
        )
        for index, leaf in cursor:
            if index != tree.size or not isinstance(leaf, bytes):
                break
            tree.add(leaf_hash(leaf))
            if tree.size in sizes:
                roots[tree.size] = tree.root()
            if not tree.size % ROWS_A_READ:
                told(tree.size, end)
    if tree.size != end:
        raise GroundError(
            f"The ledger's entry {tree.size} is missing; its head says that there are {end}.",
            "the database was altered: use another backup.",
        )
    return roots
