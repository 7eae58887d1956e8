"""The steps by which one seal is put on one document, alone or among thousands.

Whoever takes them keeps the disclosure protocol around them: found and permitted, laid out, and only then the
intent; looked at again in the act's transaction, pressed, recorded there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Protocol
from uuid import UUID, uuid4

from core.clock import Clock
from core.disclosure import Produced, RecordRef, RequestContext, Transaction
from core.errors import fault_error
from services.eseal.domain import (
    SUITES,
    Format,
    Place,
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
from services.eseal.refusals import LevelNotForFormatError, SealNotFoundError, SealNotInForceError
from services.eseal.sealing.filling import FORM_FIELD, Filler, FormOrder, FormWish
from services.eseal.sealing.placing import Placing
from services.eseal.sealing.ports import Lasting, Signer
from services.eseal.sealing.prepared import RunningDigest
from services.eseal.sealing.pressing import Order, Press, Presses, room_of, sha256_of
from services.eseal.sealing.recorded import Hasher, facts_of
from services.eseal.verifying.standing import Standing, require_good

SIGN = "eseal.sign"
"""How the ledger names the act, and what keys of requests count for: alone or among many it is the same."""


class PuttingStore(Protocol):
    """Seals, their permissions, and the records of signatures."""

    async def find(self, tx: Transaction, seal_id: UUID) -> tuple[Seal, Sequence[SealUser]] | None:
        """A seal with its current key, and the permissions to use it, as the transaction sees them."""
        ...

    async def find_to_put(self, seal_id: UUID) -> tuple[Seal, Sequence[SealUser], Stamp] | None:
        """A seal with its current key, the permissions to use it, and what it puts on a document."""
        ...

    async def has_quota(self, rule: SealUser, day: date) -> bool:
        """Whether a limited permission has something left on a day."""
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


@dataclass(frozen=True)
class FoundSeal:
    """A seal as it was found: who may use it, and what it puts on a document."""

    seal: Seal
    users: Sequence[SealUser]
    stamp: Stamp


@dataclass(frozen=True)
class Wish:
    """A document to be sealed, and how. `level` as in `levels.Level`, 0 for the seal's own."""

    document: bytes = field(repr=False)
    place: Placing
    level: int = 0
    certify: bool = False
    taken_in: RunningDigest | None = None
    """A SHA-256 that has taken the document in, where there is one already."""


@dataclass(frozen=True)
class LaidOut:
    """A document that is laid out for its seal, and the key that seals it."""

    seal: Seal
    document: bytes = field(repr=False)
    format: Format
    level: Level
    document_sha256: bytes
    signature_id: UUID
    signed_at: datetime
    signer: Signer
    press: Press
    plate: bytes = b""
    """SHA-256 of the document, where it is no file that came but a template's plate."""
    link: str = ""
    """The verification link of a template's document."""

    @property
    def came_sha256(self) -> bytes:
        """Of the file that came; a template's document is new at each try, and nothing came."""
        return b"" if self.plate else self.document_sha256


class Putting:
    """Puts seals on documents, step by step."""

    def __init__(
        self,
        *,
        store: PuttingStore,
        keystore: Keystore,
        presses: Presses,
        filler: Filler,
        proofs: Proofs,
        hasher: Hasher,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keystore = keystore
        self._presses = presses
        self._filler = filler
        self._proofs = proofs
        self._hasher = hasher
        self._clock = clock

    async def find(self, seal_id: UUID) -> FoundSeal:
        """The seal. Raises SealNotFoundError."""
        found = await self._store.find_to_put(seal_id)
        if found is None:
            raise SealNotFoundError("no seal has this id; list the seals that the office may use")
        return FoundSeal(*found)

    def permitted(self, found: FoundSeal, context: RequestContext) -> SealUser:
        """The permission by which the context's office may use the seal now, for the context's matter.

        Raises InvalidError, SealNotAllowedError, SealNotInForceError.
        """
        require_office(context)
        rule = rule_of(found.users, context)
        found.seal.require_in_force(self._clock())
        return rule

    async def lay_out(self, found: FoundSeal, wish: Wish) -> LaidOut:
        """Reads the document, lays it out, and fetches the key.

        Errors: SEAL_NOT_FOR_FORMAT, ALGORITHM_UNAVAILABLE, DOCUMENT_*, PAGE_NOT_FOUND, LEVEL_*,
        CERTIFICATION_NOT_FIRST, TIME_NOT_PROVED, CERTIFICATE_REVOKED, REVOCATION_UNKNOWN, WORKSHOP_BUSY.
        """
        document, seal = wish.document, found.seal
        require_size(document)
        form = format_of(document)
        seal.require_format(form)
        level = level_of(wish.level, Level(found.stamp.least_level), form)
        if wish.certify and form is Format.OFD:
            raise LevelNotForFormatError("an OFD is not certified; leave certify out", field="certify")
        self._require_means(level)
        # What the seal changes comes after the file: it is taken in once, for all three digests.
        original = wish.taken_in or await sha256_of(document)
        document_sha256 = original.digest()
        signer = await self.signer(seal)
        signature_id, signed_at = uuid4(), self._clock().replace(microsecond=0)
        name = f"seal-{signature_id}"
        order = Order(
            document, form, wish.place, found.stamp, name, seal.name, signed_at, level, wish.certify
        )
        press = await self._presses.lay_out(order, original)
        return LaidOut(seal, document, form, level, document_sha256, signature_id, signed_at, signer, press)

    async def lay_out_form(self, found: FoundSeal, wish: FormWish, office: str) -> LaidOut:
        """Fills a template with the seal laid out on it, a PDF or an OFD as the seal is for; fetches the key.

        Errors: TEMPLATE_NOT_FOUND, TEMPLATE_FIELDS_INVALID, ALGORITHM_UNAVAILABLE, LEVEL_*, TIME_NOT_PROVED,
        CERTIFICATE_REVOKED, REVOCATION_UNKNOWN, WORKSHOP_BUSY.
        """
        seal, stamp = found.seal, found.stamp
        form = SUITES[seal.algorithm].format
        level = level_of(wish.level, Level(stamp.least_level), form)
        self._require_means(level)
        signer = await self.signer(seal)
        signature_id, signed_at = uuid4(), self._clock().replace(microsecond=0)
        filled = await self._filler.fill(
            FormOrder(wish, office, stamp, seal.name, form, signature_id, signed_at, room_of(level, signer)),
            self._presses.read_photo,
        )
        order = Order(filled.plate, form, Place(), stamp, FORM_FIELD, seal.name, signed_at, level)
        signed_sha256 = filled.signed_sha256
        press = self._presses.press_of(filled.prepared, filled.taken_in, order, signed_sha256)
        return LaidOut(
            seal=seal,
            document=filled.plate,
            format=form,
            level=level,
            document_sha256=signed_sha256,
            signature_id=signature_id,
            signed_at=signed_at,
            signer=signer,
            press=press,
            plate=filled.taken_in.digest(),
            link=filled.link,
        )

    def _require_means(self, level: Level) -> None:
        proofs = self._proofs
        require_means(level, stamps=proofs.lasting is not None, statuses=proofs.statuses is not None)

    async def signer(self, seal: Seal) -> Signer:
        """The seal's key, whose certificates have not been revoked, as far as anybody can be asked.

        Errors: TIME_NOT_PROVED, CERTIFICATE_REVOKED, REVOCATION_UNKNOWN, and the keystore's own.
        """
        signer = await self._keystore.signer(seal.key_id)
        if self._proofs.statuses is not None:
            standing = await self._proofs.statuses.of_chain([signer.certificate, *signer.chain])
            require_good(standing, refuse_unknown=self._proofs.refuse_unknown)
        return signer

    async def users_now(self, tx: Transaction, seal: Seal) -> Sequence[SealUser]:
        """The permissions to use a seal, looked at again in the act's transaction.

        The seal may have been suspended or given another key since. Raises SealNotInForceError.
        """
        found = await self._store.find(tx, seal.id)
        if found is None or found[0].key_id != seal.key_id:
            raise SealNotInForceError("the seal's key was replaced meanwhile; ask again")
        current, users = found
        current.require_in_force(self._clock())
        return users

    async def press(
        self, laid_out: LaidOut, context: RequestContext, intent_id: UUID
    ) -> tuple[Produced, SignatureRecord]:
        """Signs; what is to be released of it, a SealedDocument, and the record of it."""
        pressed = await laid_out.press(laid_out.signer)
        seal, document = laid_out.seal, laid_out.document
        record = SignatureRecord(
            id=laid_out.signature_id,
            seal_id=seal.id,
            key_id=seal.key_id,
            signed_at=laid_out.signed_at,
            document_sha256=laid_out.document_sha256,
            sealed_sha256=pressed.sealed_sha256,
            cms_sha256=pressed.value_sha256,
            intent_id=intent_id,
            caller=context.caller.name,
            office_code=context.office,
            matter_code=matter_of(context),
            case_number=context.basis.case_number if context.basis else "",
        )
        record = replace(record, facts=facts_of(self._hasher, record, pressed.shown, seal.certificate_sha256))
        answer = SealedDocument(
            document,
            pressed.update,
            record.id,
            record.signed_at,
            laid_out.format,
            laid_out.plate,
            laid_out.link,
        )
        return Produced(answer, records=[seal_ref(seal), RecordRef("signature", str(record.id))]), record


def require_office(context: RequestContext) -> str:
    """The office in whose name the caller asks. Raises InvalidError where it names none."""
    if not context.office:
        raise fault_error("context.office", "required", "the USCC of the office that uses the seal")
    return context.office


def rule_of(users: Sequence[SealUser], context: RequestContext) -> SealUser:
    """The narrowest permission that covers the context. Raises SealNotAllowedError."""
    return require_allowed(
        users,
        office=context.office,
        matter_code=matter_of(context),
        operator=context.operator,
        caller=context.caller.name,
    )


def matter_of(context: RequestContext) -> str:
    """The matter that the context's basis names; empty where it names none."""
    return context.basis.matter_code if context.basis else ""


def seal_ref(seal: Seal) -> RecordRef:
    """The seal as entries of the ledger name it."""
    return _seal_ref(seal.id, seal.certificate_sha256)


@lru_cache(maxsize=256)
def _seal_ref(seal_id: UUID, certificate_sha256: str) -> RecordRef:
    return RecordRef(f"seal:{seal_id}", certificate_sha256)
