"""A service's memory of requests and intents, in its own schema, sealed (disclosure protocol)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import cast

import asyncpg
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from onestop.common.v1 import receipt_pb2
from onestop.ledger.v1 import ledger_pb2

from core import queries
from core.clock import Clock
from core.db import Connection, Pool
from core.disclosure import ActAbortedError
from core.entries import Entry, Presented, Receipt, ReplyKey, StoredReply, Transaction
from core.ledger import entry_of, item_of, receipt_of, receipt_to_pb
from core.vault import Vault

Q = queries.load("core", "replies.sql")

KEPT = timedelta(hours=24)
"""How long a reply is remembered (design, invariant 4)."""

TERMINALS_KEPT = timedelta(days=30)
"""How long the end of an act is kept: much longer than its reply, so that an audit can still compare it."""

SWEEP_SECONDS = 300.0
FORGOTTEN_AT_ONCE = 1000


class PgReplies:
    """Replies and terminal rows in PostgreSQL; answers and outcomes sealed by the service's vault."""

    def __init__(self, pool: Pool, vault: Vault, clock: Clock) -> None:
        self._pool = pool
        self._vault = vault
        self._clock = clock

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction of the service's database; the value is an asyncpg connection."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield cast(Transaction, connection)

    async def find(self, key: ReplyKey, body: bytes) -> StoredReply | None:
        """What is remembered of the request, unless it has expired."""
        row = await self._pool.fetchrow(Q.find_reply, self._request(key))
        if row is None:
            return None
        if row["body"] != self._body(body):
            return StoredReply(body_matches=False, deadline=row["deadline"])
        return self._stored(row)

    async def claim(self, key: ReplyKey, body: bytes, intent_id: uuid.UUID, deadline: datetime) -> bool:
        """Takes the key for an act."""
        claimed = await self._pool.fetchval(
            Q.claim_replies,
            [self._request(key)],
            [uuid.uuid4()],
            [self._body(body)],
            [intent_id],
            [deadline],
            self._clock() + KEPT,
        )
        return claimed is not None

    async def store_read(self, key: ReplyKey, body: bytes, wire: object, receipt: Receipt) -> bool:
        """Remembers a read's answer."""
        reply_id = uuid.uuid4()
        kept = await self._pool.fetchval(
            Q.store_read_reply,
            self._request(key),
            reply_id,
            self._body(body),
            self._vault.seal(packed(wire), row=reply_id, column="reply.answer"),
            self._vault.seal(
                receipt_to_pb(receipt).SerializeToString(), row=reply_id, column="reply.receipt"
            ),
            self._clock() + KEPT,
            uuid.UUID(receipt.id),
        )
        return kept is not None

    async def complete(self, tx: Transaction, key: ReplyKey, presented: Presented, outcome: Entry) -> None:
        """In the act's transaction: stores the answer and the terminal row."""
        connection = cast(Connection, tx)
        intent_id = cast(uuid.UUID, outcome.intent_id)
        request = self._request(key)
        reply_id = await connection.fetchval(Q.reply_id_of, request, intent_id)
        ended = await connection.fetchval(Q.insert_terminals, [intent_id], True, [self._sealed(outcome)])
        if reply_id is None or ended is None:
            raise ActAbortedError("the request took too long and was not carried out; ask again")
        answer = self._vault.seal(packed(presented.wire), row=reply_id, column="reply.answer")
        beside = self._vault.seal(beside_answer(presented), row=reply_id, column="reply.receipt")
        await connection.fetchval(Q.store_act_replies, [request], [intent_id], [answer], [beside])

    async def close(self, aborted: Entry) -> Entry:
        """The outcome of an intent's terminal row, made `aborted` where there was none."""
        intent_id = cast(uuid.UUID, aborted.intent_id)
        if await self._pool.fetchval(Q.insert_terminals, [intent_id], False, [self._sealed(aborted)]):
            return aborted
        row = await self._pool.fetchrow(Q.find_terminal, intent_id)
        if row is None:
            raise LookupError("a terminal row vanished")
        return self._outcome(intent_id, row["outcome"])

    async def sweep_forever(self) -> None:
        """Deletes expired replies, a thousand at a time."""
        while True:
            try:
                while await self._pool.execute(Q.delete_expired_replies) == "DELETE 1000":
                    pass
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                pass  # The database is away; the next round finds the same rows.
            await asyncio.sleep(SWEEP_SECONDS)

    async def forget_ends(self, older_than: datetime, still_open: Collection[uuid.UUID]) -> int:
        """Deletes ends of acts that nobody can need any more, a thousand at a time; answers how many.

        Kept are those of `still_open`, whose outcome the ledger does not hold yet, and those that a reply
        names: a late act that finds neither its end nor its reply rolls back.
        """
        forgotten = 0
        while True:
            done = await self._pool.execute(Q.delete_old_terminals, older_than, list(still_open))
            number = int(done.removeprefix("DELETE "))
            forgotten += number
            if number < FORGOTTEN_AT_ONCE:
                return forgotten

    async def keep_keys_fresh(self) -> None:
        """Keeps the service's vault up with the rotation of its keys."""
        await self._vault.keep_fresh()

    def _request(self, key: ReplyKey) -> bytes:
        parts = ("request", key.caller, key.operator, key.method, key.request_id, key.subject_code)
        return self._vault.keyed_hash(*(part.encode() for part in parts))

    def _body(self, body: bytes) -> bytes:
        return self._vault.keyed_hash(b"body", body)

    def _stored(self, row: asyncpg.Record) -> StoredReply:
        reply_id = row["reply_id"]
        wire = receipt = None
        if row["answer"] is not None:
            wire = _unpacked(self._vault.unseal(row["answer"], row=reply_id, column="reply.answer"))
        if row["receipt"] is not None:
            kept = self._vault.unseal(row["receipt"], row=reply_id, column="reply.receipt")
            receipt = receipt_of(receipt_pb2.Receipt.FromString(kept))
        return StoredReply(
            body_matches=True,
            deadline=row["deadline"],
            intent_id=row["intent_id"],
            aborted=row["completed"] is False,
            wire=wire,
            receipt=receipt if receipt is not None and receipt.id else None,
            answer_json=receipt.answer_json if receipt is not None else b"",
            outcome=self._outcome(row["intent_id"], row["outcome"]) if row["completed"] else None,
        )

    def _sealed(self, outcome: Entry) -> bytes:
        intent_id = cast(uuid.UUID, outcome.intent_id)
        return self._vault.seal(item_of(outcome).SerializeToString(), row=intent_id, column="intent.outcome")

    def _outcome(self, intent_id: uuid.UUID, sealed: bytes) -> Entry:
        plain = self._vault.unseal(sealed, row=intent_id, column="intent.outcome")
        return entry_of(ledger_pb2.AppendItem.FromString(plain))


def beside_answer(presented: Presented) -> bytes:
    """What is kept in the place of an act's receipt, which comes from appending its outcome again."""
    return receipt_pb2.Receipt(
        answer_json=presented.canonical if presented.is_json else b""
    ).SerializeToString()


def packed(wire: object) -> bytes:
    """The answer with its type's name."""
    packed = AnyMessage()
    packed.Pack(cast(Message, wire))
    return packed.SerializeToString()


def _unpacked(data: bytes) -> Message:
    packed = AnyMessage.FromString(data)
    kind = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    message = message_factory.GetMessageClass(kind)()
    packed.Unpack(message)
    return message
