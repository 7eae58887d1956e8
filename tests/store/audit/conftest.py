"""A service on a real ledger, somebody who can change everything, and an auditor who looks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
import pytest
from onestop.licence.v1 import licence_pb2

from cli.audit.findings import Report
from cli.audit.log import Known
from cli.audit.run import Evidence, audit
from core.clock import now
from core.db import make_pool
from core.disclosure import (
    Disclosure,
    Entry,
    Presented,
    Produced,
    Receipt,
    Released,
    RequestContext,
    Transaction,
)
from core.identity import Caller
from core.keyring import Keyring
from core.replies import PgReplies
from core.vault import Vault
from services.ledger.released import LastReleasedFile
from tests.database import CityDatabase
from tests.store.ledger.conftest import KEY, StartLedger, Town, admin, disclosure, start

__all__ = ["admin", "start"]

Audit = Callable[..., Awaitable[Report]]

Intruder = psycopg.Connection[tuple[object, ...]]


@dataclass
class Desk:
    """The ledger as one part reaches it."""

    town: Town
    part: str
    down: bool = False

    async def append(self, entry: Entry) -> Receipt:
        """The entry's receipt."""
        if self.down:
            raise ConnectionError("the ledger is away")
        (receipt,) = await self.town.append(entry, recorder=self.part)
        return receipt

    async def open_intents(self, older_than: datetime) -> Sequence[Entry]:
        """The part's open intents."""
        return await self.town.desk.open_intents(self.part, older_than, 1000)


class Service:
    """A part that answers and acts by the protocol, and keeps its own records."""

    def __init__(self, desk: Desk, replies: PgReplies) -> None:
        self.desk = desk
        self.replies = replies
        self.disclosure = Disclosure(ledger=desk, replies=replies, present=_present, clock=now)

    async def read(self, key: str = "") -> Released:
        """Answers something."""

        async def produce() -> Produced:
            return Produced(uuid.uuid4().hex, ("name",))

        return await self.disclosure.read(context(key), method="licence.get", body=b"q", produce=produce)

    async def act(self, *, fails: bool = False) -> Released:
        """Does something, or fails in the middle of it."""

        async def do(_tx: Transaction, _intent: uuid.UUID) -> Produced:
            if fails:
                raise ValueError("it cannot be done")
            return Produced(uuid.uuid4().hex)

        return await self.disclosure.act(context(uuid.uuid4().hex), method="licence.change", body=b"q", do=do)


def context(key: str) -> RequestContext:
    """Somebody asks."""
    entry = disclosure()
    return RequestContext(
        caller=Caller(entry.caller, frozenset()),
        office=entry.office,
        operator=entry.operator,
        basis=entry.basis,
        purpose="",
        request_id=key,
        received_at=now(),
        deadline=now() + timedelta(seconds=30),
    )


def _present(answer: object) -> Presented:
    wire = licence_pb2.SearchLicencesAnswer(use_code=str(answer))
    return Presented(wire, str(answer).encode(), is_json=True)


@pytest.fixture
async def service(start: StartLedger, fresh_database: CityDatabase) -> AsyncIterator[Service]:
    """A service with a log of some 350 entries: answers, kept answers, completed and aborted acts."""
    town = await start()
    pool = await make_pool(fresh_database.dsn("licence"), 4)
    vault = await Vault.open(pool, Keyring.load(fresh_database.keyring("licence")))
    made = Service(Desk(town, "licence"), PgReplies(pool, vault, now))
    for number in range(3):
        await made.act()
        await made.read(f"k{number}")
        with pytest.raises(ValueError, match="cannot be done"):
            await made.act(fails=True)
        await made.disclosure.drain()
    for _ in range(11):
        await asyncio.gather(*(made.read() for _ in range(30)))
    yield made
    pool.terminate()


@pytest.fixture
def audited(fresh_database: CityDatabase, service: Service) -> Audit:
    """`await audited()` is the auditor's report; arguments replace parts of the evidence."""

    async def run(**changes: object) -> Report:
        note = await LastReleasedFile(service.desk.town.file).read()
        assert note is not None
        known = [Known("the last released checkpoint", note)]
        evidence = {"dsn": fresh_database.dsn("auditor"), "keys": [KEY], "known": known, **changes}
        return await asyncio.to_thread(audit, Evidence(**evidence))  # type: ignore[arg-type]

    return run


@contextmanager
def past_the_triggers(admin: Intruder) -> Iterator[Intruder]:
    """The superuser, past what keeps the tables as they are."""
    admin.execute("SET session_replication_role = replica")
    try:
        yield admin
    finally:
        admin.execute("SET session_replication_role = DEFAULT")


def kinds(report: Report) -> set[str]:
    """What kinds of things were found."""
    return {one.kind.value for one in report.findings}
