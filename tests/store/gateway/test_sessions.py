"""Sign-ins and sessions against a real database, as the gateway's own role."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from core.keyring import Keyring
from core.vault import Vault
from gateway.sessions import SIGN_IN_LIFE, Session, Sessions, SignIn
from tests.conftest import PoolFactory
from tests.database import CityDatabase

SIGN_IN = SignIn("state", "nonce", "verifier", "/back")


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def watch() -> Watch:
    """The test's clock."""
    return Watch()


@pytest.fixture
async def sessions(city_database: CityDatabase, pool: PoolFactory, watch: Watch) -> Sessions:
    """Sessions over an empty schema."""
    city_database.truncate("gateway")
    own = await pool("gateway")
    return Sessions(own, await Vault.open(own, Keyring.load(city_database.keyring("gateway"))), watch)


async def test_sign_in_comes_back_once_and_to_its_browser_only(sessions: Sessions) -> None:
    secret = await sessions.begin(SIGN_IN)

    assert await sessions.take("another secret") is None
    assert await sessions.take(secret) == SIGN_IN
    assert await sessions.take(secret) is None


async def test_sign_in_is_forgotten_after_ten_minutes(sessions: Sessions, watch: Watch) -> None:
    secret = await sessions.begin(SIGN_IN)
    watch.now += SIGN_IN_LIFE

    assert await sessions.take(secret) is None


async def test_session_lasts_as_long_as_its_token(sessions: Sessions, watch: Watch) -> None:
    session = Session("an.id.token", watch.now + timedelta(minutes=30))
    secret = await sessions.open(session)
    found = await sessions.find(secret)
    watch.now += timedelta(minutes=30)

    assert found == session
    assert await sessions.find(secret) is None


async def test_ended_session_is_gone_at_once(sessions: Sessions, watch: Watch) -> None:
    secret = await sessions.open(Session("t", watch.now + timedelta(minutes=30)))

    await sessions.end(secret)

    assert await sessions.find(secret) is None


async def test_sweep_deletes_what_has_expired_and_nothing_else(
    sessions: Sessions, watch: Watch, city_database: CityDatabase
) -> None:
    await sessions.begin(SIGN_IN)
    await sessions.open(Session("old", watch.now + timedelta(minutes=5)))
    kept = await sessions.open(Session("new", watch.now + timedelta(minutes=30)))
    watch.now += timedelta(minutes=20)

    await sessions.sweep()

    connection = await asyncpg.connect(city_database.admin_dsn)
    try:
        left = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM gateway.sign_in) AS sign_ins,"
            " (SELECT count(*) FROM gateway.session) AS sessions"
        )
    finally:
        await connection.close()
    assert left is not None
    assert tuple(left) == (0, 1)
    assert await sessions.find(kept) is not None
