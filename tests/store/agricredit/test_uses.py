"""Uses of a consent: never one too many, never after a revocation, never two for one request."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from core.disclosure import RequestInProgressError
from core.errors import ServiceError, UnavailableError
from services.agricredit.domain import Claim, Consent, Item
from services.agricredit.fetching import Attempt, Reservation
from services.agricredit.refusals import (
    ConsentExpiredError,
    ConsentNotFoundError,
    ConsentRevokedError,
    ConsentUsedUpError,
    FairUseExceededError,
    ItemNotConsentedError,
    PurposeNotConsentedError,
)
from services.agricredit.store_uses import LONGEST_WAIT_TOGETHER, PgUses
from tests.fakes import FakeClock
from tests.store.agricredit.conftest import CLAIM, Granter, attempt, person


async def _uses(store: PgUses, consent: Consent) -> int:
    latest = (await store.look(consent.partner_id, consent.consent_id)).consent
    assert latest is not None
    return latest.uses


async def _revoke(store: PgUses, pool: asyncpg.Pool, consent: Consent, clock: FakeClock) -> None:
    async with pool.acquire() as connection, connection.transaction():
        locked = await store.lock_consent(connection, consent.subject_id, consent.consent_id)
        await store.revoke(connection, locked, clock())


async def test_fifty_at_once_on_ten_uses_left_give_exactly_ten(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted(max_uses=10)

    results = await asyncio.gather(
        *(store.reserve(consent, attempt(clock)) for _ in range(50)), return_exceptions=True
    )

    taken = [one for one in results if isinstance(one, Reservation)]
    assert len(taken) == 10
    assert sorted(one.uses_left for one in taken) == list(range(10))
    assert all(isinstance(one, ConsentUsedUpError) for one in results if one not in taken)
    assert await _uses(store, consent) == 10


async def test_no_use_is_reserved_after_a_revocation_has_returned(
    store: PgUses, vault_pool: asyncpg.Pool, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted(max_uses=1000)
    revoked_at_use = None
    taken: list[int] = []

    async def fetch() -> None:
        while True:
            try:
                reservation = await store.reserve(consent, attempt(clock))
            except ConsentRevokedError:
                return
            taken.append(reservation.uses_left)

    async def revoke() -> None:
        nonlocal revoked_at_use
        await asyncio.sleep(0.05)
        await _revoke(store, vault_pool, consent, clock)
        revoked_at_use = await _uses(store, consent)

    await asyncio.gather(*(fetch() for _ in range(6)), revoke())

    assert taken
    assert revoked_at_use == len(taken) == await _uses(store, consent)


TICKED = replace(CLAIM, item=Item.SUBSIDIES)
REFUSED: dict[str, tuple[Claim, type[ServiceError]]] = {
    "foreign lender": (replace(TICKED, partner_id="other-bank"), ConsentNotFoundError),
    "wrong purpose": (replace(TICKED, purpose_code="insurance_offer"), PurposeNotConsentedError),
    "unticked item": (CLAIM, ItemNotConsentedError),
}


@pytest.mark.parametrize(("claim", "error"), REFUSED.values(), ids=REFUSED.keys())
async def test_the_consent_is_judged_under_the_lock_whatever_was_judged_before(
    store: PgUses, granted: Granter, clock: FakeClock, claim: Claim, error: type[ServiceError]
) -> None:
    consent = await granted(items=(Item.SUBSIDIES,))

    with pytest.raises(error):
        await store.reserve(consent, attempt(clock, claim=claim))

    assert await _uses(store, consent) == 0


async def test_an_expired_consent_gives_no_use(store: PgUses, granted: Granter, clock: FakeClock) -> None:
    consent = await granted()
    clock.advance(timedelta(days=90))

    with pytest.raises(ConsentExpiredError):
        await store.reserve(consent, attempt(clock))


async def test_a_released_use_comes_back_once(store: PgUses, granted: Granter, clock: FakeClock) -> None:
    consent = await granted(max_uses=2)
    first = await store.reserve(consent, attempt(clock))
    await store.reserve(consent, attempt(clock))

    await asyncio.gather(*(store.release(first) for _ in range(5)))

    assert await _uses(store, consent) == 1
    assert (await store.reserve(consent, attempt(clock))).uses_left == 0
    with pytest.raises(ConsentUsedUpError):
        await store.reserve(consent, attempt(clock))


async def test_a_confirmed_use_cannot_be_released(store: PgUses, granted: Granter, clock: FakeClock) -> None:
    consent = await granted()
    reservation = await store.reserve(consent, attempt(clock))
    await store.confirm(reservation, uuid4())

    await store.release(reservation)

    assert await _uses(store, consent) == 1


async def test_an_unconfirmed_use_counts_as_used(store: PgUses, granted: Granter, clock: FakeClock) -> None:
    consent = await granted(max_uses=1)
    await store.leave(await store.reserve(consent, attempt(clock)))
    clock.advance(timedelta(days=2))

    with pytest.raises(ConsentUsedUpError):
        await store.reserve(consent, attempt(clock))


async def test_the_same_request_waits_for_itself_and_takes_one_use(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()

    results = await asyncio.gather(
        *(store.reserve(consent, attempt(clock, "key-1")) for _ in range(8)), return_exceptions=True
    )

    assert sum(isinstance(one, Reservation) for one in results) == 1
    assert sum(isinstance(one, RequestInProgressError) for one in results) == 7
    assert await _uses(store, consent) == 1


@pytest.mark.parametrize("how", ["left", "died", "confirmed"])
async def test_the_same_request_again_takes_no_second_use(
    store: PgUses, granted: Granter, clock: FakeClock, how: str
) -> None:
    consent = await granted(max_uses=1)
    first = await store.reserve(consent, attempt(clock, "key-1"))
    if how == "left":
        await store.leave(first)
    elif how == "confirmed":
        await store.confirm(first, uuid4())
    else:
        clock.advance(timedelta(seconds=11))

    again = await store.reserve(consent, attempt(clock, "key-1"))

    assert (again.use_id, again.first, again.uses_left) == (first.use_id, False, 0)
    assert await _uses(store, consent) == 1


async def test_a_day_later_the_same_key_is_a_new_request(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()
    first = await store.reserve(consent, attempt(clock, "key-1"))
    await store.confirm(first, uuid4())
    clock.advance(timedelta(hours=24))

    again = await store.reserve(consent, attempt(clock, "key-1"))

    assert again.first
    assert again.use_id != first.use_id
    assert await _uses(store, consent) == 2


async def test_the_same_key_for_another_kind_of_data_is_another_request(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()
    await store.reserve(consent, attempt(clock, "key-1"))

    other = attempt(clock, "key-1", claim=replace(CLAIM, item=Item.SUBSIDIES))

    assert (await store.reserve(consent, other)).first


async def test_a_released_request_may_come_again_and_is_counted_again(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted(max_uses=1)
    await store.release(await store.reserve(consent, attempt(clock, "key-1")))

    again = await store.reserve(consent, attempt(clock, "key-1"))

    assert again.first
    assert await _uses(store, consent) == 1


async def test_a_use_that_the_same_request_holds_again_is_not_given_back_by_the_late_attempt(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    """Else the second attempt's answer would leave without a use."""
    consent = await granted(max_uses=1)
    late = await store.reserve(consent, attempt(clock, "key-1"))
    clock.advance(timedelta(minutes=1))
    again = await store.reserve(consent, attempt(clock, "key-1"))

    await store.release(late)
    await store.confirm(again, uuid4())

    assert not again.first
    assert await _uses(store, consent) == 1
    with pytest.raises(ConsentUsedUpError):
        await store.reserve(consent, attempt(clock, "key-2"))


async def test_a_use_that_was_given_back_cannot_be_confirmed(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    reservation = await store.reserve(await granted(), attempt(clock))
    await store.release(reservation)

    with pytest.raises(UnavailableError):
        await store.confirm(reservation, uuid4())


async def test_the_partner_s_day_has_a_ceiling_which_takes_no_use(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()

    def some(_: int = 0) -> Attempt:
        return attempt(clock, daily=3)

    results = await asyncio.gather(
        *(store.reserve(consent, some()) for _ in range(5)), return_exceptions=True
    )

    assert sum(isinstance(one, FairUseExceededError) for one in results) == 2
    assert await _uses(store, consent) == 3
    # Midnight in the city, UTC+8, is fourteen hours after 02:00 UTC.
    with pytest.raises(FairUseExceededError) as refusal:
        await store.reserve(consent, some())
    assert refusal.value.retry_after == 14 * 3600
    clock.advance(timedelta(hours=14))
    await store.reserve(consent, some())


async def test_uses_of_different_consents_are_taken_together(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consents = [await granted(farmer=person(serial)) for serial in range(1, 31)]
    for consent in consents[::3]:
        await store.reserve(consent, attempt(clock, "key-1"))

    results = await asyncio.gather(*(store.reserve(one, attempt(clock, "key-2")) for one in consents))

    assert [one.consent_id for one in results] == [one.consent_id for one in consents]
    assert [await _uses(store, one) for one in consents] == [2, 1, 1] * 10
    assert {one.first for one in results} == {True}
    for reservation in results:
        await store.confirm(reservation, uuid4())


async def test_one_request_that_is_known_holds_back_no_other(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consents = [await granted(farmer=person(serial)) for serial in range(1, 9)]
    known = await store.reserve(consents[3], attempt(clock, "key-1"))
    await store.leave(known)

    results = await asyncio.gather(*(store.reserve(one, attempt(clock, "key-1")) for one in consents))

    assert [one.first for one in results] == [one is not consents[3] for one in consents]
    assert results[3].use_id == known.use_id
    assert [await _uses(store, one) for one in consents] == [1] * 8


async def test_the_day_s_last_answers_are_given_one_by_one(
    store: PgUses, granted: Granter, clock: FakeClock
) -> None:
    consents = [await granted(farmer=person(serial)) for serial in range(1, 9)]

    results = await asyncio.gather(
        *(store.reserve(one, attempt(clock, daily=5)) for one in consents), return_exceptions=True
    )

    assert sum(isinstance(one, Reservation) for one in results) == 5
    assert sum(isinstance(one, FairUseExceededError) for one in results) == 3
    assert sum([await _uses(store, one) for one in consents]) == 5


async def test_a_consent_that_somebody_has_locked_holds_up_its_own_fetches_alone(
    store: PgUses, vault_pool: asyncpg.Pool, granted: Granter, clock: FakeClock
) -> None:
    locked, other = await granted(farmer=person(1)), await granted(farmer=person(2))

    async with vault_pool.acquire() as connection, connection.transaction():
        await store.lock_consent(connection, locked.subject_id, locked.consent_id)
        waiting = asyncio.ensure_future(store.reserve(locked, attempt(clock)))
        async with asyncio.timeout(LONGEST_WAIT_TOGETHER * 3):
            await store.reserve(other, attempt(clock))
        assert not waiting.done()
        await store.revoke(connection, locked, clock())

    with pytest.raises(ConsentRevokedError):
        await waiting
    assert await _uses(store, locked) == 0


async def test_a_use_that_nobody_waits_for_any_more_is_not_taken(
    store: PgUses, vault_pool: asyncpg.Pool, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()

    async with vault_pool.acquire() as connection, connection.transaction():
        await store.lock_consent(connection, consent.subject_id, consent.consent_id)
        waiting = asyncio.ensure_future(store.reserve(consent, attempt(clock)))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    # Called off while it waited for the row: whoever comes next finds nothing taken, and the row free.
    await store.reserve(consent, attempt(clock))
    assert await _uses(store, consent) == 1
    assert await vault_pool.fetchval("SELECT sum(fetches) FROM partner_day") == 1


async def test_what_cannot_be_given_back_stays_used_and_nobody_stumbles(
    store: PgUses, vault_pool: asyncpg.Pool, granted: Granter, clock: FakeClock
) -> None:
    consent = await granted()
    reservation = await store.reserve(consent, attempt(clock))
    await vault_pool.close()

    await store.release(reservation)
    await store.leave(reservation)
