"""What remote signing needs of a store and of a keystore."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.disclosure import Transaction
from services.eseal.remote.rules import Authorisation, Credential, RemoteSignature


class RemoteStore(Protocol):
    """Credentials, authorisations and the records of signatures. Wrapped keys are sealed on the way in."""

    async def find(self, credential_id: UUID) -> Credential | None:
        """A credential."""
        ...

    async def find_within(self, tx: Transaction, credential_id: UUID) -> Credential | None:
        """The same as the transaction sees it."""
        ...

    async def of_application(
        self, application: str, *, holder: str, after: UUID | None, limit: int
    ) -> Sequence[Credential]:
        """An application's credentials, in the order of their ids."""
        ...

    async def enrol(
        self,
        tx: Transaction,
        credential_id: UUID,
        *,
        code_sha256: bytes,
        salt: bytes,
        key: bytes,
        request: bytes,
    ) -> bool:
        """Writes the key that the holder has made; False where the code was used meanwhile."""
        ...

    async def take_attempt(self, credential_id: UUID, most: int) -> bool:
        """Counts one try, at once and for good; False where none is left."""
        ...

    async def forget_attempts(self, credential_id: UUID) -> None:
        """The right factors came."""
        ...

    async def change_factor(
        self, tx: Transaction, credential_id: UUID, *, former_salt: bytes, salt: bytes, key: bytes
    ) -> bool:
        """Writes the key under other factors, ends all authorisations; False where it was done meanwhile."""
        ...

    async def authorise(self, tx: Transaction, authorisation: Authorisation) -> None:
        """Writes an authorisation with its digests."""
        ...

    async def authorisation(self, authorisation_id: UUID) -> Authorisation | None:
        """An authorisation."""
        ...

    async def lock_authorisation(self, tx: Transaction, authorisation_id: UUID) -> Authorisation | None:
        """The same, held by the transaction until it ends."""
        ...

    async def spend(self, tx: Transaction, record: RemoteSignature) -> bool:
        """Writes a signature's record over a digest that is not signed yet; False where there is none."""
        ...

    async def end_if_spent(self, tx: Transaction, authorisation_id: UUID) -> None:
        """Destroys the wrapped key of an authorisation whose digests are all signed."""
        ...


class RemoteKeystore(Protocol):
    """Makes, wraps and opens keys."""

    def new_secret(self) -> bytes:
        """32 random bytes."""
        ...

    async def make(self, credential: Credential) -> tuple[bytes, bytes]:
        """A new key and a request for its certificate."""
        ...

    async def wrap(self, key: bytes, credential_id: UUID, *, pin: str, secret: str) -> tuple[bytes, bytes]:
        """A fresh salt, and the key under the holder's factors."""
        ...

    async def unwrap(
        self, wrapped: bytes, credential_id: UUID, *, pin: str, secret: str, salt: bytes
    ) -> bytes:
        """The key. Raises FactorInvalidError."""
        ...

    def wrap_for_sad(self, key: bytes, secret: bytes, binding: bytes) -> bytes:
        """The key under a SAD's secret, bound to what was authorised."""
        ...
