"""What the ledger keeps, what it refuses, and the rules of intents and outcomes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5

from core.entries import Entry, EntryKind, Outcome
from core.errors import Kind, ServiceError, UnavailableError, fault_error
from services.ledger.merkle import Tile

PART = "ledger"
HASH_BYTES = 32
LARGEST_LEAF = 65_535
"""Bytes of an entry: C2SP tlog-tiles bundles entries behind a 16-bit length."""


class ItemIdReusedError(ServiceError):
    """Another entry was appended under the same id."""

    kind = Kind.CONFLICT
    reason = "ITEM_ID_REUSED"


class IntentUnknownError(ServiceError):
    """An outcome names an intent that the recorder never appended."""

    kind = Kind.PRECONDITION
    reason = "INTENT_UNKNOWN"


class IntentClosedError(ServiceError):
    """An outcome names an intent that has another outcome already."""

    kind = Kind.CONFLICT
    reason = "INTENT_CLOSED"


class EntryTooLargeError(ServiceError):
    """An entry does not fit into a leaf of the log."""

    kind = Kind.TOO_LARGE
    reason = "ENTRY_TOO_LARGE"


class ReceiptNotFoundError(ServiceError):
    """There is no such receipt for this caller; whether there is one for another is not said."""

    kind = Kind.NOT_FOUND
    reason = "RECEIPT_NOT_FOUND"


class TileNotFoundError(ServiceError):
    """There is no such tile, or it is not yet as wide."""

    kind = Kind.NOT_FOUND
    reason = "TILE_NOT_FOUND"


class NotCosignedError(ServiceError):
    """What was asked for is not cosigned yet as the policy wants it."""

    kind = Kind.UNAVAILABLE
    reason = "NOT_COSIGNED"


class ReceiptPrunedError(ServiceError):
    """There was such an entry of this caller's, and it was pruned when its time was over."""

    kind = Kind.NOT_FOUND
    reason = "RECEIPT_PRUNED"


class ReadOnlyError(ServiceError):
    """The ledger cannot prove that it holds what it released, and appends nothing."""

    kind = Kind.UNAVAILABLE
    reason = "LEDGER_READ_ONLY"


class CustodyError(Exception):
    """The store does not hold the log that was released; the message says where it fails."""


class FencedError(Exception):
    """Another sequencer has taken over; what this one was about to write is not written."""


class ItemsTakenError(Exception):
    """An item's id is in the log already; nothing of what was to be written is."""


class StoreLostError(Exception):
    """The database did not answer; whether the last transaction was committed is not known."""


def unavailable(message: str) -> UnavailableError:
    """An error that tells the caller to try again shortly, with the same item id."""
    return UnavailableError(message, part=PART, retry_after=1.0)


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a checkpoint of this log says: how many leaves, which root."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands: the newest sequencer's epoch, the size, the newest signed checkpoint, its beat.

    The checkpoint is empty until the log's first sequencer has signed the empty tree. The beat moves as long
    as that sequencer is at work.
    """

    epoch: int
    size: int
    checkpoint: str
    beat: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry made ready: its leaf, and beside it what must not stand in the leaf."""

    item_id: UUID
    kind: EntryKind
    recorder: str
    caller: str
    intent_id: UUID | None
    leaf: bytes
    appended_at: datetime
    digest: bytes
    """Keyed hash of the item as it was sent, to tell a repetition from another item."""
    sealed: bytes
    """What opens the entry's commitments, encrypted."""
    subject_index: bytes | None
    index_version: int | None
    answer_salt: bytes = field(repr=False)
    further_indexes: tuple[bytes, ...] = ()
    """Of the further subjects, under the same version of the index key."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the log holds under an item's id."""

    kind: EntryKind
    recorder: str
    digest: bytes | None
    """None once what opens the entry has been destroyed."""
    open: bool
    """Whether it is an intent without outcome."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as it is stored, for its receipt."""

    item_id: UUID
    index: int
    tree_size: int
    checkpoint: str
    kind: EntryKind
    recorder: str
    caller: str
    intent_id: UUID | None
    leaf: bytes
    sealed: bytes | None
    subject_index: bytes | None


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint of the log's own, and the signature lines by which witnesses confirm it."""

    size: int
    note: str
    cosignatures: tuple[str, ...] = ()

    @property
    def cosigned(self) -> str:
        """The note with all signatures."""
        return self.note + "".join(self.cosignatures)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction appends: entries from `first` on, the tiles they filled, the new checkpoint."""

    first: int
    entries: Sequence[Prepared]
    tiles: Sequence[Tile]
    size: int
    checkpoint: str
    signed_at: datetime

    @property
    def opened(self) -> list[UUID]:
        """Intents that have no outcome in this batch."""
        closed = set(self.closed)
        return [
            entry.item_id
            for entry in self.entries
            if entry.kind is EntryKind.INTENT and entry.item_id not in closed
        ]

    @property
    def closed(self) -> list[UUID]:
        """Intents that get their outcome in this batch."""
        return [entry.intent_id for entry in self.entries if entry.intent_id is not None]


OPENINGS = "ledger.opening"
"""The resource, in an entry's records, of openings that are destroyed."""


@dataclass(frozen=True, slots=True)
class Shredding:
    """A batch of openings whose destruction one person asked for and another one approved."""

    shredding_id: UUID
    batch: int
    item_ids: Sequence[UUID]
    reason: str
    asked_by: str
    approved_by: str

    @property
    def intent_id(self) -> UUID:
        """The id of the entry that says it is about to be done: the same after every crash."""
        return uuid5(self.shredding_id, f"intent {self.batch}")


def check(entry: Entry) -> None:
    """Refuses an entry whose parts do not fit its kind, with an INVALID error naming the field."""
    if entry.kind is EntryKind.OUTCOME:
        if entry.intent_id is None:
            raise fault_error("intent_id", "required", "an outcome names the intent that it closes")
        if entry.outcome not in {Outcome.COMPLETED, Outcome.ABORTED}:
            raise fault_error("outcome", "in", "an act ends COMPLETED or ABORTED")
    else:
        if entry.intent_id is not None:
            raise fault_error("intent_id", "empty", "only an outcome names an intent")
        expected = Outcome.RELEASED if entry.kind is EntryKind.DISCLOSURE else Outcome.NONE
        if entry.outcome is not expected:
            raise fault_error("outcome", "in", "a disclosure is RELEASED, an intent has no outcome yet")
    if entry.kind is EntryKind.CONTINUATION:
        raise fault_error("kind", "in", "only the ledger itself begins a new origin")
    lengths = (len(entry.answer_commitment), len(entry.answer_salt))
    if lengths not in {(0, 0), (HASH_BYTES, HASH_BYTES)}:
        message = f"answer_commitment and answer_salt have {HASH_BYTES} bytes each, or are both empty"
        raise fault_error("answer_commitment", "len", message)
    if entry.further_subjects and entry.subject is None:
        raise fault_error("subject", "required", "who is named first stands in subject")
    if entry.kind is EntryKind.DISCLOSURE and not entry.answer_commitment:
        raise fault_error("answer_commitment", "required", "a disclosure commits to what it releases")
    if not entry.caller.isprintable():
        raise fault_error("caller", "printable", "a caller's name has printable characters only")


def refuse_reuse(known_digest: bytes | None, item: Prepared) -> None:
    """Passes when the item is the one that was appended under its id, else ITEM_ID_REUSED."""
    if known_digest != item.digest:
        raise ItemIdReusedError(f"another entry was appended under the id {item.item_id}", part=PART)


def refuse_outcome(intent: Known | None, item: Prepared) -> None:
    """Passes when the item may close its intent, else INTENT_UNKNOWN or INTENT_CLOSED."""
    if intent is None or intent.kind is not EntryKind.INTENT or intent.recorder != item.recorder:
        raise IntentUnknownError(f"{item.recorder} appended no intent {item.intent_id}", part=PART)
    if not intent.open:
        raise IntentClosedError(f"the intent {item.intent_id} has another outcome already", part=PART)
