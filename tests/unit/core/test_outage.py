"""A database that is away is told from a mistake of ours."""

from __future__ import annotations

import asyncpg
import pytest

from core.db import is_outage
from core.errors import Kind
from core.status import from_status, to_status


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        FileNotFoundError("a socket"),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.AdminShutdownError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.InterfaceError("connection is closed"),
    ],
)
def test_an_outage_is_unavailable_and_may_be_tried_again(error: Exception) -> None:
    told = from_status(to_status(error), "licence")

    assert (told.kind, told.reason, told.part) == (Kind.UNAVAILABLE, "PART_DOWN", "licence")
    assert told.retry_after == 1.0


@pytest.mark.parametrize(
    "error",
    [asyncpg.UniqueViolationError(), asyncpg.UndefinedTableError(), asyncpg.DataError(), KeyError("x")],
)
def test_a_mistake_is_internal(error: Exception) -> None:
    assert not is_outage(error)
    assert to_status(error).code == 13
