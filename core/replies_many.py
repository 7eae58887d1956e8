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
        """Takes the keys for acts; of several with one key the first."""
        asked: dict[bytes, tuple[uuid.UUID, Claim]] = {}
        places = []
        for claim in claims:
            request, reply_id = self._request(claim.key), uuid.uuid4()
            mine = asked.setdefault(request, (reply_id, claim))
            places.append(reply_id if mine[1] is claim else None)
        first = [claim for _, claim in asked.values()]
        taken = await self._pool.fetch(
            Q.claim_replies,
            list(asked),
            [reply_id for reply_id, _ in asked.values()],
            [self._body(claim.body) for claim in first],
            [claim.intent.item_id for claim in first],
            [claim.context.deadline for claim in first],
            self._clock() + KEPT,
        )
        claimed = {row["reply_id"] for row in taken}
        return [reply_id if reply_id in claimed else None for reply_id in places]

    async def complete_all(self, tx: Transaction, done: Sequence[Done]) -> Sequence[bool]:
        """In the acts' transaction: stores their answers and the terminal rows."""
        connection = cast(Connection, tx)
        intents = [one.claim.intent.item_id for one in done]
        seal = self._vault.seal
        stored = await connection.fetch(
            Q.store_act_replies,
            [self._request(one.claim.key) for one in done],
            intents,
            [seal(packed(one.presented.wire), row=one.reply_id, column="reply.answer") for one in done],
            [seal(beside_answer(one.presented), row=one.reply_id, column="reply.receipt") for one in done],
        )
        ended = await connection.fetch(
            Q.insert_terminals, intents, True, [self._sealed(one.outcome) for one in done]
        )
        replies, ends = {row["reply_id"] for row in stored}, {row["intent_id"] for row in ended}
        return [
            intent_id in ends and one.reply_id in replies
            for intent_id, one in zip(intents, done, strict=True)
        ]
