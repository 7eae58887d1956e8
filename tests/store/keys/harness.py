"""A small city with something sealed in every part, and what can be seen of its keys."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

import asyncpg
import psycopg
from joserfc.jwk import ECKey
from onestop.licence.v1 import licence_pb2
from psycopg import sql

from cli.keys.indexes import IndexRows
from cli.keys.lists import part_list
from cli.keys.part import Manner, Pace, open_part
from cli.keys.rotation import rotate_data, rotate_index, rotate_kek
from cli.keys.tables import open_value
from core.clock import now
from core.disclosure import Receipt, ReplyKey, Transaction
from core.identifiers import citizen_check_digit
from core.identity import CITIZEN_NUMBER, Subject
from core.keyring import Keyring
from core.replies import PgReplies
from core.vault import Vault, sealed_version
from deploy.local.pki import make_pki
from deploy.town import seed_agricredit
from deploy.town.load import load
from deploy.town.others import City, seals
from deploy.town.plan import TownPlan
from deploy.town.progress import Lines
from gateway.sessions import Session, Sessions, SignIn
from services.agricredit.store_uses import PgUses
from services.autofill.budget import Guess, GuessLimits
from services.autofill.store import PgGuessBook
from services.ledger.entry import Opening
from tests.database import CityDatabase

QUICK = Pace(settle=0, patience=0, poll=0.02, remind=5)
ROTATIONS = {"kek": rotate_kek, "data": rotate_data, "index": rotate_index}
FORMER = "440299199001014902"


def person(serial: int) -> Subject:
    """Somebody who cannot exist: the region code 440299 is not in use."""
    body = f"44029919700101{serial:03d}"
    return Subject(CITIZEN_NUMBER, body + citizen_check_digit(body))


@asynccontextmanager
async def pool_of(database: CityDatabase, part: str) -> AsyncIterator[asyncpg.Pool]:
    """The part's own pool, with the rights of its role."""
    async with asyncpg.create_pool(database.dsn(part), min_size=1, max_size=8) as pool:
        yield pool


async def vault_of(database: CityDatabase, part: str, pool: asyncpg.Pool) -> Vault:
    """A vault as a process opens one when it starts."""
    return await Vault.open(pool, Keyring.load(database.keyring(part)))


async def fill(database: CityDatabase) -> None:
    """Something sealed and indexed in every part, by the code that does so in the city."""
    home = database.keys.parent
    city = City(database.admin_dsn, home)
    make_pki(home / "pki", ["eseal"])
    await load(city, TownPlan(100), Lines(), workers=1, others=(seals,))
    jwk = home / "pki" / "bank.jwk"
    jwk.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    await asyncio.to_thread(seed_agricredit.seed, database.admin_dsn, jwk)
    await _former_number(database)
    await openings(database, [(person(0), person(5), person(6)), (person(1), person(5)), (person(0),), ()])
    async with pool_of(database, "agricredit") as pool:
        store = PgUses(pool, await vault_of(database, "agricredit", pool), now)
        for serial in range(5):
            await enrol(pool, store, person(serial))
    async with pool_of(database, "gateway") as pool:
        sessions = Sessions(pool, await vault_of(database, "gateway", pool), now)
        await sessions.begin(SignIn("state", "nonce", "verifier", "/"))
        await sessions.open(Session("an id token", now() + timedelta(hours=1)))
    async with pool_of(database, "autofill") as pool:
        vault = await vault_of(database, "autofill", pool)
        await guess(PgGuessBook(pool, vault, GuessLimits(), now), person(1))
        await remember(PgReplies(pool, vault, now), "first")
    async with pool_of(database, "licence") as pool:
        await remember(PgReplies(pool, await vault_of(database, "licence", pool), now), "first")


async def enrol(pool: asyncpg.Pool, store: PgUses, farmer: Subject) -> UUID:
    """The farmer's subject id."""
    async with pool.acquire() as connection, connection.transaction():
        return await store.enrol(cast(Transaction, connection), farmer)


async def guess(book: PgGuessBook, about: Subject) -> None:
    """A wrong guess at somebody's name."""
    await book.count("approval-platform", "case-1", [Guess("name", about, True)])


def reply_key(name: str) -> ReplyKey:
    """A request's key."""
    return ReplyKey("approval-platform", "clerk-1", "licence.search", name, person(1).code)


async def remember(replies: PgReplies, name: str) -> None:
    """A read that is remembered under a name."""
    receipt = Receipt(str(uuid4()), b"{}", 0, 1, (), "checkpoint", b"s" * 32)
    wire = licence_pb2.GetLicenceAnswer(number=person(1).code)
    assert await replies.store_read(reply_key(name), b"body", wire, receipt)


async def _former_number(database: CityDatabase) -> None:
    """A person who had another number before."""
    async with pool_of(database, "datanode") as pool:
        vault = await vault_of(database, "datanode", pool)
    connection = await asyncpg.connect(database.admin_dsn, server_settings={"search_path": "datanode"})
    subject_id = await connection.fetchval("SELECT subject_id FROM population_person LIMIT 1")
    await connection.execute(
        "INSERT INTO subject_index (blind_index, index_version, subject_id) VALUES ($1, $2, $3)",
        vault.blind_index(Subject(CITIZEN_NUMBER, FORMER)),
        vault.index_version,
        subject_id,
    )
    await connection.execute(
        "INSERT INTO former_number (subject_id, number_no, number) VALUES ($1, 1, $2)",
        subject_id,
        vault.seal(FORMER.encode(), row=subject_id, column="former_number.number#1"),
    )
    await connection.close()


async def openings(database: CityDatabase, about: Sequence[Sequence[Subject]]) -> None:
    """What opens some entries of the log, by whom each is about."""
    async with pool_of(database, "ledger") as pool:
        vault = await vault_of(database, "ledger", pool)
        version, digest = vault.index_version, vault.keyed_hash(b"ledger item", b"item")
        rows, beside = [], []
        for subjects in about:
            further = tuple((one, b"d" * 32) for one in subjects[1:])
            first = subjects[0] if subjects else None
            opening = Opening(b"a" * 32, "clerk-1", b"b" * 32, first, b"c" * 32, "", further)
            item_id = uuid4()
            index = vault.blind_index(first) if first else None
            sealed = vault.seal(opening.to_bytes(), row=item_id, column="opening.sealed")
            rows.append((item_id, sealed, digest, index, version if first else None))
            beside += [(item_id, vault.blind_index(one), version) for one, _ in further]
        await pool.executemany(
            "INSERT INTO opening (item_id, sealed, digest, subject_index, index_version)"
            " VALUES ($1, $2, $3, $4, $5)",
            rows,
        )
        await pool.executemany(
            "INSERT INTO further_subject (item_id, subject_index, index_version) VALUES ($1, $2, $3)", beside
        )
        await pool.execute("DELETE FROM key_holder")


@dataclass
class Steps:
    """Hears of each durable step; ends the rotation at one of them, as a crash does."""

    crash_at: int = 0
    heard: list[str] = field(default_factory=list)

    async def __call__(self, name: str) -> None:
        self.heard.append(name)
        if len(self.heard) == self.crash_at:
            raise CrashError(name)


class CrashError(BaseException):
    """Ends a process on the spot: nothing catches it."""


async def rotate(
    database: CityDatabase,
    kind: str,
    part: str,
    *,
    pace: Pace = QUICK,
    step: Callable[[str], Awaitable[None]] | None = None,
) -> list[str]:
    """Rotates a part's keys as the command does; what it said."""
    said: list[str] = []
    manner = Manner(said.append, pace, step or Steps())
    async with open_part(database.admin_dsn, part_list(part), database.keyring(part), manner) as one:
        await ROTATIONS[kind](one)
    return said


@dataclass(frozen=True)
class Seen:
    """What a part holds: plain values, whom each number leads to, and the versions that all is under."""

    values: dict[tuple[str, str, str], str]
    found: dict[tuple[str, Subject], frozenset[UUID]]
    sealed_with: frozenset[int]
    indexed_with: frozenset[int]
    sealed: frozenset[bytes]
    hashed: bytes


async def look(database: CityDatabase, part: str) -> Seen:
    """Opens everything that the part has sealed, with the keys that are live now."""
    manner = Manner(say=lambda _line: None)
    values, sealed, found = {}, set(), {}
    indexed: set[int] = set()
    listed = part_list(part)
    async with open_part(database.admin_dsn, listed, database.keyring(part), manner, alone=False) as one:
        ring = one.ring()
        if not await one.data_keys():
            return Seen({}, {}, frozenset(), frozenset(), frozenset(), b"")
        vault = await one.vault(ring)
        for table in listed.sealed:
            for row in await one.rows(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table.table))):
                for column in table.columns:
                    if row[column] is None:
                        continue
                    key = "/".join(str(row[name]) for name in table.key)
                    plain = open_value(vault, table, row, column)
                    values[table.table, key, column] = hashlib.sha256(plain).hexdigest()
                    sealed.add(row[column])
        for index in listed.indexes:
            rows = await one.rows(
                sql.SQL(
                    "SELECT {} AS index, {} AS version, {} AS subject FROM {} WHERE {} IS NOT NULL"
                ).format(
                    *map(
                        sql.Identifier, (index.index, index.version, index.subject, index.table, index.index)
                    )
                )
            )
            indexed |= {row["version"] for row in rows}
            by_index: dict[bytes, set[UUID]] = {}
            for row in rows:
                by_index.setdefault(row["index"], set()).add(row["subject"])
            numbers = await IndexRows(one, index)._numbers(vault, [row["subject"] for row in rows])
            for number in {number for those in numbers.values() for number in those}:
                found[index.table, number] = frozenset(
                    subject
                    for one_index in vault.blind_indexes(number)
                    for subject in by_index.get(one_index, ())
                )
    return Seen(
        values,
        found,
        frozenset(sealed_version(value) for value in sealed),
        frozenset(indexed),
        frozenset(sealed),
        vault.keyed_hash(b"something"),
    )


def ring_of(database: CityDatabase, part: str) -> Keyring:
    """The part's key file."""
    return Keyring.load(database.keyring(part))


def data_versions(database: CityDatabase, part: str) -> list[int]:
    """The versions of the part's data keys."""
    with psycopg.connect(database.admin_dsn) as connection:
        rows = connection.execute(
            sql.SQL("SELECT version FROM {}.data_key ORDER BY version").format(sql.Identifier(part))
        ).fetchall()
    return [version for (version,) in rows]


def execute(database: CityDatabase, statement: str, *values: object) -> None:
    """A statement as the owner of the tables."""
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute(statement.encode(), values or None)


def forget_processes(database: CityDatabase, part: str) -> None:
    """As a minute after every process of the part has ended."""
    execute(database, f"DELETE FROM {part}.key_holder")  # a part's own name
