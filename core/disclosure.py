"""The disclosure protocol: nothing leaves, and nothing is done, without a durable ledger entry.

A read: produce → append one entry → release. An act: append intent → act and store the result in one
transaction → append outcome → release. `Released` can be made here only, so an answer without a
receipt does not type-check.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from core.clock import Clock
from core.errors import FieldFault, InvalidError, Kind, ServiceError
from core.identity import Caller, Subject

OPEN_INTENT_GRACE = timedelta(seconds=30)
"""An intent younger than this may still be under way and is left alone by recovery."""


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
    """What an entry records; values as in the contract."""

    DISCLOSURE = 1
    INTENT = 2
    OUTCOME = 3


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


@dataclass(frozen=True)
class Produced:
    """What a service is about to release, and what the entry says about it."""

    answer: object
    field_names: Sequence[str] = ()
    records: Sequence[RecordRef] = ()
    subject: Subject | None = None


@dataclass(frozen=True)
class Presented:
    """An answer in its public form: the message to send, and the bytes that are committed to."""

    wire: object
    canonical: bytes


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
    wire: object | None = None
    """The stored answer; None while an act is under way."""
    receipt: Receipt | None = None
    """Of a read; an act's comes from appending its outcome again."""
    outcome: Entry | None = None
    """Of an act that is stored."""


class Presenter(Protocol):
    """Turns a domain answer into its public form."""

    def __call__(self, answer: object) -> Presented: ...


class Ledger(Protocol):
    """Where entries go."""

    async def append(self, entry: Entry) -> Receipt:
        """The receipt, once the entry is durable. The same entry again answers the first receipt."""
        ...

    async def open_intents(self, older_than: datetime) -> Sequence[Entry]:
        """This service's intents that have no outcome yet."""
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

    async def complete(self, tx: Transaction, key: ReplyKey, wire: object, outcome: Entry) -> None:
        """In the act's transaction: stores the answer and the intent's terminal row.

        Raises ActAbortedError when the intent was closed as aborted meanwhile.
        """
        ...

    async def close(self, aborted: Entry) -> Entry:
        """The outcome entry of an intent's terminal row, which becomes `aborted` where there was none."""
        ...


class IdempotencyKeyMissingError(InvalidError):
    """A call that changes state came without its key."""

    reason = "IDEMPOTENCY_KEY_MISSING"


class IdempotencyKeyReusedError(ServiceError):
    """The same key came with another body."""

    kind = Kind.CONFLICT
    reason = "IDEMPOTENCY_KEY_REUSED"


class RequestInProgressError(ServiceError):
    """The same request is under way."""

    kind = Kind.CONFLICT
    reason = "REQUEST_IN_PROGRESS"


class ActAbortedError(ServiceError):
    """The act came too late: its intent had been closed. Nothing was done."""

    kind = Kind.UNAVAILABLE
    reason = "ACT_ABORTED"


class Disclosure:
    """Runs reads and acts by the protocol. Authorise before calling: a replay is authorised afresh."""

    def __init__(self, *, ledger: Ledger, replies: Replies, present: Presenter, clock: Clock) -> None:
        self._ledger = ledger
        self._replies = replies
        self._present = present
        self._clock = clock
        self._closing: set[asyncio.Task[None]] = set()

    async def read(
        self,
        context: RequestContext,
        *,
        method: str,
        body: bytes,
        produce: Callable[[], Awaitable[Produced]],
        confirm: Callable[[], Awaitable[None]] | None = None,
    ) -> Released:
        """Releases what `produce` answers, once the ledger holds an entry for it.

        `method` is the entry's, such as `licence.search`; `body` the request's canonical bytes.
        `confirm` runs between append and release, to confirm a reservation.
        With a request_id the first answer is remembered for 24 hours and given again.
        """
        key = _reply_key(context, method)
        if key is not None and (stored := await self._replies.find(key, body)) is not None:
            return _replayed_read(stored)
        produced = await produce()
        presented = self._present(produced.answer)
        entry = _committed(
            _entry(context, EntryKind.DISCLOSURE, method, produced, uuid.uuid4()),
            Outcome.RELEASED,
            presented.canonical,
        )
        receipt = await self._ledger.append(entry)
        if confirm is not None:
            await confirm()
        if key is not None and not await self._replies.store_read(key, body, presented.wire, receipt):
            stored = await self._replies.find(key, body)
            if stored is not None:
                return _replayed_read(stored)
        return Released(presented.wire, receipt)

    async def act(
        self,
        context: RequestContext,
        *,
        method: str,
        body: bytes,
        do: Callable[[Transaction, uuid.UUID], Awaitable[Produced]],
        subject: Subject | None = None,
        field_names: Sequence[str] = (),
        records: Sequence[RecordRef] = (),
    ) -> Released:
        """Does an act once: intent, then `do` with its result in one transaction, then outcome.

        `do` gets the open transaction and the intent's id, and must write through that transaction only.
        Errors: IDEMPOTENCY_KEY_MISSING, IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS, ACT_ABORTED, and
        those of `do`, after which the intent is closed as aborted.
        """
        key = _reply_key(context, method)
        if key is None:
            raise _key_missing()
        stored = await self._replies.find(key, body)
        if stored is not None and not stored.body_matches:
            raise _key_reused()
        if stored is not None and stored.outcome is not None:
            return Released(stored.wire, await self._ledger.append(stored.outcome))
        about = Produced(None, field_names, records, subject)
        intent = _entry(context, EntryKind.INTENT, method, about, uuid.uuid4())
        await self._claim(key, body, context, intent, stored)
        try:
            await self._ledger.append(intent)
            async with self._replies.transaction() as tx:
                produced = await do(tx, intent.item_id)
                presented = self._present(produced.answer)
                outcome = _committed(
                    _entry(context, EntryKind.OUTCOME, method, produced, _outcome_id(intent), intent.item_id),
                    Outcome.COMPLETED,
                    presented.canonical,
                )
                await self._replies.complete(tx, key, presented.wire, outcome)
        except BaseException:
            self._close_later(intent)
            raise
        return Released(presented.wire, await self._ledger.append(outcome))

    async def recover(self) -> None:
        """Closes this service's open intents from its own records: completed where stored, else aborted."""
        for intent in await self._ledger.open_intents(self._clock() - OPEN_INTENT_GRACE):
            await self._close(intent)

    async def drain(self) -> None:
        """Waits for intents that are being closed."""
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def _claim(
        self, key: ReplyKey, body: bytes, context: RequestContext, intent: Entry, stored: StoredReply | None
    ) -> None:
        """Takes the key; from a predecessor too that let its deadline pass without storing a result."""
        if stored is not None and stored.intent_id is not None:
            left = (stored.deadline - self._clock()).total_seconds()
            if left > 0:
                raise _in_progress(left)
            await self._replies.close(_aborted(replace(intent, item_id=stored.intent_id)))
        if not await self._replies.claim(key, body, intent.item_id, context.deadline):
            raise _in_progress(1.0)

    def _close_later(self, intent: Entry) -> None:
        """Closes a failed act's intent even though its caller may be gone."""
        task = asyncio.create_task(self._close(intent))
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled():
            # A failure here is mended by recover(), which finds the intent still open.
            task.exception()

    async def _close(self, intent: Entry) -> None:
        """Appends the outcome that this service's records give an intent."""
        await self._ledger.append(await self._replies.close(_aborted(intent)))


def _entry(
    context: RequestContext,
    kind: EntryKind,
    method: str,
    about: Produced,
    item_id: uuid.UUID,
    intent_id: uuid.UUID | None = None,
) -> Entry:
    return Entry(
        item_id=item_id,
        kind=kind,
        method=method,
        caller=context.caller.name,
        office=context.office,
        basis=context.basis,
        purpose=context.purpose,
        operator=context.operator,
        subject=about.subject or context.caller.subject,
        field_names=tuple(about.field_names),
        records=tuple(about.records),
        intent_id=intent_id,
    )


def _committed(entry: Entry, outcome: Outcome, canonical: bytes) -> Entry:
    """The entry with a fresh salt and the commitment to the answer that it opens."""
    salt = secrets.token_bytes(32)
    commitment = hmac.new(salt, canonical, hashlib.sha256).digest()
    return replace(entry, outcome=outcome, answer_commitment=commitment, answer_salt=salt)


def _aborted(intent: Entry) -> Entry:
    """The outcome of an intent that nothing came of."""
    return replace(
        intent,
        item_id=_outcome_id(intent),
        kind=EntryKind.OUTCOME,
        outcome=Outcome.ABORTED,
        intent_id=intent.item_id,
    )


def _outcome_id(intent: Entry) -> uuid.UUID:
    """An intent has one outcome, so its id follows from the intent's."""
    return uuid.uuid5(intent.item_id, "outcome")


def _reply_key(context: RequestContext, method: str) -> ReplyKey | None:
    if not context.request_id:
        return None
    subject = context.caller.subject
    code = subject.code if subject is not None else ""
    return ReplyKey(context.caller.name, context.operator, method, context.request_id, code)


def _replayed_read(stored: StoredReply) -> Released:
    if not stored.body_matches:
        raise _key_reused()
    if stored.wire is None or stored.receipt is None:
        raise _in_progress(1.0)
    return Released(stored.wire, stored.receipt)


def _in_progress(seconds: float) -> RequestInProgressError:
    return RequestInProgressError("the same request is under way; ask again shortly", retry_after=seconds)


def _key_missing() -> IdempotencyKeyMissingError:
    message = "a call that changes state needs an Idempotency-Key, 1 to 128 characters of A-Z a-z 0-9 _ . : -"
    return IdempotencyKeyMissingError(message, faults=[FieldFault("Idempotency-Key", "required", message)])


def _key_reused() -> IdempotencyKeyReusedError:
    return IdempotencyKeyReusedError(
        "this Idempotency-Key came before with another body; take a new key for a new request"
    )
