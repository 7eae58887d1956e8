"""A city whose database is outside: the rest is backed up, and proved to belong to the database again."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from cli.backup import form
from deploy.local.migrate import PARTS, ROOT
from deploy.local.pki import make_pki
from tests.database import CityDatabase
from tests.store.ledger.conftest import KEY, StartLedger, disclosure
from tests.store.ledger.test_custody import OPEN

Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def home(fresh_database: CityDatabase, tmp_path: Path) -> Path:
    """What such a city keeps on its machine: keys and certificates, and no database."""
    made = tmp_path / "home"
    made.mkdir()
    shutil.copytree(fresh_database.keys, made / "keys")
    (made / "keys" / "ledger.vkey").write_text(f"{KEY}\n")
    make_pki(made / "pki", PARTS)
    return made


def onestop(home: Path, dsn: str, *arguments: str | Path) -> tuple[int, str]:
    """`./onestop …` of a city with this home and database."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")},
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "ONESTOP_HOME": str(home),
            "DATABASE_URL": dsn,
        },
    )
    return done.returncode, done.stdout


async def test_rest_of_the_city_is_backed_up_and_proved_against_its_database(
    start: StartLedger, admin: Admin, home: Path, fresh_database: CityDatabase, tmp_path: Path
) -> None:
    dsn, backup, other = fresh_database.admin_dsn, tmp_path / "b", tmp_path / "other"
    ledger = await start()
    await ledger.append(*(disclosure() for _ in range(3)))
    earlier = await ledger.store.head()
    await ledger.append(*(disclosure() for _ in range(300)))

    # Beside the loop: the ledger in this process goes on showing that it leads.
    code, said = await asyncio.to_thread(onestop, home, dsn, "backup", "make", "--to", backup)
    assert code == 0, said
    assert "NOT in the backup" in said
    assert not (backup / form.DATABASE).exists()
    assert (await asyncio.to_thread(onestop, home, "", "backup", "check", backup))[0] == 0
    await ledger.append(disclosure())
    await ledger.stop()

    code, said = onestop(other, "", "restore", backup)
    assert (code, "in DATABASE_URL" in said) == (1, True)
    code, said = onestop(other, dsn, "restore", backup, "--wal", tmp_path)
    assert (code, "leave WAL and UNTIL out" in said) == (1, True)
    code, said = onestop(other, dsn, "restore", backup)
    assert code == 3, said
    assert "holds 304 entries" in said
    code, said = onestop(other, dsn, "restore", backup, "--replace", "--released", ledger.file)
    assert code == 0, said
    assert (other / "keys" / "ledger-keyring.json").read_bytes() == (
        home / "keys" / "ledger-keyring.json"
    ).read_bytes()
    assert (other / "ledger" / "last-checkpoint").exists()

    # A state of the database that is older than the backup of the rest does not belong to it.
    admin.execute(OPEN)
    for table, column in (("entry", "tree_size"), ("checkpoint", "size")):
        admin.execute(f"DELETE FROM {table} WHERE {column} > 3".encode())
    admin.execute("DELETE FROM tile")
    admin.execute("UPDATE head SET size = 3, checkpoint = %s", (earlier.checkpoint,))
    code, said = onestop(tmp_path / "third", dsn, "restore", backup)
    assert code == 1, said
    assert "holds 3 entries, and when the backup began there were 303" in said
    assert not (tmp_path / "third" / "keys").exists()
