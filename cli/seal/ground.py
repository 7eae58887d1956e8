"""What the commands about seals' keys stand on: the database as its owner, and eseal's keystores."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from cli.owner import DONE, FAILED, run_as_owner
from cli.seal.picture import OwnWorkshop
from core.db import Connection
from core.keyring import Keyring
from core.vault import Vault
from deploy.local.settings import Settings
from services.eseal.gm.sm2 import Sm2, load_sm2
from services.eseal.keys.token import Token, token_place
from services.eseal.operating.enrolling import Keystores
from services.eseal.refusals import Sm2UnavailableError

__all__ = ["DONE", "FAILED", "run"]

SECONDS = 60.0
"""So long the token may take: an RSA key is not made at once."""

Work = Callable[[Settings, Connection, Keystores], Awaitable[int]]


def run(work: Work) -> int:
    """Does it, and tells on the error stream why it could not be done. The exit code."""

    async def with_keystores(settings: Settings, connection: Connection) -> int:
        token = _token()
        try:
            vault = await Vault.open(connection, Keyring.load(settings.keys / "eseal-keyring.json"))
            return await work(settings, connection, Keystores(vault, _sm2(), token, OwnWorkshop()))
        finally:
            if token is not None:
                await token.close()

    return run_as_owner(with_keystores)


def _token() -> Token | None:
    """As the settings of `eseal` name it; None where they name none. Raises ValueError on half of it."""
    module, pin = (_path(f"ONESTOP_TOKEN_{name}") for name in ("MODULE", "PIN_FILE"))
    place = token_place(module, os.environ.get("ONESTOP_TOKEN_LABEL", ""), pin)
    return Token(place, sessions=1, seconds=SECONDS, writing=True) if place else None


def _path(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(value) if value else None


def _sm2() -> Sm2 | None:
    with suppress(Sm2UnavailableError):
        return load_sm2(_path("ONESTOP_LIBCRYPTO"))
    return None
