"""Loads a town: says what is there, loads what is missing, and never half.

The schema `town` keeps a row for each schema that is filled: `loading` from before its first row to after
its last, then `loaded`. What was cut off is emptied and loaded again; what the town did not load is left
alone, and refused.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import queue
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import asyncpg

from core import queries
from deploy.idp.accounts import ensure_password
from deploy.local import files
from deploy.town.cast import Player, demo_office, players
from deploy.town.others import OTHERS, City, Seed
from deploy.town.plan import Quota, TownPlan
from deploy.town.town import cast
from deploy.town.worker import SCHEMAS, TABLES, WORKERS_LOCK, Ground, Work, load_cast, load_quotas

Q = queries.load(__package__)
LOCK = 440200_2
"""An advisory lock's number: one loader at a time."""

PEOPLE_A_WORKER = 20_000
"""A further process is worth its start from here on."""
_FAILED = "A loading process failed; its message stands above. Start again: it begins anew."


class TownError(Exception):
    """A town cannot be loaded; the message says why and what to do."""


class Progress(Protocol):
    """Tells how far the loading is."""

    def begin(self, people: int) -> None: ...
    def step(self, people: float) -> None: ...
    def end(self) -> None: ...


@dataclass(frozen=True)
class Loaded:
    """What a run did."""

    people: int
    seconds: float
    workers: int
    work: Work


async def load(
    city: City,
    plan: TownPlan,
    progress: Progress,
    *,
    workers: int = 0,
    replace: bool = False,
    others: Sequence[Seed] = OTHERS,
) -> Loaded | None:
    """Loads the town unless it is there; None when there was nothing to do. Raises TownError.

    `others` furnish the other parts, the town there or not. With `replace`, another town makes room.
    """
    ground = Ground(city.dsn, city.keys, city.home / "town-spool")
    admin = await asyncpg.connect(ground.dsn, timeout=15)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", LOCK)
        await admin.execute(Q.make_books)
        done = None
        if not await _is_loaded(admin, plan, replace=replace):
            done = await _load_people(admin, ground, plan, progress, workers)
        for seed in others:
            await seed(city)
        _write_cast(city)
        return done
    finally:
        await admin.close()


async def present_plan(dsn: str) -> TownPlan | None:
    """The plan of the town that is there whole, or was cut off while it was loaded; None without any."""
    admin = await asyncpg.connect(dsn, timeout=15)
    try:
        await admin.execute(Q.make_books)
        row = next(iter(await admin.fetch(Q.read_books)), None)
        return _plan(row) if row is not None else None
    finally:
        await admin.close()


def _plan(row: asyncpg.Record) -> TownPlan:
    """The plan that the books name."""
    return TownPlan(row["size"], row["seed"], row["licences"])


async def _is_loaded(admin: asyncpg.Connection, plan: TownPlan, *, replace: bool) -> bool:
    books = {row["schema_name"]: row for row in await admin.fetch(Q.read_books)}
    whole = [row for row in books.values() if row["state"] == "loaded"]
    others = [row for row in whole if _plan(row) != plan]
    if len(whole) == len(SCHEMAS) and not others:
        return True
    if others and not replace:
        raise TownError(
            f"The database holds a town of {_plan(others[0])}, not one of {plan}. Ask for that one, "
            "or replace it: python -m deploy.town --size … --licences … --replace"
        )
    for table in TABLES:
        if table.schema not in books and await _has_rows(admin, table.schema, table.name):
            raise TownError(
                f"The table {table.schema}.{table.name} holds rows that no town was loaded into. "
                "A town goes into an empty database: name another one in DATABASE_URL."
            )
    return False


async def _has_rows(admin: asyncpg.Connection, schema: str, table: str) -> bool:
    name = await admin.fetchval(Q.quoted_name, schema, table)
    if name is None:
        raise TownError(f"The table {schema}.{table} is missing: apply the migrations first.")
    return bool(await admin.fetchval(f"SELECT EXISTS (SELECT 1 FROM {name})"))  # noqa: S608  # quoted by the server


async def _load_people(
    admin: asyncpg.Connection, ground: Ground, plan: TownPlan, progress: Progress, workers: int
) -> Loaded:
    began = time.monotonic()
    wish = (plan.size, plan.seed, plan.licences)
    await admin.executemany(Q.begin_load, [(schema, *wish) for schema in SCHEMAS])
    names = [await admin.fetchval(Q.quoted_name, table.schema, table.name) for table in TABLES]
    await admin.execute(Q.wait_for_workers, WORKERS_LOCK)
    await admin.execute(f"TRUNCATE {', '.join(names)}")
    shutil.rmtree(ground.spool, ignore_errors=True)  # of a loader that was killed
    files.private_folder(ground.spool)
    work = await load_cast(ground)
    workers = workers or max(1, min(multiprocessing.cpu_count(), plan.size // PEOPLE_A_WORKER))
    progress.begin(plan.size)
    if workers == 1:
        work += await load_quotas(ground, plan, plan.quotas, progress.step)
    else:
        work += await _load_by_processes(ground, plan, workers, progress)
    progress.end()
    ground.spool.rmdir()
    for name in names:
        await admin.execute(f"ANALYZE {name}")
    async with admin.transaction():
        await admin.execute(Q.touch_resources)
        await admin.executemany(Q.end_load, [(schema,) for schema in SCHEMAS])
    return Loaded(plan.size, time.monotonic() - began, workers, work)


async def _load_by_processes(ground: Ground, plan: TownPlan, workers: int, progress: Progress) -> Work:
    """Shares the villages out; the first process that fails ends the others."""
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[float | Work] = context.Queue()
    shares = _shares(plan.quotas, workers)
    processes = [
        context.Process(target=_work, args=(ground, plan, share, told), daemon=True) for share in shares
    ]
    done = Work()
    with _running(processes):
        while any(process.is_alive() for process in processes):
            await asyncio.sleep(0.1)
            done += _pass_on(told, progress)
            if any(process.exitcode for process in processes):
                raise TownError(_FAILED)
    done += _pass_on(told, progress)
    if any(process.exitcode for process in processes):
        raise TownError(_FAILED)
    return done


@contextmanager
def _running(processes: Sequence[multiprocessing.process.BaseProcess]) -> Iterator[None]:
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _work(
    ground: Ground, plan: TownPlan, quotas: Sequence[Quota], told: multiprocessing.Queue[float | Work]
) -> None:
    parent = os.getppid()

    def tell(people: float) -> None:
        if os.getppid() != parent:
            raise SystemExit("the loader is gone, so its work ends")
        told.put(people)

    told.put(asyncio.run(load_quotas(ground, plan, quotas, tell)))


def _pass_on(told: multiprocessing.Queue[float | Work], progress: Progress) -> Work:
    """Tells on what the processes have told; what those that have ended have done."""
    done = Work()
    while True:
        try:
            news = told.get_nowait()
        except queue.Empty:
            return done
        if isinstance(news, Work):
            done += news
        else:
            progress.step(news)


def _shares(quotas: Sequence[Quota], count: int) -> list[list[Quota]]:
    """The villages dealt out like cards."""
    return [list(quotas[index::count]) for index in range(count)]


def _write_cast(city: City) -> None:
    """`demo/cast.json`, readable by its owner alone: who plays which part, and how they sign in."""
    town = cast()
    company, office = town.companies[0], demo_office()
    document = {
        **{player.role: _entry(player) for player in players(town)},
        "company": {"code": company.uscc, "name": company.name},
        "office": {"code": office.uscc, "name": office.name},
        "password": ensure_password(city.keys / "idp-password"),
    }
    folder = city.home / "demo"
    files.private_folder(folder)
    files.write_private(folder / "cast.json", json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _entry(player: Player) -> dict[str, str]:
    return {"code": player.person.number, "name": player.person.name, "login": player.role}
