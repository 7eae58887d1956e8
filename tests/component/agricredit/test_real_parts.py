"""With the real data node and the real ledger beside it: entitlements, receipts, and no family member."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import asyncpg
import grpc
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey
from onestop.datanode.v1 import datanode_pb2_grpc
from onestop.ledger.v1 import ledger_pb2_grpc

from core.clock import now
from core.config import Mode, PeerConfig, ServiceConfig
from core.context import ContextReader
from core.identity import Subject
from core.keyring import Keyring
from core.ledger import LedgerClient
from core.note import VerifierKey
from core.policy import Policy
from core.receipt import answer_bytes, verify_receipt
from core.rpc import build_server, channel
from core.vault import Vault
from services.agricredit.domain import Item
from services.agricredit.registers import RESOURCES, SOURCE_FIELDS
from services.datanode.rpc import DataNodeServicer
from services.datanode.service import DataNode
from services.datanode.store import PgCatalogues, PgRegisters
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.disclosures import DisclosureDesk
from services.ledger.publishing import PublicLog
from services.ledger.released import LastReleasedFile
from services.ledger.rpc import LedgerServicer
from services.ledger.sequencer import Sequencer, State
from services.ledger.service import LedgerDesk
from services.ledger.store import PgLogStore
from services.ledger.store_witnesses import PgContinuations, PgCosignatures
from tests.component.agricredit.harness import Town, running_town
from tests.component.gateway.pki import Authority
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.unit.agricredit.test_registers import CONTRACT, CONTRACT_CODE, PARCEL

PRIVATE = Ed25519PrivateKey.generate()
KEY = VerifierKey("onestop.example/ledger", PRIVATE.public_key().public_bytes_raw())
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


class Standing:
    """Knows when the sequencer leads."""

    def __init__(self) -> None:
        self.leads = asyncio.Event()

    def changed(self, state: State, why: str) -> None:
        if state is State.LEADING:
            self.leads.set()


@asynccontextmanager
async def real_ledger(
    folder: Path, last: Path, database: CityDatabase, pool: asyncpg.Pool
) -> AsyncIterator[LedgerClient]:
    """The ledger as a server, and the client that the service has."""
    authority = Authority(folder / "ledger-pki")
    vault = await Vault.open(pool, Keyring.load(database.keyring("ledger")))
    store, notary, standing = PgLogStore(pool), CheckpointNotary(KEY, PRIVATE), Standing()
    sequencer = Sequencer(store, notary, LastReleasedFile(last), standing, now)
    public = PublicLog(store, PgCosignatures(pool), PgContinuations(pool), notary, Policy())
    desk = LedgerDesk(sequencer, store, public, vault, now)
    # Only what people and callers ask for reads contexts, and nobody asks for that here.
    nobody, nothing = cast(ContextReader, None), cast(DisclosureDesk, None)

    def register(server: grpc.aio.Server) -> Sequence[str]:
        servicer = LedgerServicer(desk, nobody, public, {}, disclosures=nothing)
        ledger_pb2_grpc.add_LedgerServiceServicer_to_server(servicer, server)
        return ["onestop.ledger.v1.LedgerService"]

    pair, own = authority.issue("ledger", "localhost"), authority.issue("agricredit")
    config = ServiceConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=authority.root,
        tls_cert=pair.certificate,
        tls_key=pair.key,
        listen="127.0.0.1:0",
        database_dsn_file=database.dsn_file("ledger"),
        keyring=database.keyring("ledger"),
    )
    server, port, _ = build_server(config, register)
    await server.start()
    leading = asyncio.create_task(sequencer.run())
    await asyncio.wait_for(standing.leads.wait(), 10)
    client = PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=authority.root,
        tls_cert=own.certificate,
        tls_key=own.key,
        ledger=f"127.0.0.1:{port}",
    )
    async with channel(client, "ledger") as opened:
        yield LedgerClient(opened)
    await server.stop(None)
    leading.cancel()
    with suppress(asyncio.CancelledError):
        await leading


async def _register_land(database: CityDatabase, vault: Vault, farmer: Subject) -> None:
    """One contract with one parcel and one payment; what identifies is garbage, as nobody may open it."""
    subject_id = uuid.uuid4()
    common = {"subject_id": subject_id, "record_no": 1, "version": 3, "as_of": AS_OF}
    sealed = {"contractor_name": b"x", "contractor_address": b"x", "members": b"x"}
    contract = {
        **common,
        **CONTRACT,
        **sealed,
        "contractor_code": CONTRACT_CODE[:18],
        "issuer_code": CONTRACT_CODE[:14],
        "issuer_name": "示范村",
        "signed_on": date(1998, 1, 1),
        "total_area_m2": 4346.67,
        "parcel_count": 1,
        "member_count": 4,
        "taken_in_mu": 0,
    }
    parcel = {
        **common,
        **PARCEL,
        "contract_area_m2": 1666.67,
        "measured_area_m2": 1740.0,
        "purpose": "1",
        "category": "10",
        "ownership": "30",
    }
    payment = {
        **common,
        "year": 2025,
        "division": "440299205",
        "contract_area_mu": 6.52,
        "taken_in_mu": 0,
        "transferred_out_mu": 0,
        "excluded_area_mu": 0,
        "area_mu": 6.52,
        "rate_cents_per_mu": 7146,
        "amount_cents": 46592,
        "state": "paid",
        "paid_on": date(2025, 9, 30),
        "bank_account": b"x",
    }
    index = {
        "blind_index": vault.blind_index(farmer),
        "index_version": vault.index_version,
        "subject_id": subject_id,
    }
    with psycopg.connect(database.admin_dsn) as connection:
        connection.execute("SET search_path = datanode")
        rows = {"subject_index": index, "land_contract": contract, "land_parcel": parcel}
        for table, row in {**rows, "subsidy_arable": payment}.items():
            names = ", ".join(row)
            values = ", ".join(f"%({name})s" for name in row)
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({values})".encode(), row)


@pytest.fixture(scope="module")
def last_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module's database has one log, which is only ever added to; so is what it released last."""
    return tmp_path_factory.mktemp("ledger") / "last"


@pytest.fixture
async def town(
    tmp_path: Path,
    city_database: CityDatabase,
    pool: PoolFactory,
    bank_key: ECKey,
    farmer: Subject,
    last_checkpoint: Path,
) -> AsyncIterator[Town]:
    city_database.truncate("datanode")
    registers = await pool("datanode")
    vault = await Vault.open(registers, Keyring.load(city_database.keyring("datanode")))
    await _register_land(city_database, vault, farmer)

    def real_datanode(contexts: ContextReader) -> datanode_pb2_grpc.DataNodeServiceServicer:
        node = DataNode(PgRegisters(registers, vault), PgCatalogues(registers), now)
        return DataNodeServicer(node, contexts)

    async with (
        real_ledger(tmp_path, last_checkpoint, city_database, await pool("ledger")) as ledger,
        running_town(
            tmp_path,
            city_database,
            await pool("agricredit"),
            ledger,
            bank_key,
            real_datanode=real_datanode,
        ) as running,
    ):
        yield running


async def test_the_bank_proves_what_it_got_with_nothing_but_the_ledger_s_public_key(
    town: Town, farmer: Subject
) -> None:
    consent_id = await town.consented(farmer)

    for item in Item:
        payload = await town.fetch(consent_id, item)
        receipt = cast(dict[str, object], payload["receipt"])

        proved = verify_receipt(receipt, KEY, answered=answer_bytes(payload))

        assert proved.answer_proved
        assert proved.entry["method"] == f"credit.{item}"
        assert proved.entry["caller"] == "rural-bank"
        assert farmer.code not in json.dumps(dict(proved.entry))
        assert payload["status"] == "ok"
    right = cast(list[dict[str, object]], (await town.fetch(consent_id))["land_rights"])[0]
    assert right["record_version"] == "1.3"
    assert right["term_until"] == "2027-12-31"
    assert [one["name"] for one in cast(list[dict[str, object]], right["parcels"])] == ["村前大田"]


async def test_acts_have_receipts_that_verify_too(town: Town, farmer: Subject) -> None:
    asked = await town.ask(farmer)
    granted = await town.grant(farmer, asked.answer.consent_request)
    again = await town.revoke(farmer, granted.answer.consent.id, key="k-1")

    assert await town.revoke(farmer, granted.answer.consent.id, key="k-1") == again
    assert json.loads(again.receipt.entry)["method"] == "consent.revoke"
    assert len({asked.receipt.id, granted.receipt.id, again.receipt.id}) == 3


async def test_a_replay_has_the_first_receipt(town: Town, farmer: Subject) -> None:
    consent_id = await town.consented(farmer, uses=1)

    assert await town.fetch(consent_id, key="k-1") == await town.fetch(consent_id, key="k-1")


async def test_what_is_read_is_what_the_catalogue_lets_a_consent_cover(
    town: Town, city_database: CityDatabase
) -> None:
    with psycopg.connect(city_database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT item, resource, field FROM datanode.entitlement WHERE basis = 'consent'"
        ).fetchall()

    wanted = {
        (item.value, resource, name)
        for item, resources in RESOURCES.items()
        for resource in resources
        for name in SOURCE_FIELDS[resource]
    }
    assert wanted <= set(rows)
