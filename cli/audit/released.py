"""What left the system, by the parts' own log files: each line of an answer names its receipt.

A line is written after its entry is durable, as the answer leaves: every receipt in the logs has its entry.
The other way round it need not be: a caller may have gone, a log may have been cut off by a crash, or thrown
away when its time was over.
"""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from uuid import UUID

import orjson
from psycopg.rows import DictRow

from cli.audit.database import Q, Snapshot
from cli.audit.findings import Kind, Report
from cli.audit.pruned import Pruned
from core.access import releases
from core.merkle import leaf_hash
from deploy.local.keeping import pieces_of

AT_ONCE = 2000
CHECK = "answers in the logs"
LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Line:
    """One answer, by a part's log. Index and leaf are empty where the part did not see the entry."""

    part: str
    receipt: str
    index: int | None
    leaf: str


class LogFiles:
    """The parts' log files as they are now: lines that come later are not read."""

    def __init__(self, parts: Mapping[str, Sequence[tuple[IO[bytes], int]]]) -> None:
        self._parts = parts

    def lines(self, report: Report) -> Iterator[Line]:
        """Every line of an answer. Answers without a receipt are noted, lines that are no JSON counted.

        What a part wrote before it knew how to name receipts, in an earlier version, is counted only.
        """
        for part, files in self._parts.items():
            named = False
            for file, size in files:
                file.seek(0)
                while file.tell() < size and (raw := file.readline(LONGEST_LINE)):
                    line = _line(part, raw, report, named=named)
                    if line is not None:
                        named = True
                        yield line


@contextmanager
def log_files(folder: Path, parts: Sequence[str]) -> Iterator[LogFiles]:
    """Opens `<part>.log` and its older pieces, compressed or not. Missing ones are left out."""
    with ExitStack() as stack:
        opened: dict[str, list[tuple[IO[bytes], int]]] = {}
        for part in parts:
            for path in pieces_of(folder, part):
                with suppress(FileNotFoundError):  # Its time was over a moment ago.
                    opened.setdefault(part, []).append(_open(stack, path))
        yield LogFiles(opened)


def _open(stack: ExitStack, path: Path) -> tuple[IO[bytes], int]:
    """A piece, and up to where it is read. One that is being compressed is read from what is made of it."""
    packed = path if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")
    if path.suffix != ".gz":
        try:
            file = stack.enter_context(path.open("rb"))
        except FileNotFoundError:
            pass
        else:
            return file, os.fstat(file.fileno()).st_size
    return cast(IO[bytes], stack.enter_context(gzip.open(packed, "rb"))), sys.maxsize


def check_released(snapshot: Snapshot, files: LogFiles, report: Report, pruned: Pruned) -> None:
    """Looks each receipt of the logs up. The files were opened before the snapshot was taken."""
    waiting: list[Line] = []
    for line in files.lines(report):
        waiting.append(line)
        if len(waiting) == AT_ONCE:
            _compare(snapshot, waiting, report, pruned)
            waiting.clear()
    _compare(snapshot, waiting, report, pruned)


def _compare(snapshot: Snapshot, lines: Sequence[Line], report: Report, pruned: Pruned) -> None:
    if not lines:
        return
    ids = list({line.receipt for line in lines})
    entries = {str(row["item_id"]): row for row in snapshot.few(Q.entries_of, {"ids": ids})}
    gone = pruned.holds([one for one in ids if one not in entries])
    for line in lines:
        report.count(CHECK)
        entry = entries.get(line.receipt)
        if line.receipt in gone:
            continue
        if entry is None:
            sample = f"{line.receipt}: an answer left with this receipt, and its entry is not in the log"
            report.add(Kind.LOST, CHECK, sample, part=line.part)
        elif difference := _difference(line, entry):
            report.add(Kind.ALTERED, CHECK, f"{line.receipt}: {difference}", part=line.part)


def _difference(line: Line, entry: DictRow) -> str:
    """What the log says otherwise than the part saw it when the answer left."""
    if entry["kind"] not in {1, 3}:
        return "it was released as an answer's, and is an intent"
    if line.index is None:
        return ""
    if entry["recorder"] != line.part:
        return f"{line.part} recorded it, and it says {entry['recorder']}"
    if entry["idx"] != line.index:
        return f"it was entry {line.index}, and is {entry['idx']}"
    if leaf_hash(entry["leaf"]).hex() != line.leaf:
        return "it is not the entry that the answer left with"
    return ""


def _line(part: str, raw: bytes, report: Report, *, named: bool) -> Line | None:
    """The answer that a line tells of, if it does."""
    if b'"receipt"' not in raw and b'"outcome":"ok"' not in raw:
        return None
    try:
        said = orjson.loads(raw)
        if "receipt" in said:
            return Line(part, str(UUID(said["receipt"])), said.get("entry"), said.get("leaf", ""))
        if said["outcome"] != "ok" or not releases(said.get("method", "")):
            return None
    except (ValueError, KeyError, TypeError, AttributeError):
        report.count("lines of the logs that cannot be read")  # A crash cuts the last line of a log.
        return None
    if named:
        sample = f"{said['method']} at {said.get('timestamp')} without a receipt"
        report.add(Kind.UNRECORDED, CHECK, sample, part=part)
    else:
        report.count("answers in the logs from before they named receipts")
    return None
