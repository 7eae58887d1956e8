"""What each kind of caller does in turn: look up, fill, seal, ask for consent and fetch under it."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from cli.demo.client import RefusedError
from tests.faults.load import CALLER_SECONDS, DEADLINE_SECONDS, Ask, Load, Work
from tests.story import ID_CARD, MATTER, PURPOSE, Json, Machine, Person, case_of, letter

FILL = f"/approval/v1/matters/{MATTER}:autofill"
SEARCH = "/approval/v1/licences:search"
START_SECONDS = 30.0


class Client:
    """A machine that gets a new token whenever its old one has expired, and says how long it waits."""

    def __init__(self, load: Load, name: str) -> None:
        self._load = load
        self._machine = Machine(load.city, name)
        load.closing.callback(self._machine.__exit__)
        self._patiently(self._machine.__enter__)

    def ask(self, method: str, path: str, key: str = "", **content: Any) -> httpx2.Response:
        """One request under the load's deadline."""
        headers = {"Deadline-Ms": str(int(DEADLINE_SECONDS * 1000)), **content.pop("headers", {})}
        if key:
            headers["Idempotency-Key"] = key
        answer = self._machine.ask(method, path, headers, timeout=CALLER_SECONDS, **content)
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            self._patiently(self._machine.__enter__)
            headers.pop("Authorization", None)
            answer = self._machine.ask(method, path, headers, timeout=CALLER_SECONDS, **content)
        return answer

    def _patiently(self, work: Callable[[], object]) -> None:
        """A token is asked for until it is given, for as long as the load goes on."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                work()
            except (RefusedError, httpx2.TransportError):
                if self._load.stop.is_set() or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return


def search(load: Load) -> Work:
    """Looks the applicant's licences up and reads one."""
    client = Client(load, "approval-platform")

    def work() -> None:
        case = case_of(load.city)
        body = {"case": case, "holder": load.applicant, "type_codes": [ID_CARD]}
        found = load.read("search", lambda: client.ask("POST", SEARCH, json=body))
        if found is None:
            return
        code = {"Use-Code": found.json()["use_code"]}
        path = f"/approval/v1/licences/{found.json()['licences'][0]['id']}"
        load.read("get", lambda: client.ask("GET", path, headers=code))

    return work


def fill(load: Load) -> Work:
    """Fills the applicant's form."""
    client = Client(load, "approval-platform")

    def work() -> None:
        body = {"case": case_of(load.city), "subjects": {"applicant": load.applicant}}
        load.read("fill", lambda: client.ask("POST", FILL, json=body))

    return work


def seal(load: Load) -> Work:
    """Seals a letter, under a key, until that is acknowledged."""
    client = Client(load, "approval-platform")
    seals = _answered(lambda: client.ask("GET", "/approval/v1/seals", params={"office": load.office}))
    path = f"/approval/v1/seals/{seals['seals'][0]['id']}:sign"

    def work() -> None:
        key = uuid.uuid4().hex
        load.insist("sign", key, _sealing(load, client, path, key))

    return work


def consent(load: Load) -> Work:
    """A bank and a farmer: asked, granted, fetched twice, revoked; and what is fetched then is refused."""
    bank = Client(load, "rural-bank")
    farmer = Person(load.city)
    load.closing.callback(farmer.__exit__)
    farmer.sign_in(load.cast["farmer"]["login"], load.cast["password"])
    patience = {"Deadline-Ms": str(int(DEADLINE_SECONDS * 1000))}

    def as_farmer(path: str, key: str, body: Json) -> Ask:
        headers = {**patience, "Idempotency-Key": key}
        return lambda: farmer.ask("POST", path, headers, json=body, timeout=CALLER_SECONDS)

    def as_bank(path: str, key: str, body: Json) -> Ask:
        return lambda: bank.ask("POST", path, key, json=body)

    def insist(kind: str, make: Callable[[str, str, Json], Ask], path: str, body: Json) -> Json | None:
        key = uuid.uuid4().hex
        answer = load.insist(kind, key, make(path, key, body))
        return None if answer is None else dict(answer.json())

    def work() -> None:
        asked = insist("request", as_bank, "/partner/v1/consent_requests", _wish(load))
        if asked is None:
            return
        request = asked["consent_request"]
        said = {"consent_request_id": request["id"], "text_sha256": request["text_sha256"]}
        granting = {**said, "items": request["items"]}
        granted = insist("grant", as_farmer, "/citizen/v1/consents", granting)
        if granted is None:
            return
        consent_id = granted["consent"]["id"]
        fetch = {"consent_id": consent_id, "purpose_code": PURPOSE}
        for item in ("land_rights", "subsidies"):
            if insist(item, as_bank, f"/partner/v1/farmers:{item}", fetch) is None:
                return
        revoked = insist("revoke", as_farmer, f"/citizen/v1/consents/{consent_id}:revoke", {})
        if revoked is not None:
            late = as_bank("/partner/v1/farmers:land_rights", uuid.uuid4().hex, fetch)
            _must_be_refused(load, late)

    return work


def once_more(load: Load) -> Work:
    """Sends each sealing three times at once, out of order: a caller whose retries overtake each other."""
    clients = [Client(load, "approval-platform") for _ in range(3)]
    seals = _answered(lambda: clients[0].ask("GET", "/approval/v1/seals", params={"office": load.office}))
    path = f"/approval/v1/seals/{seals['seals'][0]['id']}:sign"
    chance = random.Random(uuid.uuid4().int)

    def work() -> None:
        key = uuid.uuid4().hex
        case = case_of(load.city)
        asks = [_sealing(load, client, path, key, case) for client in clients]
        load.unanswered[key] = ("sign", asks[0])

        def send(ask: Ask) -> None:
            time.sleep(chance.uniform(0, 0.05))
            load.once("sign", key, ask)

        threads = [threading.Thread(target=send, args=(ask,)) for ask in asks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if key in load.unanswered:
            load.insist("sign", key, asks[0])

    return work


CALLERS: Mapping[str, Callable[[Load], Work]] = {
    "search": search,
    "fill": fill,
    "seal": seal,
    "consent": consent,
    "once_more": once_more,
}


def _wish(load: Load) -> Json:
    return {
        "farmer": {"code_type": "111", "code": load.cast["farmer"]["code"]},
        "purpose_code": PURPOSE,
        "items": ["land_rights", "subsidies"],
        "validity_days": 30,
        "max_uses": 10,
    }


def _sealing(load: Load, client: Client, path: str, key: str, case: Json | None = None) -> Ask:
    said = json.dumps({"case": case or case_of(load.city)}).encode()
    files = {
        "request": (None, said, "application/json"),
        "document": ("document.pdf", letter(), "application/pdf"),
    }
    return lambda: client.ask("POST", path, key, files=files)


def _must_be_refused(load: Load, ask: Ask) -> None:
    """An outage costs availability, never a trust decision: what is revoked is never fetched again."""
    answer = load.attempt("after revocation", ask)
    if answer is None or answer.status_code in {503, 504, 409, 429}:
        return
    if answer.status_code != httpx2.codes.FORBIDDEN or answer.json()["reason"] != "CONSENT_REVOKED":
        load.wrong.append(f"a revoked consent was answered with {answer.status_code}")


def _answered(ask: Ask) -> Json:
    deadline = time.monotonic() + START_SECONDS
    while True:
        answer = ask()
        if answer.is_success:
            return dict(answer.json())
        if time.monotonic() > deadline:
            answer.raise_for_status()
        time.sleep(0.2)
