"""People's sign-ins under way and their sessions, in the gateway's own schema, encrypted."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from core import queries
from core.clock import Clock
from core.db import Pool
from core.vault import Vault

Q = queries.load(__package__)

SIGN_IN_LIFE = timedelta(minutes=10)
SECRET_BYTES = 32


@dataclass(frozen=True)
class SignIn:
    """What a browser must bring back from the identity provider, and where it goes then."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    return_to: str


@dataclass(frozen=True)
class Session:
    """A signed-in browser: the provider's ID token, good until then."""

    id_token: str = field(repr=False)
    expires_at: datetime


class Sessions:
    """Keeps both by the hash of a secret that only the browser's cookie holds."""

    def __init__(self, pool: Pool, vault: Vault, clock: Clock) -> None:
        self._pool = pool
        self._vault = vault
        self._clock = clock

    async def begin(self, sign_in: SignIn) -> str:
        """Remembers a sign-in; answers the browser's secret."""
        secret, row_id = secrets.token_urlsafe(SECRET_BYTES), uuid4()
        sealed = self._vault.seal(json.dumps(asdict(sign_in)).encode(), row=row_id, column="sign_in")
        await self._pool.execute(Q.put_sign_in, _hash(secret), row_id, sealed, self._clock() + SIGN_IN_LIFE)
        return secret

    async def take(self, secret: str) -> SignIn | None:
        """The sign-in of this browser, once."""
        row = await self._pool.fetchrow(Q.take_sign_in, _hash(secret), self._clock())
        if row is None:
            return None
        plain = self._vault.unseal(row["sealed"], row=row["row_id"], column="sign_in")
        return SignIn(**json.loads(plain))

    async def open(self, session: Session) -> str:
        """A new session; answers the browser's secret."""
        secret, row_id = secrets.token_urlsafe(SECRET_BYTES), uuid4()
        sealed = self._vault.seal(session.id_token.encode(), row=row_id, column="session")
        await self._pool.execute(Q.put_session, _hash(secret), row_id, sealed, session.expires_at)
        return secret

    async def find(self, secret: str) -> Session | None:
        """The session of this browser, while it lasts."""
        row = await self._pool.fetchrow(Q.find_session, _hash(secret), self._clock())
        if row is None:
            return None
        plain = self._vault.unseal(row["sealed"], row=row["row_id"], column="session")
        return Session(plain.decode(), row["expires_at"])

    async def end(self, secret: str) -> None:
        """Forgets the session at once."""
        await self._pool.execute(Q.end_session, _hash(secret))

    async def sweep(self) -> None:
        """Deletes what has expired."""
        await self._pool.execute(Q.sweep_sign_ins, self._clock())
        await self._pool.execute(Q.sweep_sessions, self._clock())

    async def answers(self) -> bool:
        """Whether the database answers."""
        return bool(await self._pool.fetchval("SELECT true"))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
