"""How a log goes on under a new origin and key: the entry that names the log before it. Pure.

The leaf is the RFC 8785 form of

    {"version": 1, "id", "time", "kind": "continuation", "method": "ledger.continue", "caller": "ledger",
     "recorder": "ledger", "field_names": [], "records": [], "commitments": {},
     "continues": {"origin", "verifier_keys", "checkpoint", "size", "root"}}

`checkpoint` is the last one that is known of the log before it, as a signed note; `size` and `root` are of
the tree that was left of that log, whose leaves are the new log's first ones.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import orjson

from core.merkle import VerificationError
from core.note import Checkpoint, VerifierKey, open_checkpoint, split_note
from services.ledger.domain import CustodyError, TreeHead

METHOD = "ledger.continue"
OURSELVES = "ledger"


class NothingToContinueError(Exception):
    """The log can go on as it is, or what is there is none of ours; the message says which."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """What an entry of this kind says of the log before it."""

    origin: str
    verifier_keys: tuple[str, ...]
    checkpoint: str
    """The last one that is known, as a signed note."""
    size: int
    """How many of its leaves are left; the entry's own index."""
    root: bytes

    @property
    def last_known(self) -> Checkpoint:
        """What the last known checkpoint says. It was proved before the entry was written."""
        return Checkpoint.parse(split_note(self.checkpoint)[0])

    def open(self, note: str) -> TreeHead:
        """What a checkpoint of the former log says. Raises CustodyError unless a key of it signed it."""
        return former_head(note, [VerifierKey.parse(key) for key in self.verifier_keys])


def leaf_bytes(item_id: UUID, time: datetime, former: Continuation) -> bytes:
    """The leaf."""
    moment = time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    document = {
        "version": 1,
        "id": str(item_id),
        "time": moment,
        "kind": "continuation",
        "method": METHOD,
        "caller": OURSELVES,
        "recorder": OURSELVES,
        "field_names": [],
        "records": [],
        "commitments": {},
        "continues": {
            "origin": former.origin,
            "verifier_keys": list(former.verifier_keys),
            "checkpoint": former.checkpoint,
            "size": former.size,
            "root": base64.b64encode(former.root).decode(),
        },
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def read_continuation(leaf: bytes) -> Continuation:
    """What a leaf of this kind says. Raises CustodyError where it is malformed."""
    try:
        said = orjson.loads(leaf)["continues"]
        return Continuation(
            said["origin"],
            tuple(said["verifier_keys"]),
            said["checkpoint"],
            said["size"],
            base64.b64decode(said["root"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CustodyError(f"an entry that continues a log is malformed: {type(error).__name__}") from None


def last_known(notes: Iterable[str], keys: Sequence[VerifierKey]) -> tuple[str, TreeHead]:
    """The largest of these checkpoints of the old log, with what it says.

    Raises NothingToContinueError where one is none of that log, or two of them are of one size and differ in
    their roots: a log that was forked does not go on.
    """
    best: tuple[str, TreeHead] | None = None
    for note in notes:
        try:
            head = former_head(note, keys)
        except CustodyError as failure:
            raise NothingToContinueError(
                f"a checkpoint is not of the log that is to be continued: {failure}"
            ) from None
        if best is not None and head.size == best[1].size and head.root != best[1].root:
            raise NothingToContinueError(
                f"two checkpoints of the log are of size {head.size} and differ: it was forked, and which"
                " one to go on from is not for this command to say"
            )
        if best is None or head.size > best[1].size:
            best = note, head
    if best is None:
        raise NothingToContinueError("no checkpoint of the log is known; name one")
    return best


def former_head(note: str, keys: Iterable[VerifierKey]) -> TreeHead:
    """What a checkpoint says that one of these keys has signed. Raises CustodyError where none has."""
    failure = "no key of its log is known"
    for key in keys:
        try:
            opened = open_checkpoint(note, key)
        except VerificationError as error:
            failure = str(error)
        else:
            return TreeHead(opened.size, opened.root)
    raise CustodyError(f"a checkpoint does not verify: {failure}")
