"""Remote credentials: who may see them, how their holders take them, and what they authorise."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from core.clock import Clock
from core.disclosure import Disclosure, Produced, RecordRef, Released, RequestContext, Transaction
from core.errors import fault_error
from core.identity import USCC, Subject
from services.eseal.remote.ports import RemoteKeystore, RemoteStore
from services.eseal.remote.refusals import (
    CredentialNotFoundError,
    EnrolmentCodeInvalidError,
    FactorInvalidError,
    ToldOnceError,
    locked,
)
from services.eseal.remote.rules import (
    MOST_ATTEMPTS,
    SAD_LIFE,
    Authorisation,
    Authorised,
    Credential,
    CredentialState,
    bound_to,
    code_digest,
    digest_bytes,
    require_pin,
    require_secret,
    sad_of,
)

ENROL = "eseal.remote_enrol"
CHANGE = "eseal.remote_change"
AUTHORISE = "eseal.remote_authorise"

SHA256_BYTES = 32
"""Of a document's digest, whatever the credential's suite."""


class RemoteDesk:
    """What a company's application and the holder of a credential may do with it, but for signing."""

    def __init__(
        self,
        *,
        store: RemoteStore,
        keys: RemoteKeystore,
        disclosure: Disclosure,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._disclosure = disclosure
        self._clock = clock

    async def list_credentials(
        self, context: RequestContext, *, holder: str, page_size: int, after: UUID | None
    ) -> tuple[Sequence[Credential], UUID | None]:
        """The application's credentials, and the id to go on after, None on the last page."""
        size = page_size or 50
        found = await self._store.of_application(
            context.caller.name, holder=holder, after=after, limit=size + 1
        )
        return found[:size], found[size - 1].id if len(found) > size else None

    async def get(self, context: RequestContext, credential_id: UUID) -> Credential:
        """A credential of the application. Raises CredentialNotFoundError."""
        return of_caller(await self._store.find(credential_id), context)

    async def enrol(
        self, context: RequestContext, credential_id: UUID, *, code: str, pin: str, secret: str, body: bytes
    ) -> Released:
        """The holder takes the credential under factors of her own; the answer is the Credential."""
        credential = await self.get(context, credential_id)
        require_pin(pin)
        require_secret(secret)
        salt = wrapped = request = b""
        if credential.state is CredentialState.PREPARED:
            credential.require_enrolment(code, self._clock())
            key, request = await self._keys.make(credential)
            salt, wrapped = await self._keys.wrap(key, credential.id, pin=pin, secret=secret)

        async def do(tx: Transaction, _: UUID) -> Produced:
            # Anew: a retry is answered before this, and whoever else comes finds the code used.
            credential.require_enrolment(code, self._clock())
            if not await self._store.enrol(
                tx, credential.id, code_sha256=code_digest(code), salt=salt, key=wrapped, request=request
            ):
                raise EnrolmentCodeInvalidError("the enrolment code was used meanwhile")
            return _produced(replace(credential, state=CredentialState.WAITING))

        return await self._act(context, credential, ENROL, body, do)

    async def change_factor(
        self,
        context: RequestContext,
        credential_id: UUID,
        *,
        pin: str,
        secret: str,
        new_pin: str,
        new_secret: str,
        body: bytes,
    ) -> Released:
        """The holder takes other factors, which ends all authorisations; the answer is the Credential."""
        credential = await self.get(context, credential_id)
        require_pin(new_pin)
        require_secret(new_secret)
        credential.require_ready(self._clock())
        key = await self._released(credential, pin, secret)
        salt, wrapped = await self._keys.wrap(key, credential.id, pin=new_pin, secret=new_secret)

        async def do(tx: Transaction, _: UUID) -> Produced:
            if not await self._store.change_factor(
                tx, credential.id, former_salt=credential.salt, salt=salt, key=wrapped
            ):
                raise changed()
            return _produced(credential)

        return await self._act(context, credential, CHANGE, body, do)

    async def authorise(
        self,
        context: RequestContext,
        credential_id: UUID,
        *,
        pin: str,
        secret: str,
        digests: Sequence[bytes],
        body: bytes,
    ) -> tuple[Released, str]:
        """The holder authorises one signature over each digest; the answer's second part is the SAD."""
        credential = await self.get(context, credential_id)
        credential.require_ready(self._clock())
        _require_lengths(digests, digest_bytes(credential.algorithm))
        key = await self._released(credential, pin, secret)
        authorisation_id, sad_secret = uuid4(), self._keys.new_secret()
        expires_at = self._clock().replace(microsecond=0) + SAD_LIFE

        sad = ""

        async def do(tx: Transaction, _: UUID) -> Produced:
            nonlocal sad
            current = of_caller(await self._store.find_within(tx, credential.id), context)
            current.require_ready(self._clock())
            if current.salt != credential.salt:
                raise changed()
            binding = bound_to(authorisation_id, credential.id, expires_at, digests)
            wrapped = self._keys.wrap_for_sad(key, sad_secret, binding)
            await self._store.authorise(
                tx,
                Authorisation(
                    id=authorisation_id,
                    credential_id=credential.id,
                    secret_sha256=hashlib.sha256(sad_secret).digest(),
                    wrapped_key=wrapped,
                    expires_at=expires_at,
                    digests=tuple(digests),
                ),
            )
            sad = sad_of(authorisation_id, sad_secret)
            answer = Authorised(sad, int(SAD_LIFE.total_seconds()))
            refs = [credential_ref(credential), RecordRef("remote_authorisation", str(authorisation_id))]
            return Produced(answer, records=refs, subject=company(credential))

        released = await self._act(context, credential, AUTHORISE, body, do)
        if not sad:
            raise ToldOnceError(
                "this was authorised, and its SAD told once; authorise anew under another key"
            )
        return released, sad

    async def _released(self, credential: Credential, pin: str, secret: str) -> bytes:
        """The key, by its holder's factors. Raises CredentialLockedError, FactorInvalidError."""
        credential.require_unlocked()
        if not await self._store.take_attempt(credential.id, MOST_ATTEMPTS):
            raise locked()
        key = await self._keys.unwrap(
            credential.wrapped_key, credential.id, pin=pin, secret=secret, salt=credential.salt
        )
        await self._store.forget_attempts(credential.id)
        return key

    async def _act(
        self,
        context: RequestContext,
        credential: Credential,
        method: str,
        body: bytes,
        do: Callable[[Transaction, UUID], Awaitable[Produced]],
    ) -> Released:
        """An act of the holder's, on her company."""
        return await self._disclosure.act(
            by_holder(context, credential),
            method=method,
            body=body,
            do=do,
            subject=company(credential),
            records=[credential_ref(credential)],
        )


def of_caller(credential: Credential | None, context: RequestContext) -> Credential:
    """The credential, where it is the caller's. Raises CredentialNotFoundError."""
    if credential is None or credential.application != context.caller.name:
        raise CredentialNotFoundError("the application has no credential of this id; list its credentials")
    return credential


def by_holder(context: RequestContext, credential: Credential) -> RequestContext:
    """The context with the holder's account as operator: only her factors bring an act about."""
    return replace(context, operator=credential.holder)


def company(credential: Credential) -> Subject:
    """Whose credential it is."""
    return Subject(USCC, credential.owner_code)


def credential_ref(credential: Credential) -> RecordRef:
    """The credential as entries name it: and the suite that it signs by."""
    return RecordRef(f"remote_credential:{credential.id}", credential.algorithm.value)


def changed() -> FactorInvalidError:
    """The factors were right when they were tried, and no longer are."""
    return FactorInvalidError("the factors were changed meanwhile")


def _produced(credential: Credential) -> Produced:
    return Produced(credential, records=[credential_ref(credential)], subject=company(credential))


def _require_lengths(digests: Sequence[bytes], own: int) -> None:
    for index, digest in enumerate(digests):
        if len(digest) not in (own, SHA256_BYTES):
            message = f"must be a digest of {own} bytes, or the SHA-256 of a document"
            raise fault_error(f"digests[{index}]", "length", message)
