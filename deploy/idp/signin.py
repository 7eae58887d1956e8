"""Checking a login and a password, with a limit on failures."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from deploy.idp.accounts import Person, hash_password, password_matches

FAILURES_BY_ADDRESS = "60 per 5 minutes"
ATTEMPTS_AT_ONCE = 2
LONGEST_PASSWORD = 128


class Accounts(Protocol):
    """Where the accounts are."""

    async def find(self, login: str) -> tuple[Person, str] | None:
        """The person with this login and her password hash."""
        ...


class TooManyFailuresError(Exception):
    """Sign-in failed too often; `retry_after` is the wait in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many failed sign-ins")
        self.retry_after = retry_after


class SignIn:
    """Checks passwords. An unknown login takes as long as a wrong password, and is told in the same words."""

    def __init__(self, accounts: Accounts, failed_logins: str) -> None:
        self._accounts = accounts
        self._by_login = parse(failed_logins)
        self._by_address = parse(FAILURES_BY_ADDRESS)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._nobody = ""
        self._slots = asyncio.Semaphore(ATTEMPTS_AT_ONCE)

    async def check(self, login: str, password: str, address: str) -> Person | None:
        """The person, or None. Raises TooManyFailuresError, also for a right password."""
        login = login.strip().lower()
        await self._refuse_if_spent(login, address)
        found = await self._accounts.find(login)
        async with self._slots:
            if not self._nobody:
                self._nobody = await asyncio.to_thread(hash_password, "nobody")
            person, password_hash = found or (None, self._nobody)
            right = len(password) <= LONGEST_PASSWORD and await asyncio.to_thread(
                password_matches, password, password_hash
            )
        if person is not None and right:
            return person
        await self._limiter.hit(self._by_login, "login", login)
        await self._limiter.hit(self._by_address, "address", address)
        return None

    async def _refuse_if_spent(self, login: str, address: str) -> None:
        for limit, kind, value in ((self._by_login, "login", login), (self._by_address, "address", address)):
            if not await self._limiter.test(limit, kind, value):
                window = await self._limiter.get_window_stats(limit, kind, value)
                raise TooManyFailuresError(max(1, int(window.reset_time - time.time()) + 1))
