"""Makes a share of the town's villages and copies them in: one process, one connection, constant memory."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from core.db import Connection
from core.keyring import Keyring
from deploy.town import account_rows, datanode_rows, datanode_tables, licence_rows
from deploy.town.cast import players
from deploy.town.cast_licences import cast_licences
from deploy.town.chance import chance
from deploy.town.copying import Batch
from deploy.town.licence_draft import LicenceDraft
from deploy.town.licences import LicenceWriter
from deploy.town.model import VillageTown
from deploy.town.plan import Quota, TownPlan
from deploy.town.sealing import BulkVault
from deploy.town.town import cast, generate

SCHEMAS = ("datanode", "licence", "idp")
"""Filled from one stream of people, so loaded together or not at all."""

TABLES = (
    *datanode_tables.TABLES.values(),
    *licence_rows.TABLES.values(),
    *account_rows.TABLES.values(),
)
WORKERS_LOCK = 440200_3
"""An advisory lock's number: whoever copies shares it, so that nobody empties the tables meanwhile."""

_ROWS_A_BATCH = 60_000

Told = Callable[[int], None]
"""Called with the number of people that have been loaded since the last call."""


@dataclass(frozen=True)
class Ground:
    """Where a town goes: the database, and the folder with each part's keyring."""

    dsn: str
    keys: Path

    async def connect(self) -> asyncpg.Connection:
        """A connection for bulk loading. Its commits are flushed by the last one, which waits."""
        return await asyncpg.connect(
            self.dsn, server_settings={"synchronous_commit": "off"}, command_timeout=600, timeout=15
        )

    async def vault(self, connection: Connection, schema: str) -> BulkVault:
        """A part's vault; makes its first data key."""
        await connection.execute("SELECT set_config('search_path', $1, false)", schema)
        return await BulkVault.open(connection, Keyring.load(self.keys / f"{schema}-keyring.json"))


class Loader:
    """Fills the tables from villages."""

    def __init__(self, connection: Connection, vaults: dict[str, BulkVault]) -> None:
        self._connection = connection
        self._batch = Batch()
        self._registers = datanode_rows.DatanodeRows(vaults["datanode"], self._batch)
        self._licences = licence_rows.LicenceRows(vaults["licence"], self._batch)
        self._accounts = account_rows.AccountRows(vaults["idp"], self._batch)

    @classmethod
    async def open(cls, connection: Connection, ground: Ground) -> Loader:
        """A loader with every part's vault."""
        return cls(connection, {schema: await ground.vault(connection, schema) for schema in SCHEMAS})

    async def add(self, plan: TownPlan, town: VillageTown) -> None:
        """Adds a village; sends what has gathered when it is enough."""
        self._registers.add(town)
        random = chance(f"{plan.seed}:licences:{town.village.code}")
        writer = LicenceWriter(random, replaced=plan.replaced_share)
        for number, person in enumerate(town.people):
            if person.digital:
                self._licences.add(list(writer.of_person(person)))
                self._accounts.add(_login(plan, town, number), person.name, person.number)
        for company in town.companies:
            self._licences.add(list(writer.of_company(company)))
        if len(self._batch) >= _ROWS_A_BATCH:
            await self.send()

    def add_cast(self) -> None:
        """Adds the demo cast, whose logins are their roles."""
        town = cast()
        self._registers.add(town)
        by_holder: dict[str, list[LicenceDraft]] = {}
        for draft in cast_licences(town):
            by_holder.setdefault(draft.holder, []).append(draft)
        for drafts in by_holder.values():
            self._licences.add(drafts)
        for player in players(town):
            self._accounts.add(player.role, player.person.name, player.person.number)

    async def send(self) -> None:
        """Sends what has gathered."""
        await self._batch.send(self._connection)


async def load_quotas(ground: Ground, plan: TownPlan, quotas: Sequence[Quota], told: Told) -> None:
    """Loads some of a plan's villages."""
    connection = await ground.connect()
    collecting = gc.isenabled()
    gc.disable()  # Millions of small objects come and go; the one kind of cycle is cut below.
    try:
        await connection.execute("SELECT pg_advisory_lock_shared($1)", WORKERS_LOCK)
        loader = await Loader.open(connection, ground)
        for town in generate(plan, quotas):
            await loader.add(plan, town)
            told(len(town.people))
            for person in town.people:
                person.household.members.clear()
        await loader.send()
    finally:
        if collecting:
            gc.enable()
        await connection.close()


async def load_cast(ground: Ground) -> None:
    """Loads the demo cast."""
    connection = await ground.connect()
    try:
        loader = await Loader.open(connection, ground)
        loader.add_cast()
        await loader.send()
    finally:
        await connection.close()


def _login(plan: TownPlan, town: VillageTown, number: int) -> str:
    """A login that is the same in every run, and tells nothing."""
    words = f"{plan.seed}:{town.village.code}:{number}".encode()
    return "p" + hashlib.blake2s(words, digest_size=6).hexdigest()
