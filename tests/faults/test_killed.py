"""Each part and the database killed under load: every answer has its entry, nothing is done twice."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psycopg
import pytest

from cli.demo.client import Caller, RefusedError, receipt_in
from core.config import PARTS
from tests.city import City
from tests.story import (
    ID_CARD,
    MATTER,
    Json,
    case_of,
    cast_of,
    letter,
    person,
    platform_of,
    proved,
    proved_file,
)

pytestmark = pytest.mark.timeout(420)

LONGEST_CALL_SECONDS = 14.0
"""The gateway's deadline is 10 s; nobody waits much longer, whatever dies."""

RECOVERED_SECONDS = 30.0
"""A part that is well again is used again at once; this leaves room for a slow machine."""

CLOSED_SECONDS = 75.0
"""An open intent is left alone for 30 s, then closed within a round of recovery."""


@dataclass
class Load:
    """Callers who keep asking, and remember every answer they were given."""

    city: City
    answers: list[Json] = field(default_factory=list)
    sealed: dict[str, tuple[Json, Json]] = field(default_factory=dict)
    """By Idempotency-Key: the case, and the receipt."""
    tried: dict[str, Json] = field(default_factory=dict)
    """Every key that was ever sent, with its case."""
    longest: float = 0.0
    refusals: set[int] = field(default_factory=set)
    broken: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._stack = ExitStack()
        self._threads: list[threading.Thread] = []
        cast = cast_of(self.city)
        self.applicant = person(cast["applicant"]["code"])
        self.office = cast["office"]["code"]
        self.earlier = rows(self.city, "SELECT count(*) FROM eseal.signature")[0][0]

    def __enter__(self) -> Load:
        for work in (self._search, self._fill, self._seal, self._seal):
            caller = self._stack.enter_context(platform_of(self.city))
            thread = threading.Thread(target=self._keep_asking, args=(work, caller))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()
        self._stack.close()
        if self.broken:
            raise self.broken[0]

    def must_be_answered(self, when: str) -> None:
        """Waits until every kind of request has been answered anew."""
        searched, sealed = len(self.answers), len(self.sealed)
        deadline = time.monotonic() + RECOVERED_SECONDS
        while len(self.answers) < searched + 4 or len(self.sealed) == sealed:
            assert time.monotonic() < deadline, f"nothing is answered {when}"
            time.sleep(0.05)

    def _keep_asking(self, work: Callable[[Caller], None], caller: Caller) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                work(caller)
            except RefusedError as refusal:
                self.refusals.add(int(refusal.problem["status"]))
                time.sleep(0.05)
            except httpx2.TransportError:
                time.sleep(0.05)
            except BaseException as failure:
                self.broken.append(failure)
                return
            self.longest = max(self.longest, time.monotonic() - began)

    def _search(self, caller: Caller) -> None:
        body = {"case": case_of(self.city), "holder": self.applicant, "type_codes": [ID_CARD]}
        self.answers.append(caller.post("/approval/v1/licences:search", body))

    def _fill(self, caller: Caller) -> None:
        body = {"case": case_of(self.city), "subjects": {"applicant": self.applicant}}
        self.answers.append(caller.post(f"/approval/v1/matters/{MATTER}:autofill", body))

    def _seal(self, caller: Caller) -> None:
        key, case = uuid.uuid4().hex, case_of(self.city)
        self.tried[key] = case
        self.sealed[key] = (case, self.seal(caller, key, case))

    def seal(self, caller: Caller, key: str, case: Json) -> Json:
        """Seals the letter; the receipt."""
        seal_id = caller.get("/approval/v1/seals", office=self.office)["seals"][0]["id"]
        answer = caller.upload(f"/approval/v1/seals/{seal_id}:sign", letter(), {"case": case}, key)
        receipt = receipt_in(answer.headers["Receipt"])
        proved_file(self.city, answer.content, receipt)
        return receipt


@pytest.fixture(scope="module")
def shaken() -> Iterator[City]:
    """A city of this module's own."""
    city = City()
    try:
        city.start()
        yield city
        city.stop()
    finally:
        city.remove()


def rows(city: City, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(city.admin_dsn) as connection:
        return connection.execute(query.encode(), values).fetchall()


def audit(city: City, load: Load) -> None:
    """Every answer given has its entry; every key did its thing at most once; every intent is closed."""
    receipts = [answer["receipt"] for answer in load.answers] + [kept for _, kept in load.sealed.values()]
    ids = [receipt["id"] for receipt in receipts]
    found = rows(city, "SELECT item_id::text FROM ledger.entry WHERE item_id = ANY(%s::uuid[])", ids)
    assert {row[0] for row in found} == set(ids)
    for answer in load.answers:
        proved(city, answer)
    with platform_of(city) as caller:
        for key, (case, receipt) in load.sealed.items():
            assert load.seal(caller, key, case)["id"] == receipt["id"]
        for key in load.tried.keys() - load.sealed.keys():
            sealed_at_last(load, caller, key)
    signatures = rows(city, "SELECT count(*) FROM eseal.signature")
    assert signatures == [(load.earlier + len(load.tried),)]
    deadline = time.monotonic() + CLOSED_SECONDS
    while open_intents(city) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert open_intents(city) == []


def sealed_at_last(load: Load, caller: Caller, key: str) -> None:
    """Retries what was not answered, as its caller would: later when told so, until it is done."""
    deadline = time.monotonic() + 30
    while True:
        try:
            load.seal(caller, key, load.tried[key])
        except RefusedError as refusal:
            if refusal.problem["status"] not in {409, 503} or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def open_intents(city: City) -> list[tuple[Any, ...]]:
    return rows(
        city,
        "SELECT intent.item_id FROM ledger.entry AS intent WHERE intent.kind = 2 AND NOT EXISTS"
        " (SELECT FROM ledger.entry AS outcome WHERE outcome.intent_id = intent.item_id)",
    )


def test_parts_killed_under_load_lose_nothing_and_double_nothing(shaken: City) -> None:
    with Load(shaken) as load:
        for part in (*PARTS, "gateway", "postgres"):
            time.sleep(1.0)
            before = shaken.kill(part)
            shaken.wait_well(part, other_than=before)
            shaken.wait_ready()
            load.must_be_answered(f"after {part} was killed")

    assert load.longest < LONGEST_CALL_SECONDS
    assert load.refusals <= {409, 503, 504}
    audit(shaken, load)
