"""The log against itself: every leaf, tile and checkpoint, read once from the first to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import orjson
from psycopg.rows import DictRow

from cli.audit.database import Q, Snapshot
from cli.audit.findings import Kind, Report
from cli.audit.pruned import Pruned
from cli.audit.signers import Signers
from cli.audit.tree import TILE_WIDTH, Frontier, Tiles
from core.merkle import HASH_LENGTH, leaf_hash
from core.note import Checkpoint, VerifierKey

CLOCK_TOLERANCE = timedelta(seconds=5)
"""So far a clock that is set, or that of another machine, may go back without anybody being dishonest."""

KINDS = {1: "disclosure", 2: "intent", 3: "outcome", 4: "continuation"}

Told = Callable[[], None]
"""Hears of each entry that has been read."""


@dataclass(frozen=True)
class Known:
    """A checkpoint that is known from outside the database: kept, released, or cosigned by a witness."""

    name: str
    """Where it comes from, in words."""
    note: str


class LogAudit:
    """One reading of the log."""

    def __init__(
        self, snapshot: Snapshot, report: Report, keys: Sequence[VerifierKey], tolerance: timedelta
    ) -> None:
        self._snapshot = snapshot
        self._report = report
        self._signers = Signers(snapshot, report, keys)
        self._tolerance = tolerance
        self._frontier = Frontier()
        self._tiles = Tiles()
        self._stored_tiles: dict[int, Iterator[DictRow]] = {}
        self._next_tiles: dict[int, DictRow | None] = {}
        self._latest = datetime.fromtimestamp(0, UTC)
        self._size = 0
        self._proved = 0
        self._broken = False
        self._checkpoints: Iterator[DictRow] = iter(())
        self._due: DictRow | None = None
        self._newest = ""
        self._outside_due: dict[int, list[tuple[str, Checkpoint]]] = {}

    def run(self, known: Sequence[Known], pruned: Pruned, told: Told) -> None:
        """Reads everything, and notes what is wrong."""
        head = self._snapshot.one(Q.head)
        self._size = head["size"]
        self._report.size = self._size
        self._report.origin = self._signers.origin
        self._outside_due = self._opened(known)
        self._checkpoints = self._snapshot.rows(Q.checkpoints)
        self._due = self._next_checkpoint()
        pruned.check(self._report)
        for leaf in pruned.leaves(self._report):
            told()
            self._take(leaf)
            self._reached(None)
        read, missed = 0, -1
        for row in self._snapshot.rows(Q.entries):
            told()
            read += 1
            if not self._takes_its_place(row):
                continue
            tree_size = row["tree_size"]
            if tree_size != missed and (self._due is None or tree_size != self._due["size"]):
                missed = tree_size
                sample = f"entry {row['idx']} came with a checkpoint of {tree_size}, which is not there"
                self._report.add(Kind.LOST, "checkpoints of the entries", sample)
            self._entry(row)
            self._reached(row["appended_at"])
        self._report.count("entries", read)
        self._end(head)

    def _reached(self, newest_entry: datetime | None) -> None:
        """Proves the checkpoints that are over as many entries as have been read."""
        while self._due is not None and self._due["size"] <= self._frontier.size:
            self._newest = self._due["note"]
            self._checkpoint(self._due, newest_entry)
            self._due = self._next_checkpoint()
        for name, checkpoint in self._outside_due.pop(self._frontier.size, []):
            self._outside(name, checkpoint)

    def _takes_its_place(self, row: DictRow) -> bool:
        """Whether the row is the next entry; a gap is noted, and what follows it is read on."""
        index, expected = row["idx"], self._frontier.size
        if index >= self._size:
            self._report.add(
                Kind.INSERTED, "entries beyond the head", f"entry {index} of a log of {self._size}"
            )
            return False
        if index < expected:
            self._report.add(Kind.INSERTED, "entries in order", f"a second entry {index}")
            return False
        if index > expected:
            self._report.add(
                Kind.LOST, "entries in order", f"entries {expected} to {index - 1} are not there"
            )
            while self._frontier.size < index:
                self._take(b"\0" * HASH_LENGTH)
                self._reached(None)
        return True

    def _entry(self, row: DictRow) -> None:
        leaf = row["leaf"]
        self._take(leaf_hash(leaf))
        try:
            said = orjson.loads(leaf)
            canonical = orjson.dumps(said, option=orjson.OPT_SORT_KEYS) == leaf
            at = datetime.fromisoformat(said["time"]).astimezone(UTC)
        except (ValueError, KeyError, TypeError):
            self._altered(row["idx"], "it is no entry in the log's form")
            return
        columns = {
            "id": str(row["item_id"]),
            "kind": KINDS.get(row["kind"]),
            "recorder": row["recorder"],
            "caller": row["caller"],
            "intent_id": str(row["intent_id"]) if row["intent_id"] else None,
        }
        differing = [name for name, value in columns.items() if said.get(name) != value]
        if at != row["appended_at"]:
            differing.append("time")
        if differing or not canonical:
            what = ", ".join(differing) or "its form"
            self._altered(row["idx"], f"the row and the entry differ: {what}")
        for moment in {at, row["appended_at"]}:
            if moment < self._latest - self._tolerance:
                sample = (
                    f"entry {row['idx']} says {moment.isoformat()}, one before it {self._latest.isoformat()}"
                )
                self._report.add(Kind.BACK_DATED, "entries in the order of their times", sample)
        self._latest = max(self._latest, at)

    def _take(self, leaf: bytes) -> None:
        """Adds a leaf, and compares the tiles that it fills with the stored ones."""
        self._frontier.add(leaf)
        for level, index, hashes, root in self._tiles.add(leaf):
            stored = self._tile(level, index)
            self._report.count("tiles")
            if stored is None:
                self._report.add(Kind.LOST, "tiles over the entries", f"tile {level}/{index} is not there")
            elif stored["hashes"] != hashes or stored["root"] != root:
                what = f"tile {level}/{index} and what lies below it differ"
                sample = what + _places(level, index, stored, hashes)
                self._report.add(Kind.ALTERED, "tiles over the entries", sample)

    def _tile(self, level: int, index: int) -> DictRow | None:
        """The stored tile; those that nothing fills are noted on the way."""
        if level not in self._stored_tiles:
            self._stored_tiles[level] = self._snapshot.rows(Q.tiles, {"level": level})
            self._next_tiles[level] = next(self._stored_tiles[level], None)
        while (row := self._next_tiles[level]) is not None and row["idx"] <= index:
            self._next_tiles[level] = next(self._stored_tiles[level], None)
            if row["idx"] == index:
                return row
            self._report.add(Kind.INSERTED, "tiles over the entries", f"tile {level}/{row['idx']}")
        return None

    def _next_checkpoint(self) -> DictRow | None:
        """The next stored checkpoint."""
        row = next(self._checkpoints, None)
        if row is not None:
            self._report.count("checkpoints")
        return row

    def _checkpoint(self, row: DictRow, newest_entry: datetime | None) -> None:
        """Proves that a stored checkpoint is signed, and says what the log is at its size."""
        size = row["size"]
        opened = self._signers.open(row["note"], f"the checkpoint of {size}")
        if opened is None:
            return
        if opened.size != size or size != self._frontier.size:
            self._report.add(Kind.ALTERED, "checkpoints", f"the checkpoint of {size} says {opened.size}")
        elif opened.root == self._frontier.root():
            self._proved = size
        elif not self._broken:
            # No later checkpoint can agree either: they are over the same entries.
            self._broken = True
            sample = f"entries {self._proved} to {size - 1} are not those that were signed for"
            self._report.add(Kind.ALTERED, "entries under their checkpoints", sample)
        if newest_entry is not None and newest_entry > row["signed_at"] + self._tolerance:
            sample = f"the checkpoint of {size} is older than the entries under it"
            self._report.add(Kind.BACK_DATED, "checkpoints in the order of their times", sample)

    def _outside(self, name: str, checkpoint: Checkpoint) -> None:
        self._report.count("checkpoints from outside")
        if checkpoint.root != self._frontier.root() and not self._broken:
            self._report.add(
                Kind.FORKED,
                "checkpoints from outside the database",
                f"{name} says another log of {checkpoint.size} entries",
            )

    def _opened(self, known: Sequence[Known]) -> dict[int, list[tuple[str, Checkpoint]]]:
        """Checkpoints from outside by size; those of a longer log than there is are noted."""
        by_size: dict[int, list[tuple[str, Checkpoint]]] = {}
        for one in known:
            opened = self._signers.open(one.note, one.name)
            if opened is None:
                continue
            if opened.size > self._size:
                self._report.add(
                    Kind.ROLLED_BACK,
                    "checkpoints from outside the database",
                    f"{one.name} is over {opened.size} entries, and the log has {self._size}",
                )
            elif opened.size == 0:
                self._outside(one.name, opened)
            else:
                by_size.setdefault(opened.size, []).append((one.name, opened))
        return by_size

    def _end(self, head: DictRow) -> None:
        """What can be said when the last entry has been read."""
        reached = self._frontier.size
        if reached < self._size:
            self._report.add(
                Kind.LOST, "entries in order", f"entries {reached} to {self._size - 1} are not there"
            )
        for size, several in self._outside_due.items():
            for name, _ in several:
                self._report.add(Kind.LOST, "entries in order", f"{name} is over {size} entries")
        if self._due is not None:
            sample = f"the checkpoint of {self._due['size']} in a log of {self._size}"
            self._report.add(Kind.INSERTED, "checkpoints beyond the head", sample)
        # While a key is rotated the head may bear another signature than the row, over the same text.
        if self._size and _text(head["checkpoint"]) != _text(self._newest):
            self._report.add(Kind.ALTERED, "the head", "its checkpoint is not the newest that was signed")
        if head["checkpoint"]:
            opened = self._signers.open(head["checkpoint"], "the head's checkpoint")
            if opened is not None and opened.size != self._size:
                sample = f"its size is {self._size}, its checkpoint is over {opened.size}"
                self._report.add(Kind.ALTERED, "the head", sample)
        for row in self._snapshot.few(Q.levels):
            self._tile(row["level"], reached)

    def _altered(self, index: int, what: str) -> None:
        self._report.add(Kind.ALTERED, "entries and their rows", f"entry {index}: {what}")


def _text(note: str) -> str:
    """What a note says, without its signatures."""
    return note.partition("\n\n")[0]


def _places(level: int, index: int, stored: DictRow, hashes: bytes) -> str:
    """Which entries a tile of leaves disagrees with."""
    if level or len(stored["hashes"]) != len(hashes):
        return ""
    cuts = list(pairwise(range(0, len(hashes) + 1, HASH_LENGTH)))
    places = [
        index * TILE_WIDTH + place
        for place, (low, high) in enumerate(cuts)
        if stored["hashes"][low:high] != hashes[low:high]
    ]
    return (
        f": entries {', '.join(map(str, places[:5]))}{' and more' if len(places) > 5 else ''}"
        if places
        else ""
    )
