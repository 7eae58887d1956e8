"""The guess budget in real PostgreSQL: atomic under concurrency, kept across restarts, forgotten in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import psycopg
import pytest

from core.identity import Subject
from core.keyring import Keyring
from core.vault import Vault
from services.autofill.budget import Guess, GuessBudgetSpentError, GuessLimits
from services.autofill.store import PgGuessBook
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeClock

HER = Subject("111", "440299199001010012")
HIM = Subject("111", "440299196502030122")
LIMITS = GuessLimits()


@pytest.fixture(autouse=True)
def _empty(city_database: CityDatabase) -> None:
    city_database.truncate("autofill")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def book(city_database: CityDatabase, pool: PoolFactory, clock: FakeClock) -> PgGuessBook:
    return await open_book(city_database, await pool("autofill"), clock)


async def open_book(city: CityDatabase, pool: asyncpg.Pool, clock: FakeClock) -> PgGuessBook:
    vault = await Vault.open(pool, Keyring.load(city.keyring("autofill")))
    return PgGuessBook(pool, vault, LIMITS, clock)


def wrong(*names: str, about: Subject = HER) -> list[Guess]:
    return [Guess(name, about, wrong=True) for name in names]


def right(*names: str, about: Subject = HER) -> list[Guess]:
    return [Guess(name, about, wrong=False) for name in names]


async def told(book: PgGuessBook, guesses: Sequence[Guess], *, case: str = "c-1", caller: str = "p") -> bool:
    """Whether the verdicts may be told."""
    try:
        await book.count(caller, case, guesses)
    except GuessBudgetSpentError:
        return False
    return True


async def test_after_five_wrong_tries_even_a_right_one_is_refused(book: PgGuessBook) -> None:
    assert [await told(book, wrong("phone")) for _ in range(6)] == [True] * 5 + [False]

    assert not await told(book, right("phone"))
    assert await told(book, right("name"))
    assert await told(book, wrong("phone"), case="c-2")
    assert await told(book, wrong("phone"), caller="another")
    assert await told(book, wrong("phone", about=HIM))


async def test_right_tries_cost_nothing(book: PgGuessBook) -> None:
    assert all([await told(book, right("phone")) for _ in range(30)])


async def test_twenty_concurrent_wrong_guesses_are_told_five_times(book: PgGuessBook) -> None:
    outcomes = await asyncio.gather(*(told(book, wrong("phone")) for _ in range(20)))

    assert sum(outcomes) == 5


async def test_two_processes_share_one_budget(
    city_database: CityDatabase, pool: PoolFactory, clock: FakeClock, book: PgGuessBook
) -> None:
    other = await open_book(city_database, await pool("autofill"), clock)

    outcomes = await asyncio.gather(*(told(b, wrong("phone")) for b in [book, other] * 10))

    assert sum(outcomes) == 5


async def test_the_budget_outlives_the_process(
    city_database: CityDatabase, pool: PoolFactory, clock: FakeClock, book: PgGuessBook
) -> None:
    for _ in range(5):
        assert await told(book, wrong("phone"))

    restarted = await open_book(city_database, await pool("autofill"), clock)

    with pytest.raises(GuessBudgetSpentError) as refusal:
        await restarted.count("p", "c-1", wrong("phone"))
    assert refusal.value.retry_after == pytest.approx(24 * 3600)
    assert [fault.field for fault in refusal.value.faults] == ["values.phone"]


async def test_tries_come_back_after_a_day(book: PgGuessBook, clock: FakeClock) -> None:
    for _ in range(5):
        assert await told(book, wrong("phone"))
    clock.advance(timedelta(hours=23, minutes=59))
    assert not await told(book, right("phone"))

    clock.advance(timedelta(minutes=2))

    assert await told(book, wrong("phone"))


async def test_no_more_than_twenty_wrong_verdicts_are_told_about_one_subject(book: PgGuessBook) -> None:
    outcomes = [await told(book, wrong("phone"), case=f"c-{n}") for n in range(25)]

    assert outcomes == [True] * 20 + [False] * 5
    assert not await told(book, right("name"), case="c-99")
    assert await told(book, wrong("phone", about=HIM), case="c-99")


async def test_guesses_that_overdraw_together_are_not_told_and_are_counted(book: PgGuessBook) -> None:
    for n in range(18):
        assert await told(book, wrong("phone"), case=f"c-{n}")

    assert not await told(book, wrong("name", "address", "email"), case="new")

    assert not await told(book, wrong("name"), case="newer")


async def test_one_call_about_two_people_counts_for_each(book: PgGuessBook) -> None:
    both = wrong("phone") + wrong("spouse_phone", about=HIM)
    outcomes = await asyncio.gather(
        *(told(book, both) for _ in range(4)), *(told(book, both[::-1]) for _ in range(4))
    )

    assert sum(outcomes) == 5
    assert not await told(book, right("spouse_phone", about=HIM))


async def test_the_sweep_forgets_what_has_left_the_window(
    city_database: CityDatabase, book: PgGuessBook, clock: FakeClock
) -> None:
    await told(book, wrong("phone"))
    clock.advance(timedelta(hours=20))
    await told(book, wrong("phone", about=HIM))
    clock.advance(timedelta(hours=5))

    await book.sweep()

    with psycopg.connect(city_database.admin_dsn) as connection:
        counts = [
            connection.execute(query).fetchone()
            for query in (
                "SELECT count(*) FROM autofill.wrong_try",
                "SELECT count(*) FROM autofill.guess_subject",
            )
        ]
    assert counts == [(1,), (1,)]


async def test_nothing_that_is_stored_names_a_person_or_a_value(
    city_database: CityDatabase, book: PgGuessBook
) -> None:
    await told(book, wrong("phone"))

    with psycopg.connect(city_database.admin_dsn) as connection:
        rows = connection.execute(
            "SELECT s::text || t::text FROM autofill.guess_subject s"
            " JOIN autofill.wrong_try t USING (subject_id)"
        ).fetchall()
    assert len(rows) == 1
    assert HER.code not in rows[0][0]
    assert HER.code.encode().hex() not in rows[0][0]
