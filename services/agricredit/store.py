"""Partners, consent requests and consents in PostgreSQL. Numbers are sealed and found by blind index."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID, uuid4

import asyncpg

from core import queries
from core.db import Connection, Pool
from core.disclosure import Transaction
from core.identity import CITIZEN_NUMBER, Subject
from core.vault import Vault
from services.agricredit.domain import Agreement, Consent, ConsentRequest, Cursor, Item, Partner

Q = queries.load(__package__)

NUMBER = "farmer.number"
"""What the vault binds a sealed number to, beside its row."""


class PgConsents:
    """The consent desk's store."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault

    async def partner(self, partner_id: str) -> Partner | None:
        """An active partner with its agreements."""
        return partners_of_rows(await self._pool.fetch(Q.find_partners, {partner_id})).get(partner_id)

    async def request(self, request_id: UUID, partner_id: str) -> ConsentRequest | None:
        """A partner's own request, with the consent that came of it."""
        row = await self._pool.fetchrow(Q.request_of_partner, request_id, partner_id)
        return _request(row) if row else None

    async def request_of(self, farmer: Subject, request_id: UUID) -> ConsentRequest | None:
        """A request to this farmer."""
        subject_id = await self._subject(self._pool, farmer)
        if subject_id is None:
            return None
        row = await self._pool.fetchrow(Q.request_of_farmer, subject_id, request_id)
        return _request(row) if row else None

    async def requests_of(self, farmer: Subject, after: Cursor | None, limit: int) -> list[ConsentRequest]:
        """The requests to this farmer, newest first."""
        subject_id = await self._subject(self._pool, farmer)
        if subject_id is None:
            return []
        moment, request_id = (after.requested_at, after.request_id) if after else (None, None)
        rows = await self._pool.fetch(Q.requests_of_farmer, subject_id, moment, request_id, limit)
        return [_request(row) for row in rows]

    async def consent_of(self, farmer: Subject, consent_id: UUID) -> Consent | None:
        """A consent that this farmer gave."""
        subject_id = await self._subject(self._pool, farmer)
        if subject_id is None:
            return None
        row = await self._pool.fetchrow(Q.consent_of_farmer, subject_id, consent_id)
        return consent_of_row(row) if row else None

    async def farmer(self, subject_id: UUID) -> Subject:
        """The number behind a subject id."""
        return self._opened(subject_id, await self._pool.fetchval(Q.find_farmer, subject_id))

    async def enrol(self, tx: Transaction, farmer: Subject) -> UUID:
        """The farmer's subject id, made where there is none; locked until the transaction ends."""
        connection = _connection(tx)
        # Two processes may index under two keys while the key is being changed, and would not meet there.
        turn = self._vault.keyed_hash(b"enrol", farmer.code.encode())
        await connection.execute(Q.take_turn, int.from_bytes(turn[:8], "big", signed=True))
        subject_id = await self._subject(connection, farmer)
        made = subject_id or uuid4()
        # Under the current key too, so that a retired one can be dropped once everybody came by.
        await connection.execute(
            Q.index_farmer, self._vault.blind_index(farmer), self._vault.index_version, made
        )
        if subject_id is None:
            # Somebody may have been faster: who holds the index row is the farmer.
            subject_id = await self._subject(connection, farmer)
            if subject_id is None:
                raise LookupError("a farmer's index row vanished")
            number = self._vault.seal(farmer.code.encode("ascii"), row=subject_id, column=NUMBER)
            await connection.execute(Q.add_farmer, subject_id, number)
        await connection.execute(Q.lock_farmer, subject_id)
        return subject_id

    async def open_requests(self, tx: Transaction, subject_id: UUID, partner_id: str, now: datetime) -> int:
        """How many requests of the partner this farmer has not answered."""
        count: int = await _connection(tx).fetchval(Q.count_open_requests, subject_id, partner_id, now)
        return count

    async def read_request(self, tx: Transaction, subject_id: UUID, request_id: UUID) -> ConsentRequest:
        """A request as it is now."""
        row = await _connection(tx).fetchrow(Q.request_of_farmer, subject_id, request_id)
        if row is None:
            raise LookupError("a consent request vanished")
        return _request(row)

    async def add_request(self, tx: Transaction, request: ConsentRequest) -> None:
        """Stores a new request."""
        await _connection(tx).execute(
            Q.add_request,
            request.subject_id,
            request.request_id,
            request.partner_id,
            request.partner_name,
            request.partner_contact,
            request.purpose_code,
            request.purpose_text,
            [item.value for item in request.items],
            request.max_uses,
            request.requested_at,
            request.answer_by,
            request.valid_until,
            request.text,
            request.text_sha256,
        )

    async def add_consent(self, tx: Transaction, consent: Consent) -> bool:
        """Stores a consent; False where the request has got one meanwhile."""
        stored = await _connection(tx).fetchval(
            Q.add_consent,
            consent.subject_id,
            consent.consent_id,
            consent.request_id,
            consent.partner_id,
            consent.partner_name,
            consent.purpose_code,
            [item.value for item in consent.items],
            consent.max_uses,
            consent.granted_at,
            consent.valid_until,
            consent.text_sha256,
        )
        return stored is not None

    async def lock_consent(self, tx: Transaction, subject_id: UUID, consent_id: UUID) -> Consent:
        """The consent as it is now; nobody reserves a use of it until the transaction ends."""
        return await locked_consent(_connection(tx), subject_id, consent_id)

    async def revoke(self, tx: Transaction, consent: Consent, now: datetime) -> None:
        """Notes the revocation."""
        await _connection(tx).execute(Q.revoke_consent, consent.subject_id, consent.consent_id, now)

    def _opened(self, subject_id: UUID, sealed: bytes) -> Subject:
        number = self._vault.unseal(sealed, row=subject_id, column=NUMBER)
        return Subject(CITIZEN_NUMBER, number.decode("ascii"))

    async def _subject(self, where: Pool | Connection, farmer: Subject) -> UUID | None:
        found: UUID | None = await where.fetchval(Q.find_subject, self._vault.blind_indexes(farmer))
        return found


async def locked_consent(connection: Connection, subject_id: UUID, consent_id: UUID) -> Consent:
    """The consent, locked until the transaction ends: the order of reserving and revoking is decided here."""
    row = await connection.fetchrow(Q.lock_consent, subject_id, consent_id)
    if row is None:
        raise LookupError("a consent vanished")
    return consent_of_row(row)


def consent_of_row(row: asyncpg.Record, *, items: str = "items") -> Consent:
    """A consent from its row. Beside a request's own items the consent's stand under another name."""
    return Consent(
        consent_id=row["consent_id"],
        subject_id=row["subject_id"],
        request_id=row["request_id"],
        partner_id=row["partner_id"],
        partner_name=row["partner_name"],
        purpose_code=row["purpose_code"],
        items=_items(row[items]),
        max_uses=row["max_uses"],
        uses=row["uses"],
        granted_at=row["granted_at"],
        valid_until=row["valid_until"],
        revoked_at=row["revoked_at"],
        text_sha256=row["text_sha256"],
    )


def _request(row: asyncpg.Record) -> ConsentRequest:
    consent = None
    if row["consent_id"] is not None:
        consent = consent_of_row(row, items="given_items")
    return ConsentRequest(
        request_id=row["request_id"],
        subject_id=row["subject_id"],
        partner_id=row["partner_id"],
        partner_name=row["partner_name"],
        partner_contact=row["partner_contact"],
        purpose_code=row["purpose_code"],
        purpose_text=row["purpose_text"],
        items=_items(row["items"]),
        max_uses=row["max_uses"],
        requested_at=row["requested_at"],
        answer_by=row["answer_by"],
        valid_until=row["valid_until"],
        text=row["text"],
        text_sha256=row["text_sha256"],
        consent=consent,
    )


def partners_of_rows(rows: Sequence[asyncpg.Record]) -> dict[str, Partner]:
    """Partners by id, from rows with an agreement each."""
    agreements: defaultdict[str, dict[str, Agreement]] = defaultdict(dict)
    for row in rows:
        if row["purpose_code"] is not None:
            agreements[row["partner_id"]][row["purpose_code"]] = _agreement(row)
    return {
        row["partner_id"]: Partner(
            partner_id=row["partner_id"],
            name=row["name"],
            contact=row["contact"],
            encryption_jwk=json.loads(row["encryption_jwk"]),
            daily_fetches=row["daily_fetches"],
            open_requests=row["open_requests"],
            agreements=agreements[row["partner_id"]],
        )
        for row in rows
    }


def _agreement(row: asyncpg.Record) -> Agreement:
    return Agreement(
        purpose_code=row["purpose_code"],
        purpose_text=row["purpose_text"],
        items=frozenset(_items(row["items"])),
        max_validity_days=row["max_validity_days"],
        max_uses=row["max_uses"],
        keeping=row["keeping"],
    )


def _items(words: list[str]) -> tuple[Item, ...]:
    return tuple(Item(word) for word in words)


def _connection(tx: Transaction) -> Connection:
    return cast(Connection, tx)
