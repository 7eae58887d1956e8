"""`city.load`: making, encrypting and loading a town, beside `\\copy` of the very rows that came of it.

Both fill the same tables with all their keys and indexes in place, on the same server with the same settings,
over as many connections as there are cores. `\\copy`'s files lie ready on the disk, encrypted already, in the
order in which the rows lie in the tables; ours are made, encrypted and sorted while they are loaded.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.town.copying import Table
from deploy.town.load import Loaded, load
from deploy.town.others import City as Furnished
from deploy.town.plan import TownPlan
from deploy.town.worker import TABLES
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import CITY_LICENCES, CITY_PEOPLE, Bench, running
from tests.city import City

PEOPLE = 200_000
GOAL = Goal(MORE_IS_BETTER, 0.6, of_ratio=True)


@dataclass(frozen=True)
class Turn:
    """One load of ours, and one of `\\copy`'s."""

    rows: int
    loaded: Loaded
    copied_seconds: float


class Quiet:
    """Nobody watches."""

    def begin(self, people: int) -> None:
        """Says nothing."""

    def step(self, people: float) -> None:
        """Says nothing."""

    def end(self) -> None:
        """Says nothing."""


def measure(bench: Bench) -> Iterable[Figure]:
    """Rows a second of both, in turns; LOAD_PEOPLE (200,000) says how large the town is."""
    people = min(int(os.environ.get("LOAD_PEOPLE", str(PEOPLE))), bench.people)
    plan = TownPlan(people, licences=round(people * CITY_LICENCES / CITY_PEOPLE))
    city = City(only=("ledger",), town=False, home=bench.folder / "city-load")
    turns: list[Turn] = []
    with running(bench, city):
        for number in range(bench.rounds):
            bench.say(f"city.load, {people:,} people, round {number + 1} of {bench.rounds}")
            turns.append(_turn(city, plan, bench.folder / "copy"))
        _empty(city)
    rows = [turn.rows for turn in turns]
    limit = median(
        "limit.copy.rows",
        [count / turn.copied_seconds for count, turn in zip(rows, turns, strict=True)],
        "rows/s",
    )
    ours = [count / turn.loaded.seconds for count, turn in zip(rows, turns, strict=True)]
    return [
        limit,
        paired("city.load.rows", ours, limit, "rows/s", GOAL),
        median("city.load.people", [people / turn.loaded.seconds for turn in turns], "people/s"),
        median("city.load.seconds", [turn.loaded.seconds for turn in turns], "s"),
        median("city.load.cpu", [turn.loaded.work.cpu_seconds for turn in turns], "CPU s"),
        median("city.load.encryption", [turn.loaded.work.encrypting_seconds for turn in turns], "CPU s"),
    ]


def _turn(city: City, plan: TownPlan, folder: Path) -> Turn:
    furnished = Furnished(city.admin_dsn, city.home)
    _empty(city)
    loaded = asyncio.run(load(furnished, plan, Quiet(), others=()))
    assert loaded is not None
    halves = _export(city, folder)
    rows = _count(city)
    _empty(city)
    began = time.monotonic()
    with ThreadPoolExecutor(len(halves)) as pool:
        list(pool.map(lambda files: _copy(city, files), halves))
    copied = time.monotonic() - began
    if _count(city) != rows:
        raise RuntimeError("not every row was copied back")
    _empty(city)
    for files in halves:
        for _, path in files:
            path.unlink()
    return Turn(rows, loaded, copied)


def _name(table: Table) -> sql.Composed:
    return sql.SQL("{}.{}").format(sql.Identifier(table.schema), sql.Identifier(table.name))


def _columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table.columns))


def _export(city: City, folder: Path) -> list[list[tuple[Table, Path]]]:
    """Every table's rows as text, shared out among as many lists of files as there are cores."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shares: list[list[tuple[Table, Path]]] = [[] for _ in range(os.cpu_count() or 1)]
    with psycopg.connect(city.admin_dsn) as connection:
        for table in TABLES:
            paths = [folder / f"{table.schema}.{table.name}.{place}" for place in range(len(shares))]
            query = sql.SQL("SELECT count(*) FROM {}").format(_name(table))
            row = connection.execute(query).fetchone()
            assert row is not None
            each = -(-int(row[0]) // len(shares)) or 1
            files = [path.open("wb") for path in paths]
            statement = sql.SQL("COPY {} ({}) TO STDOUT").format(_name(table), _columns(table))
            with connection.cursor().copy(statement) as copy:
                for number, line in enumerate(copy):
                    files[number // each].write(line)
            for file in files:
                file.close()
            for share, path in zip(shares, paths, strict=True):
                share.append((table, path))
    return shares


def _copy(city: City, files: Sequence[tuple[Table, Path]]) -> None:
    """What psql's `\\copy` does: COPY FROM STDIN, the file's bytes as they are."""
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        for table, path in files:
            statement = sql.SQL("COPY {} ({}) FROM STDIN").format(_name(table), _columns(table))
            with path.open("rb") as file, connection.cursor().copy(statement) as copy:
                while piece := file.read(1 << 18):
                    copy.write(piece)


def _count(city: City) -> int:
    total = 0
    with psycopg.connect(city.admin_dsn) as connection:
        for table in TABLES:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(_name(table))).fetchone()
            assert row is not None
            total += int(row[0])
    return total


def _empty(city: City) -> None:
    """Empties the town's tables, and forgets that there was a town."""
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        names = sql.SQL(", ").join(_name(table) for table in TABLES)
        connection.execute(sql.SQL("TRUNCATE {}").format(names))
        connection.execute("DROP SCHEMA IF EXISTS town CASCADE")
