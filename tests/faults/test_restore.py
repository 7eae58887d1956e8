"""A ledger backed up under load, killed, and restored: equal roots, or read-only and a reason."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cli.backup import form
from cli.backup.logproof import Proved, prove_log
from core.entries import Entry, Receipt
from core.errors import ServiceError
from core.ledger import LedgerClient
from tests.city import City
from tests.command import onestop
from tests.faults.test_ledger import Recorder, open_channel
from tests.store.ledger.conftest import disclosure

pytestmark = pytest.mark.timeout(300)

ARCHIVED_SECONDS = 30.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the database's user may reach, as one that pytest makes is not."""
    made = Path(tempfile.mkdtemp(prefix="onestop-backup-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def city(folder: Path) -> Iterator[City]:
    """A ledger and its database, which archives its log."""
    made = City(only=["ledger"], town=False, environment={"ONESTOP_WAL_ARCHIVE": str(folder / "wal")})
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def other() -> Iterator[City]:
    """An empty place on another machine, as it were: other ports, no archive."""
    made = City(only=["ledger"], town=False)
    yield made
    made.remove()


def log_of(city: City) -> Proved:
    """The log, hashed anew from the entries in the database."""
    key = (city.settings.keys / "ledger.vkey").read_text().strip()
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        return prove_log(connection, key, {}, lambda done, whole: None)


def archive_all(city: City) -> None:
    """Returns when the archive holds all that was committed."""
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        connection.execute("SELECT pg_switch_wal()")
        assert row is not None
        deadline = time.monotonic() + ARCHIVED_SECONDS
        query = "SELECT last_archived_wal >= %s FROM pg_stat_archiver"
        while connection.execute(query, row).fetchone() != (True,):
            assert time.monotonic() < deadline, "the log is not archived"
            time.sleep(0.1)


def kill_all(city: City) -> Path:
    """Ends the whole city as a power cut would; the file that knows what was released."""
    assert city.process is not None
    city.process.kill()
    city.process.wait()
    deadline = time.monotonic() + 10
    while city.remains() and time.monotonic() < deadline:
        time.sleep(0.05)
    return city.settings.ledger / "last-checkpoint"


async def ask(city: City, entry: Entry, part: str = "licence") -> Receipt:
    """Appends an entry as a part would."""
    async with open_channel(city, part) as opened:
        return await LedgerClient(opened).append(entry)


async def test_backup_taken_under_load_is_restored_with_the_same_root(
    city: City, other: City, folder: Path
) -> None:
    channel, done = open_channel(city, "eseal"), asyncio.Event()
    recorder = Recorder(LedgerClient(channel))
    work = asyncio.create_task(recorder.work(done))
    await asyncio.sleep(1.0)
    code, said = await asyncio.to_thread(onestop, city, "backup", "make", "--to", folder / "b")
    assert code == 0, said
    given_by_then = dict(recorder.given)
    assert await asyncio.to_thread(onestop, city, "backup", "mark", "noon") == (
        0,
        "This moment is noon: `make restore … UNTIL_MARK=noon` leads to it.\n",
    )
    at_mark = len(recorder.given)
    await asyncio.sleep(1.0)
    done.set()
    await work
    await channel.close()
    before = log_of(city)
    assert 0 < at_mark < before.size == len(recorder.given)
    archive_all(city)
    released = kill_all(city)

    # To the end of the archive: the same log, which goes on, and knows each item again.
    code, said = onestop(other, "restore", folder / "b", "--wal", folder / "wal", "--released", released)
    assert code == 0, said
    other.start()
    assert log_of(other) == before
    assert not (other.settings.home / "restore.unfinished").exists()
    for entry, receipt in list(recorder.given.items())[-5:]:
        assert await ask(other, entry, "eseal") == receipt
    assert (await ask(other, disclosure())).index == before.size
    other.stop()

    # To the mark between two entries: less than was released.
    code, said = onestop(
        other,
        *("restore", folder / "b", "--wal", folder / "wal", "--until-mark", "noon"),
        *("--released", released, "--replace"),
    )
    assert code == 3, said
    assert "READ-ONLY" in said
    other.start()
    behind = log_of(other)
    assert len(given_by_then) <= behind.size < before.size
    assert "The ledger is READ-ONLY: the database holds" in other.output
    with pytest.raises(ServiceError) as refusal:
        await ask(other, disclosure())
    assert refusal.value.reason == "LEDGER_READ_ONLY"
    # What it holds can still be proved.
    first, receipt = next(iter(recorder.given.items()))
    assert receipt.index < behind.size
    with pytest.raises(ServiceError, match="read-only"):
        await ask(other, first, "eseal")
    other.stop()

    # The rest is lost for good: the log goes on under a new origin, and knows what it holds.
    code, said = onestop(other, "ledger", "continue")
    assert code == 0, said
    other.start()
    assert await ask(other, first, "eseal") == receipt
    assert (await ask(other, disclosure())).index == behind.size + 1
    other.stop()


async def test_restore_to_a_time_ends_between_two_entries(city: City, other: City, folder: Path) -> None:
    code, said = onestop(city, "backup", "make", "--to", folder / "b", "--keys-to", folder / "k")
    assert code == 0, said
    assert not (folder / "b" / "keys").exists()
    earlier = await ask(city, disclosure())
    await asyncio.sleep(0.2)
    with psycopg.connect(city.admin_dsn) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    await asyncio.sleep(0.2)
    await ask(city, disclosure())
    archive_all(city)
    city.stop()
    where = (*("restore", folder / "b", "--keys", folder / "k"), *("--wal", folder / "wal"))

    code, said = onestop(other, "restore", folder / "b")
    assert code == 1
    assert "kept apart" in said
    code, said = onestop(other, *where, "--until", "2999-01-01T00:00:00Z")
    assert code == 1
    assert "does not lead to" in said
    code, said = onestop(other, *where, "--until", "2001-01-01T00:00:00Z")
    assert code == 1
    assert "take an older backup" in said
    assert not (other.home / "pg").exists()

    code, said = onestop(other, *where, "--until", row[0].isoformat())
    assert code == 3, said
    assert "nobody says which checkpoint it released last" in said
    assert f"holds {earlier.index + 1} entries" in said


async def test_archive_with_a_gap_is_not_taken_for_whole(city: City, other: City, folder: Path) -> None:
    assert onestop(city, "backup", "make", "--to", folder / "b")[0] == 0
    for _ in range(3):
        await ask(city, disclosure())
        archive_all(city)
    city.stop()
    segments = sorted(one for one in (folder / "wal").iterdir() if len(one.name) == 24)
    segments[-2].unlink()

    code, said = onestop(other, "restore", folder / "b", "--wal", folder / "wal")

    assert code == 1, said
    assert "has a gap" in said
    assert not (other.home / "pg").exists()


async def test_what_is_not_whole_or_not_the_citys_is_refused(city: City, other: City, folder: Path) -> None:
    await ask(city, disclosure())
    await ask(city, disclosure())
    backup = folder / "b"
    assert onestop(city, "backup", "make", "--to", backup)[0] == 0
    code, said = onestop(city, "backup", "make", "--to", backup)
    assert code == 1
    assert "never takes another's place" in said
    code, said = onestop(city, "restore", backup)
    assert code == 1
    assert "A city runs in" in said
    assert onestop(city, "backup", "check", backup)[0] == 0

    def damaged(name: str) -> str:
        copy = folder / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(backup, copy)
        path = next(iter(sorted(copy.glob(name))))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
        code, said = onestop(other, "restore", copy)
        assert code == 1, said
        assert [one.name for one in other.home.iterdir()] == ["run"]
        return said

    assert "its checksum differs" in damaged("keys/ledger-signing.key")
    assert "its checksum differs" in damaged(form.PG_MANIFEST)
    assert "pg_verifybackup failed" in damaged("database/base/*/PG_VERSION")
    (backup / "settings.json").rename(folder / "kept")
    assert "is missing" in onestop(other, "restore", backup)[1]
    (folder / "kept").rename(backup / "settings.json")
    strange = backup / form.NAME
    whole = strange.read_text()
    strange.write_text(whole.replace('"ledger/0001_init"', '"ledger/0999_tomorrow"'))
    assert "a newer version" in onestop(other, "restore", backup)[1]
    strange.unlink()
    assert "no whole backup" in onestop(other, "restore", backup)[1]
    strange.write_text(whole)

    # A log that somebody altered below its checkpoints is found although every file is as it was copied.
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE ledger.entry DISABLE TRIGGER entry_only_grows")
        connection.execute("UPDATE ledger.entry SET leaf = leaf || ' '::bytea WHERE idx = 0")
    assert onestop(city, "backup", "make", "--to", folder / "altered")[0] == 0
    code, said = onestop(other, "restore", folder / "altered")
    assert code == 1
    assert "has another root than" in said

    assert city.stop() == 0
    code, said = onestop(city, "restore", backup)
    assert code == 1
    assert "There is a city in" in said
    # In its own place the city's own file says what it released: nothing since.
    code, said = onestop(city, "restore", backup, "--replace")
    assert code == 0, said
    assert "What was there before lies in" in said
    city.start()
    assert log_of(city).size == 2
    assert (await ask(city, disclosure())).index == 2
    archive_all(city)
    assert city.stop() == 0

    # A city that moves: stopped, backed up, and brought up elsewhere on its operator's word.
    code, said = onestop(city, "backup", "make", "--to", folder / "stopped")
    assert code == 0, said
    assert "the city is stopped" in said
    moved = folder / "stopped"
    code, said = onestop(other, "restore", moved, "--released", moved / form.CHECKPOINT)
    assert code == 0, said
    other.start()
    assert log_of(other).size == 3
    assert other.stop() == 0
