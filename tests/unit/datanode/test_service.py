"""Reading: the ground is judged first, numbers are checked, and the catalogue expires closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from core.disclosure import Basis, BasisKind, RequestContext
from core.errors import BasisMissingError, ScopeMissingError, UnavailableError
from core.identifiers import CheckDigitError
from core.identity import Caller, Scope, Subject
from services.datanode.domain import Catalogue, FieldNotEntitledError, ReadQuery, Record, Resource
from services.datanode.service import CATALOGUE_LIFE, DataNode
from tests.fakes import FakeClock
from tests.unit.datanode.catalogues import CATALOGUE, UPDATED

PERSON = Subject("111", "440299199005189806")
NAME = ReadQuery("population.person", ("name",))


@dataclass
class FakeRegisters:
    """Answers a name, and remembers what was asked."""

    asked: list[tuple[str, Subject, tuple[str, ...]]] = field(default_factory=list)

    async def read(
        self, resource: Resource, subject: Subject, field_names: Sequence[str]
    ) -> Sequence[Record]:
        self.asked.append((resource.code, subject, tuple(field_names)))
        return [Record(dict.fromkeys(field_names, "x"), "1.1", UPDATED)]


@dataclass
class FakeCatalogues:
    """A catalogue that can be changed, and can be down."""

    catalogue: Catalogue = CATALOGUE
    down: bool = False
    loads: int = 0

    async def load(self) -> Catalogue:
        self.loads += 1
        await asyncio.sleep(0)
        if self.down:
            raise UnavailableError("the database is down")
        return self.catalogue


@dataclass
class Desk:
    registers: FakeRegisters = field(default_factory=FakeRegisters)
    catalogues: FakeCatalogues = field(default_factory=FakeCatalogues)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.node = DataNode(self.registers, self.catalogues, self.clock)

    def context(
        self,
        *scopes: Scope,
        kind: BasisKind | None = BasisKind.MATTER,
        office: str = "11440299MB2L000118",
    ) -> RequestContext:
        basis = None
        if kind is not None:
            basis = Basis(kind, "residence-permit", "2026-1", "consent-1")
        caller = Caller("approval-platform", frozenset(scopes or (Scope.AUTOFILL_FILL,)))
        now = self.clock()
        return RequestContext(caller, office, "clerk7", basis, "", "", now, now + timedelta(seconds=5))


async def test_a_read_asks_the_register_for_just_these_fields() -> None:
    desk = Desk()

    records = await desk.node.read(desk.context(), NAME, PERSON)

    assert [dict(record.values) for record in records] == [{"name": "x"}]
    assert desk.registers.asked == [("population.person", PERSON, ("name",))]


async def test_a_number_is_normalised_before_it_is_looked_for() -> None:
    desk = Desk()

    await desk.node.read(desk.context(), NAME, Subject("111", " ４４０２９９１９９００５１８９８０６ "))

    assert desk.registers.asked[0][1] == PERSON


async def test_a_wrong_check_digit_is_named_and_nothing_is_read() -> None:
    desk = Desk()

    with pytest.raises(CheckDigitError) as refusal:
        await desk.node.read(desk.context(), NAME, Subject("111", "440299199005189807"))

    assert refusal.value.faults[0].field == "subject.code"
    assert desk.registers.asked == []


@pytest.mark.parametrize(
    ("scope", "kind"),
    [
        (Scope.CREDIT_FETCH, BasisKind.MATTER),
        (Scope.LICENCE_READ, BasisKind.MATTER),
        (Scope.AUTOFILL_FILL, BasisKind.CONSENT),
        (Scope.AUTOFILL_VERIFY, BasisKind.CONSENT),
    ],
)
async def test_a_basis_needs_its_own_scope(scope: Scope, kind: BasisKind) -> None:
    desk = Desk()

    with pytest.raises(ScopeMissingError):
        await desk.node.read(desk.context(scope, kind=kind), NAME, PERSON)

    assert desk.registers.asked == []


@pytest.mark.parametrize("kind", [None, BasisKind.HOLDER, BasisKind.AGREEMENT])
async def test_a_read_without_matter_or_consent_is_refused(kind: BasisKind | None) -> None:
    desk = Desk()
    every = desk.context(*Scope, kind=kind)

    with pytest.raises(BasisMissingError):
        await desk.node.read(every, NAME, PERSON)


async def test_a_matter_without_an_office_is_refused() -> None:
    desk = Desk()

    with pytest.raises(BasisMissingError):
        await desk.node.read(desk.context(office=""), NAME, PERSON)


async def test_a_consent_reads_what_consents_cover() -> None:
    desk = Desk()
    context = desk.context(Scope.CREDIT_FETCH, kind=BasisKind.CONSENT, office="")

    await desk.node.read(context, ReadQuery("subsidy.arable", ("year",)), PERSON)
    with pytest.raises(FieldNotEntitledError):
        await desk.node.read(context, NAME, PERSON)

    assert len(desk.registers.asked) == 1


async def test_a_withdrawn_entitlement_is_gone_when_the_catalogue_is_loaded_again() -> None:
    desk = Desk()
    await desk.node.read(desk.context(), NAME, PERSON)
    desk.catalogues.catalogue = replace(CATALOGUE, by_matter={})

    desk.clock.advance(CATALOGUE_LIFE)

    with pytest.raises(FieldNotEntitledError):
        await desk.node.read(desk.context(), NAME, PERSON)


async def test_a_catalogue_that_cannot_be_renewed_opens_nothing() -> None:
    desk = Desk()
    await desk.node.read(desk.context(), NAME, PERSON)
    desk.catalogues.down = True

    desk.clock.advance(CATALOGUE_LIFE)

    for _ in range(2):
        with pytest.raises(UnavailableError):
            await desk.node.read(desk.context(), NAME, PERSON)


async def test_many_at_once_load_the_catalogue_once() -> None:
    desk = Desk()

    await asyncio.gather(*(desk.node.read(desk.context(), NAME, PERSON) for _ in range(50)))

    assert desk.catalogues.loads == 1


async def test_listing_needs_a_scope_and_no_basis() -> None:
    desk = Desk()

    page = await desk.node.list_resources(desk.context(Scope.MATTER_READ, kind=None), 0, "")
    with pytest.raises(ScopeMissingError):
        await desk.node.list_resources(desk.context(Scope.SEAL_USE), 0, "")

    assert len(page.resources) == len(CATALOGUE.resources)
