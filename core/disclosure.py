"""The disclosure protocol: nothing leaves, and nothing is done, without a durable ledger entry.

A read: produce → append one entry → release. An act: append intent → act and store the result in one
transaction → append outcome → release. Services import its words from here too.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.clock import Clock
from core.entries import (
    MOST_OPEN_INTENTS,
    Basis,
    BasisKind,
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
from core.identity import Subject
from core.intents import (
    ActAbortedError,
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
    RequestInProgressError,
    aborted,
    beside,
    entry_about,
    in_progress,
    key_missing,
    key_reused,
    outcome_id,
    reply_key,
)

__all__ = [
    "OPEN_INTENT_GRACE",
    "ActAbortedError",
    "Basis",
    "BasisKind",
    "Disclosure",
    "Entry",
    "EntryKind",
    "IdempotencyKeyMissingError",
    "IdempotencyKeyReusedError",
    "Ledger",
    "Outcome",
    "Presented",
    "Presenter",
    "Produced",
    "Receipt",
    "RecordRef",
    "Released",
    "Replies",
    "ReplyKey",
    "RequestContext",
    "RequestInProgressError",
    "StoredReply",
    "Transaction",
]

OPEN_INTENT_GRACE = timedelta(seconds=30)
"""An intent younger than this may still be under way and is left alone by recovery."""


class Disclosure:
    """Runs reads and acts by the protocol. Authorise before calling: a replay is authorised afresh."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        replies: Replies,
        present: Presenter,
        clock: Clock,
        grace: timedelta = OPEN_INTENT_GRACE,
    ) -> None:
        self._ledger = ledger
        self._replies = replies
        self._present = present
        self._clock = clock
        self._grace = grace
        self._closing: set[asyncio.Task[None]] = set()

    async def read(
        self,
        context: RequestContext,
        *,
        method: str,
        body: bytes,
        produce: Callable[[], Awaitable[Produced]],
        confirm: Callable[[Receipt], Awaitable[None]] | None = None,
    ) -> Released:
        """Releases what `produce` answers, once the ledger holds an entry for it.

        `method` is the entry's, such as `licence.search`; `body` the request's canonical bytes.
        `confirm` runs between append and release, to confirm a reservation under the entry's receipt.
        With a request_id the first answer is remembered for 24 hours and given again.
        """
        key = reply_key(context, method)
        if key is not None and (stored := await self._replies.find(key, body)) is not None:
            return _replayed_read(stored)
        produced = await produce()
        presented = self._present(produced.answer)
        entry = entry_about(
            context,
            EntryKind.DISCLOSURE,
            method,
            produced,
            item_id=uuid.uuid4(),
            outcome=Outcome.RELEASED,
            canonical=presented.canonical,
        )
        receipt = beside(presented, await self._ledger.append(entry))
        if confirm is not None:
            await confirm(receipt)
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
        key = reply_key(context, method)
        if key is None:
            raise key_missing()
        stored = await self._replies.find(key, body)
        if stored is not None and not stored.body_matches:
            raise key_reused()
        if stored is not None and stored.outcome is not None:
            receipt = await self._ledger.append(stored.outcome)
            return Released(stored.wire, replace(receipt, answer_json=stored.answer_json))
        about = Produced(None, field_names, records, subject)
        intent = entry_about(context, EntryKind.INTENT, method, about, item_id=uuid.uuid4())
        await self._claim(key, body, context, intent, stored)
        try:
            await self._ledger.append(intent)
            async with self._replies.transaction() as tx:
                produced = await do(tx, intent.item_id)
                presented = self._present(produced.answer)
                outcome = entry_about(
                    context,
                    EntryKind.OUTCOME,
                    method,
                    produced,
                    item_id=outcome_id(intent),
                    intent_id=intent.item_id,
                    outcome=Outcome.COMPLETED,
                    canonical=presented.canonical,
                )
                await self._replies.complete(tx, key, presented, outcome)
        except BaseException:
            self._close_later(intent)
            raise
        return Released(presented.wire, beside(presented, await self._ledger.append(outcome)))

    async def recover(self) -> None:
        """Closes this service's open intents from its own records: completed where stored, else aborted.

        One that cannot be closed holds up no other; the first failure is raised at the end.
        """
        failures: list[Exception] = []
        for intent in await self._ledger.open_intents(self._clock() - self._grace):
            try:
                await self._close(intent)
            except Exception as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    async def forget(self, older_than: datetime) -> int:
        """Forgets how acts ended that the ledger holds an outcome of; answers how many.

        Only the ledger knows which outcomes it holds: without it, or while it lists more open intents than it
        tells at once, nothing is forgotten.
        """
        open_intents = await self._ledger.open_intents(self._clock())
        if len(open_intents) >= MOST_OPEN_INTENTS:
            return 0
        return await self._replies.forget_ends(older_than, [intent.item_id for intent in open_intents])

    async def drain(self) -> None:
        """Waits for intents that are being closed."""
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def _claim(
        self, key: ReplyKey, body: bytes, context: RequestContext, intent: Entry, stored: StoredReply | None
    ) -> None:
        """Takes the key; from a predecessor too that let its deadline pass without storing a result."""
        if stored is not None and stored.intent_id is not None and not stored.aborted:
            left = (stored.deadline - self._clock()).total_seconds()
            if left > 0:
                raise in_progress(left)
            await self._replies.close(aborted(replace(intent, item_id=stored.intent_id)))
        if not await self._replies.claim(key, body, intent.item_id, context.deadline):
            raise in_progress(1.0)

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
        await self._ledger.append(await self._replies.close(aborted(intent)))


def _replayed_read(stored: StoredReply) -> Released:
    if not stored.body_matches:
        raise key_reused()
    if stored.wire is None or stored.receipt is None:
        raise in_progress(1.0)
    return Released(stored.wire, stored.receipt)
