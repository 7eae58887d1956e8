"""What is left of entries whose time by law is over: the tiles of their hashes, and that they were pruned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cli.audit.database import Q, Snapshot
from cli.audit.findings import Kind, Report
from cli.audit.tree import TILE_WIDTH
from core.merkle import HASH_LENGTH

CHECK = "entries that were pruned"


class Pruned:
    """The beginning of the log that is gone, `end` entries of it; none in a log that was never pruned."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        # Pruning came after the first cities: a database may not have its tables yet.
        self.known = snapshot.one(Q.knows_pruning)["known"]
        self.end: int = snapshot.one(Q.pruned_end)["end_idx"] if self.known else 0

    def check(self, report: Report) -> None:
        """Every pruning is decided by an entry of the log, and every entry that is gone is accounted for."""
        if not self.known:
            return
        for row in self._snapshot.few(Q.undecided_prunings):
            sample = f"those before {row['end_idx']}: the log does not say so"
            report.add(Kind.UNRECORDED, CHECK, sample)
        accounted = self._snapshot.one(Q.pruned_count)["entries"]
        if accounted != self.end:
            report.add(Kind.LOST, CHECK, f"{self.end} are gone, and {accounted} are accounted for")
        if self.end:
            report.count("entries pruned", self.end)

    def holds(self, item_ids: Sequence[str]) -> set[str]:
        """Those of the ids whose entries were pruned."""
        if not self.end or not item_ids:
            return set()
        return {str(row["item_id"]) for row in self._snapshot.few(Q.pruned_of, {"ids": list(item_ids)})}

    def leaves(self, report: Report) -> Iterator[bytes]:
        """The hashes of the leaves that are gone, by the tiles that stay."""
        tiles = self._snapshot.rows(Q.first_tiles, {"end": self.end // TILE_WIDTH}) if self.end else iter(())
        for expected, row in enumerate(tiles):
            if row["idx"] != expected or len(row["hashes"]) != TILE_WIDTH * HASH_LENGTH:
                report.add(Kind.LOST, CHECK, f"tile 0/{expected}, which stood for them, is not there")
                return
            for at in range(0, len(row["hashes"]), HASH_LENGTH):
                yield row["hashes"][at : at + HASH_LENGTH]


def without_the_pruned(statement: str, pruned: Pruned) -> str:
    """A statement that knows, as `gone`, the ids of entries that were pruned."""
    gone = "SELECT item_id FROM ledger.pruned_entry" if pruned.known else "SELECT NULL::uuid WHERE false"
    lines = statement.splitlines(keepends=True)
    own = "".join(line for line in lines if not line.startswith("--"))
    rest = f", {own.removeprefix('WITH ')}" if own.startswith("WITH ") else f"\n{own}"
    return f"WITH gone (item_id) AS ({gone}){rest}"
