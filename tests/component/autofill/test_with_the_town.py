"""Every matter's form, filled for a whole hamlet from the real licence service and the real data node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from jsonschema import Draft202012Validator, FormatChecker
from onestop.autofill.v1 import autofill_pb2 as pb
from onestop.datanode.v1 import datanode_pb2_grpc

from core.clock import now
from core.context import ContextReader
from core.disclosure import Disclosure
from core.keyring import Keyring
from core.replies import PgReplies
from core.rpc import Register
from core.vault import Vault
from deploy.town.cast import NUMBERS
from deploy.town.load import load
from deploy.town.model import VillageTown
from deploy.town.others import City
from deploy.town.plan import TownPlan
from deploy.town.town import cast, generate
from services.autofill.matter import Matter
from services.autofill.service import Waiting
from services.autofill.templates import load_matters
from services.datanode.rpc import SERVICE, DataNodeServicer
from services.datanode.service import DataNode
from services.datanode.store import PgCatalogues, PgRegisters
from services.licence.answers import present
from services.licence.catalogue import load_catalogue
from services.licence.rpc import register as register_licence
from services.licence.service import LicenceDesk
from services.licence.store import PgRegister
from services.licence.usecode import SealedUseCodes
from tests.component.autofill.harness import Counter, by_name, running_counter, verdicts
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeLedger

MATTERS = load_matters()
PLAN = TownPlan(100)
PATIENT = Waiting(longest=timedelta(seconds=50))
"""A hamlet's forms at once are no counter's day: what is filled is asked here, not how soon."""
ANSWERED = {pb.FIELD_STATUS_FILLED, pb.FIELD_STATUS_NO_DATA, pb.FIELD_STATUS_CONFLICT}


class Quiet:
    """Loading without a word."""

    def begin(self, people: int) -> None:
        """Says nothing."""

    def step(self, people: float) -> None:
        """Says nothing."""

    def end(self) -> None:
        """Says nothing."""


@pytest.fixture
async def town(city_database: CityDatabase) -> list[VillageTown]:
    """The hamlet and the demo cast, in the database."""
    await load(City(city_database.admin_dsn, city_database.keys.parent), PLAN, Quiet(), workers=1, others=())
    return [cast(), *generate(PLAN, PLAN.quotas)]


@pytest.fixture
async def counter(
    city_database: CityDatabase, pool: PoolFactory, pki: Path, town: list[VillageTown]
) -> AsyncIterator[Counter]:
    city_database.truncate("autofill")
    pools = {part: await pool(part) for part in ("licence", "datanode", "autofill")}
    vaults = {
        part: await Vault.open(opened, Keyring.load(city_database.keyring(part)))
        for part, opened in pools.items()
    }

    def real(contexts: ContextReader) -> Mapping[str, Register]:
        node = DataNode(
            PgRegisters(pools["datanode"], vaults["datanode"]), PgCatalogues(pools["datanode"]), now
        )

        def registers(server: grpc.aio.Server) -> list[str]:
            datanode_pb2_grpc.add_DataNodeServiceServicer_to_server(DataNodeServicer(node, contexts), server)
            return [SERVICE]

        licences = partial(register_licence, _desk(pools["licence"], vaults["licence"]), contexts)
        return {"licence": licences, "datanode": registers}

    async with running_counter(city_database, pools["autofill"], pki, waiting=PATIENT, real=real) as running:
        yield running


def _desk(pool: asyncpg.Pool, vault: Vault) -> LicenceDesk:
    catalogue = load_catalogue()
    return LicenceDesk(
        register=PgRegister(pool, vault, catalogue.types),
        catalogue=catalogue,
        use_codes=SealedUseCodes(vault),
        disclosure=Disclosure(
            ledger=FakeLedger(),
            replies=PgReplies(pool, vault, now),
            present=present,
            clock=now,
        ),
        clock=now,
    )


def _subjects(matter: Matter, town: list[VillageTown]) -> list[dict[str, str]]:
    """Who could ask for it: a company where it is about one, else people, the demo's applicant first."""
    people = [NUMBERS["applicant"], *(one.number for village in town for one in village.people)]
    first = matter.roles[0]
    if first.code_types == ("001",):
        companies = [one for village in town for one in village.companies]
        second = matter.roles[1].role
        return [{first.role: one.uscc, second: people[n % len(people)]} for n, one in enumerate(companies)]
    return [{first.role: number} for number in people]


@pytest.mark.parametrize("matter", MATTERS.values(), ids=list(MATTERS))
async def test_each_matters_form_is_filled_with_what_its_schema_takes(
    counter: Counter, town: list[VillageTown], matter: Matter
) -> None:
    asking = replace(counter.asking, matter_code=matter.code, seconds=55.0)
    validator = Draft202012Validator(dict(matter.form), format_checker=FormatChecker(["date"]))
    items = [counter.fill_item(subjects=who, asking=asking) for who in _subjects(matter, town)]

    results = await counter.fill_batch(items)

    filled: set[str] = set()
    for result in results:
        fields = by_name(result)
        assert {report.outcome for report in result.answer.sources} <= {"answered", "no_data"}
        form = {name: MessageToDict(field.value) for name, field in fields.items() if field.HasField("value")}
        faults = [error for error in validator.iter_errors(form) if error.validator != "required"]
        assert faults == []
        assert {field.status for field in fields.values()} <= ANSWERED
        assert all(fields[name].provenance.record_version for name in form)
        filled |= set(form)
    own = {name for name in matter.fields if not name.startswith("agent_")}
    assert len(filled) > len(own) / 2, f"never filled: {sorted(own - filled)}"


async def test_the_demos_applicant_types_what_her_form_says(
    counter: Counter, town: list[VillageTown]
) -> None:
    her = {"applicant": NUMBERS["applicant"]}
    fields = by_name(await counter.fill(subjects=her))
    values = {name: MessageToDict(field.value) for name, field in fields.items() if field.HasField("value")}

    right = await counter.verify({"name": values["name"], "phone": values["phone"]}, subjects=her)
    wrong = await counter.verify({"birth_date": "1901-01-01"}, subjects=her)

    assert verdicts(right) == {"name": "match", "phone": "match"}
    assert verdicts(wrong) == {"birth_date": "mismatch"}
