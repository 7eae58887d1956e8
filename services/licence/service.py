"""The licence desk: finds a holder's licences for a case, reads them by use code, verifies identifiers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

from core.clock import Clock
from core.disclosure import Basis, BasisKind, Disclosure, Produced, RecordRef, Released, RequestContext
from core.errors import BasisMissingError, fault_error
from core.identifiers import check_subject, normalise_number, parse_licence_identifier
from core.identity import Subject
from services.licence.domain import (
    MOST_LICENCES_PER_ANSWER,
    PLAIN_NAMES,
    CaseBinding,
    Catalogue,
    FieldValue,
    Licence,
    LicenceKey,
    LicenceNotFoundError,
    LicenceState,
    TooManyLicencesError,
    UseCodeInvalidError,
    UseGrant,
    Verdict,
    day_of,
    newest,
    unregistered,
)

USE_CODE_LIFE = timedelta(minutes=10)

SUMMARY_NAMES = ("issuer_name", "state", "type_name", "valid_from", "valid_until", "version")
"""What every summary shows, as the ledger entry says it."""


class OpenLicence(Protocol):
    """A licence whose contents can be read. Nothing is decrypted before it is asked for."""

    @property
    def licence(self) -> Licence: ...

    def holder(self) -> Subject:
        """Whose it is."""
        ...

    def fields(self, names: Collection[str]) -> dict[str, FieldValue]:
        """The named face fields, number and holder_name, as far as the licence has them."""
        ...


class Register(Protocol):
    """The register of licences."""

    async def current(self, holder: Subject, type_codes: Collection[str]) -> Sequence[Licence]:
        """The holder's licences of these types, without those a newer version has replaced."""
        ...

    async def locate(self, identifier: str) -> LicenceKey | None:
        """The licence that carries the identifier."""
        ...

    async def open(self, key: LicenceKey) -> OpenLicence | None:
        """The licence with its contents, replaced or not."""
        ...


class UseCodes(Protocol):
    """Turns grants into opaque codes and back."""

    def issue(self, grant: UseGrant) -> str: ...

    def open(self, code: str) -> UseGrant:
        """The grant. Raises UseCodeInvalidError for a code that is not ours, or not as we issued it."""
        ...


@dataclass(frozen=True)
class Summary:
    """A licence as a search shows it, with its state on the day of asking."""

    licence: Licence
    type_name: str
    state: LicenceState


@dataclass(frozen=True)
class SearchAnswer:
    """What a search found; a use code only where there is something to read."""

    licences: tuple[Summary, ...]
    missing_type_codes: tuple[str, ...]
    use_code: str = ""
    use_code_expires_at: datetime | None = None


@dataclass(frozen=True)
class GetAnswer:
    """One licence with the fields that the matter is entitled to."""

    summary: Summary
    fields: Mapping[str, FieldValue]


@dataclass(frozen=True)
class VerifyAnswer:
    """What can be said of an identifier; the summary where it is genuine."""

    verdict: Verdict
    as_of: date
    summary: Summary | None = None


@dataclass(frozen=True)
class FieldsAnswer:
    """The fields of the licence that stands for its holder; none where it is not in force."""

    summary: Summary
    fields: Mapping[str, FieldValue]


class LicenceDesk:
    """The use cases. What leaves the system goes through the disclosure protocol, after authorisation."""

    def __init__(
        self,
        *,
        register: Register,
        catalogue: Catalogue,
        use_codes: UseCodes,
        disclosure: Disclosure,
        clock: Clock,
    ) -> None:
        self._register = register
        self._catalogue = catalogue
        self._use_codes = use_codes
        self._disclosure = disclosure
        self._clock = clock

    async def search(
        self, context: RequestContext, holder: Subject, type_codes: Sequence[str], *, body: bytes
    ) -> Released:
        """The holder's licences of the types, for a case, with a use code to read them.

        An unknown holder is answered like one without licences. Raises MatterNotEntitledError,
        CheckDigitError, NumberMalformedError, TooManyLicencesError.
        """
        matter = _matter(context)
        self._catalogue.require_types(matter.matter_code, type_codes)
        holder = check_subject(holder, "holder")

        async def produce() -> Produced:
            licences = await self._register.current(holder, type_codes)
            if len(licences) > MOST_LICENCES_PER_ANSWER:
                most = MOST_LICENCES_PER_ANSWER
                raise TooManyLicencesError(
                    f"the holder has more than {most} such licences; ask for fewer types"
                )
            found = {licence.type_code for licence in licences}
            missing = tuple(code for code in type_codes if code not in found)
            records = [_record(licence) for licence in licences]
            records += [RecordRef(f"licence.{code}", "none") for code in missing]
            return Produced(self._found(context, licences, missing), SUMMARY_NAMES, records, holder)

        return await self._disclosure.read(context, method="licence.search", body=body, produce=produce)

    async def get(self, context: RequestContext, licence_id: str, use_code: str, *, body: bytes) -> Released:
        """One licence that a search has found, under the search's use code.

        The code carries the basis; what the context names besides must agree. Raises UseCodeInvalidError,
        LicenceNotFoundError.
        """
        grant = self._use_codes.open(use_code)
        wanted = _uuid(licence_id)
        grant.require(_binding(context), wanted, self._clock())
        context = _under(grant, context)

        async def produce() -> Produced:
            opened = await self._register.open(LicenceKey(grant.subject_id, wanted))
            if opened is None or opened.licence.superseded:
                raise LicenceNotFoundError("the licence was replaced since the search; search again")
            entitled = self._catalogue.entitled(grant.binding.matter_code, opened.licence.type_code)
            answer = GetAnswer(self._summary(opened.licence), opened.fields(entitled))
            names = ("identifier", "issued_on", "issuer_code", *SUMMARY_NAMES, *sorted(answer.fields))
            return Produced(answer, names, [_record(opened.licence)], opened.holder())

        return await self._disclosure.read(context, method="licence.get", body=body, produce=produce)

    async def verify(self, context: RequestContext, identifier: str, *, body: bytes) -> Released:
        """Whether a licence identifier is genuine and in force, without the licence's contents."""
        _matter(context)

        async def produce() -> Produced:
            opened = await self._carrier(identifier)
            today = day_of(self._clock())
            if opened is None:
                return Produced(VerifyAnswer(unregistered(identifier), today), ("verdict",))
            answer = VerifyAnswer(Verdict.GENUINE, today, self._summary(opened.licence))
            names = ("verdict", "state", "type_name", "issuer_name", "superseded")
            return Produced(answer, names, [_record(opened.licence)], opened.holder())

        return await self._disclosure.read(context, method="licence.verify", body=body, produce=produce)

    async def read_fields(
        self, context: RequestContext, holder: Subject, type_code: str, names: Sequence[str]
    ) -> FieldsAnswer | None:
        """Entitled fields of the holder's newest licence of the type; None where there is no licence.

        An inner read: the composing service appends the entry. Only a licence in force gives fields. Raises
        MatterNotEntitledError, CheckDigitError, NumberMalformedError.
        """
        matter = _matter(context)
        self._catalogue.require_fields(matter.matter_code, type_code, names)
        holder = check_subject(holder, "holder")
        licence = newest(await self._register.current(holder, [type_code]), day_of(self._clock()))
        if licence is None:
            return None
        summary = self._summary(licence)
        if summary.state is not LicenceState.IN_FORCE:
            return FieldsAnswer(summary, {})
        sealed_names = set(names) - PLAIN_NAMES
        opened = await self._register.open(licence.key) if sealed_names else None
        fields = opened.fields(sealed_names) if opened is not None else {}
        return FieldsAnswer(summary, fields | licence.plain_fields(names))

    def _found(
        self, context: RequestContext, licences: Sequence[Licence], missing: tuple[str, ...]
    ) -> SearchAnswer:
        if not licences:
            return SearchAnswer((), missing)
        expires_at = (self._clock() + USE_CODE_LIFE).replace(microsecond=0)
        grant = UseGrant(
            binding=_binding(context),
            purpose=context.purpose,
            subject_id=licences[0].key.subject_id,
            licence_ids=tuple(licence.key.licence_id for licence in licences),
            expires_at=expires_at,
        )
        summaries = tuple(self._summary(licence) for licence in licences)
        return SearchAnswer(summaries, missing, self._use_codes.issue(grant), expires_at)

    def _summary(self, licence: Licence) -> Summary:
        name = self._catalogue.types[licence.type_code].name
        return Summary(licence, name, licence.state_on(day_of(self._clock())))

    async def _carrier(self, identifier: str) -> OpenLicence | None:
        if parse_licence_identifier(identifier) is None:
            return None
        key = await self._register.locate(normalise_number(identifier))
        return await self._register.open(key) if key is not None else None


def _matter(context: RequestContext) -> Basis:
    """The matter that the call rests on. An office handles it, and answers for the reading."""
    if context.basis is None or context.basis.kind is not BasisKind.MATTER:
        raise BasisMissingError("licences are read for a case of a matter: name matter_code and case_number")
    if not context.office:
        raise fault_error("office", "required", "a case of a matter is handled by an office: name its USCC")
    return context.basis


def _binding(context: RequestContext) -> CaseBinding:
    """What the context says of the case; the matter is empty where it names none."""
    basis = context.basis or Basis(BasisKind.MATTER)
    return CaseBinding(
        context.caller.name, context.office, context.operator, basis.matter_code, basis.case_number
    )


def _under(grant: UseGrant, context: RequestContext) -> RequestContext:
    """The context completed by what its use code carries."""
    return replace(
        context,
        office=grant.binding.office,
        operator=grant.binding.operator,
        basis=Basis(BasisKind.MATTER, grant.binding.matter_code, grant.binding.case_number),
        purpose=context.purpose or grant.purpose,
    )


def _uuid(text: str) -> UUID:
    """The licence id; another text names no licence that a use code could permit."""
    try:
        return UUID(text)
    except ValueError:
        raise UseCodeInvalidError from None


def _record(licence: Licence) -> RecordRef:
    return RecordRef(licence.resource, str(licence.key.licence_id))
