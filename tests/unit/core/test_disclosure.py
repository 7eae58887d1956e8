"""The disclosure protocol, crash point by crash point."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from core.disclosure import (
    ActAbortedError,
    Basis,
    BasisKind,
    Disclosure,
    Entry,
    EntryKind,
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
    Outcome,
    Presented,
    Produced,
    Receipt,
    ReplyKey,
    RequestContext,
    RequestInProgressError,
    StoredReply,
    Transaction,
)
from core.errors import ServiceError, UnavailableError
from core.identity import Caller

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class LedgerBook:
    """An honest ledger in memory: idempotent by item id, can be down."""

    def __init__(self) -> None:
        self.entries: dict[uuid.UUID, Entry] = {}
        self.down = False

    async def append(self, entry: Entry) -> Receipt:
        if self.down:
            raise UnavailableError("ledger is down", part="ledger")
        kept = self.entries.setdefault(entry.item_id, entry)
        assert kept == entry, "another entry under the same id"
        index = list(self.entries).index(entry.item_id)
        return Receipt(str(entry.item_id), b"", index, index + 1, (), "", entry.answer_salt)

    async def open_intents(self, older_than: datetime) -> list[Entry]:
        closed = {entry.intent_id for entry in self.entries.values()}
        return [
            entry
            for entry in self.entries.values()
            if entry.kind is EntryKind.INTENT and entry.item_id not in closed
        ]

    def kinds(self) -> list[tuple[EntryKind, Outcome]]:
        return [(entry.kind, entry.outcome) for entry in self.entries.values()]


@dataclass
class Row:
    body: bytes
    deadline: datetime
    intent_id: uuid.UUID | None = None
    wire: object | None = None
    receipt: Receipt | None = None


@dataclass
class Memory:
    """Replies in memory, with a real roll-back."""

    rows: dict[ReplyKey, Row] = field(default_factory=dict)
    terminal: dict[uuid.UUID, Entry] = field(default_factory=dict)
    commit_fails: bool = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        before = ({key: replace(row) for key, row in self.rows.items()}, dict(self.terminal))
        try:
            yield object()
            if self.commit_fails:
                raise ConnectionError("the database went away")
        except BaseException:
            self.rows, self.terminal = before
            raise

    async def find(self, key: ReplyKey, body: bytes) -> StoredReply | None:
        row = self.rows.get(key)
        if row is None:
            return None
        if row.body != body:
            return StoredReply(body_matches=False, deadline=row.deadline)
        ended = self.terminal.get(row.intent_id) if row.intent_id else None
        return StoredReply(
            body_matches=True,
            deadline=row.deadline,
            intent_id=row.intent_id,
            aborted=ended is not None and ended.outcome is Outcome.ABORTED,
            wire=row.wire,
            receipt=row.receipt,
            outcome=ended if ended is not None and ended.outcome is Outcome.COMPLETED else None,
        )

    async def claim(self, key: ReplyKey, body: bytes, intent_id: uuid.UUID, deadline: datetime) -> bool:
        row = self.rows.get(key)
        if row is not None:
            ended = self.terminal.get(row.intent_id) if row.intent_id else None
            if ended is None or ended.outcome is not Outcome.ABORTED:
                return False
        self.rows[key] = Row(body, deadline, intent_id)
        return True

    async def store_read(self, key: ReplyKey, body: bytes, wire: object, receipt: Receipt) -> bool:
        if key in self.rows:
            return False
        self.rows[key] = Row(body, START, wire=wire, receipt=receipt)
        return True

    async def complete(self, tx: Transaction, key: ReplyKey, presented: Presented, outcome: Entry) -> None:
        assert outcome.intent_id is not None
        if outcome.intent_id in self.terminal:
            raise ActAbortedError("closed meanwhile")
        self.terminal[outcome.intent_id] = outcome
        self.rows[key].wire = presented.wire

    async def close(self, aborted: Entry) -> Entry:
        assert aborted.intent_id is not None
        return self.terminal.setdefault(aborted.intent_id, aborted)

    async def forget_ends(self, older_than: datetime, still_open: Collection[uuid.UUID]) -> int:
        named = {row.intent_id for row in self.rows.values()}
        gone = self.terminal.keys() - set(still_open) - named
        for intent_id in gone:
            del self.terminal[intent_id]
        return len(gone)


class City:
    """A disclosure over the two above, with a clock that tests move."""

    def __init__(self) -> None:
        self.ledger = LedgerBook()
        self.memory = Memory()
        self.now = START
        self.done: list[uuid.UUID] = []
        self.restart()

    def restart(self) -> None:
        self.disclosure = Disclosure(
            ledger=self.ledger,
            replies=self.memory,
            present=lambda answer: Presented(answer, repr(answer).encode()),
            clock=lambda: self.now,
        )

    def context(self, request_id: str = "") -> RequestContext:
        return RequestContext(
            caller=Caller("approval-platform", frozenset()),
            office="",
            operator="clerk-1",
            basis=Basis(BasisKind.MATTER, "sole-trader-registration", "case-1"),
            purpose="",
            request_id=request_id,
            received_at=self.now,
            deadline=self.now + timedelta(seconds=10),
        )

    async def do(self, tx: Transaction, intent_id: uuid.UUID) -> Produced:
        self.done.append(intent_id)
        return Produced(f"sealed {len(self.done)}", field_names=["document"])

    async def seal(self, key: str = "k1", body: bytes = b"body") -> object:
        released = await self.disclosure.act(self.context(key), method="eseal.sign", body=body, do=self.do)
        return released.wire, released.receipt.id


async def produce() -> Produced:
    return Produced({"name": "李"}, field_names=["name"])


async def test_a_read_is_released_only_with_an_entry_that_commits_to_it() -> None:
    city = City()

    released = await city.disclosure.read(city.context(), method="licence.get", body=b"q", produce=produce)

    entry = city.ledger.entries[uuid.UUID(released.receipt.id)]
    expected = hmac.new(released.receipt.answer_salt, repr(released.wire).encode(), hashlib.sha256).digest()
    assert entry.answer_commitment == expected
    assert entry.outcome is Outcome.RELEASED


async def test_a_read_fails_closed_when_the_ledger_is_down() -> None:
    city = City()
    city.ledger.down = True

    with pytest.raises(UnavailableError):
        await city.disclosure.read(city.context("k"), method="licence.get", body=b"q", produce=produce)

    assert city.memory.rows == {}


async def test_a_read_without_key_is_a_new_disclosure_each_time() -> None:
    city = City()
    for _ in range(2):
        await city.disclosure.read(city.context(), method="licence.get", body=b"q", produce=produce)

    assert len(city.ledger.entries) == 2


async def test_a_read_replayed_by_key_answers_the_first_answer_and_receipt() -> None:
    city = City()
    read = city.disclosure.read

    first = await read(city.context("k"), method="licence.get", body=b"q", produce=produce)
    again = await read(city.context("k"), method="licence.get", body=b"q", produce=produce)

    assert again == first
    assert len(city.ledger.entries) == 1
    with pytest.raises(IdempotencyKeyReusedError):
        await read(city.context("k"), method="licence.get", body=b"other", produce=produce)


async def test_confirmation_comes_after_the_entry_and_before_the_release() -> None:
    city = City()
    seen: list[int] = []

    async def confirm(_receipt: Receipt) -> None:
        seen.append(len(city.ledger.entries))

    await city.disclosure.read(
        city.context(), method="licence.get", body=b"q", produce=produce, confirm=confirm
    )

    assert seen == [1]


async def test_an_act_needs_a_key() -> None:
    with pytest.raises(IdempotencyKeyMissingError):
        await City().seal(key="")


async def test_an_act_is_an_intent_and_an_outcome() -> None:
    city = City()

    await city.seal()

    assert city.ledger.kinds() == [
        (EntryKind.INTENT, Outcome.NONE),
        (EntryKind.OUTCOME, Outcome.COMPLETED),
    ]


async def test_an_act_replayed_is_done_once() -> None:
    city = City()

    first = await city.seal()
    city.restart()
    again = await city.seal()

    assert again == first
    assert len(city.done) == 1
    assert len(city.ledger.entries) == 2
    with pytest.raises(IdempotencyKeyReusedError):
        await city.seal(body=b"another document")


async def test_a_second_request_meets_the_first_under_way() -> None:
    city = City()

    async def meanwhile(tx: Transaction, intent_id: uuid.UUID) -> Produced:
        with pytest.raises(RequestInProgressError):
            await city.seal()
        return Produced("first")

    await city.disclosure.act(city.context("k1"), method="eseal.sign", body=b"body", do=meanwhile)

    assert city.done == []


async def test_a_refused_act_is_closed_as_aborted_and_its_key_is_free_again() -> None:
    city = City()

    class RefusedError(ServiceError):
        reason = "SEAL_SUSPENDED"

    async def refuse(tx: Transaction, intent_id: uuid.UUID) -> Produced:
        raise RefusedError("suspended")

    with pytest.raises(RefusedError):
        await city.disclosure.act(city.context("k1"), method="eseal.sign", body=b"body", do=refuse)
    await city.disclosure.drain()

    assert city.ledger.kinds()[-1] == (EntryKind.OUTCOME, Outcome.ABORTED)
    await city.seal()
    assert len(city.done) == 1


Crash = Callable[[City], Awaitable[None]]


async def crash_before_intent(city: City) -> None:
    city.ledger.down = True
    with pytest.raises(UnavailableError):
        await city.seal()
    city.ledger.down = False


async def crash_before_commit(city: City) -> None:
    city.memory.commit_fails = True
    with pytest.raises(ConnectionError):
        await city.seal()
    city.memory.commit_fails = False


async def crash_before_outcome(city: City) -> None:
    append = city.ledger.append

    async def dies_at_outcome(entry: Entry) -> Receipt:
        if entry.kind is EntryKind.OUTCOME:
            raise UnavailableError("killed")
        return await append(entry)

    city.ledger.append = dies_at_outcome  # type: ignore[method-assign]  # the process dies here
    with pytest.raises(UnavailableError):
        await city.seal()
    city.ledger.append = append  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("crash", "outcome"),
    [
        (crash_before_commit, Outcome.ABORTED),
        (crash_before_outcome, Outcome.COMPLETED),
    ],
)
async def test_recovery_closes_an_open_intent_from_the_services_own_records(
    crash: Crash, outcome: Outcome
) -> None:
    city = City()
    await crash(city)
    city.restart()

    city.now += timedelta(minutes=1)
    await city.disclosure.recover()

    assert city.ledger.kinds()[-1] == (EntryKind.OUTCOME, outcome)
    assert await city.ledger.open_intents(city.now) == []


@pytest.mark.parametrize("crash", [crash_before_intent, crash_before_commit, crash_before_outcome])
async def test_a_retry_after_a_crash_does_the_thing_once(crash: Crash) -> None:
    city = City()
    await crash(city)
    await city.disclosure.drain()
    city.restart()

    city.now += timedelta(seconds=11)
    first = await city.seal()
    again = await city.seal()

    assert again == first
    completed = [kind for kind in city.ledger.kinds() if kind[1] is Outcome.COMPLETED]
    assert len(completed) == 1


async def test_a_late_act_that_finds_itself_aborted_rolls_back() -> None:
    city = City()

    async def slow(tx: Transaction, intent_id: uuid.UUID) -> Produced:
        city.now += timedelta(minutes=2)
        await city.disclosure.recover()
        return Produced("too late")

    with pytest.raises(ActAbortedError):
        await city.disclosure.act(city.context("k1"), method="eseal.sign", body=b"body", do=slow)
    await city.disclosure.drain()

    assert [row.wire for row in city.memory.rows.values()] == [None]
    assert city.ledger.kinds()[-1] == (EntryKind.OUTCOME, Outcome.ABORTED)
    assert len(city.ledger.entries) == 2


async def test_how_an_act_ended_is_kept_while_the_ledger_has_no_outcome_of_it() -> None:
    city = City()
    await crash_before_outcome(city)
    await city.disclosure.drain()
    city.memory.rows.clear()
    (stored,) = city.memory.terminal
    city.ledger.entries = {
        name: entry for name, entry in city.ledger.entries.items() if entry.intent_id != stored
    }

    assert await city.disclosure.forget(city.now) == 0
    assert set(city.memory.terminal) == {stored}

    await city.disclosure.recover()
    assert await city.disclosure.forget(city.now) == 1


async def test_nothing_is_forgotten_while_the_ledger_cannot_say_what_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    city = City()
    await city.seal()
    city.memory.rows.clear()
    monkeypatch.setattr("core.disclosure.MOST_OPEN_INTENTS", 0)

    assert await city.disclosure.forget(city.now) == 0
    assert city.memory.terminal
