"""What operators have asked for, and its carrying out, in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast
from uuid import UUID

import asyncpg

from core import queries
from core.db import Connection, Pool
from core.disclosure import Transaction
from services.eseal.domain import Algorithm, SealState
from services.eseal.lifecycle import Action, Application, Done, OwnerType, Request, SealKind, Shape, Upload
from services.eseal.operating.keeping import MadeSeal, Making
from services.eseal.refusals import SealActRefusedError

Q = queries.load(__package__)


class PgKeepingStore:
    """Reads requests and carries them out, with the rights of the service's own role."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open_requests(self, limit: int) -> Sequence[Request]:
        """What was asked for and is not done, oldest first."""
        return [_request(row) for row in await self._pool.fetch(Q.open_requests, limit)]

    async def to_make(self, seal_id: UUID) -> Making:
        """What was applied for. Raises SealActRefusedError."""
        row = await self._pool.fetchrow(Q.application, seal_id)
        if row is None:
            raise SealActRefusedError("the seal was made without an application; apply for another one")
        return Making(application_of(row), row["code"], row["has_key"])

    async def carry_out(
        self, tx: Transaction, request: Request, intent_id: UUID, made: MadeSeal | None
    ) -> None:
        """Does it, in the act's transaction. Raises SealActRefusedError."""
        connection = cast(Connection, tx)
        async with _refusals():
            if made is not None:
                await connection.execute(Q.keep_asked, request.id, *columns(made))
            await connection.execute(Q.carry_out, request.id, intent_id)

    async def refuse(self, request: Request, why: str) -> None:
        """Notes that it is not done, and why."""
        await self._pool.execute(Q.refuse_request, request.id, why)


def application_of(row: asyncpg.Record) -> Application:
    """What was applied for, as the query `application` has it. Raises SealActRefusedError."""
    return Application(
        owner_code=row["owner_code"],
        owner_name=row["owner_name"],
        title=row["title"],
        division=row["division"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        kind=SealKind(row["kind"]),
        owner_type=OwnerType(row["owner_type"]),
        shape=Shape(row["shape"]),
        algorithm=_algorithm(row["algorithm"]),
        upload=Upload(row["picture"], row["picture_width"]) if row["picture"] else None,
    )


def columns(made: MadeSeal) -> tuple[object, ...]:
    """What was made, as `keep_made_seal` takes it."""
    picture, key = made.picture, made.key
    look = (picture.content, picture.width_mm, picture.height_mm)
    if key is None:
        return (*look, None, None, None, None, None)
    return (*look, key.id, key.algorithm.value, key.sealed, key.certificate, key.structure)


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    """What the database refuses by its own rules, as the error that says so."""
    try:
        yield
    except (asyncpg.RaiseError, asyncpg.InsufficientPrivilegeError) as refusal:
        raise SealActRefusedError(refusal.message or "the database refuses it") from None
    except asyncpg.IntegrityConstraintViolationError as refusal:
        # Never the detail: it can hold a row.
        rule = refusal.constraint_name or "a rule"
        raise SealActRefusedError(f"it breaks {rule} of the database") from None


def _request(row: asyncpg.Record) -> Request:
    standing = row["standing"]
    return Request(
        id=row["request_id"],
        seal_id=row["seal_id"],
        action=Action(row["action"]),
        reason=row["reason"],
        details=row["details"],
        asked_by=row["asked_by"],
        asked_at=row["asked_at"],
        standing=SealState(standing) if standing is not None else None,
        owner_code=row["owner_code"],
        history=[Done(Action(action), actor) for action, actor in row["history"]],
    )


def _algorithm(text: str) -> Algorithm:
    try:
        return Algorithm(text)
    except ValueError:
        known = ", ".join(Algorithm)
        raise SealActRefusedError(f"no such algorithm: one of {known}") from None
