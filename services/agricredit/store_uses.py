"""Uses of consents in PostgreSQL: reserved in the transaction that checks what the consent permits.

What arrives while a statement is under way goes together in the next one: the looks, the reservations and the
confirmations of different requests share their round trips and their commits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

import asyncpg

from core.clock import Clock
from core.coalesce import Coalescer
from core.db import Connection, Pool
from core.disclosure import RequestInProgressError
from core.errors import ServiceError, UnavailableError
from core.log import get_logger
from core.vault import Vault
from services.agricredit.domain import Consent, Repeat, Use
from services.agricredit.fetching import Attempt, Look, Reservation
from services.agricredit.refusals import FairUseExceededError
from services.agricredit.store import PgConsents, Q, consent_of_row, locked_consent, partners_of_rows

DATABASE_FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

LONGEST_WAIT_TOGETHER = 0.5
"""Seconds for which those that reserve together wait for a consent that somebody has locked."""

log = get_logger()


@dataclass
class Wanted:
    """One use that is wanted."""

    consent: Consent
    attempt: Attempt
    key: bytes | None
    gone: bool = False
    """Nobody waits for it any more."""


class AskAloneError(Exception):
    """Some of those who asked together need a closer look; nothing was done for any of them."""


class PgUses(PgConsents):
    """The fetch desk's store."""

    def __init__(self, pool: Pool, vault: Vault, clock: Clock) -> None:
        super().__init__(pool, vault)
        self._clock = clock
        self._looks: Coalescer[tuple[str, UUID | None], Look] = Coalescer(self._look)
        self._standing: Coalescer[Consent, bool] = Coalescer(self._stand)
        self._taking: Coalescer[Wanted, Reservation | None] = Coalescer(self._take_together)
        self._confirming: Coalescer[tuple[Reservation, UUID], bool] = Coalescer(self._confirm)

    async def look(self, partner_id: str, consent_id: UUID | None) -> Look:
        """An active partner, and the consent of this id, whosever it is."""
        return await self._looks.submit((partner_id, consent_id))

    async def stands(self, consent: Consent) -> bool:
        """Whether nobody has revoked the consent by now."""
        return await self._standing.submit(consent)

    async def reserve(self, consent: Consent, attempt: Attempt) -> Reservation:
        """Takes one use under the consent's row lock, which a revocation takes too."""
        wanted = Wanted(consent, attempt, self._request_key(consent, attempt))
        try:
            reservation = await self._taking.submit(wanted)
        except asyncio.CancelledError:
            wanted.gone = True
            raise
        return reservation if reservation is not None else await self._take_alone(wanted)

    async def confirm(self, reservation: Reservation, entry_id: UUID) -> None:
        """The ledger holds this entry of the use."""
        if not await self._confirming.submit((reservation, entry_id)):
            raise UnavailableError("the use was given back meanwhile; ask again", retry_after=1.0)

    async def release(self, reservation: Reservation) -> None:
        """Gives the use back. Never raises; what fails stays counted as used."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await locked_consent(connection, reservation.subject_id, reservation.consent_id)
                released = await connection.fetchval(
                    Q.release_use, reservation.subject_id, reservation.use_id, reservation.held_until
                )
                if released is not None:
                    await connection.fetchval(Q.count_use, reservation.subject_id, reservation.consent_id, -1)
                    await connection.execute(Q.uncount_fetch, reservation.partner_id, reservation.day)
        except DATABASE_FAILURES as failure:
            log.warning("use_not_released", use=str(reservation.use_id), why=type(failure).__name__)

    async def leave(self, reservation: Reservation) -> None:
        """The request has ended; its use stays counted until the same request comes again. Never raises."""
        try:
            await self._pool.execute(Q.leave_use, reservation.subject_id, reservation.use_id, self._clock())
        except DATABASE_FAILURES as failure:
            log.warning("use_not_left", use=str(reservation.use_id), why=type(failure).__name__)

    async def _look(self, asked: Sequence[tuple[str, UUID | None]]) -> Sequence[Look]:
        async with self._pool.acquire() as connection:
            partners = partners_of_rows(
                await connection.fetch(Q.find_partners, {partner_id for partner_id, _ in asked})
            )
            ids = {consent_id for _, consent_id in asked if consent_id is not None}
            rows = {row["consent_id"]: row for row in await connection.fetch(Q.find_consents, ids)}
        looks = []
        for partner_id, consent_id in asked:
            row = rows.get(consent_id)
            opener = partial(self._opened, row["subject_id"], row["number"]) if row else None
            looks.append(Look(partners.get(partner_id), consent_of_row(row) if row else None, opener))
        return looks

    async def _stand(self, consents: Sequence[Consent]) -> Sequence[bool]:
        rows = await self._pool.fetch(
            Q.standing_consents, {one.subject_id for one in consents}, {one.consent_id for one in consents}
        )
        standing = {row["consent_id"] for row in rows}
        return [one.consent_id in standing for one in consents]

    async def _confirm(self, entered: Sequence[tuple[Reservation, UUID]]) -> Sequence[bool]:
        rows = await self._pool.fetch(
            Q.confirm_uses,
            [one.subject_id for one, _ in entered],
            [one.use_id for one, _ in entered],
            [entry_id for _, entry_id in entered],
        )
        confirmed = {row["use_id"] for row in rows}
        return [one.use_id in confirmed for one, _ in entered]

    async def _take_together(self, wanted: Sequence[Wanted]) -> Sequence[Reservation | None]:
        """A use each, in one transaction; None for whoever is to ask alone.

        Nobody is refused here: whatever is not as usual is looked at in a transaction of its own.
        """
        first = {one.consent.consent_id: one for one in reversed(wanted)}
        taken: dict[UUID, Reservation] = {}
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                new = await self._new(connection, [one for one in first.values() if not one.gone])
                taken = await self._take(connection, new) if new else {}
        except (AskAloneError, TimeoutError, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
            return [None] * len(wanted)
        for one in first.values():
            if one.gone and one.consent.consent_id in taken:
                await self.release(taken[one.consent.consent_id])
        ids = [one.consent.consent_id for one in wanted]
        return [
            taken.get(name) if first[name] is one else None for name, one in zip(ids, wanted, strict=True)
        ]

    async def _new(self, connection: Connection, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Those whose request has no use of the consent yet."""
        keyed = [one for one in wanted if one.key is not None]
        if not keyed:
            return list(wanted)
        rows = await connection.fetch(
            Q.known_requests, {one.consent.subject_id for one in keyed}, {one.key for one in keyed}
        )
        known = {(row["consent_id"], row["request_key"]) for row in rows}
        return [one for one in wanted if (one.consent.consent_id, one.key) not in known]

    async def _take(self, connection: Connection, wanted: Sequence[Wanted]) -> dict[UUID, Reservation]:
        """Uses by consent, of those that have one left. Raises AskAloneError."""
        rows = await connection.fetch(
            Q.take_uses,
            {one.consent.subject_id for one in wanted},
            {one.consent.consent_id for one in wanted},
            timeout=LONGEST_WAIT_TOGETHER,
        )
        latest = {row["consent_id"]: consent_of_row(row) for row in rows}
        going = [one for one in wanted if one.consent.consent_id in latest]
        taken: dict[UUID, Reservation] = {}
        for one in going:
            consent = latest[one.consent.consent_id]
            try:
                consent.permit(one.attempt.claim, one.attempt.now)
            except ServiceError:
                raise AskAloneError from None
            taken[consent.consent_id] = _reservation(consent, one.attempt, uuid4(), consent.uses, first=True)
        reservations = list(taken.values())
        await connection.execute(
            Q.reserve_uses,
            [one.subject_id for one in reservations],
            [one.use_id for one in reservations],
            [one.consent_id for one in reservations],
            [one.attempt.claim.item.value for one in going],
            [one.key for one in going],
            [one.attempt.now for one in going],
            [one.held_until for one in reservations],
        )
        # Last, because every fetch of the partner meets at this row.
        for (partner_id, day), number in sorted(Counter((r.partner_id, r.day) for r in reservations).items()):
            ceiling = min(
                one.attempt.daily_fetches for one in going if one.attempt.claim.partner_id == partner_id
            )
            if await connection.fetchval(Q.count_fetches, partner_id, day, ceiling, number) is None:
                raise AskAloneError
        return taken

    async def _take_alone(self, wanted: Wanted) -> Reservation:
        """Takes one use, or says why there is none."""
        consent, attempt, key = wanted.consent, wanted.attempt, wanted.key
        async with self._pool.acquire() as connection, connection.transaction():
            latest = await locked_consent(connection, consent.subject_id, consent.consent_id)
            latest.permit(attempt.claim, attempt.now)
            use_id = await self._repeated(connection, latest, key, attempt)
            if use_id is not None:
                return _reservation(latest, attempt, use_id, latest.uses, first=False)
            latest.require_use_left()
            use_id = uuid4()
            uses = await connection.fetchval(Q.count_use, latest.subject_id, latest.consent_id, 1)
            await connection.execute(
                Q.reserve_use,
                latest.subject_id,
                use_id,
                latest.consent_id,
                attempt.claim.item.value,
                key,
                attempt.now,
                attempt.held_until,
            )
            # Last, because every fetch of the partner meets at this row.
            await self._count(connection, attempt)
            return _reservation(latest, attempt, use_id, uses, first=True)

    async def _repeated(
        self, connection: Connection, consent: Consent, key: bytes | None, attempt: Attempt
    ) -> UUID | None:
        """The use that the same request took before, held again for it."""
        if key is None:
            return None
        row = await connection.fetchrow(Q.use_of_request, consent.subject_id, consent.consent_id, key)
        if row is None:
            return None
        use = Use(row["use_id"], row["state"] == "confirmed", row["reserved_at"], row["held_until"])
        match use.repeated(attempt.now):
            case Repeat.UNDER_WAY:
                left = (use.held_until - attempt.now).total_seconds()
                raise RequestInProgressError(
                    "the same request is under way; ask again shortly", retry_after=left
                )
            case Repeat.FORGOTTEN:
                await connection.execute(Q.forget_request, consent.subject_id, use.use_id)
                return None
        await connection.execute(Q.hold_use_again, consent.subject_id, use.use_id, attempt.held_until)
        return use.use_id

    async def _count(self, connection: Connection, attempt: Attempt) -> None:
        counted = await connection.fetchval(
            Q.count_fetches, attempt.claim.partner_id, attempt.day, attempt.daily_fetches, 1
        )
        if counted is None:
            raise FairUseExceededError(
                f"the {attempt.daily_fetches} answers agreed for one day have been given",
                retry_after=attempt.next_day_in,
            )

    def _request_key(self, consent: Consent, attempt: Attempt) -> bytes | None:
        """The request's name, hashed: a key counts per partner, operator and kind of data."""
        if not attempt.request_id:
            return None
        parts = ("use", attempt.claim.partner_id, attempt.operator, attempt.claim.item, attempt.request_id)
        return self._vault.keyed_hash(consent.consent_id.bytes, *(part.encode() for part in parts))


def _reservation(consent: Consent, attempt: Attempt, use_id: UUID, uses: int, *, first: bool) -> Reservation:
    return Reservation(
        subject_id=consent.subject_id,
        consent_id=consent.consent_id,
        use_id=use_id,
        partner_id=consent.partner_id,
        day=attempt.day,
        uses_left=consent.max_uses - uses,
        held_until=attempt.held_until,
        first=first,
    )
