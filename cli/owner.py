"""The city's database as its owner, for commands that work on eseal's own tables."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import psycopg

from cli.keys.ground import owners_database
from core.db import Connection
from core.errors import ServiceError
from core.vault import SealBrokenError
from deploy.local.errors import GroundError
from deploy.local.settings import Settings, read_settings
from services.eseal.operating.issued import NotTakenError

DONE, FAILED = 0, 1


def run_as_owner(work: Callable[[Settings, Connection], Awaitable[int]]) -> int:
    """Does it, and tells on the error stream why it could not be done. The exit code."""
    try:
        settings = read_settings(os.environ)
        with owners_database(settings) as dsn:
            return asyncio.run(_connected(settings, dsn, work))
    except (GroundError, NotTakenError, SealBrokenError) as failure:
        print(f"NOT DONE: {failure}", file=sys.stderr)
    except ServiceError as failure:
        print(f"NOT DONE: {failure.message}", file=sys.stderr)
    except (asyncpg.PostgresError, psycopg.Error) as failure:
        # Never the detail: it can hold a row.
        print(f"NOT DONE: the database: {type(failure).__name__}", file=sys.stderr)
    except (OSError, ValueError) as failure:
        print(f"NOT DONE: {failure}", file=sys.stderr)
    return FAILED


async def _connected(
    settings: Settings, dsn: str, work: Callable[[Settings, Connection], Awaitable[int]]
) -> int:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "eseal"})
    try:
        return await work(settings, connection)
    finally:
        await connection.close()
