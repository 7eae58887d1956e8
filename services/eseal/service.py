"""The seal desk: lists seals, puts them on documents, checks documents that bear them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.disclosure import Disclosure, Produced, RecordRef, Released, RequestContext
from core.trace import current_trace_parent
from services.eseal.domain import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    SUITES,
    Format,
    Seal,
    format_of,
    require_size,
)
from services.eseal.refusals import DocumentNotRecordedError
from services.eseal.sealing.filling import FormWish
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.ports import CertificateReader, Workshop
from services.eseal.sealing.pressing import sha256_of
from services.eseal.sealing.putting import (
    FoundSeal,
    LaidOut,
    Proofs,
    Putting,
    PuttingStore,
    Wish,
    matter_of,
    require_office,
)
from services.eseal.sealing.recorded import Answer, Book, Hasher, Records
from services.eseal.verifying.finding import Finding
from services.eseal.verifying.pace import Pace
from services.eseal.verifying.standing import Standing, State
from services.eseal.verifying.verdict import DocumentReport, report_on

VERIFY = "eseal.verify"


class SealStore(PuttingStore, Records, Protocol):
    """What the desk reads and writes besides."""

    async def list_usable(
        self,
        *,
        office: str,
        matter_code: str,
        after: UUID | None,
        limit: int,
        operator: str,
        caller: str,
    ) -> Sequence[Seal]:
        """Seals that an office may use, for a matter or for any (''), by name."""
        ...

    async def of_certificates(self, digests: Sequence[str]) -> Mapping[str, Seal]:
        """Seals by SHA-256 of their certificates, past ones included."""
        ...

    async def certificates(self, key_id: UUID) -> tuple[bytes, Sequence[bytes]] | None:
        """A key's certificate and those between it and its root, DER; also of a key that is gone."""
        ...

    async def signing_times(self, cms_digests: Sequence[bytes]) -> Mapping[bytes, datetime]:
        """When our signatures were put, by SHA-256 of their CMS objects."""
        ...


class Sealing(Protocol):
    """Puts seals on documents, those of calls that come at the same time together (`bulk.desk`)."""

    async def put(
        self,
        context: RequestContext,
        *,
        seal_id: UUID,
        lay_out: Callable[[FoundSeal], Awaitable[LaidOut]],
        body: bytes,
    ) -> Released:
        """Seals what is laid out once per request_id, by the disclosure protocol; a SealedDocument."""
        ...


class ReadingWorkshop(Workshop, CertificateReader, Protocol):
    """Reads documents, and certificates alone."""


class SealDesk:
    """What callers may do with seals. The context has been verified; rights to seals are checked here."""

    def __init__(
        self,
        *,
        store: SealStore,
        putting: Putting,
        sealing: Sealing,
        workshop: ReadingWorkshop,
        public_workshop: Workshop,
        disclosure: Disclosure,
        roots: Mapping[Format, Sequence[bytes]],
        hasher: Hasher,
        clock: Clock,
        proofs: Proofs = Proofs(),  # noqa: B008  # frozen
    ) -> None:
        self._store = store
        self._workshop = workshop
        self._public_workshop = public_workshop  # Its own: a crowd of strangers holds up no office.
        self._putting = putting
        self._sealing = sealing
        self._book = Book(store, hasher, clock)
        self._proofs = proofs
        self._disclosure = disclosure
        self._roots = roots
        self._clock = clock

    async def list_seals(
        self, context: RequestContext, *, page_size: int, after: UUID | None
    ) -> tuple[Sequence[Seal], UUID | None]:
        """The seals that the context's office may use, and the id to go on after, None on the last page."""
        office = require_office(context)
        size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        seals = await self._store.list_usable(
            office=office,
            matter_code=matter_of(context),
            after=after,
            limit=size + 1,
            operator=context.operator,
            caller=context.caller.name,
        )
        page = seals[:size]
        return page, page[-1].id if len(seals) > size else None

    async def sign(
        self,
        context: RequestContext,
        *,
        seal_id: UUID,
        document: bytes,
        place: Placing,
        body: bytes,
        level: int = 0,
        certify: bool = False,
    ) -> Released:
        """Seals a PDF or an OFD once per request_id; the answer is a SealedDocument.

        `body` is what the request says besides the file. The file is read and laid out before the intent is
        recorded: what cannot be sealed leaves no trace of a seal. `level` as in `levels.Level`, 0 for the
        seal's own. Errors: SEAL_NOT_FOUND, SEAL_NOT_ALLOWED, SEAL_QUOTA_SPENT, SEAL_NOT_IN_FORCE,
        SEAL_NOT_FOR_FORMAT, ALGORITHM_UNAVAILABLE, DOCUMENT_*, PAGE_NOT_FOUND, LEVEL_*,
        CERTIFICATION_NOT_FIRST, TIMESTAMP_UNAVAILABLE, TIME_NOT_PROVED, CERTIFICATE_REVOKED,
        REVOCATION_UNKNOWN.
        """

        require_size(document)
        taken_in = await sha256_of(document)
        wish = Wish(document, place, level, certify, taken_in)

        async def lay_out(found: FoundSeal) -> LaidOut:
            async with asyncio.timeout(self._seconds_left(context)):
                return await self._putting.lay_out(found, wish)

        body = taken_in.digest() + body
        return await self._put(context, seal_id, lay_out, body)

    async def sign_form(
        self, context: RequestContext, *, seal_id: UUID, wish: FormWish, body: bytes
    ) -> Released:
        """Fills a template and seals what it gives, once per request_id; the answer is a SealedDocument.

        Errors: as of `sign`, TEMPLATE_NOT_FOUND, TEMPLATE_FIELDS_INVALID.
        """

        async def lay_out(found: FoundSeal) -> LaidOut:
            async with asyncio.timeout(self._seconds_left(context)):
                return await self._putting.lay_out_form(found, wish, context.office)

        return await self._put(context, seal_id, lay_out, body)

    async def _put(
        self,
        context: RequestContext,
        seal_id: UUID,
        lay_out: Callable[[FoundSeal], Awaitable[LaidOut]],
        body: bytes,
    ) -> Released:
        # Its entries are written among others': each belongs to its own trace.
        context = replace(context, trace_parent=current_trace_parent() or context.trace_parent)
        async with asyncio.timeout(self._seconds_left(context)):
            return await self._sealing.put(context, seal_id=seal_id, lay_out=lay_out, body=body)

    async def verify(self, context: RequestContext, *, document: bytes, body: bytes) -> Released:
        """Checks every seal in a PDF or an OFD; the answer is a DocumentReport.

        Errors: DOCUMENT_*, ALGORITHM_UNAVAILABLE.

        `body` is what the request says besides the file.
        """
        require_size(document)
        digest = (await sha256_of(document)).digest()

        async def produce() -> Produced:
            seconds = self._seconds_left(context)
            return _checked(await self._check(self._workshop, document, digest, seconds=seconds))

        return await self._disclosure.read(context, method=VERIFY, body=digest + body, produce=produce)

    async def verify_digest(
        self, context: RequestContext, *, sha256: bytes, body: bytes, pace: Pace
    ) -> Released:
        """The same of a file that stays where it is, by its digest: from our own record alone. `pace` is that
        of all such checks.

        What the answer says is what it says of the file, so a repeated request may be either. Errors:
        DOCUMENT_NOT_RECORDED, WORKSHOP_BUSY.
        """

        async def produce() -> Produced:
            # Its deadline is the item's, which is kept where the batch is taken apart.
            answer = await self._book.look_up(sha256, self._vouched)
            if answer is None:
                raise DocumentNotRecordedError(
                    "our record does not answer for a file of this digest, which says nothing about"
                    " whether it is valid; send the file itself"
                )
            standings = await self._standings(answer.findings)
            await pace.turn()
            return _checked(self._report(answer, standings, sha256))

        return await self._disclosure.read(context, method=VERIFY, body=sha256 + body, produce=produce)

    async def check(self, document: bytes, *, seconds: float) -> DocumentReport:
        """Checks every seal in a file for anybody. Errors: DOCUMENT_*, ALGORITHM_UNAVAILABLE, WORKSHOP_BUSY.

        Nothing personal leaves by it: the report says what the file shows, and which of our seals stand.
        """
        require_size(document)
        digest = (await sha256_of(document)).digest()
        return await self._check(self._public_workshop, document, digest, seconds=seconds)

    async def _check(
        self, workshop: Workshop, document: bytes, digest: bytes, *, seconds: float
    ) -> DocumentReport:
        form = format_of(document)
        async with asyncio.timeout(seconds):
            answer = await self._book.look_up(digest)
            if answer is None:
                answer = await self._inspected(workshop, document, form)
            standings = await self._standings(answer.findings)
        return self._report(answer, standings, digest)

    def _report(self, answer: Answer, standings: Sequence[Standing], digest: bytes) -> DocumentReport:
        return report_on(
            answer.findings,
            seals=answer.seals,
            signing_times=answer.signing_times,
            document_sha256=digest.hex(),
            moment=self._clock(),
            standings=standings,
            refuse_unknown=self._proofs.refuse_unknown,
        )

    async def _inspected(self, workshop: Workshop, document: bytes, form: Format) -> Answer:
        """What the file shows to who reads it, and what our records say of that."""
        findings = await workshop.inspect(
            document, roots=self._roots[form], moment=self._clock(), time_roots=self._proofs.time_roots
        )
        self._book.learn(findings)
        seals = await self._store.of_certificates([it.certificate_sha256 for it in findings])
        times = await self._store.signing_times([it.cms_sha256 for it in findings])
        return Answer(findings, seals, times)

    async def _vouched(self, seal: Seal) -> Sequence[Finding]:
        """What is to be said now of the certificate that a seal was put with; nothing of one for OFDs."""
        suite, found = SUITES[seal.algorithm], await self._store.certificates(seal.key_id)
        if suite.format is not Format.PDF or found is None:
            return []
        certificate, above = found
        if hashlib.sha256(certificate).hexdigest() != seal.certificate_sha256:
            return []
        return await self._workshop.vouch(
            certificate, above, suite.digest, roots=self._roots[Format.PDF], moment=self._clock()
        )

    async def _standings(self, findings: Sequence[Finding]) -> Sequence[Standing]:
        """What is known of each seal's certificates: from their authorities, else from the file itself."""
        statuses = self._proofs.statuses
        if statuses is None:
            return [finding.kept.as_of_file() for finding in findings]
        asked = await asyncio.gather(*(statuses.of_chain(finding.certificates) for finding in findings))
        return [
            finding.kept.as_of_file() if said.state is State.UNKNOWN else said
            for finding, said in zip(findings, asked, strict=True)
        ]

    def _seconds_left(self, context: RequestContext) -> float:
        return max(0.0, (context.deadline - self._clock()).total_seconds())


def _checked(report: DocumentReport) -> Produced:
    """A report, and what its entry says of it."""
    known = [
        RecordRef(f"seal:{seal.seal_id}", seal.finding.certificate_sha256)
        for seal in report.seals
        if seal.seal_id
    ]
    return Produced(report, field_names=["verdict", "seals"], records=known)
