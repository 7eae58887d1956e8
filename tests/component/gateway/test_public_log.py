"""The public log at the gateway: paths, types, caching, and what is asked of the ledger."""

from __future__ import annotations

import pytest

from core.errors import Kind, ServiceError
from services.ledger.domain import NotCosignedError, TileNotFoundError
from tests.component.gateway.asserting import assert_problem
from tests.component.gateway.conftest import Gateway


async def test_full_tile_may_be_kept_for_ever_and_a_partial_one_shortly(gateway: Gateway) -> None:
    person = await gateway.person()

    full = await person.get("/ledger/v1/tile/1/x001/x234/067")
    partial = await person.get("/ledger/v1/tile/0/002.p/7")

    asked = gateway.behind.asked["tile"]
    assert [(one.level, one.index, one.width) for one in asked] == [(1, 1234067, 256), (0, 2, 7)]
    assert [len(full.content), len(partial.content)] == [8192, 224]
    assert {answer.headers["Content-Type"] for answer in (full, partial)} == {"application/octet-stream"}
    assert full.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert partial.headers["Cache-Control"] == "public, max-age=60"


async def test_tile_that_is_not_there_is_not_found_and_not_kept(gateway: Gateway) -> None:
    person = await gateway.person()
    gateway.behind.failures["tile"] = TileNotFoundError("not as wide")

    not_yet = await person.get("/ledger/v1/tile/0/002.p/7")
    entries = await person.get("/ledger/v1/tile/entries/000")

    for answer in (not_yet, entries):
        assert_problem(answer, 404, "TILE_NOT_FOUND")
        assert answer.headers["Cache-Control"] == "no-store"
    assert len(gateway.behind.asked["tile"]) == 1


async def test_tiles_are_for_people_and_what_is_cosigned_is_asked_for(gateway: Gateway) -> None:
    person, platform = await gateway.person(), await gateway.machine()

    assert (await platform.get("/ledger/v1/tile/0/000")).status_code == 404
    for client in (person, platform):
        for query in ("", "?cosigned=false", "?cosigned=true"):
            assert (await client.get(f"/ledger/v1/checkpoint{query}")).status_code == 200
        assert_problem(await client.get("/ledger/v1/checkpoint?cosigned=1"), 400, "REQUEST_INVALID")
        assert (await client.get("/ledger/v1/policy")).text == "log onestop+1+A\nquorum none\n"
        continued = (await client.get("/ledger/v1/continuations")).json()["continuations"]
        assert [one["tree_size"] for one in continued] == [5, 5]
    assert [one.cosigned for one in gateway.behind.asked["checkpoint"]] == [False, False, True] * 2

    await platform.get("/ledger/v1/receipts/6f1c0e0e-6f5d-4b0e-9a57-0a5f3f4f5c11?cosigned=true")
    assert [one.cosigned for one in gateway.behind.asked["receipt"]] == [True]


@pytest.mark.parametrize("path", ["checkpoint", "receipts/6f1c0e0e-6f5d-4b0e-9a57-0a5f3f4f5c11"])
async def test_what_is_not_cosigned_yet_is_to_be_asked_for_again(gateway: Gateway, path: str) -> None:
    platform = await gateway.machine()
    failure: ServiceError = NotCosignedError("not yet", part="ledger", retry_after=1.0)
    gateway.behind.failures |= {"checkpoint": failure, "receipt": failure}

    answer = await platform.get(f"/ledger/v1/{path}?cosigned=true")

    assert_problem(answer, 503, "NOT_COSIGNED")
    assert answer.headers["Retry-After"] == "1"
    assert failure.kind is Kind.UNAVAILABLE
