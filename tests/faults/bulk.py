"""A bulk of letters that its sender does not give up: sent again until each is sealed."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import httpx2
import psycopg

from tests.city import City
from tests.story import Json, Machine, case_of, letter

LINES = {"Content-Type": "application/x-ndjson"}
AGAIN = {"REQUEST_IN_PROGRESS", "PART_DOWN", "ACT_ABORTED", "DEADLINE_PASSED", "PART_CANCELLED", "INTERNAL"}
"""What a document may be answered with whose seal service dies: it is sent again."""


class Bulk:
    """Letters of cases of their own. `answered` holds what came for each, by its key."""

    def __init__(self, city: City, platform: Machine, number: int) -> None:
        self._city = city
        self._platform = platform
        self._run = uuid.uuid4().hex[:12]
        self.keys = [f"{self._run}-{one:03}" for one in range(number)]
        self.answered: dict[str, tuple[str, str]] = {}
        self.refused: Counter[str] = Counter()
        seals = platform.get("/approval/v1/seals", office=case_of(city)["office"])["seals"]
        self._path = f"/approval/v1/seals/{seals[0]['id']}:sign_bulk"

    def finish(self, seconds: float = 60.0) -> None:
        """Sends all of them until each was answered with its receipt."""
        deadline = time.monotonic() + seconds
        while len(self.answered) < len(self.keys):
            assert time.monotonic() < deadline, f"not sealed, but {self.refused}"
            self.send()

    def send(self) -> None:
        """Sends all of them once, and takes what is answered, as far as it comes."""
        body = b"".join(self._line(key) for key in self.keys)
        try:
            answer = self._platform.ask("POST", self._path, LINES, content=body)
        except httpx2.TransportError:
            return
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            return
        for line in answer.text.splitlines():
            self._take(json.loads(line))

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Sends them beside the test."""
        thread = Thread(target=self.send)
        thread.start()
        try:
            yield
        finally:
            thread.join(60)
            assert not thread.is_alive(), "the stream hangs"

    def signatures(self) -> int:
        """How many of them are sealed, by the service's own record."""
        return sum(self._by_case("SELECT case_number FROM eseal.signature").values())

    def check_books(self) -> None:
        """Each was sealed once, with one intent that was completed; every intent has its one outcome."""
        assert self._by_case("SELECT case_number FROM eseal.signature") == Counter(self.keys)
        query = (
            "SELECT convert_from(leaf, 'UTF8')::json #>> '{basis,case_number}', kind, item_id, intent_id,"
            " convert_from(leaf, 'UTF8')::json ->> 'outcome', item_id FROM ledger.entry"
            " WHERE recorder = 'eseal' AND position(convert_to(%s, 'UTF8') IN leaf) > 0"
        )
        entries = self._rows(query, self._run)
        intents = {row[2]: row[0] for row in entries if row[1] == 2}
        outcomes = [(row[3], row[4], str(row[5])) for row in entries if row[1] == 3]
        assert Counter(one for one, _, _ in outcomes) == Counter(intents.keys())
        completed = {intents[intent]: item for intent, how, item in outcomes if how == "completed"}
        assert Counter(intents[one] for one, how, _ in outcomes if how == "completed") == Counter(self.keys)
        assert {key: receipt for key, (receipt, _) in self.answered.items()} == completed

    def _take(self, said: Json) -> None:
        if "receipt" in said:
            first = self.answered.setdefault(said["key"], (said["receipt"]["id"], said["document"]))
            assert first == (said["receipt"]["id"], said["document"]), "another answer than the first"
        elif "error" in said:
            reason = said["error"]["reason"]
            assert reason in AGAIN, said
            self.refused[reason] += 1

    def _line(self, key: str) -> bytes:
        case = case_of(self._city, case_number=key)
        said = {"key": key, "case": case, "document": base64.b64encode(letter()).decode()}
        return json.dumps(said).encode() + b"\n"

    def _by_case(self, query: str) -> Counter[str]:
        return Counter(str(row[0]) for row in self._rows(query) if str(row[0]).startswith(self._run))

    def _rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self._city.admin_dsn) as connection:
            return connection.execute(query.encode(), values or None).fetchall()
