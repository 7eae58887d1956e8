"""Signing with remote credentials: authorised digests, each once, and documents by their digests."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from core.clock import Clock
from core.disclosure import Disclosure, Produced, RecordRef, Released, RequestContext, Transaction
from core.errors import fault_error
from services.eseal.domain import SUITES, Format, Picture, Place, format_of
from services.eseal.refusals import DocumentTooLargeError, SealNotForFormatError
from services.eseal.remote.desk import by_holder, company, credential_ref, of_caller
from services.eseal.remote.ports import RemoteStore
from services.eseal.remote.refusals import not_authorised, sad_invalid
from services.eseal.remote.rules import (
    MOST_DOCUMENT_BYTES,
    Authorisation,
    Credential,
    RemoteSignature,
    SignedDocuments,
    SignedHashes,
    digest_bytes,
    read_sad,
    require_digests,
    require_suite,
)
from services.eseal.sealing.ports import Envelope, Signer, Workshop
from services.eseal.sealing.prepared import PreparedDocument

SIGN_HASHES = "eseal.remote_sign_hashes"
SIGN_DOCUMENTS = "eseal.remote_sign_documents"
BOTTOM_TEXT = "电子签章"
"""Under the star of the picture that a signed document shows."""


class DigestSigner(Signer, Protocol):
    """A released key, which signs digests too."""

    async def sign_digest(self, digest: bytes) -> bytes:
        """The signature over a digest by the suite's own function."""
        ...


class SadKeystore(Protocol):
    """Opens keys by the secret in a SAD."""

    def open_for_sad(self, wrapped: bytes, secret: bytes, binding: bytes, certificate: bytes) -> DigestSigner:
        """The key ready for use. Raises SadInvalidError."""
        ...


@dataclass(frozen=True)
class _Asked:
    """A signing that may go on: whose, by which authorisation."""

    credential: Credential
    authorisation: Authorisation
    secret: bytes


class RemoteSigning:
    """Signs what a holder has authorised, and nothing else."""

    def __init__(
        self,
        *,
        store: RemoteStore,
        keys: SadKeystore,
        workshop: Workshop,
        envelope: Envelope,
        draw: Callable[[str], Picture],
        disclosure: Disclosure,
        require_time: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`draw` pictures a company's name; `require_time` refuses while the time is not proved."""
        self._store = store
        self._keys = keys
        self._workshop = workshop
        self._envelope = envelope
        self._draw = draw
        self._disclosure = disclosure
        self._require_time = require_time
        self._clock = clock

    async def sign_hashes(
        self,
        context: RequestContext,
        credential_id: UUID,
        *,
        sad: str,
        digests: Sequence[bytes],
        algorithms: Sequence[str],
        body: bytes,
    ) -> Released:
        """A signature over each digest, by one of these suites if any is named; the answer is SignedHashes.

        Errors: SAD_INVALID, DIGEST_NOT_AUTHORISED.
        """
        asked = await self._asked(context, credential_id, sad)
        require_suite(asked.credential.algorithm, algorithms)
        require_digests(digests, digest_bytes(asked.credential.algorithm), "digests")

        async def sign(key: DigestSigner) -> SignedHashes:
            return SignedHashes(tuple([await key.sign_digest(digest) for digest in digests]))

        return await self._act(context, asked, digests, sign, method=SIGN_HASHES, body=body)

    async def sign_documents(
        self,
        context: RequestContext,
        credential_id: UUID,
        *,
        sad: str,
        documents: Sequence[bytes],
        digests: Sequence[bytes],
        algorithms: Sequence[str],
        body: bytes,
    ) -> Released:
        """PDFs sealed as PAdES B-B, and CMS objects over digests; the answer is SignedDocuments.

        A document is authorised by its SHA-256. It is laid out before the intent: what cannot be signed
        leaves no trace of a signature. Errors: as of `sign_hashes`, DOCUMENT_*, SEAL_NOT_FOR_FORMAT.
        """
        asked = await self._asked(context, credential_id, sad)
        require_suite(asked.credential.algorithm, algorithms)
        if not documents and not digests:
            raise fault_error("documents", "required", "give documents, or digests of documents")
        if sum(map(len, documents)) > MOST_DOCUMENT_BYTES:
            raise DocumentTooLargeError(f"the documents are larger than {MOST_DOCUMENT_BYTES} bytes (4 MiB)")
        require_digests(digests, digest_bytes(asked.credential.algorithm), "digests")
        own = [hashlib.sha256(document).digest() for document in documents]
        if set(own) - set(asked.authorisation.digests):
            raise not_authorised()  # Before a worker has the trouble.
        moment = self._clock().replace(microsecond=0)
        left = max(0.0, (context.deadline - self._clock()).total_seconds())
        async with asyncio.timeout(left):
            prepared = [await self._laid_out(asked.credential, one, moment) for one in documents]

        async def sign(key: DigestSigner) -> SignedDocuments:
            sealed = []
            for one in prepared:
                before = hashlib.new(SUITES[key.algorithm].digest, one.original)
                cms = await self._envelope(key, one.digest_after(before))
                sealed.append(one.original + one.filled_update(cms))
            return SignedDocuments(
                tuple(sealed), tuple([await self._envelope(key, digest) for digest in digests])
            )

        return await self._act(context, asked, [*own, *digests], sign, method=SIGN_DOCUMENTS, body=body)

    async def _asked(self, context: RequestContext, credential_id: UUID, sad: str) -> _Asked:
        """The caller's own credential and authorisation. A replay passes here: its SAD was right."""
        credential = of_caller(await self._store.find(credential_id), context)
        credential.require_ready(self._clock())
        authorisation_id, secret = read_sad(sad)
        authorisation = await self._store.authorisation(authorisation_id)
        if authorisation is None:
            raise sad_invalid()
        authorisation.require_secret(secret, credential.id)
        return _Asked(credential, authorisation, secret)

    async def _laid_out(self, credential: Credential, document: bytes, moment: datetime) -> PreparedDocument:
        if format_of(document) is not Format.PDF:
            raise SealNotForFormatError("remote credentials sign PDF documents")
        return await self._workshop.prepare(
            document,
            Place(),
            self._draw(credential.owner_name),
            field_name=f"remote-{uuid4()}",
            signer_name=credential.owner_name,
            moment=moment,
        )

    async def _act(
        self,
        context: RequestContext,
        asked: _Asked,
        digests: Sequence[bytes],
        sign: Callable[[DigestSigner], Awaitable[SignedHashes | SignedDocuments]],
        *,
        method: str,
        body: bytes,
    ) -> Released:
        """Spends the digests, signs and records, all in the act's one transaction."""
        named = [
            credential_ref(asked.credential),
            RecordRef("remote_authorisation", str(asked.authorisation.id)),
        ]

        async def do(tx: Transaction, intent_id: UUID) -> Produced:
            self._require_time()
            now = self._clock()
            # Anew: the credential may have been revoked since, the authorisation spent.
            authorisation = await self._store.lock_authorisation(tx, asked.authorisation.id)
            credential = of_caller(await self._store.find_within(tx, asked.credential.id), context)
            credential.require_ready(now)
            if authorisation is None:
                raise sad_invalid()
            authorisation.require_open(digests, now)
            key = self._keys.open_for_sad(
                authorisation.wrapped_key, asked.secret, authorisation.binding, credential.certificate
            )
            records = [
                RemoteSignature(
                    uuid4(), credential.id, authorisation.id, intent_id, digest, now, context.caller.name
                )
                for digest in digests
            ]
            for record in records:
                if not await self._store.spend(tx, record):
                    raise not_authorised()
            answer = await sign(key)
            await self._store.end_if_spent(tx, authorisation.id)
            put = [RecordRef("remote_signature", str(record.id)) for record in records]
            return Produced(answer, records=[*named, *put], subject=company(credential))

        return await self._disclosure.act(
            by_holder(context, asked.credential),
            method=method,
            body=body,
            do=do,
            subject=company(asked.credential),
            records=named,
        )
