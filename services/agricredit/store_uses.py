"""Uses of consents in PostgreSQL: reserved in the transaction that checks what the consent permits."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg

from core.clock import Clock
from core.db import Connection, Pool
from core.disclosure import RequestInProgressError
from core.errors import UnavailableError
from core.log import get_logger
from core.vault import Vault
from services.agricredit.domain import Consent, Repeat, Use
from services.agricredit.fetching import Attempt, Reservation
from services.agricredit.refusals import FairUseExceededError
from services.agricredit.store import PgConsents, Q, consent_of_row, locked_consent

DATABASE_FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

log = get_logger()


class PgUses(PgConsents):
    """The fetch desk's store."""

    def __init__(self, pool: Pool, vault: Vault, clock: Clock) -> None:
        super().__init__(pool, vault)
        self._clock = clock

    async def consent(self, consent_id: UUID) -> Consent | None:
        """The consent, whosever it is."""
        row = await self._pool.fetchrow(Q.find_consent, consent_id)
        return consent_of_row(row) if row else None

    async def reserve(self, consent: Consent, attempt: Attempt) -> Reservation:
        """Takes one use under the consent's row lock, which a revocation takes too."""
        key = self._request_key(consent, attempt)
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

    async def confirm(self, reservation: Reservation) -> None:
        """The ledger holds the entry of this use."""
        confirmed = await self._pool.fetchval(Q.confirm_use, reservation.subject_id, reservation.use_id)
        if confirmed is None:
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
            Q.count_fetch, attempt.claim.partner_id, attempt.day, attempt.daily_fetches
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
