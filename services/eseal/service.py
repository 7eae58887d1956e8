"""The seal desk: lists seals, puts them on documents, checks documents that bear them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID, uuid4

from core.clock import Clock
from core.disclosure import Disclosure, Produced, RecordRef, Released, RequestContext, Transaction
from core.errors import fault_error
from services.eseal.domain import (
    DEFAULT_PAGE_SIZE,
    MAX_PAGE_SIZE,
    Finding,
    Format,
    Seal,
    SealedDocument,
    SealUser,
    SignatureRecord,
    Stamp,
    format_of,
    require_allowed,
    require_size,
)
from services.eseal.levels import Level, level_of, require_means
from services.eseal.placing import Placing
from services.eseal.pressing import (
    Envelope,
    Lasting,
    Order,
    Presses,
    SealSignature,
    Signer,
    Workshop,
    sha256_of,
)
from services.eseal.refusals import LevelNotForFormatError, SealNotFoundError, SealNotInForceError
from services.eseal.standing import Standing, State, require_good
from services.eseal.usage import day_in_china, quota_spent
from services.eseal.verdict import DocumentReport, report_on

SIGN = "eseal.sign"
VERIFY = "eseal.verify"


class SealStore(Protocol):
    """Seals and the records of signatures."""

    async def find(self, tx: Transaction, seal_id: UUID) -> tuple[Seal, Sequence[SealUser]] | None:
        """A seal with its current key, and the permissions to use it, as the transaction sees them."""
        ...

    async def find_to_put(self, seal_id: UUID) -> tuple[Seal, Sequence[SealUser], Stamp] | None:
        """A seal with its current key, the permissions to use it, and what it puts on a document."""
        ...

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

    async def signing_times(self, cms_digests: Sequence[bytes]) -> Mapping[bytes, datetime]:
        """When our signatures were put, by SHA-256 of their CMS objects."""
        ...

    async def has_quota(self, rule: SealUser, day: date) -> bool:
        """Whether a limited permission has something left on a day."""
        ...

    async def take_quota(self, tx: Transaction, rule: SealUser, day: date) -> bool:
        """Takes one use of a limited permission in the act's transaction; False where it is used up."""
        ...

    async def add_signature(self, tx: Transaction, record: SignatureRecord) -> None:
        """Writes the record of a signature, in the act's transaction."""
        ...


class Keystore(Protocol):
    """Where keys are kept."""

    async def signer(self, key_id: UUID) -> Signer:
        """A key ready for use. Raises KeyUnknownError."""
        ...


class Statuses(Protocol):
    """Who knows what became of certificates."""

    async def of_chain(self, certificates: Sequence[bytes]) -> Standing:
        """Of a certificate and those above it, DER, the root left out: the worst there is."""
        ...


@dataclass(frozen=True)
class Proofs:
    """What vouches for seals besides their signatures; without any, seals are of level B-B, and nobody is
    asked about revocations."""

    lasting: Lasting | None = None
    statuses: Statuses | None = None
    refuse_unknown: bool = False
    """Whether a certificate of which nobody says that it is good counts as none."""
    time_roots: Sequence[bytes] = ()
    """The authorities whose timestamps are believed, DER."""


class SealDesk:
    """What callers may do with seals. The context has been verified; rights to seals are checked here."""

    def __init__(
        self,
        *,
        store: SealStore,
        keystore: Keystore,
        workshop: Workshop,
        public_workshop: Workshop,
        envelope: Envelope,
        seal_signature: SealSignature,
        disclosure: Disclosure,
        roots: Mapping[Format, Sequence[bytes]],
        clock: Clock,
        proofs: Proofs = Proofs(),  # frozen
    ) -> None:
        self._store = store
        self._keystore = keystore
        self._workshop = workshop
        self._public_workshop = public_workshop  # Its own: a crowd of strangers holds up no office.
        self._presses = Presses(workshop, envelope, seal_signature, proofs.lasting)
        self._proofs = proofs
        self._disclosure = disclosure
        self._roots = roots
        self._clock = clock

    async def list_seals(
        self, context: RequestContext, *, page_size: int, after: UUID | None
    ) -> tuple[Sequence[Seal], UUID | None]:
        """The seals that the context's office may use, and the id to go on after, None on the last page."""
        office = _office(context)
        size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        seals = await self._store.list_usable(
            office=office,
            matter_code=_matter(context),
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
        seal, stamp = await self._authorised(context, seal_id)
        form = format_of(document)
        seal.require_format(form)
        wanted = level_of(level, Level(stamp.least_level), form)
        if certify and form is Format.OFD:
            raise LevelNotForFormatError("an OFD is not certified; leave certify out", field="certify")
        require_means(
            wanted, stamps=self._proofs.lasting is not None, statuses=self._proofs.statuses is not None
        )
        # What the seal changes comes after the file: it is taken in once, for all three digests.
        original = await sha256_of(document)
        document_sha256 = original.digest()
        signature_id, signed_at = uuid4(), self._clock().replace(microsecond=0)
        async with asyncio.timeout(self._seconds_left(context)):
            signer = await self._keystore.signer(seal.key_id)
            await self._require_good(signer)
            name = f"seal-{signature_id}"
            order = Order(document, form, place, stamp, name, seal.name, signed_at, wanted, certify)
            press = await self._presses.lay_out(order, original)

        async def do(tx: Transaction, intent_id: UUID) -> Produced:
            # Anew: the seal may have been suspended or given another key since, the permission withdrawn.
            found = await self._store.find(tx, seal.id)
            if found is None or found[0].key_id != seal.key_id:
                raise SealNotInForceError("the seal's key was replaced meanwhile; ask again")
            current, users = found
            current.require_in_force(self._clock())
            rule = _rule(users, context)
            # Before the key is used; who comes at the same time waits here until this one is stored.
            if rule.is_limited and not await self._store.take_quota(tx, rule, day_in_china(self._clock())):
                raise quota_spent()
            async with asyncio.timeout(self._seconds_left(context)):
                pressed = await press(signer)
            record = SignatureRecord(
                id=signature_id,
                seal_id=seal.id,
                key_id=seal.key_id,
                signed_at=signed_at,
                document_sha256=document_sha256,
                sealed_sha256=pressed.sealed_sha256,
                cms_sha256=pressed.value_sha256,
                intent_id=intent_id,
                caller=context.caller.name,
                office_code=context.office,
                matter_code=_matter(context),
                case_number=context.basis.case_number if context.basis else "",
            )
            await self._store.add_signature(tx, record)
            answer = SealedDocument(document, pressed.update, signature_id, signed_at, form)
            return Produced(answer, records=[_seal_ref(seal), RecordRef("signature", str(signature_id))])

        async with self._presses.slot(wanted):
            return await self._disclosure.act(
                context,
                method=SIGN,
                body=document_sha256 + body,
                do=do,
                records=[_seal_ref(seal)],
            )

    async def verify(self, context: RequestContext, *, document: bytes, body: bytes) -> Released:
        """Checks every seal in a PDF or an OFD; the answer is a DocumentReport.

        Errors: DOCUMENT_*, ALGORITHM_UNAVAILABLE.

        `body` is what the request says besides the file.
        """
        require_size(document)
        digest = (await sha256_of(document)).digest()

        async def produce() -> Produced:
            report = await self._check(
                self._workshop, document, digest.hex(), seconds=self._seconds_left(context)
            )
            known = [
                RecordRef(f"seal:{seal.seal_id}", seal.finding.certificate_sha256)
                for seal in report.seals
                if seal.seal_id
            ]
            return Produced(report, field_names=["verdict", "seals"], records=known)

        return await self._disclosure.read(context, method=VERIFY, body=digest + body, produce=produce)

    async def check(self, document: bytes, *, seconds: float) -> DocumentReport:
        """Checks every seal in a file for anybody. Errors: DOCUMENT_*, ALGORITHM_UNAVAILABLE, WORKSHOP_BUSY.

        Nothing personal leaves by it: the report says what the file shows, and which of our seals stand.
        """
        require_size(document)
        digest = (await sha256_of(document)).digest()
        return await self._check(self._public_workshop, document, digest.hex(), seconds=seconds)

    async def _check(
        self, workshop: Workshop, document: bytes, digest: str, *, seconds: float
    ) -> DocumentReport:
        async with asyncio.timeout(seconds):
            roots = self._roots[format_of(document)]
            findings = await workshop.inspect(
                document, roots=roots, moment=self._clock(), time_roots=self._proofs.time_roots
            )
            standings = await self._standings(findings)
        seals = await self._store.of_certificates([it.certificate_sha256 for it in findings])
        times = await self._store.signing_times([it.cms_sha256 for it in findings])
        return report_on(
            findings,
            seals=seals,
            signing_times=times,
            document_sha256=digest,
            moment=self._clock(),
            standings=standings,
            refuse_unknown=self._proofs.refuse_unknown,
        )

    async def _standings(self, findings: Sequence[Finding]) -> Sequence[Standing]:
        """What is known of each seal's certificates: from their authorities, else from the file itself."""
        statuses = self._proofs.statuses
        if statuses is None:
            return [finding.kept for finding in findings]
        asked = await asyncio.gather(*(statuses.of_chain(finding.certificates) for finding in findings))
        return [
            finding.kept if said.state is State.UNKNOWN else said
            for finding, said in zip(findings, asked, strict=True)
        ]

    async def _require_good(self, signer: Signer) -> None:
        """Passes a key whose certificates have not been revoked, as far as anybody can be asked."""
        if self._proofs.statuses is not None:
            standing = await self._proofs.statuses.of_chain([signer.certificate, *signer.chain])
            require_good(standing, refuse_unknown=self._proofs.refuse_unknown)

    async def _authorised(self, context: RequestContext, seal_id: UUID) -> tuple[Seal, Stamp]:
        """The seal, which the context's office may use now for the context's matter, and what it puts."""
        _office(context)
        found = await self._store.find_to_put(seal_id)
        if found is None:
            raise SealNotFoundError("no seal has this id; list the seals that the office may use")
        seal, users, stamp = found
        rule = _rule(users, context)
        seal.require_in_force(self._clock())
        if rule.is_limited and not await self._store.has_quota(rule, day_in_china(self._clock())):
            raise quota_spent()
        return seal, stamp

    def _seconds_left(self, context: RequestContext) -> float:
        return max(0.0, (context.deadline - self._clock()).total_seconds())


def _office(context: RequestContext) -> str:
    if not context.office:
        raise fault_error("context.office", "required", "the USCC of the office that uses the seal")
    return context.office


def _rule(users: Sequence[SealUser], context: RequestContext) -> SealUser:
    return require_allowed(
        users,
        office=context.office,
        matter_code=_matter(context),
        operator=context.operator,
        caller=context.caller.name,
    )


def _matter(context: RequestContext) -> str:
    return context.basis.matter_code if context.basis else ""


def _seal_ref(seal: Seal) -> RecordRef:
    return RecordRef(f"seal:{seal.id}", seal.certificate_sha256)
