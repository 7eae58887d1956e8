"""Makes a share of the town's villages and copies them in: one process, one connection, constant memory."""

from __future__ import annotations

import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg

from core.db import Connection
from core.keyring import Keyring
from deploy.town import account_rows, datanode_rows, datanode_tables, licence_rows
from deploy.town.account_rows import Account
from deploy.town.cast import players
from deploy.town.cast_licences import cast_licences
from deploy.town.chance import chance
from deploy.town.licence_draft import LicenceDraft
from deploy.town.licences import LicenceWriter
from deploy.town.model import VillageTown
from deploy.town.plan import Quota, TownPlan
from deploy.town.sealing import BulkVault
from deploy.town.spool import Spool
from deploy.town.town import cast, generate

T = TypeVar("T")

SCHEMAS = ("datanode", "licence", "idp")
"""Filled from one stream of people, so loaded together or not at all."""

TABLES = (
    *datanode_tables.TABLES.values(),
    *licence_rows.TABLES.values(),
    *account_rows.TABLES.values(),
)
WORKERS_LOCK = 440200_3
"""An advisory lock's number: whoever copies shares it, so that nobody empties the tables meanwhile."""

_AT_ONCE = 500
"""So many people, or holders of licences, are made into rows in one go: few enough that the processor still
has them in its cache when it comes to their last column."""

Told = Callable[[float], None]
"""Called with how much has been done since the last call: people, of whom each counts one half when made and
one half when copied."""


@dataclass(frozen=True)
class Ground:
    """Where a town goes: the database, the folder with each part's keyring, and one for rows that wait."""

    dsn: str
    keys: Path
    spool: Path

    async def connect(self) -> asyncpg.Connection:
        """A connection for bulk loading. Its commits are flushed by the last one, which waits."""
        return await asyncpg.connect(
            self.dsn, server_settings={"synchronous_commit": "off"}, command_timeout=3_600, timeout=15
        )

    async def vault(self, connection: Connection, schema: str) -> BulkVault:
        """A part's vault; makes its first data key."""
        await connection.execute("SELECT set_config('search_path', $1, false)", schema)
        return await BulkVault.open(connection, Keyring.load(self.keys / f"{schema}-keyring.json"))


class Maker:
    """Makes rows of villages."""

    def __init__(self, vaults: Mapping[str, BulkVault], spool: Spool) -> None:
        self._registers = datanode_rows.DatanodeRows(vaults["datanode"], spool)
        self._licences = licence_rows.LicenceRows(vaults["licence"], spool)
        self._accounts = account_rows.AccountRows(vaults["idp"], spool)
        self._towns: list[VillageTown] = []
        self._held: list[Sequence[LicenceDraft]] = []
        self._users: list[Account] = []
        self._people = 0

    def add(self, plan: TownPlan, town: VillageTown) -> None:
        """Adds a village; makes rows of what has gathered when it is enough."""
        random = chance(f"{plan.seed}:licences:{town.village.code}")
        writer = LicenceWriter(random, replaced=plan.replaced_share)
        for number, person in enumerate(town.people):
            if person.digital:
                self._held.append(list(writer.of_person(person)))
                self._users.append(Account(_login(plan, town, number), person.name, person.number))
        self._held += [list(writer.of_company(company)) for company in town.companies if company.digital]
        self._towns.append(town)
        self._people += len(town.people)
        if self._people >= _AT_ONCE:
            self.finish()

    def add_cast(self) -> None:
        """Adds the demo cast, whose logins are their roles."""
        town = cast()
        self._towns.append(town)
        by_holder: dict[str, list[LicenceDraft]] = {}
        for draft in cast_licences(town):
            by_holder.setdefault(draft.holder, []).append(draft)
        self._held += by_holder.values()
        for player in players(town):
            self._users.append(Account(player.role, player.person.name, player.person.number))

    def finish(self) -> None:
        """Makes rows of what has gathered."""
        for some in _slices([person for town in self._towns for person in town.people]):
            self._registers.add_people(some)
        for firms in _slices([company for town in self._towns for company in town.companies]):
            self._registers.add_companies(firms)
        for held in _slices(self._held):
            self._licences.add(held)
        for users in _slices(self._users):
            self._accounts.add(users)
        for town in self._towns:
            for person in town.people:
                person.household.members.clear()
        self._towns, self._held, self._users, self._people = [], [], [], 0


def _slices(ones: Sequence[T]) -> Iterator[Sequence[T]]:
    return (ones[first : first + _AT_ONCE] for first in range(0, len(ones), _AT_ONCE))


@dataclass(frozen=True)
class Work:
    """What has been done: rows, and processor time, of which some went into encrypting."""

    rows: int = 0
    cpu_seconds: float = 0.0
    encrypting_seconds: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.rows + other.rows,
            self.cpu_seconds + other.cpu_seconds,
            self.encrypting_seconds + other.encrypting_seconds,
        )


async def load_quotas(ground: Ground, plan: TownPlan, quotas: Sequence[Quota], told: Told) -> Work:
    """Loads some of a plan's villages."""

    def make(maker: Maker) -> None:
        for town in generate(plan, quotas):
            maker.add(plan, town)
            told(len(town.people) / 2)

    return await _load(ground, make, lambda share: told(share * sum(quota.people for quota in quotas) / 2))


async def load_cast(ground: Ground) -> Work:
    """Loads the demo cast."""
    return await _load(ground, Maker.add_cast, lambda _: None)


async def _load(ground: Ground, make: Callable[[Maker], None], copied: Told) -> Work:
    """Makes rows, then copies them."""
    began = time.process_time()
    connection = await ground.connect()
    collecting = gc.isenabled()
    gc.disable()  # Millions of small objects come and go; the one kind of cycle is cut by hand.
    try:
        await connection.execute("SELECT pg_advisory_lock_shared($1)", WORKERS_LOCK)
        vaults = {schema: await ground.vault(connection, schema) for schema in SCHEMAS}
        with Spool(ground.spool / str(os.getpid())) as spool:
            maker = Maker(vaults, spool)
            make(maker)
            maker.finish()
            await spool.copy(connection, lambda size: copied(size / spool.size))
        encrypting = sum(vault.seconds for vault in vaults.values())
        return Work(spool.rows, time.process_time() - began, encrypting)
    finally:
        if collecting:
            gc.enable()
        await connection.close()


def _login(plan: TownPlan, town: VillageTown, number: int) -> str:
    """A login that is the same in every run, and tells nothing."""
    words = f"{plan.seed}:{town.village.code}:{number}".encode()
    return "p" + hashlib.blake2s(words, digest_size=6).hexdigest()
