"""Use cases: read a subject's fields of a resource; list the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from core.clock import Clock
from core.disclosure import BasisKind, RequestContext
from core.errors import BasisMissingError
from core.identifiers import check_subject
from core.identity import Scope, Subject
from services.datanode.domain import (
    CONSENT,
    MATTER,
    Catalogue,
    Ground,
    ReadQuery,
    Record,
    Resource,
    ResourcePage,
    page_of,
)

CATALOGUE_LIFE = timedelta(seconds=5)
"""How long a catalogue counts: a withdrawn entitlement is gone after it. It expires closed."""

DEFAULT_PAGE = 50
_SCOPES = {
    BasisKind.MATTER: (Scope.AUTOFILL_FILL, Scope.AUTOFILL_VERIFY),
    BasisKind.CONSENT: (Scope.CREDIT_FETCH,),
}


class Registers(Protocol):
    """The registers, as the service needs them."""

    async def read(
        self, resource: Resource, subject: Subject, field_names: Sequence[str]
    ) -> Sequence[Record]:
        """The subject's records with exactly these fields; none where the register has nothing."""
        ...


class Catalogues(Protocol):
    """Where the catalogue comes from."""

    async def load(self) -> Catalogue:
        """The catalogue as it is now."""
        ...


class DataNode:
    """Field-level reads that respect the catalogue. Inner reads: the composing service makes the entry."""

    def __init__(self, registers: Registers, catalogues: Catalogues, clock: Clock) -> None:
        self._registers = registers
        self._catalogues = catalogues
        self._clock = clock
        self._catalogue: Catalogue | None = None
        self._good_until: datetime | None = None
        self._loading = asyncio.Lock()

    async def read(self, context: RequestContext, query: ReadQuery, subject: Subject) -> Sequence[Record]:
        """The subject's records: the fields asked for, where the basis is entitled to each of them.

        No records means that the register holds nothing. Raises SCOPE_MISSING, BASIS_NOT_PERMITTED,
        RESOURCE_NOT_FOUND, RESOURCE_NOT_SHARED, FIELD_NOT_ENTITLED, NUMBER_MALFORMED, CHECK_DIGIT_WRONG.
        """
        ground = _ground(context)
        catalogue = await self._current()
        resource = catalogue.authorise(query.resource, query.field_names, ground)
        checked = check_subject(subject, "subject")
        return await self._registers.read(resource, checked, query.field_names)

    async def list_resources(self, context: RequestContext, page_size: int, page_token: str) -> ResourcePage:
        """A page of the catalogue. Raises SCOPE_MISSING, PAGE_TOKEN_INVALID."""
        context.caller.require(
            Scope.MATTER_READ, Scope.AUTOFILL_FILL, Scope.AUTOFILL_VERIFY, Scope.CREDIT_FETCH
        )
        return page_of(await self._current(), page_size or DEFAULT_PAGE, page_token)

    async def _current(self) -> Catalogue:
        """The catalogue, loaded again when its time is over; if that fails, the old one does not stand in."""
        catalogue = self._live()
        if catalogue is not None:
            return catalogue
        async with self._loading:
            catalogue = self._live()
            if catalogue is None:
                now = self._clock()
                self._catalogue = None
                catalogue = self._catalogue = await self._catalogues.load()
                self._good_until = now + CATALOGUE_LIFE
            return catalogue

    def _live(self) -> Catalogue | None:
        """The catalogue, while its time is not over."""
        if self._good_until is None or self._clock() >= self._good_until:
            return None
        return self._catalogue


def _ground(context: RequestContext) -> Ground:
    """What the basis amounts to, once the caller's scope fits it."""
    basis = context.basis
    if basis is None or basis.kind not in _SCOPES:
        raise BasisMissingError("a register is read for a matter or with a consent")
    context.caller.require(*_SCOPES[basis.kind])
    if basis.kind is BasisKind.CONSENT:
        return Ground(CONSENT)
    if not context.office:
        raise BasisMissingError("a matter is handled by an office, and the context names none")
    return Ground(MATTER, basis.matter_code, context.office)
