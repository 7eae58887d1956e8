"""The database of a city that runs, or that is stopped: then its embedded server is started for a while."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg

from deploy.local.embedded import embedded
from deploy.local.errors import GroundError
from deploy.local.postgres import SUPERUSER
from deploy.local.settings import DATABASE, Settings


@contextmanager
def owners_database(settings: Settings) -> Iterator[str]:
    """The address of the city's database, as its owner. Raises GroundError."""
    dsn = settings.database_url or _kept(settings)
    failure = _why_not(dsn)
    if failure is None:
        yield dsn
    elif is_embedded(settings, dsn):
        with _started(settings) as own:
            yield own
    else:
        raise GroundError(
            f"The city's database does not answer: {failure}",
            "start it, or give its owner's address in DATABASE_URL.",
        )


def _kept(settings: Settings) -> str:
    """The address that the last start of the city has used."""
    try:
        return (settings.keys / "admin.dsn").read_text(encoding="utf-8").strip()
    except OSError:
        raise GroundError(
            f"There is no city in {settings.home}.",
            "start one with `make run`, name its folder in ONESTOP_HOME, or give its database's address in "
            "DATABASE_URL.",
        ) from None


def _why_not(dsn: str) -> str | None:
    """Why nobody answers there; None where somebody does."""
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return str(error).strip().splitlines()[-1]
    return None


def is_embedded(settings: Settings, dsn: str) -> bool:
    """Whether this address is that of the server which the city starts itself."""
    if settings.database_url:
        return False
    return urlsplit(dsn).username == SUPERUSER and (settings.home / "pg" / "data").exists()


@contextmanager
def _started(settings: Settings) -> Iterator[str]:
    """The embedded server, started; the city cannot start meanwhile."""
    settings.run.mkdir(mode=0o700, exist_ok=True)
    with (settings.run / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise GroundError(
                "The city is running, and its database does not answer.",
                "wait until the city says that it is up, then run the command again.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        cluster = embedded(settings)
        print("the city is stopped; starting its database for this command", flush=True)
        try:
            cluster.start()
            yield cluster.dsn(DATABASE)
        finally:
            cluster.stop()
