"""The bank fetches while its service, the data node, the ledger and the database are killed, and retries.

Whatever dies: a request takes one use and gets one answer, however often it is sent; every answer that was
given has its ledger entry; and a revocation holds.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psycopg
import pytest
from joserfc import jwe, jws
from joserfc.jwk import ECKey

from cli.demo.client import Caller, RefusedError
from tests.city import City
from tests.story import PURPOSE, Json, ask_consent, bank_of, cast_of, citizen_of, grant, proved

pytestmark = pytest.mark.timeout(420)

WORKERS = 3
RETRY_SECONDS = 60.0
PASSING = {409, 503, 504}
"""What a caller may be told while a part is away; each of these may be tried again."""


@pytest.fixture(scope="module")
def city() -> Iterator[City]:
    # Its workers ask as fast as they are answered, which is more than the partner's usual limit lets pass.
    made = City(people=100, environment={"ONESTOP_PARTNER_LIMIT": "1000000 per second"})
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.remove()


@dataclass
class Bank:
    """Keeps fetching under fresh keys, each until it is answered; remembers the first answer of each key."""

    city: City
    consent_id: str
    answers: dict[str, Json] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    broken: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        folder = self.city.settings.pki
        text = (folder / "rural-bank-encryption.jwk").read_text(encoding="utf-8")
        self._key = ECKey.import_key(json.loads(text))
        self._threads = [threading.Thread(target=self._work) for _ in range(WORKERS)]

    def __enter__(self) -> Bank:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def opened(self, sealed: Json) -> Json:
        """What is inside an answer; the signature is checked elsewhere."""
        plain = jwe.decrypt_compact(sealed["jwe"], self._key, ["ECDH-ES+A256KW", "A256GCM"]).plaintext
        return dict(json.loads(jws.extract_compact(plain or b"").payload))

    def fetch(self, caller: Caller, key: str) -> Json:
        """One try."""
        wanted = {"consent_id": self.consent_id, "purpose_code": PURPOSE}
        return self.opened(caller.post("/partner/v1/farmers:land_rights", wanted, key))

    def fetch_until_answered(self, caller: Caller, key: str) -> Json:
        """As many tries as it takes."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                return self.fetch(caller, key)
            except RefusedError as refusal:
                status = int(refusal.problem["status"])
                self.told.add(status)
                if status not in PASSING or time.monotonic() > deadline:
                    raise
            except httpx2.TransportError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.3)

    def _work(self) -> None:
        try:
            with bank_of(self.city) as caller:
                while not self.stop.is_set():
                    key = uuid.uuid4().hex
                    self.answers[key] = self.fetch_until_answered(caller, key)
        except BaseException as failure:
            self.broken.append(failure)


def _consent(city: City, uses: int) -> str:
    cast = cast_of(city)
    with bank_of(city) as bank, citizen_of(city) as farmer:
        asked = ask_consent(bank, cast["farmer"]["code"], max_uses=uses)
        farmer.sign_in(cast["farmer"]["login"], cast["password"])
        return grant(farmer, asked)


def _row(city: City, statement: str, *values: object) -> tuple[Any, ...]:
    with psycopg.connect(city.admin_dsn) as connection:
        row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("part", ["agricredit", "datanode", "ledger", "postgres"])
def test_a_request_takes_one_use_and_gets_one_answer_whatever_is_killed(city: City, part: str) -> None:
    consent_id = _consent(city, 1000)

    with Bank(city, consent_id) as bank:
        for _ in range(2):
            time.sleep(1.0)
            city.restart(part)
        time.sleep(1.0)
    assert bank.broken == []
    assert len(bank.answers) > WORKERS

    with bank_of(city) as caller:
        for key, first in bank.answers.items():
            assert bank.fetch(caller, key) == first
    proofs = [proved(city, answer) for answer in bank.answers.values()]
    assert all(proof.answer_proved for proof in proofs)
    assert len({proof.index for proof in proofs}) == len(bank.answers)
    (uses,) = _row(city, "SELECT uses FROM agricredit.consent WHERE consent_id = %s", consent_id)
    assert uses == len(bank.answers)


def test_a_revocation_outlives_the_service(city: City) -> None:
    consent_id = _consent(city, 10)
    bank = Bank(city, consent_id)
    cast = cast_of(city)
    with bank_of(city) as caller, citizen_of(city) as farmer:
        bank.fetch(caller, "before")
        farmer.sign_in(cast["farmer"]["login"], cast["password"])
        farmer.post(f"/citizen/v1/consents/{consent_id}:revoke", {})
        city.restart("agricredit")

        for key in ("before", "after"):
            with pytest.raises(RefusedError) as refusal:
                bank.fetch_until_answered(caller, key)
            assert refusal.value.problem["reason"] == "CONSENT_REVOKED"
