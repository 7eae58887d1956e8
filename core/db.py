"""The connection pool of a service, as the service's own role."""

from __future__ import annotations

import asyncpg

from core.config import ServiceConfig, read_secret

Pool = asyncpg.Pool
Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection

STATEMENT_TIMEOUT_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 20
"""A process that stands still inside a transaction loses it after this: what it had locked, such as a consent
that its owner wants to revoke, is free again."""

_OUTAGES = (
    OSError,  # nothing listens, or the connection broke
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # starting, shutting down, crashed
    asyncpg.InsufficientResourcesError,  # out of connections, memory or disk
    asyncpg.InterfaceError,  # the connection was closed under a statement
    asyncpg.InternalClientError,  # the server died while the connection was between two states
)


def is_outage(error: BaseException) -> bool:
    """Whether an error says that the database is away, so that the call may be tried again."""
    # asyncpg's error for an argument of the wrong type is an InterfaceError too, and our own mistake.
    return isinstance(error, _OUTAGES) and not isinstance(error, ValueError)


async def open_pool(config: ServiceConfig) -> asyncpg.Pool:
    """A pool no larger than the setting. The role's search_path makes table names unqualified."""
    return await make_pool(read_secret(config.database_dsn_file), config.pool_size)


async def _nothing_to_forget(_connection: Connection) -> None:
    """What the driver does first, rolling back what is open, is enough: our sessions keep nothing else.

    Whoever sets or locks something for a session resets it before giving it back (services/ledger/store.py).
    The usual reset costs a round trip with every use of the pool, a third of a look-up.
    """


async def make_pool(dsn: str, size: int) -> asyncpg.Pool:
    """A pool for a DSN."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        command_timeout=STATEMENT_TIMEOUT_SECONDS,
        timeout=STATEMENT_TIMEOUT_SECONDS,
        reset=_nothing_to_forget,
        server_settings={"idle_in_transaction_session_timeout": f"{LONGEST_PAUSE_SECONDS}s"},
    )
