"""An act, or a use of a consent, whose process dies at each point of the protocol: the books say what became.

Real processes, held where they are wanted by a lock in the database or by a part that is down, then killed.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from cli.audit.evidence import audit_city
from cli.demo.client import RefusedError, answered, receipt_in
from core.clock import now
from core.config import Mode, PeerConfig
from core.db import make_pool
from core.disclosure import Disclosure
from core.keyring import Keyring
from core.ledger import LedgerClient
from core.replies import PgReplies
from core.rpc import channel
from core.vault import Vault
from services.eseal.rpc import present
from tests.city import City
from tests.faults.bulk import Bulk
from tests.story import (
    PURPOSE,
    Json,
    Machine,
    Person,
    ask_consent,
    bank_of,
    case_of,
    cast_of,
    citizen_of,
    letter,
    opened,
    platform_of,
)

pytestmark = pytest.mark.timeout(300)

OPEN_INTENT_SECONDS = "8"
"""How long an open intent is left alone; shorter than usual, for each test would wait for it."""

CLOSED_SECONDS = 53.0
"""Then it is closed within a round of recovery."""

ANSWERED_SECONDS = 45.0

DEADLINE_SECONDS = "14"
"""Longer than usual, so that an act is still wanted when a slow machine gets round to it."""


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    """A city of this module's own."""
    waits = {"ONESTOP_DEADLINE_SECONDS": DEADLINE_SECONDS, "ONESTOP_OPEN_INTENT_SECONDS": OPEN_INTENT_SECONDS}
    made = City(people=100, environment=waits)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


@dataclass
class Act:
    """Something that a caller asks for once, and what it leaves."""

    part: str
    table: str
    method: str
    ask: Callable[[str], str]
    """Asks under a key; the receipt's id."""


@pytest.fixture(params=["seal", "grant"])
def act(request: pytest.FixtureRequest, city: City) -> Iterator[Act]:
    """A seal that is put, and a consent that is granted."""
    cast = cast_of(city)
    with platform_of(city) as platform, bank_of(city) as bank, citizen_of(city) as farmer:
        if request.param == "seal":
            yield Act("eseal", "eseal.signature", "eseal.sign", sealing(city, platform, cast))
        else:
            yield Act("agricredit", "agricredit.consent", "consent.grant", granting(bank, farmer, cast))


def sealing(city: City, platform: Machine, cast: Json) -> Callable[[str], str]:
    """Puts a seal on a letter."""
    case = case_of(city)
    seal_id = platform.get("/approval/v1/seals", office=cast["office"]["code"])["seals"][0]["id"]

    def ask(key: str) -> str:
        answer = platform.upload(f"/approval/v1/seals/{seal_id}:sign", letter(), {"case": case}, key)
        return str(receipt_in(answer.headers["Receipt"])["id"])

    return ask


def granting(bank: Machine, farmer: Person, cast: Json) -> Callable[[str], str]:
    """Grants what the bank has asked for."""
    asked = ask_consent(bank, cast["farmer"]["code"])
    farmer.sign_in(cast["farmer"]["login"], cast["password"])
    body = {"consent_request_id": asked["id"], "text_sha256": asked["text_sha256"], "items": asked["items"]}

    def ask(key: str) -> str:
        answer = farmer.ask("POST", "/citizen/v1/consents", {"Idempotency-Key": key}, json=body)
        return str(answered(answer).json()["receipt"]["id"])

    return ask


def test_killed_before_its_intent_is_recorded_an_act_leaves_nothing(city: City, act: Act) -> None:
    key, before = uuid.uuid4().hex, made(city, act)

    with asking(act, key) as answer, city.held_down("ledger"):
        with pytest.raises((RefusedError, httpx2.TransportError)):
            answer().result(ANSWERED_SECONDS)
        city.restart(act.part)

    assert made(city, act) == before
    done_once(city, act, key, before)


def test_killed_before_its_result_is_stored_an_act_is_aborted(city: City, act: Act) -> None:
    key, before = uuid.uuid4().hex, made(city, act)

    with asking(act, key) as answer, held_at(city, act.table) as let_go:
        asked = answer()
        intent_id = waiting_intent(city, act)
        city.kill(act.part)
        let_go()
        with pytest.raises((RefusedError, httpx2.TransportError)):
            asked.result(ANSWERED_SECONDS)

    assert closed_as(city, intent_id) == "aborted"
    assert made(city, act) == before
    done_once(city, act, key, before)


def test_killed_before_its_outcome_is_recorded_an_act_is_completed(city: City, act: Act) -> None:
    key, before = uuid.uuid4().hex, made(city, act)

    with asking(act, key) as answer, held_at(city, act.table) as let_go:
        asked = answer()
        intent_id = waiting_intent(city, act)
        with city.held_down("ledger"):
            let_go()
            until(lambda: made(city, act) == before + 1, "the result is stored")
            city.kill(act.part)
            with pytest.raises((RefusedError, httpx2.TransportError)):
                asked.result(ANSWERED_SECONDS)

    assert closed_as(city, intent_id) == "completed"
    done_once(city, act, key, before)


def test_killed_before_its_answer_is_sent_an_act_is_answered_as_it_was(city: City, act: Act) -> None:
    key, before = uuid.uuid4().hex, made(city, act)

    with asking(act, key) as answer, held_at(city, act.table) as let_go:
        asked = answer()
        intent_id = waiting_intent(city, act)
        with city.frozen("gateway"):
            let_go()
            assert closed_as(city, intent_id) == "completed"
            city.kill(act.part)
        try:
            first = asked.result(ANSWERED_SECONDS)
        except (RefusedError, httpx2.TransportError):
            first = ""

    assert done_once(city, act, key, before) in ({first} if first else {outcome_of(city, intent_id)})


async def test_a_late_act_that_finds_itself_aborted_rolls_back(city: City) -> None:
    with platform_of(city) as platform:
        act = Act("eseal", "eseal.signature", "eseal.sign", sealing(city, platform, cast_of(city)))
        key, before = uuid.uuid4().hex, made(city, act)
        with asking(act, key) as answer, held_at(city, act.table) as let_go:
            asked = answer()
            intent_id = await asyncio.to_thread(waiting_intent, city, act)
            with city.frozen("eseal"):
                await recover_as_another_replica(city)
                assert closed_as(city, intent_id) == "aborted"
                let_go()
            with pytest.raises(RefusedError) as refusal:
                await asyncio.to_thread(asked.result, ANSWERED_SECONDS)

        assert refusal.value.problem["reason"] == "ACT_ABORTED"
        assert made(city, act) == before
        await asyncio.to_thread(done_once, city, act, key, before)


def test_a_use_that_was_never_confirmed_counts_and_its_request_takes_no_second_one(city: City) -> None:
    cast = cast_of(city)
    with bank_of(city) as bank, citizen_of(city) as farmer, ThreadPoolExecutor(1) as pool:
        consent_id = consent(bank, farmer, cast)
        wanted = {"consent_id": consent_id, "purpose_code": PURPOSE}
        key = uuid.uuid4().hex
        with held_at(city, "agricredit.consent_use", wait=False) as let_go:
            with city.frozen("datanode"):
                let_go()
                asked = pool.submit(bank.post, "/partner/v1/farmers:land_rights", wanted, key)
                until(lambda: uses(city, consent_id) == [("reserved", False)], "the use is reserved")
                let_go.again()
            until(lambda: answers(city, consent_id) == 1, "the entry is appended")
            city.kill("agricredit")
            let_go()
        with pytest.raises((RefusedError, httpx2.TransportError)):
            asked.result(ANSWERED_SECONDS)

        assert uses(city, consent_id) == [("reserved", False)]
        answer = opened(
            city, bank, patiently(lambda: bank.post("/partner/v1/farmers:land_rights", wanted, key))
        )

    assert uses(city, consent_id) == [("confirmed", True)]
    assert answer["uses_left"] == 9
    report = audit_city(city.settings)
    assert report.clean, report.document()


def test_a_bulk_whose_service_dies_at_each_point_is_sent_again_and_seals_each_document_once(
    city: City,
) -> None:
    with platform_of(city) as platform:
        bulk = Bulk(city, platform, 96)

        # Amid the transaction: intents recorded, nothing stored.
        with bulk.under_way(), held_at(city, "eseal.signature") as let_go:
            until(lambda: blocked_at(city, "eseal.signature"), "a chunk waits for its table")
            city.kill("eseal")
            let_go()
        assert bulk.signatures() == 0
        city.wait_well("eseal")
        asyncio.run(recover_as_another_replica(city))

        # Stored, and no outcome recorded.
        with bulk.under_way(), held_at(city, "eseal.signature") as let_go:
            until(lambda: blocked_at(city, "eseal.signature"), "a chunk waits for its table")
            with city.held_down("ledger"):
                let_go()
                until(lambda: bulk.signatures() > 0, "a chunk is stored")
                city.kill("eseal")
        city.wait_well("eseal")
        asyncio.run(recover_as_another_replica(city))
        stored = bulk.signatures()
        assert 0 < stored < len(bulk.keys)

        # Anywhere: as soon as one more is stored.
        with bulk.under_way():
            until(lambda: bulk.signatures() > stored, "the bulk goes on")
            city.kill("eseal")
        city.wait_well("eseal")
        asyncio.run(recover_as_another_replica(city))

        bulk.finish()
        asyncio.run(recover_as_another_replica(city))
        bulk.check_books()
    report = audit_city(city.settings)
    assert report.clean, report.document()


def blocked_at(city: City, table: str) -> bool:
    """Whether somebody waits for a table that is held."""
    query = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    return bool(rows(city, query, table))


def consent(bank: Machine, farmer: Person, cast: Json) -> str:
    """A granted consent's id."""
    asked = ask_consent(bank, cast["farmer"]["code"])
    farmer.sign_in(cast["farmer"]["login"], cast["password"])
    body = {"consent_request_id": asked["id"], "text_sha256": asked["text_sha256"], "items": asked["items"]}
    return str(farmer.post("/citizen/v1/consents", body)["consent"]["id"])


@contextmanager
def asking(act: Act, key: str) -> Iterator[Callable[[], Future[str]]]:
    """Asks beside the test, when it is told to."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(act.ask, key)


class Hold:
    """A lock on a table that whoever writes to it waits for."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], table: str) -> None:
        self._connection = connection
        self._table = table

    def again(self) -> None:
        """Takes it."""
        self._connection.execute(f"LOCK TABLE {self._table} IN SHARE ROW EXCLUSIVE MODE".encode())

    def __call__(self) -> None:
        """Lets go."""
        self._connection.rollback()


@contextmanager
def held_at(city: City, table: str, *, wait: bool = True) -> Iterator[Hold]:
    """Whoever writes to the table waits until the hold lets go."""
    with psycopg.connect(city.admin_dsn) as connection:
        hold = Hold(connection, table)
        if wait:
            hold.again()
        yield hold
        hold()


def waiting_intent(city: City, act: Act) -> uuid.UUID:
    """The act's intent, once it is recorded and the act waits for its table."""
    found: list[tuple[Any, ...]] = []

    def waits() -> bool:
        blocked = rows(
            city, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass", act.table
        )
        found[:] = rows(
            city,
            "SELECT item_id FROM ledger.entry WHERE kind = 2 AND recorder = %s ORDER BY idx DESC LIMIT 1",
            act.part,
        )
        return bool(blocked and found)

    until(waits, "the act waits for its table")
    intent_id: uuid.UUID = found[0][0]
    return intent_id


def closed_as(city: City, intent_id: uuid.UUID) -> str:
    """How the log says that an intent ended, once it does; the part's own record says the same."""
    query = (
        "SELECT convert_from(leaf, 'UTF8')::json ->> 'outcome', recorder FROM ledger.entry"
        " WHERE intent_id = %s"
    )
    until(lambda: bool(rows(city, query, intent_id)), "the intent is closed", CLOSED_SECONDS)
    ((outcome, recorder),) = rows(city, query, intent_id)
    ((completed,),) = rows(
        city, f"SELECT completed FROM {recorder}.intent_terminal WHERE intent_id = %s", intent_id
    )
    assert completed is (outcome == "completed")
    return str(outcome)


def outcome_of(city: City, intent_id: uuid.UUID) -> str:
    """The id of an intent's outcome."""
    ((item_id,),) = rows(city, "SELECT item_id FROM ledger.entry WHERE intent_id = %s", intent_id)
    return str(item_id)


def made(city: City, act: Act) -> int:
    """How many results there are."""
    ((number,),) = rows(city, f"SELECT count(*) FROM {act.table}")
    return int(number)


def uses(city: City, consent_id: str) -> list[tuple[str, bool]]:
    """The uses of a consent: state, and whether an entry is named."""
    query = "SELECT state, entry_id IS NOT NULL FROM agricredit.consent_use WHERE consent_id = %s"
    return [(str(state), bool(named)) for state, named in rows(city, query, consent_id)]


def answers(city: City, consent_id: str) -> int:
    """How many answers under a consent the log has."""
    query = (
        "SELECT count(*) FROM ledger.entry WHERE kind = 1 AND position(convert_to(%s, 'UTF8') IN leaf) > 0"
    )
    ((number,),) = rows(city, query, consent_id)
    return int(number)


def done_once(city: City, act: Act, key: str, before: int) -> str:
    """Retries as the caller would until it is done, twice; it is done once, and the books balance."""
    first = str(patiently(lambda: act.ask(key)))

    assert patiently(lambda: act.ask(key)) == first
    assert made(city, act) == before + 1
    report = audit_city(city.settings)
    assert report.clean, report.document()
    return first


def patiently(ask: Callable[[], Any]) -> Any:
    """The answer, after as many tries as a caller would make."""
    deadline = time.monotonic() + ANSWERED_SECONDS
    while True:
        try:
            return ask()
        except (RefusedError, httpx2.TransportError) as failure:
            if isinstance(failure, RefusedError) and failure.problem["status"] not in {409, 503, 504}:
                raise
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)


async def recover_as_another_replica(city: City) -> None:
    """What a second process of eseal does at its start, and leaves nothing alone for being young."""
    settings = city.settings
    config = PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=settings.pki / "ca.crt",
        tls_cert=settings.pki / "eseal.crt",
        tls_key=settings.pki / "eseal.key",
        ledger=f"127.0.0.1:{settings.ports['ledger']}",
    )
    pool = await make_pool((settings.keys / "eseal.dsn").read_text().strip(), 2)
    try:
        vault = await Vault.open(pool, Keyring.load(settings.keys / "eseal-keyring.json"))
        async with channel(config, "ledger") as connected:
            replies = PgReplies(pool, vault, now)
            replica = Disclosure(
                ledger=LedgerClient(connected),
                replies=replies,
                present=present,
                clock=now,
                grace=timedelta(0),
            )
            await replica.recover()
    finally:
        await pool.close()


def rows(city: City, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(city.admin_dsn) as connection:
        return connection.execute(query.encode(), values or None).fetchall()


def until(true: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so: {what}"
        time.sleep(0.02)
