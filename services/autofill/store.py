"""The guess budget in PostgreSQL: wrong tries are counted one call after the other for each subject."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from uuid import uuid4

import asyncpg

from core import queries
from core.clock import Clock
from core.db import Connection, Pool
from core.vault import Vault
from services.autofill.budget import (
    Guess,
    GuessBudgetSpentError,
    GuessLimits,
    WrongTry,
    overdrawn,
    refusal,
)

Q = queries.load(__package__)

SWEEP_SECONDS = 300.0


class PgGuessBook:
    """Remembers wrong tries for the length of the window."""

    def __init__(self, pool: Pool, vault: Vault, limits: GuessLimits, clock: Clock) -> None:
        self._pool = pool
        self._vault = vault
        self._limits = limits
        self._clock = clock

    async def count(self, caller: str, case_number: str, guesses: Sequence[Guess]) -> None:
        """Counts the wrong guesses in one transaction; returns once that is durable.

        Raises GuessBudgetSpentError where a budget is spent, or is overdrawn by these guesses: the latter
        are counted, and no verdict may be told in either case.
        """
        if not guesses:
            return
        moment = self._clock()
        async with self._pool.acquire() as connection, connection.transaction():
            refused: GuessBudgetSpentError | None = None
            # In one order for all calls, so that two about the same subjects cannot block each other.
            for about in _by_subject(guesses, self._vault):
                refused = await self._count_about(
                    connection, about, caller=caller, case_number=case_number, moment=moment
                )
                if refused is not None:
                    break
        if refused is not None:
            raise refused

    async def sweep_forever(self) -> None:
        """Deletes what has left the window, a thousand at a time."""
        while True:
            # While the database is away nothing is lost: the next round finds the same rows.
            with suppress(
                OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
            ):
                await self.sweep()
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Deletes what has left the window."""
        before = self._clock() - self._limits.window
        while await self._pool.execute(Q.delete_old_tries, before) == "DELETE 1000":
            pass
        await self._pool.execute(Q.delete_old_subjects, before)

    async def _count_about(
        self,
        connection: Connection,
        guesses: Sequence[Guess],
        *,
        caller: str,
        case_number: str,
        moment: datetime,
    ) -> GuessBudgetSpentError | None:
        """Counts guesses about one subject, whose row stays locked until the transaction ends."""
        subject = guesses[0].subject
        wrong = [guess.field for guess in guesses if guess.wrong]
        own = None
        if wrong:
            index, version = self._vault.blind_index(subject), self._vault.index_version
            own = await connection.fetchval(Q.touch_guess_subject, uuid4(), index, version, moment)
        known = await connection.fetch(Q.lock_guess_subjects, self._vault.blind_indexes(subject))
        remembered = await self._remembered(connection, known, moment)
        refused = refusal(
            self._limits, remembered, guesses, caller=caller, case_number=case_number, moment=moment
        )
        if refused is None and wrong:
            ids = [uuid4() for _ in wrong]
            await connection.execute(Q.insert_wrong_tries, own, ids, caller, case_number, wrong, moment)
            refused = overdrawn(self._limits, remembered, guesses, moment)
        return refused

    async def _remembered(
        self, connection: Connection, known: Sequence[asyncpg.Record], moment: datetime
    ) -> list[WrongTry]:
        ids = [row["subject_id"] for row in known]
        rows = await connection.fetch(Q.recent_wrong_tries, ids, moment - self._limits.window)
        return [_wrong_try(row) for row in rows]


def _by_subject(guesses: Sequence[Guess], vault: Vault) -> list[list[Guess]]:
    def order(guess: Guess) -> bytes:
        return vault.blind_index(guess.subject)

    return [list(group) for _, group in groupby(sorted(guesses, key=order), key=order)]


def _wrong_try(row: asyncpg.Record) -> WrongTry:
    return WrongTry(row["caller"], row["case_number"], row["field_name"], row["tried_at"])
