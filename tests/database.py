"""The suite's own PostgreSQL: one server for a run, a database copied from a migrated template per module.

The process that runs pytest keeps the server; the workers of pytest-xdist only ask for it. It starts when the
first test wants it, so a run without database tests does not pay for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from deploy.local import files, keys
from deploy.local.migrate import AUDITOR, PARTS, migrate, set_database_rights
from deploy.local.postgres import Cluster

PREFIX = "onestop-test-"
TEMPLATE = "onestop_template"
GROUND = "ONESTOP_TEST_GROUND"
"""The variable that names the run's folder, for whatever need not outlive the run: cities lie in it too."""
START_SECONDS = 60.0
IN_MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""In bytes. With less than that in memory, a run's folder lies on the disk."""

# A crash of the machine may lose a test database; a crash of the server may not.
SETTINGS = {
    "fsync": "off",
    "shared_buffers": "32MB",
    "max_connections": "300",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "autovacuum_naptime": "1h",
}


class Ground:
    """Keeps the server on behalf of all workers, in the process that runs pytest."""

    def __init__(self) -> None:
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_roomy()))
        self.folder.chmod(0o711)  # The server may run as another user.
        self._alive = (self.folder / "alive").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="test database")

    def open(self) -> None:
        """Begins to wait for the first wish."""
        os.environ[GROUND] = str(self.folder)
        self._thread.start()

    def close(self) -> None:
        """Stops the server and removes everything."""
        self._done.set()
        self._thread.join()
        os.environ.pop(GROUND, None)
        self._alive.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _serve(self) -> None:
        while not (self.folder / "wanted").exists():
            if self._done.wait(0.05):
                return
        cluster = Cluster(
            self.folder / "pg",
            5432,
            password_file=self.folder / "keys" / "postgres.password",
            log_file=self.folder / "postgres.log",
            tcp=False,
            settings=SETTINGS,
        )
        try:
            cluster.start()
            _write_json(self.folder / "ready.json", _make_template(cluster, self.folder / "keys"))
            self._done.wait()
        except Exception as error:  # Whoever waits for the server is told.
            _write_json(self.folder / "failed.json", {"why": str(error)})
        finally:
            cluster.kill()


class CityDatabase:
    """One database with every part's schema, role and keys.

    `admin_dsn` is the superuser's; `dsn(part)` that of the part's own role, with the rights that the
    migrations grant and no others. `keys` is a folder as a city's, with each part's `.dsn` and keyring.
    """

    def __init__(self, name: str, ground: Path, facts: dict[str, list[str] | str]) -> None:
        self.name = name
        self.keys = ground / name / "keys"
        self.admin_dsn = _in_database(str(facts["admin_dsn"]), name)
        self._seeded = frozenset(facts["seeded"])
        files.private_folder(self.keys)
        for part in (*PARTS, AUDITOR):
            dsn = (ground / "keys" / f"{part}.dsn").read_text()
            files.write_private(self.dsn_file(part), _in_database(dsn, name))
        for part in PARTS:
            keys.make_keyring(self.keyring(part))

    def dsn(self, part: str) -> str:
        """The address of this database for a part's own role."""
        return self.dsn_file(part).read_text()

    def dsn_file(self, part: str) -> Path:
        """The file that holds the same, for ONESTOP_DATABASE_DSN_FILE."""
        return self.keys / f"{part}.dsn"

    def keyring(self, part: str) -> Path:
        """A part's keyring file, for ONESTOP_KEYRING and core.keyring."""
        return self.keys / f"{part}-keyring.json"

    def truncate(self, *parts: str) -> None:
        """Empties every table of these parts (of all, if none is named) but those that migrations fill."""
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            tables = [table for table in _tables(connection, parts or PARTS) if table not in self._seeded]
            if tables:
                names = sql.SQL(", ").join(sql.Identifier(*table.split(".")) for table in tables)
                connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))


def make_database(name: str) -> CityDatabase:
    """A fresh copy of the template; takes a tenth of a second once the server runs."""
    ground = Path(os.environ[GROUND])
    facts = _wait_ready(ground)
    with psycopg.connect(str(facts["admin_dsn"]), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    database = CityDatabase(name, ground, facts)
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        set_database_rights(connection, PARTS)
    return database


def drop_database(database: CityDatabase) -> None:
    """Removes the database, whoever is still connected, and its keys."""
    with psycopg.connect(_in_database(database.admin_dsn, "postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))
    shutil.rmtree(database.keys.parent, ignore_errors=True)


def _make_template(cluster: Cluster, keys_dir: Path) -> dict[str, list[str] | str]:
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    migrate(cluster.dsn(TEMPLATE), PARTS, keys_dir)
    with psycopg.connect(cluster.dsn(TEMPLATE), autocommit=True) as connection:
        seeded = [
            table
            for table in _tables(connection, PARTS)
            if connection.execute(
                sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(*table.split(".")))
            ).fetchone()
        ]
    return {"admin_dsn": cluster.dsn(), "seeded": seeded}


def _tables(connection: psycopg.Connection[tuple[object, ...]], parts: tuple[str, ...]) -> list[str]:
    rows = connection.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables"
        " WHERE schemaname = ANY(%s) AND tablename !~ '^_?yoyo' ORDER BY 1",
        (list(parts),),
    )
    return [str(row[0]) for row in rows]


def _in_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def _wait_ready(ground: Path) -> dict[str, list[str] | str]:
    (ground / "wanted").touch()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (ground / "failed.json").exists():
            raise RuntimeError(
                f"the test database: {json.loads((ground / 'failed.json').read_text())['why']}"
            )
        with suppress(FileNotFoundError):
            facts: dict[str, list[str] | str] = json.loads((ground / "ready.json").read_text())
            return facts
        time.sleep(0.05)
    raise RuntimeError(f"the test database has not started within {START_SECONDS:.0f} s")


def _write_json(path: Path, content: object) -> None:
    files.write_private(path, json.dumps(content))


def _sweep() -> None:
    """Removes what runs that were killed have left behind: their lock is free."""
    for place in (IN_MEMORY, Path(tempfile.gettempdir())):
        for folder in place.glob(f"{PREFIX}*"):
            with suppress(OSError), (folder / "alive").open() as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


def _roomy() -> Path | None:
    """Where a run's folder lies: in memory if there is room, else (None) where temporary files usually do.

    A database is a thousand small files. A disk's file system takes twenty times as long to make them as one
    in memory, and what the tests kill are processes, which neither of them minds.
    """
    try:
        room = os.statvfs(IN_MEMORY)
        free = min(room.f_bavail * room.f_frsize, _free_memory())
    except OSError:
        return None
    return IN_MEMORY if free >= ROOM and os.access(IN_MEMORY, os.W_OK) else None


def _free_memory() -> int:
    """What the machine's memory still has room for, in bytes (Linux, proc(5))."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
