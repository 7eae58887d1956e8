"""Many acts at a time by the disclosure protocol, on a real database: each is done once, and ends alone."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

import asyncpg
import pytest
from onestop.licence.v1 import licence_pb2

from core.clock import now
from core.disclosure import (
    ActAbortedError,
    Basis,
    BasisKind,
    Disclosure,
    EntryKind,
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
    Outcome,
    Presented,
    Produced,
    Released,
    RequestContext,
    RequestInProgressError,
    Transaction,
)
from core.errors import InvalidError, ServiceError, UnavailableError
from core.identity import Caller
from core.keyring import Keyring
from core.replies_many import PgManyReplies
from core.together import Act, Together
from core.vault import Vault
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeClock, FakeLedger

METHOD = "licence.change"


def present(answer: object) -> Presented:
    return Presented(licence_pb2.SearchLicencesAnswer(use_code=str(answer)), str(answer).encode())


@dataclass
class Office:
    """Acts whose work is to write a word into a table, through the acts' own transaction."""

    pool: asyncpg.Pool
    ledger: FakeLedger
    clock: FakeClock
    together: Together
    single: Disclosure
    refused: set[int] = field(default_factory=set)
    meanwhile: Callable[[Sequence[uuid.UUID]], Awaitable[None]] | None = None
    times: int = 0

    async def act(self, acts: Sequence[Act]) -> list[Released | Exception]:
        return await self.together.act(METHOD, acts, self._do)

    async def _do(
        self, tx: Transaction, asked: Sequence[tuple[int, uuid.UUID]]
    ) -> Sequence[Produced | ServiceError]:
        self.times += 1
        made: list[Produced | ServiceError] = []
        for position, intent_id in asked:
            if position in self.refused:
                made.append(InvalidError("not this one"))
                continue
            await cast(asyncpg.Connection, tx).execute("INSERT INTO together_word VALUES ($1)", intent_id)
            made.append(Produced(f"word {position}"))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile([intent_id for _, intent_id in asked])
        return made

    async def words(self) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM together_word"))

    def outcomes(self) -> list[Outcome]:
        return [one.outcome for one in self.ledger.entries if one.kind is EntryKind.OUTCOME]


@pytest.fixture
async def office(city_database: CityDatabase, pool: PoolFactory) -> Office:
    connection = await asyncpg.connect(city_database.admin_dsn, server_settings={"search_path": "licence"})
    await connection.execute(
        "DROP TABLE IF EXISTS together_word; CREATE TABLE together_word (intent_id uuid PRIMARY KEY);"
        "GRANT SELECT, INSERT ON together_word TO onestop_licence"
    )
    await connection.close()
    opened = await pool("licence")
    vault = await Vault.open(opened, Keyring.load(city_database.keyring("licence")))
    clock, ledger = FakeClock(now().replace(microsecond=0)), FakeLedger()
    replies = PgManyReplies(opened, vault, clock)
    return Office(
        opened,
        ledger,
        clock,
        Together(ledger=ledger, replies=replies, present=present, clock=clock),
        Disclosure(ledger=ledger, replies=replies, present=present, clock=clock),
    )


def words(result: Released | Exception) -> str:
    """What an act answered."""
    assert isinstance(result, Released)
    return cast(licence_pb2.SearchLicencesAnswer, result.wire).use_code


def acts(office: Office, number: int) -> list[Act]:
    now = office.clock()
    return [
        Act(
            RequestContext(
                caller=Caller("approval-platform", frozenset()),
                office="",
                operator="clerk7",
                basis=Basis(BasisKind.MATTER, "residence-permit", f"case-{position}"),
                purpose="",
                request_id=uuid.uuid4().hex,
                received_at=now,
                deadline=now + timedelta(seconds=9),
            ),
            b"body %d" % position,
        )
        for position in range(number)
    ]


async def test_each_has_one_intent_and_one_outcome_and_the_ledger_is_called_twice(office: Office) -> None:
    results = await office.act(acts(office, 5))

    assert [words(one) for one in results] == [f"word {number}" for number in range(5)]
    assert office.ledger.calls == [5, 5]
    intents = [one.item_id for one in office.ledger.entries if one.kind is EntryKind.INTENT]
    ended = [one.intent_id for one in office.ledger.entries if one.kind is EntryKind.OUTCOME]
    assert len(set(intents)) == 5
    assert ended == intents
    salts = [one.receipt.answer_salt for one in results if isinstance(one, Released)]
    assert salts == [one.answer_salt for one in office.ledger.entries[5:]]


async def test_what_was_done_is_answered_again_as_it_was_and_only_the_rest_is_done(office: Office) -> None:
    asked = acts(office, 4)
    first = await office.act(asked[:2])

    assert await office.together.known(METHOD, asked) == [*first, None, None]
    assert (await office.act(asked))[:2] == first

    assert await office.words() == 4
    assert office.outcomes() == [Outcome.COMPLETED] * 4


async def test_a_key_counts_the_same_alone_and_among_many(office: Office) -> None:
    asked = acts(office, 1)
    (first,) = await office.act(asked)

    async def never(_tx: Transaction, _intent_id: uuid.UUID) -> Produced:
        raise AssertionError("it was done already")

    again = await office.single.act(asked[0].context, method=METHOD, body=asked[0].body, do=never)

    assert again == first


async def test_one_that_is_refused_harms_no_other(office: Office) -> None:
    asked = acts(office, 4)
    office.refused = {1}
    office.ledger.refuses = {"case-2"}

    results = await office.act(asked)
    await office.together.drain()

    assert [type(one) for one in results] == [Released, InvalidError, UnavailableError, Released]
    assert await office.words() == 2
    assert office.outcomes().count(Outcome.COMPLETED) == 2
    office.refused, office.ledger.refuses = set(), set()
    again = await office.act(asked)
    assert all(isinstance(one, Released) for one in again)
    assert await office.words() == 4


async def test_one_key_for_another_body_is_refused_alone(office: Office) -> None:
    asked = acts(office, 2)
    await office.act(asked[:1])
    other = replace(asked[0], body=b"another")

    results = await office.act([other, asked[1]])

    assert isinstance(results[0], IdempotencyKeyReusedError)
    assert isinstance(results[1], Released)
    (known,) = await office.together.known(METHOD, [other])
    assert isinstance(known, IdempotencyKeyReusedError)


async def test_one_key_twice_among_them_is_done_once(office: Office) -> None:
    asked = acts(office, 1)

    results = await office.act([asked[0], asked[0]])

    assert {type(one) for one in results} == {Released, RequestInProgressError}
    assert await office.words() == 1


async def test_without_a_key_one_is_refused(office: Office) -> None:
    asked = acts(office, 2)
    keyless = replace(asked[0], context=replace(asked[0].context, request_id=""))

    assert isinstance((await office.act([keyless, asked[1]]))[0], IdempotencyKeyMissingError)
    assert isinstance((await office.together.known(METHOD, [keyless]))[0], IdempotencyKeyMissingError)
    assert await office.words() == 1


async def test_while_the_ledger_is_down_nothing_is_done_and_nothing_is_lost(office: Office) -> None:
    asked = acts(office, 3)
    office.ledger.down = True

    with pytest.raises(UnavailableError):
        await office.act(asked)
    await office.together.drain()

    assert await office.words() == 0
    office.ledger.down = False
    office.clock.advance(timedelta(seconds=10))
    assert all(isinstance(one, Released) for one in await office.act(asked))


async def test_what_was_closed_meanwhile_is_rolled_back_and_the_rest_is_done(office: Office) -> None:
    """Another replica finds one of the intents old, and closes it while its work is under way."""

    async def close_first(intents: Sequence[uuid.UUID]) -> None:
        intent = next(one for one in office.ledger.entries if one.item_id == intents[0])
        await office.single._close(intent)

    office.meanwhile = close_first

    results = await office.act(acts(office, 3))
    await office.together.drain()

    assert [type(one) for one in results] == [ActAbortedError, Released, Released]
    assert office.times == 2
    assert await office.words() == 2
    assert sorted(office.outcomes(), key=lambda one: one.value) == [
        Outcome.COMPLETED,
        Outcome.COMPLETED,
        Outcome.ABORTED,
    ]


async def test_a_key_is_taken_over_from_who_let_the_deadline_pass(office: Office) -> None:
    """As after a crash: claimed, its intent recorded, and nothing stored."""
    asked = acts(office, 2)

    async def dies(_tx: Transaction, _asked: Sequence[tuple[int, uuid.UUID]]) -> Sequence[Produced]:
        raise ConnectionError("the process is gone")

    office.together._close_later = lambda intents: None  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await office.together.act(METHOD, asked, dies)

    early = await office.act(asked)
    assert [type(one) for one in early] == [RequestInProgressError] * 2
    office.clock.advance(timedelta(seconds=10))
    assert all(isinstance(one, Released) for one in await office.act(asked))

    await office.single.recover()
    assert await office.words() == 2
    assert sorted(one.value for one in office.outcomes()) == [2, 2, 3, 3]
