"""The database: one engine a worker, one session a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from tests.bench.peers.settings import Settings


def open_engine(settings: Settings) -> AsyncEngine:
    """The worker's engine with its pool. Statements are prepared once a connection, as both libraries do.

    What only reads needs no transaction, and is spared the two round trips that open and end one.
    """
    return create_async_engine(
        _address(settings.database_url.get_secret_value()),
        pool_size=settings.pool_size,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
    )


def sessions_of(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Makes sessions; what they loaded stays readable after a commit, as asynchronous code needs."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's session, closed before the answer is sent so that its connection is free the sooner."""
    async with request.app.state.sessions() as session:
        yield session


async def in_transaction(session: AsyncSession) -> None:
    """From here to its commit or its end the session is in a transaction."""
    await session.connection(execution_options={"isolation_level": "READ COMMITTED"})


SessionDep = Annotated[AsyncSession, Depends(open_session, scope="function")]


def _address(dsn: str) -> URL:
    """The address as this driver wants it: it has another word for `sslmode`."""
    url = make_url(dsn).set(drivername="postgresql+asyncpg")
    mode = url.query.get("sslmode")
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode} if mode else {})
