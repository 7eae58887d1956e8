"""A loader that is killed while it loads leaves a town that the next one loads whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from deploy.local import files
from deploy.local.migrate import PARTS
from deploy.local.pki import make_pki
from deploy.town.town import cast
from tests.database import CityDatabase

ROOT = Path(__file__).resolve().parents[3]
SIZE = 3_000
SMALL = 100


def start(database: CityDatabase, *arguments: str, size: int | None = SIZE) -> subprocess.Popen[bytes]:
    home = database.keys.parent
    dsn_file = home / "admin.dsn"
    files.write_private(dsn_file, database.admin_dsn)
    asked = ["--size", str(size)] if size is not None else []
    command = [sys.executable, "-m", "deploy.town", *asked, "--workers", "2", *arguments]
    environment = {
        **os.environ,
        "ONESTOP_HOME": str(home),
        "ONESTOP_ADMIN_DSN_FILE": str(dsn_file),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}",
    }
    with (home / "town.log").open("w") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)


def said(database: CityDatabase) -> str:
    """What the loader that was started last has printed."""
    return (database.keys.parent / "town.log").read_text()


def ask(database: CityDatabase, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def wait_until_it_loads(database: CityDatabase, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        exists = ask(database, "SELECT to_regclass('town.load') IS NOT NULL")
        if exists == [(True,)] and ask(database, "SELECT count(*) FROM town.load") != [(0,)]:
            return
        time.sleep(0.02)
    pytest.fail("the loader has not begun")


@pytest.mark.parametrize(
    ("how", "after"),
    [(signal.SIGKILL, 0.0), (signal.SIGKILL, 2.5), (signal.SIGTERM, 1.5)],
)
def test_the_next_loader_begins_anew_and_ends_whole(
    fresh_database: CityDatabase, how: signal.Signals, after: float
) -> None:
    make_pki(fresh_database.keys.parent / "pki", PARTS)
    first = start(fresh_database)
    wait_until_it_loads(fresh_database, first)
    time.sleep(after)

    first.send_signal(how)
    first.wait(30)
    second = start(fresh_database)

    assert second.wait(120) == 0, said(fresh_database)
    people = SIZE + len(cast().people)
    assert ask(fresh_database, "SELECT count(*) FROM datanode.population_person") == [(people,)]
    assert ask(fresh_database, "SELECT DISTINCT state FROM town.load") == [("loaded",)]
    assert ask(fresh_database, "SELECT count(*) FROM datanode.subject_index") >= [(people,)]
    assert (fresh_database.keys.parent / "demo" / "cast.json").exists()


def test_the_town_that_is_there_stays_and_another_is_refused_in_one_line(
    fresh_database: CityDatabase,
) -> None:
    make_pki(fresh_database.keys.parent / "pki", PARTS)
    assert start(fresh_database, size=SMALL).wait(120) == 0

    other = start(fresh_database, "--seed", "7", size=SMALL)

    assert other.wait(60) == 1
    output = said(fresh_database)
    assert "holds a town of 100 people (seed 440200)" in output
    assert "Traceback" not in output
    assert start(fresh_database, size=SMALL - 1).wait(60) == 1
    assert "100 to" in said(fresh_database)
    assert start(fresh_database, size=None).wait(60) == 0, said(fresh_database)
    assert "the town of 100 people is there" in said(fresh_database)
