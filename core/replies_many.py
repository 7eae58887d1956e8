"""The same memory asked about many requests at a time: one round trip for a step of all of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import cast

import asyncpg

from core import queries
from core.db import Connection
from core.entries import ReplyKey, StoredReply, Transaction
from core.replies import KEPT, PgReplies, beside_answer, packed
from core.together import Claim, Done

Q = queries.load("core", "replies.sql")


class PgManyReplies(PgReplies):
    """Replies and terminal rows in PostgreSQL, by the statements that also serve one request."""

    async def find_all(
        self, asked: Sequence[tuple[ReplyKey, bytes]]
    ) -> Sequence[StoredReply | Exception | None]:
        """What is remembered of each request, unless it has expired; or why that cannot be opened."""
        requests = [self._request(key) for key, _ in asked]
        rows = {row["request"]: row for row in await self._pool.fetch(Q.find_replies, requests)}
        found: list[StoredReply | Exception | None] = []
        for request, (_, body) in zip(requests, asked, strict=True):
            row = rows.get(request)
            if row is None:
                found.append(None)
            elif row["body"] != self._body(body):
                found.append(StoredReply(body_matches=False, deadline=row["deadline"]))
            else:
                found.append(self._opened(row))
        return found

    def _opened(self, row: asyncpg.Record) -> StoredReply | Exception:
        try:
            return self._stored(row)
        except Exception as failure:  # Its own affair: others are asked about in the same breath.
            return failure

    async def claim_all(self, claims: Sequence[Claim]) -> Sequence[uuid.UUID | None]:
        """Takes the keys for acts. In the order of their hashes: two who want the same ones wait for each
        other in turn, and not for good."""
        expires_at = self._clock() + KEPT
        rows = [
            (
                self._request(claim.key),
                uuid.uuid4(),
                self._body(claim.body),
                claim.intent.item_id,
                claim.context.deadline,
                expires_at,
            )
            for claim in claims
        ]
        taken = await self._pool.fetchmany(Q.claim_reply, sorted(rows))
        claimed = {row["reply_id"] for row in taken}
        return [reply_id if reply_id in claimed else None for _, reply_id, *_ in rows]

    async def complete_all(self, tx: Transaction, done: Sequence[Done]) -> Sequence[bool]:
        """In the acts' transaction: stores their answers and the terminal rows."""
        connection = cast(Connection, tx)
        intents = [one.claim.intent.item_id for one in done]
        ends = [
            (intent_id, True, self._sealed(one.outcome)) for intent_id, one in zip(intents, done, strict=True)
        ]
        answers = [
            (
                self._request(one.claim.key),
                intent_id,
                self._vault.seal(packed(one.presented.wire), row=one.reply_id, column="reply.answer"),
                self._vault.seal(beside_answer(one.presented), row=one.reply_id, column="reply.receipt"),
            )
            for intent_id, one in zip(intents, done, strict=True)
        ]
        stored = {row["reply_id"] for row in await connection.fetchmany(Q.store_act_reply, answers)}
        ended = {row["intent_id"] for row in await connection.fetchmany(Q.insert_terminal, ends)}
        return [
            intent_id in ended and one.reply_id in stored
            for intent_id, one in zip(intents, done, strict=True)
        ]
