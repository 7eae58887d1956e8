"""Whose signature makes a checkpoint the log's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import orjson

from cli.audit.database import Q, Snapshot
from cli.audit.findings import Kind, Report
from core.merkle import VerificationError
from core.note import Checkpoint, VerifierKey, open_checkpoint


class Signers:
    """The log's keys, and those of the logs that it continues."""

    def __init__(self, snapshot: Snapshot, report: Report, keys: Sequence[VerifierKey]) -> None:
        self.origin = keys[0].name
        self._report = report
        self._keys = keys
        self._former = list(self._former_keys(snapshot))

    def open(self, note: str, name: str) -> Checkpoint | None:
        """What a checkpoint says, if the log's key has signed it; else that is noted, under this name."""
        failure = ""
        for key in self._keys:
            try:
                return open_checkpoint(note, key)
            except VerificationError as error:
                failure = str(error)
        for limit, key in self._former:
            with suppress(VerificationError):
                opened = open_checkpoint(note, key)
                if opened.size <= limit:
                    return opened
                sample = f"{name} is over {opened.size} entries, and {key.name} ended at {limit}"
                self._report.add(Kind.ROLLED_BACK, "checkpoints of logs that this one continues", sample)
                return None
        self._report.add(Kind.WRONG_KEY, "checkpoints", f"{name}: {failure}")
        return None

    def _former_keys(self, snapshot: Snapshot) -> Iterator[tuple[int, VerifierKey]]:
        """The keys of logs that this one continues, and up to how many entries each counts.

        Entries of this log name them, which are proved with all others: they are leaves under the present
        key's checkpoints.
        """
        for row in snapshot.few(Q.continuations):
            try:
                for key in orjson.loads(row["leaf"])["continues"]["verifier_keys"]:
                    yield row["idx"], VerifierKey.parse(key)
            except (ValueError, KeyError, TypeError, VerificationError):
                sample = f"entry {row['idx']} does not say which log it continues"
                self._report.add(Kind.ALTERED, "entries and their rows", sample)
