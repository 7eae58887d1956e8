"""The ledger of a running city is pruned by its operator, and goes on: also after a crash and a restore."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.recording import recorder
from core.entries import Entry, EntryKind, RecordRef
from core.ledger import LedgerClient
from deploy.local.errors import GroundError
from deploy.local.pki import EXPORTER, PRUNER
from services.ledger.entry import LEDGER_ENTRIES, PRUNE_METHOD, pruned_version
from tests.city import City
from tests.command import onestop
from tests.faults.test_ledger import open_channel
from tests.store.ledger.conftest import disclosure, intent

pytestmark = pytest.mark.timeout(300)

WHO = ("--operator", "clerk.09", "--reason", "order 7/2026")
ERA = ("--from", "2001-01-01", "--until", "2023-01-01")


@pytest.fixture
def city() -> Iterator[City]:
    """A ledger and its database, as real processes."""
    made = City(only=["ledger"], town=False)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where exports and backups go."""
    made = Path(tempfile.mkdtemp(prefix="onestop-prune-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def count(city: City) -> tuple[object, ...]:
    """The first entry, how many there are, and how many of them can be opened."""
    query = "SELECT min(idx), count(*), count(o.item_id) FROM ledger.entry LEFT JOIN ledger.opening AS o"
    with psycopg.connect(city.admin_dsn) as connection:
        return connection.execute(f"{query} USING (item_id)".encode()).fetchone() or ()


async def test_pruning_is_done_whole_and_once_and_only_of_what_is_kept_elsewhere(
    city: City, folder: Path
) -> None:
    async with open_channel(city, "licence") as opened:
        client = LedgerClient(opened)
        for _ in range(700):
            await client.append(disclosure())
        still_open = intent()
    async with open_channel(city, "eseal") as opened:
        await LedgerClient(opened).append(still_open)
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE ledger.entry SET appended_at = '2022-06-01' WHERE idx < 600")
        connection.execute("UPDATE ledger.entry SET appended_at = '2021-06-01' WHERE idx < 300")
    archive = folder / "era.zip"

    code, said = onestop(city, "prune", "--before", "2999-01-01", "--export", archive, *WHO)
    assert (code, "at least 3 years" in said) == (1, True)
    code, said = onestop(city, "prune", "--before", "2023-01-01", "--export", archive, *WHO)
    assert (code, "proves nothing" in said) == (1, True)
    made = ("export", "make", "--auditor", "archive", *WHO, "--to")
    part = folder / "part.zip"
    assert onestop(city, *made, part, "--from", "2001-01-01", "--until", "2022-01-01")[0] == 0
    code, said = onestop(city, "prune", "--before", "2023-01-01", "--export", part, *WHO)
    assert (code, "The exports hold the entries up to 300, and those up to 512" in said) == (1, True), said
    code, said = onestop(city, *made, archive, *ERA)
    assert code == 0, said

    # A run that was cut off after its decision is closed by the next one, which then does it.
    decided = Entry(
        item_id=uuid.uuid4(),
        kind=EntryKind.INTENT,
        method=PRUNE_METHOD,
        caller="operator",
        office="",
        basis=None,
        purpose="",
        operator="clerk.09",
        subject=None,
        records=(RecordRef(LEDGER_ENTRIES, pruned_version(512)),),
    )
    async with recorder(city.settings, PRUNER) as client:
        await client.append(decided)
    code, said = onestop(city, "prune", "--before", "2023-01-01", "--export", archive, *WHO)
    assert code == 0, said
    assert "closed what an earlier run has left: not done" in said
    assert "512 entries are gone, 0 up to, without, 512" in said
    first, left, openable = count(city)
    assert first == 512
    assert left == openable
    code, said = onestop(city, "prune", "--before", "2023-01-01", "--export", archive, *WHO)
    assert (code, "nothing to prune" in said) == (1, True)

    # The ledger starts again on what is left, the export proves itself, a backup is restored and proved.
    city.restart("ledger")
    async with open_channel(city, "licence") as opened:
        await LedgerClient(opened).append(disclosure())
    assert onestop(city, "export", "verify", archive, "--key", city.settings.keys / "ledger.vkey")[0] == 0
    assert onestop(city, "backup", "make", "--to", folder / "b")[0] == 0
    assert city.stop() == 0
    code, said = onestop(city, "restore", folder / "b", "--replace")
    assert code == 0, said
    city.start()
    assert count(city)[0] == 512


async def test_another_command_may_not_append(city: City) -> None:
    entry = disclosure()
    with pytest.raises(GroundError):
        async with recorder(city.settings, "supervisor") as client:
            await client.append(entry)
    async with recorder(city.settings, EXPORTER) as client:
        await client.append(entry)
