"""What the provider remembers for a while: sign-ins under way, authorization codes, and sessions.

In memory, because this is one development process: a restart signs everybody out and does no other harm.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from multidict import MultiDict

from deploy.idp.accounts import Person

Value = TypeVar("Value")


class Shelf(Generic[Value]):
    """Values by key, each for at most `lifetime` seconds; when full, the oldest goes."""

    def __init__(
        self, lifetime: float, *, largest: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime = lifetime
        self._largest = largest
        self._clock = clock
        self._values: OrderedDict[str, tuple[float, Value]] = OrderedDict()

    def put(self, key: str, value: Value) -> None:
        """Keeps a value under a new key."""
        self._forget_old()
        self._values[key] = (self._clock() + self._lifetime, value)
        if len(self._values) > self._largest:
            self._values.popitem(last=False)

    def get(self, key: str) -> Value | None:
        """The value, if it is still there."""
        self._forget_old()
        found = self._values.get(key)
        return found[1] if found else None

    def take(self, key: str) -> Value | None:
        """The value, once: it is forgotten by being taken."""
        self._forget_old()
        found = self._values.pop(key, None)
        return found[1] if found else None

    def values(self) -> Iterator[Value]:
        """All that are still there."""
        self._forget_old()
        return (value for _, value in list(self._values.values()))

    def _forget_old(self) -> None:
        now = self._clock()
        while self._values:
            key, (until, _) = next(iter(self._values.items()))
            if until > now:
                return
            del self._values[key]


@dataclass(frozen=True)
class Session:
    """A person who is signed in at the provider in one browser."""

    person: Person
    signed_in_at: int


@dataclass(frozen=True)
class Pending:
    """An authorization request whose person has not signed in yet, in the browser that made it."""

    uri: str
    parameters: MultiDict[str] = field(repr=False)
    browser: str = field(repr=False)
    redirect_origin: str


@dataclass(frozen=True)
class Grant:
    """What an authorization code stands for."""

    client_id: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    code_challenge_method: str
    session: Session

    def get_redirect_uri(self) -> str:
        """The redirect URI that the code was sent to."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """The scopes granted, separated by spaces."""
        return self.scope

    def get_nonce(self) -> str | None:
        """The client's nonce, copied into the ID token."""
        return self.nonce

    def get_auth_time(self) -> int:
        """When the person signed in, seconds since 1970."""
        return self.session.signed_in_at

    def get_acr(self) -> str | None:
        """No authentication class is claimed."""
        return None

    def get_amr(self) -> list[str]:
        """How the person signed in (RFC 8176)."""
        return ["pwd"]
