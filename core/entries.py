"""The words of the disclosure protocol: context, entry, receipt, and what a service must provide."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Protocol

from core.identity import Caller, Subject


class BasisKind(Enum):
    """The ground on which a caller may be answered; values as in the contract."""

    MATTER = 1
    CONSENT = 2
    HOLDER = 3
    AGREEMENT = 4


@dataclass(frozen=True)
class Basis:
    """One basis, named precisely."""

    kind: BasisKind
    matter_code: str = ""
    case_number: str = ""
    consent_id: str = ""


@dataclass(frozen=True)
class RequestContext:
    """Who asks, for whom, on what ground, until when. The caller has been verified."""

    caller: Caller
    office: str
    operator: str
    basis: Basis | None
    purpose: str
    request_id: str
    received_at: datetime
    deadline: datetime
    trace_parent: str = ""

    def with_basis(self, basis: Basis) -> RequestContext:
        """The same context on a basis that was found out later, from a use code say."""
        return replace(self, basis=basis)


@dataclass(frozen=True)
class RecordRef:
    """A record that is disclosed or changed."""

    resource: str
    version: str


class EntryKind(Enum):
    """What an entry records; values as in the contract, where nobody may send the last one."""

    DISCLOSURE = 1
    INTENT = 2
    OUTCOME = 3
    CONTINUATION = 4
    """The ledger's own: a new origin begins, and names the log that it continues."""


class Outcome(Enum):
    """How it ended; values as in the contract."""

    NONE = 0
    RELEASED = 1
    COMPLETED = 2
    ABORTED = 3


@dataclass(frozen=True)
class Entry:
    """One ledger entry as a service appends it. The ledger turns operator and subject into commitments."""

    item_id: uuid.UUID
    kind: EntryKind
    method: str
    caller: str
    office: str
    basis: Basis | None
    purpose: str
    operator: str
    subject: Subject | None
    field_names: tuple[str, ...] = ()
    records: tuple[RecordRef, ...] = ()
    outcome: Outcome = Outcome.NONE
    intent_id: uuid.UUID | None = None
    answer_commitment: bytes = b""
    answer_salt: bytes = b""
    further_subjects: tuple[Subject, ...] = ()
    """Whom else it is about, beside `subject`."""
    trace_parent: str = field(default="", compare=False)
    """The trace that it belongs to, where entries of several are written together; nothing that is kept."""


@dataclass(frozen=True)
class Receipt:
    """Proof that an entry is in the ledger: entry, inclusion proof and signed checkpoint at once."""

    id: str
    entry: bytes
    index: int
    tree_size: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    answer_salt: bytes
    answer_json: bytes = field(default=b"", repr=False)
    """What the entry commits to, where that is JSON: exactly what the caller is sent beside the receipt."""
    opening_destroyed: bool = False
    """Whether the entry's commitments can no longer be opened, by anybody."""


@dataclass(frozen=True)
class Produced:
    """What a service is about to release, and what the entry says about it."""

    answer: object
    field_names: Sequence[str] = ()
    records: Sequence[RecordRef] = ()
    subject: Subject | None = None
    further_subjects: Sequence[Subject] = ()
    """Whom else it is about; only where there is a `subject`."""


@dataclass(frozen=True)
class Presented:
    """An answer in its public form: the message to send, and the bytes that are committed to."""

    wire: object
    canonical: bytes
    is_json: bool = False
    """Whether that is the RFC 8785 form of the answer's public JSON, not a file."""


@dataclass(frozen=True)
class Released:
    """An answer that may leave, with its receipt."""

    wire: object
    receipt: Receipt


class Transaction(Protocol):
    """An open transaction of the service's own database; stores know its real type."""


@dataclass(frozen=True)
class ReplyKey:
    """Names one request: a key counts per caller, operator and method. Kept as a keyed hash only."""

    caller: str
    operator: str
    method: str
    request_id: str
    subject_code: str = field(default="", repr=False)
    """A citizen's own number: citizens share one client name."""


@dataclass(frozen=True)
class StoredReply:
    """What the service remembers of a request."""

    body_matches: bool
    """Whether the body is the one that first came with the key (compared by keyed hash)."""
    deadline: datetime
    """Until when a claim without an answer counts as under way."""
    intent_id: uuid.UUID | None = None
    """Of an act."""
    aborted: bool = False
    """Whether that act's intent was closed as aborted; the key may be taken anew."""
    wire: object | None = None
    """The stored answer; None while an act is under way."""
    receipt: Receipt | None = None
    """Of a read; an act's comes from appending its outcome again."""
    outcome: Entry | None = None
    """Of an act that is stored."""
    answer_json: bytes = field(default=b"", repr=False)
    """What the entry commits to, where that is JSON."""


class Presenter(Protocol):
    """Turns a domain answer into its public form."""

    def __call__(self, answer: object) -> Presented: ...


MOST_OPEN_INTENTS = 1000
"""So many open intents the ledger tells of at once."""


class Ledger(Protocol):
    """Where entries go."""

    async def append(self, entry: Entry) -> Receipt:
        """The receipt, once the entry is durable. The same entry again answers the first receipt."""
        ...

    async def open_intents(self, older_than: datetime) -> Sequence[Entry]:
        """This service's intents that have no outcome yet, oldest first, MOST_OPEN_INTENTS at most."""
        ...


class Replies(Protocol):
    """The service's own memory of requests and intents (core.replies)."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction of the service's database."""
        ...

    async def find(self, key: ReplyKey, body: bytes) -> StoredReply | None:
        """What is remembered of the request, unless it has expired."""
        ...

    async def claim(self, key: ReplyKey, body: bytes, intent_id: uuid.UUID, deadline: datetime) -> bool:
        """Takes the key for an act; False when somebody has it. Replaces a claim whose intent was aborted."""
        ...

    async def store_read(self, key: ReplyKey, body: bytes, wire: object, receipt: Receipt) -> bool:
        """Remembers a read's answer; False when the key has got one meanwhile."""
        ...

    async def complete(self, tx: Transaction, key: ReplyKey, presented: Presented, outcome: Entry) -> None:
        """In the act's transaction: stores the answer and the intent's terminal row.

        Raises ActAbortedError when the intent was closed as aborted meanwhile.
        """
        ...

    async def close(self, aborted: Entry) -> Entry:
        """The outcome entry of an intent's terminal row, which becomes `aborted` where there was none."""
        ...

    async def forget_ends(self, older_than: datetime, still_open: Collection[uuid.UUID]) -> int:
        """Deletes terminal rows that nobody can need: old, not of these intents, and named by no reply."""
        ...
