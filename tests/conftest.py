"""What every test may ask for: a real database, a part's pool, keys."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
import structlog

from core.garbage import collect_rarely
from tests.database import GROUND, CityDatabase, Ground, drop_database, make_database

PoolFactory = Callable[[str], Awaitable[asyncpg.Pool]]

_ground = pytest.StashKey[Ground]()


def pytest_configure(config: pytest.Config) -> None:
    """Prepares the run's database server, in the one process that outlives all workers."""
    collect_rarely()
    _log_plainly()
    if GROUND not in os.environ:
        ground = Ground()
        config.stash[_ground] = ground
        ground.open()


def _log_plainly() -> None:
    """What parts log that run within a test is shown as usual, but tracebacks as Python writes them: to draw
    one costs a fifth of a second."""
    *others, _ = structlog.get_config()["processors"]
    shown = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, shown])


LONGEST_ID = 60


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test is not called by a file or a key that each worker makes anew: all must have the same names."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


SHARED = {"city": "tests/e2e", "ground": "tests/faults"}
"""A city that is started once for all tests of a folder: these go to one worker."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a city go to one worker (`--dist loadgroup`), so that it is started once.

    So do the tests of each other module, which share its database.
    """
    for item in items:
        path = item.path.relative_to(item.config.rootpath).as_posix()
        shared = [
            name
            for name, folder in SHARED.items()
            if path.startswith(folder) and name in getattr(item, "fixturenames", ())
        ]
        item.add_marker(pytest.mark.xdist_group(shared[0] if shared else path))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """A city started once for each worker would go unseen, but for the time it takes."""
    gc.collect()
    gc.freeze()  # Thousands of tests, and all that they import, need not be looked through again and again.
    if not getattr(session.config.option, "loadgroup", False):
        return
    for item in session.items:
        if "@" not in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} lost its group: pytest and pytest-xdist do not fit")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stops the server, if this process keeps it."""
    ground = config.stash.get(_ground, None)
    if ground is not None:
        ground.close()


@pytest.fixture(scope="module")
def city_database() -> Iterator[CityDatabase]:
    """A database of this test module's own. Call `.truncate(part, …)` where tests must not meet."""
    database = make_database(f"test_{uuid4().hex}")
    yield database
    drop_database(database)


@pytest.fixture
def fresh_database() -> Iterator[CityDatabase]:
    """A database of this one test's own, for tests that change roles, schemas or keys."""
    database = make_database(f"test_{uuid4().hex}")
    yield database
    drop_database(database)


@pytest.fixture
async def pool(city_database: CityDatabase) -> AsyncIterator[PoolFactory]:
    """`await pool("licence")` is a connection pool as that part's own role; closed after the test."""
    async with pools_of(city_database) as open_pool:
        yield open_pool


@asynccontextmanager
async def pools_of(database: CityDatabase) -> AsyncIterator[PoolFactory]:
    """What opens pools on a database; they are closed in the end."""
    opened: list[asyncpg.Pool] = []

    async def open_pool(part: str, size: int = 8) -> asyncpg.Pool:
        made = await asyncpg.create_pool(database.dsn(part), min_size=1, max_size=size)
        opened.append(made)
        return made

    yield open_pool
    for made in opened:
        await made.close()
