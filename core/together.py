"""Many acts of one kind by the disclosure protocol, each step taken for all of them at a time.

Claim their keys → append their intents in one call → do them and store their results in one transaction →
append their outcomes in one call. Each act has its own intent, its own outcome and its own end: what one is
refused with harms no other. What is open after a crash `Disclosure.recover` closes, as it does any act's.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from core.clock import Clock
from core.entries import (
    Entry,
    EntryKind,
    Ledger,
    Outcome,
    Presented,
    Presenter,
    Produced,
    Receipt,
    RecordRef,
    Released,
    Replies,
    ReplyKey,
    RequestContext,
    StoredReply,
    Transaction,
)
from core.errors import ServiceError
from core.identity import Subject
from core.intents import (
    ActAbortedError,
    aborted,
    beside,
    entry_about,
    in_progress,
    key_missing,
    key_reused,
    outcome_id,
    reply_key,
)

AT_ONCE = 8
"""Answers that are committed to in one turn of the event loop."""


@dataclass(frozen=True)
class Act:
    """One of many acts: who asks, and what the request says, as `Disclosure.act` takes it."""

    context: RequestContext
    body: bytes = field(repr=False)
    records: Sequence[RecordRef] = ()
    subject: Subject | None = None


@dataclass(frozen=True)
class Claim:
    """A key to be taken for an act."""

    key: ReplyKey
    body: bytes = field(repr=False)
    intent: Entry
    context: RequestContext


@dataclass(frozen=True)
class Done:
    """An act that was done: what is stored of it, under the reply that its claim got."""

    claim: Claim
    reply_id: uuid.UUID
    presented: Presented
    outcome: Entry


Result: TypeAlias = Released | Exception
Do: TypeAlias = Callable[
    [Transaction, Sequence[tuple[int, uuid.UUID]]], Awaitable[Sequence[Produced | Exception]]
]
"""Does acts in one transaction: gets the position of each and its intent's id; answers for each, in order,
what it produced or why it was not done."""


class ManyLedger(Ledger, Protocol):
    """Where entries go, many at a time."""

    async def append_all(self, entries: Sequence[Entry]) -> Sequence[Receipt | ServiceError]:
        """For each the receipt, once it is durable, or its own error."""
        ...


class ManyReplies(Replies, Protocol):
    """The service's own memory, asked about many requests at a time."""

    async def find_all(
        self, asked: Sequence[tuple[ReplyKey, bytes]]
    ) -> Sequence[StoredReply | Exception | None]:
        """What is remembered of each request, as `find` says it, or why that cannot be opened."""
        ...

    async def claim_all(self, claims: Sequence[Claim]) -> Sequence[uuid.UUID | None]:
        """Takes the keys for acts, all in one transaction: the reply of each; None where somebody has it."""
        ...

    async def complete_all(self, tx: Transaction, done: Sequence[Done]) -> Sequence[bool]:
        """In the acts' transaction: stores their answers and terminal rows; False where an intent was closed
        as aborted meanwhile, and the transaction has to be rolled back."""
        ...


class _LostError(Exception):
    """Some acts came too late; nothing of the transaction stands."""

    def __init__(self, positions: frozenset[int]) -> None:
        super().__init__()
        self.positions = positions


class Together:
    """Does acts by the protocol, many at a time. Authorise before calling, as with `Disclosure`."""

    def __init__(self, *, ledger: ManyLedger, replies: ManyReplies, present: Presenter, clock: Clock) -> None:
        self._ledger = ledger
        self._replies = replies
        self._present = present
        self._clock = clock
        self._closing: set[asyncio.Task[None]] = set()

    async def known(self, method: str, acts: Sequence[Act]) -> list[Result | None]:
        """What is answered of each act without doing anything: as it was, or why it is refused.

        None where it is still to be done. Nothing is claimed.
        """
        results: list[Result | None] = [None] * len(acts)
        asked: list[tuple[int, ReplyKey, bytes]] = []
        for position, act in enumerate(acts):
            key = reply_key(act.context, method)
            if key is None:
                results[position] = key_missing()
            else:
                asked.append((position, key, act.body))
        stored = await self._replies.find_all([(key, body) for _, key, body in asked]) if asked else []
        again: dict[int, StoredReply] = {}
        for (position, _, _), one in zip(asked, stored, strict=True):
            if isinstance(one, Exception):
                results[position] = one
            elif one is not None and one.body_matches and one.outcome is not None:
                again[position] = one
            elif one is not None:
                results[position] = self._refusal(one)
        for position, result in (await self._replayed(again)).items():
            results[position] = result
        return results

    async def act(self, method: str, acts: Sequence[Act], do: Do) -> list[Result]:
        """Does each act once. `do` must write through its transaction only; it may be called again, for
        fewer acts, after a roll-back.

        Results are in the acts' order. What fails for all of them is raised, and their intents are closed.
        """
        results: dict[int, Result] = {}
        claims: dict[int, Claim] = {}
        for position, act in enumerate(acts):
            key = reply_key(act.context, method)
            if key is None:
                results[position] = key_missing()
                continue
            about = Produced(None, (), act.records, act.subject)
            intent = entry_about(act.context, EntryKind.INTENT, method, about, item_id=uuid.uuid4())
            claims[position] = Claim(key, act.body, intent, act.context)
        replies = await self._claim(claims, results)
        mine = {position: claims[position] for position in replies}
        stored: list[int] = []
        try:
            await self._append_intents(mine, results)
            done = await self._do(method, mine, replies, results, do)
            stored = list(done)
        finally:
            self._close_later([claim.intent for place, claim in mine.items() if place not in stored])
        receipts = await self._ledger.append_all([one.outcome for one in done.values()]) if done else []
        for (position, one), receipt in zip(done.items(), receipts, strict=True):
            if isinstance(receipt, ServiceError):
                results[position] = receipt
            else:
                results[position] = Released(one.presented.wire, beside(one.presented, receipt))
        return [results[position] for position in range(len(acts))]

    async def drain(self) -> None:
        """Waits for intents that are being closed."""
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def _claim(self, claims: dict[int, Claim], results: dict[int, Result]) -> dict[int, uuid.UUID]:
        """The replies of the keys that could be taken; of the others, what is answered."""
        if not claims:
            return {}
        taken = dict(zip(claims, await self._replies.claim_all(list(claims.values())), strict=True))
        if lost := [position for position, reply_id in taken.items() if reply_id is None]:
            found = await self._replies.find_all([(claims[one].key, claims[one].body) for one in lost])
            late, again = [], {}
            for position, stored in zip(lost, found, strict=True):
                if isinstance(stored, Exception):
                    results[position] = stored
                elif stored is not None and stored.body_matches and stored.outcome is not None:
                    again[position] = stored
                elif stored is not None and (refusal := self._refusal(stored)) is not None:
                    results[position] = refusal
                else:
                    late.append((position, stored))
            results |= await self._replayed(again)
            for position, stored in late:
                taken[position] = await self._take_over(claims[position], stored)
                if taken[position] is None:
                    results[position] = in_progress(1.0)
        return {position: reply_id for position, reply_id in taken.items() if reply_id is not None}

    async def _take_over(self, claim: Claim, stored: StoredReply | None) -> uuid.UUID | None:
        """Takes a key from a predecessor that let its deadline pass without storing a result."""
        if stored is not None and stored.intent_id is not None and not stored.aborted:
            await self._replies.close(aborted(replace(claim.intent, item_id=stored.intent_id)))
        (reply_id,) = await self._replies.claim_all([claim])
        return reply_id

    def _refusal(self, stored: StoredReply) -> Exception | None:
        """Why a request that is remembered, and was not done, is not done now."""
        if not stored.body_matches:
            return key_reused()
        left = (stored.deadline - self._clock()).total_seconds()
        under_way = stored.intent_id is not None and not stored.aborted and left > 0
        return in_progress(left) if under_way else None

    async def _replayed(self, again: dict[int, StoredReply]) -> dict[int, Result]:
        """What was answered first, with its receipt: the outcome is appended again, and stands already."""
        outcomes = [one.outcome for one in again.values() if one.outcome is not None]
        receipts = await self._ledger.append_all(outcomes) if outcomes else []
        return {
            position: receipt
            if isinstance(receipt, ServiceError)
            else Released(stored.wire, replace(receipt, answer_json=stored.answer_json))
            for (position, stored), receipt in zip(again.items(), receipts, strict=True)
        }

    async def _append_intents(self, mine: dict[int, Claim], results: dict[int, Result]) -> None:
        """Appends them; what the ledger refuses one with is that one's result."""
        receipts = await self._ledger.append_all([claim.intent for claim in mine.values()]) if mine else []
        results |= {
            position: receipt
            for position, receipt in zip(mine, receipts, strict=True)
            if isinstance(receipt, ServiceError)
        }

    async def _do(
        self,
        method: str,
        mine: dict[int, Claim],
        replies: dict[int, uuid.UUID],
        results: dict[int, Result],
        do: Do,
    ) -> dict[int, Done]:
        """Does what has its intent, in one transaction; anew for the rest where some came too late."""
        while waiting := [position for position in mine if position not in results]:
            done: dict[int, Done] = {}
            refused: dict[int, Result] = {}
            try:
                async with self._replies.transaction() as tx:
                    asked = [(position, mine[position].intent.item_id) for position in waiting]
                    for position, produced in zip(waiting, await do(tx, asked), strict=True):
                        if len(done) % AT_ONCE == AT_ONCE - 1:
                            await asyncio.sleep(0)  # Others have their turn, too.
                        if isinstance(produced, Exception):
                            refused[position] = produced
                        else:
                            done[position] = self._done(method, mine[position], replies[position], produced)
                    ended = await self._replies.complete_all(tx, list(done.values())) if done else []
                    if late := {place for place, ok in zip(done, ended, strict=True) if not ok}:
                        raise _LostError(frozenset(late))
            except _LostError as lost:
                for position in lost.positions:
                    results[position] = ActAbortedError(
                        "the request took too long and was not carried out; ask again"
                    )
                continue
            results |= refused
            return done
        return {}

    def _done(self, method: str, claim: Claim, reply_id: uuid.UUID, produced: Produced) -> Done:
        presented = self._present(produced.answer)
        outcome = entry_about(
            claim.context,
            EntryKind.OUTCOME,
            method,
            produced,
            item_id=outcome_id(claim.intent),
            intent_id=claim.intent.item_id,
            outcome=Outcome.COMPLETED,
            canonical=presented.canonical,
        )
        return Done(claim, reply_id, presented, outcome)

    def _close_later(self, intents: Sequence[Entry]) -> None:
        """Closes the intents of acts that failed, even though their caller may be gone."""
        if intents:
            task = asyncio.create_task(self._close(intents))
            self._closing.add(task)
            task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled():
            # A failure here is mended by Disclosure.recover(), which finds the intents still open.
            task.exception()

    async def _close(self, intents: Sequence[Entry]) -> None:
        """Appends the outcomes that this service's records give the intents."""
        await self._ledger.append_all([await self._replies.close(aborted(one)) for one in intents])
