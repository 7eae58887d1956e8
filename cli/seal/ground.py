"""What the commands about seals' keys stand on: the database as its owner, and eseal's keystores."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import asyncpg
import psycopg

from cli.keys.ground import owners_database
from core.db import Connection
from core.errors import ServiceError
from core.keyring import Keyring
from core.vault import SealBrokenError, Vault
from deploy.local.errors import GroundError
from deploy.local.settings import Settings, read_settings
from services.eseal.enrolling import Keystores
from services.eseal.gm.sm2 import Sm2, load_sm2
from services.eseal.issued import NotTakenError
from services.eseal.keys.token import Token, TokenPlace
from services.eseal.refusals import Sm2UnavailableError

DONE, FAILED = 0, 1
SECONDS = 60.0
"""So long the token may take: an RSA key is not made at once."""

Result = TypeVar("Result")
Work = Callable[[Settings, Connection, Keystores], Awaitable[Result]]


def run(work: Work[int]) -> int:
    """Does it, and tells on the error stream why it could not be done. The exit code."""
    try:
        settings = read_settings(os.environ)
        with owners_database(settings) as dsn:
            return asyncio.run(_with_keystores(settings, dsn, work))
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


async def _with_keystores(settings: Settings, dsn: str, work: Work[Result]) -> Result:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "eseal"})
    token = _token()
    try:
        vault = await Vault.open(connection, Keyring.load(settings.keys / "eseal-keyring.json"))
        return await work(settings, connection, Keystores(vault, _sm2(), token))
    finally:
        if token is not None:
            await token.close()
        await connection.close()


def _token() -> Token | None:
    """As the settings of `eseal` name it; None where they name none. Raises ValueError on half of it."""
    module, label, pin = (
        os.environ.get(f"ONESTOP_TOKEN_{name}", "") for name in ("MODULE", "LABEL", "PIN_FILE")
    )
    if not module:
        return None
    if not label or not pin:
        raise ValueError("ONESTOP_TOKEN_LABEL, ONESTOP_TOKEN_PIN_FILE: are needed with ONESTOP_TOKEN_MODULE")
    return Token(TokenPlace(Path(module), label, Path(pin)), sessions=1, seconds=SECONDS, writing=True)


def _sm2() -> Sm2 | None:
    with suppress(Sm2UnavailableError):
        chosen = os.environ.get("ONESTOP_LIBCRYPTO", "")
        return load_sm2(Path(chosen) if chosen else None)
    return None
