"""One part's keys: its key file, its data keys, the processes that hold them, and waiting for these."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from cli.keys.lists import PartList
from core import queries
from core.keyring import Keyring
from core.vault import GONE_SECONDS, SealBrokenError, Vault, unwrap

Q = queries.load("cli.keys")

Connection = psycopg.AsyncConnection[DictRow]

LOCK_SECONDS = 2
"""So long a change of a table's rules may keep its readers waiting; then it steps back and tries again."""
LOCK_TRIES = 60


class KeysError(Exception):
    """What keeps a rotation from going on. The old keys stay; nothing is lost."""


class UnfinishedError(Exception):
    """The rest has to wait longer than the command does. Running it again later goes on."""


@dataclass(frozen=True)
class Pace:
    """How long to wait. `settle` is for requests that began with the keys of before; `patience` is the
    longest that the command waits for something to expire; `overlap` is how long two keys sign the log.
    Seconds."""

    settle: float = 60.0
    patience: float = 900.0
    overlap: float = 7 * 86_400.0
    poll: float = 0.5
    remind: float = 15.0
    lives: Mapping[str, timedelta] | None = None
    """Replaces how long values outside the tables live, and rows that expire; by name."""


@dataclass(frozen=True)
class Holder:
    """A running process, and what it has said that it knows."""

    process: str
    keyring: str
    data_keys: tuple[int, ...]
    seals: int


@dataclass(frozen=True)
class DataKey:
    """A data key's row."""

    version: int
    wrapped: bytes
    kek_version: int
    active_at: datetime | None
    retired_at: datetime | None


async def _no_step(_name: str) -> None:
    """Where nobody wants to know."""


@dataclass(frozen=True)
class Manner:
    """How a rotation is done: where its lines go, how long it waits, and who hears of each durable step."""

    say: Callable[[str], None] = print
    pace: Pace = Pace()
    step: Callable[[str], Awaitable[None]] = _no_step


class Part:
    """A part under the hands of the command: nobody else rotates its keys meanwhile."""

    def __init__(self, connection: Connection, listed: PartList, keyring: Path, manner: Manner) -> None:
        self.connection = connection
        self.listed = listed
        self.name = listed.part
        self.pace = manner.pace
        self.step = manner.step
        self._say = manner.say
        self._keyring = keyring

    @property
    def folder(self) -> Path:
        """Where the city's keys lie."""
        return self._keyring.parent

    async def rows(self, statement: str | sql.Composed, **values: object) -> list[DictRow]:
        """What a statement answers."""
        query = statement.encode() if isinstance(statement, str) else statement
        cursor = await self.connection.execute(query, values or None)
        return await cursor.fetchall()

    async def run(self, statement: str | sql.Composed, **values: object) -> int:
        """Runs a statement that answers nothing; how many rows it was about."""
        query = statement.encode() if isinstance(statement, str) else statement
        cursor = await self.connection.execute(query, values or None)
        return cursor.rowcount

    def say(self, line: str) -> None:
        """Tells the operator."""
        self._say(f"{self.name}: {line}")

    def ring(self) -> Keyring:
        """The key file as it is."""
        try:
            return Keyring.load(self._keyring)
        except (OSError, ValueError) as failure:
            raise KeysError(f"the key file cannot be used: {failure}") from None

    async def save(self, ring: Keyring) -> None:
        """Replaces the key file, durably."""
        try:
            ring.save(self._keyring)
        except (OSError, ValueError) as failure:
            raise KeysError(f"the key file cannot be written: {failure}") from None
        await self.step("key file written")

    async def data_keys(self) -> list[DataKey]:
        """The data keys, oldest first."""
        return [DataKey(**row) for row in await self.rows(Q.data_keys)]

    async def vault(self, ring: Keyring, *, current: int | None = None) -> Vault:
        """A vault that opens everything and seals with `current`, or the newest data key."""
        keys = {key.version: self.unwrapped(ring, key) for key in await self.data_keys()}
        return Vault(ring, keys, current=current)

    def unwrapped(self, ring: Keyring, key: DataKey) -> bytes:
        """A data key's own bytes."""
        try:
            return unwrap(ring, key.version, key.wrapped, key.kek_version)
        except SealBrokenError as failure:
            raise KeysError(f"data key {key.version} cannot be unwrapped: {failure}") from None

    async def rewrite_data_keys(self) -> None:
        """Writes the table of data keys anew, so that nothing of what was in it is left in its file."""
        await self.rows(Q.brief_lock_for_all, timeout=f"{LOCK_SECONDS}s")
        try:
            await self.run(Q.rewrite_data_keys)
        except psycopg.errors.LockNotAvailable:
            self.say("data_key is busy and was not rewritten; the next VACUUM clears what was deleted")
        finally:
            await self.rows(Q.brief_lock_for_all, timeout="0")

    async def holders(self) -> list[Holder]:
        """The processes that run, or may still."""
        rows = await self.rows(Q.live_holders, gone=GONE_SECONDS)
        return [Holder(row["process"], row["keyring"], tuple(row["data_keys"]), row["seals"]) for row in rows]

    async def every_process(self, knows: Callable[[Holder], bool], what: str, *, settle: bool = True) -> None:
        """Returns when every running process knows something, and what it began before has ended."""
        reminded = -self.pace.remind
        waited = False
        while True:
            holders = await self.holders()
            behind = [holder.process for holder in holders if not knows(holder)]
            if not behind:
                break
            if time.monotonic() - reminded > self.pace.remind:
                self.say(f"waiting until {', '.join(behind)} {'has' if len(behind) == 1 else 'have'} {what}")
                reminded = time.monotonic()
            waited = True
            await asyncio.sleep(self.pace.poll)
        if waited:
            self.say(f"every process has {what}")
        if holders and settle and self.pace.settle:
            self.say(f"{self.pace.settle:g} s for what is under way")
            await asyncio.sleep(self.pace.settle)

    async def expired(self, name: str, seconds_left: float) -> None:
        """Returns when a wait is over; UnfinishedError where it is longer than the command's patience."""
        if seconds_left <= 0:
            return
        until = (datetime.now().astimezone() + timedelta(seconds=seconds_left)).strftime("%Y-%m-%d %H:%M:%S")
        if seconds_left > self.pace.patience:
            raise UnfinishedError(f"{name} need the old key until {until}; run the command again after that")
        self.say(f"{name} need the old key until {until}; waiting (it is safe to break off, and go on later)")
        await asyncio.sleep(seconds_left)

    def life(self, name: str, listed: timedelta) -> timedelta:
        """How long something lives."""
        return (self.pace.lives or {}).get(name, listed)

    @asynccontextmanager
    async def brief_lock(self) -> AsyncIterator[None]:
        """A transaction whose locks are waited for briefly, so that nobody queues up behind it."""
        async with self.connection.transaction():
            await self.rows(Q.brief_lock, timeout=f"{LOCK_SECONDS}s")
            yield

    async def alter(self, statement: sql.Composed) -> None:
        """Changes a table's rules, trying again while somebody is at work on it."""
        for _ in range(LOCK_TRIES):
            try:
                async with self.brief_lock():
                    await self.run(statement)
            except psycopg.errors.LockNotAvailable:
                await asyncio.sleep(self.pace.poll)
            else:
                return
        raise KeysError("a table is busy all the time; run the command again later")


@asynccontextmanager
async def open_part(
    dsn: str, listed: PartList, keyring: Path, manner: Manner, *, alone: bool = True
) -> AsyncIterator[Part]:
    """A part, as the database's owner; with `alone`, KeysError where somebody rotates its keys already."""
    try:
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row, connect_timeout=15
        )
    except psycopg.OperationalError as failure:
        raise KeysError(f"the database cannot be reached: {type(failure).__name__}") from None
    async with connection:
        part = Part(connection, listed, keyring, manner)
        await part.rows(Q.use_schema, schema=listed.part)
        if alone:
            (taken,) = await part.rows(Q.take_part)
            if not taken["taken"]:
                raise KeysError("its keys are being rotated already")
        yield part
