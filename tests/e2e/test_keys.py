"""Keys are rotated under a running city: nobody who calls it notices, and what it gave before still holds."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from urllib.parse import urlencode

import psycopg
import pytest

from core.keyring import Keyring
from deploy.local.migrate import PARTS, ROOT
from deploy.local.settings import PORTS
from tests.city import City
from tests.e2e.contract import refused
from tests.story import (
    ID_CARD,
    MATTER,
    PURPOSE,
    Json,
    Machine,
    Person,
    ask_consent,
    bank_of,
    case_of,
    citizen_of,
    entry_of,
    grant,
    opened,
    person,
    platform_of,
)

pytestmark = pytest.mark.timeout(300)

PAUSE_SECONDS = 0.2
"""Those who keep asking are there to notice, not to wear the machine out."""

SEALING = [part for part in PARTS if part != "issuer"]


def keys(city: City, *arguments: str) -> tuple[int, str]:
    """`onestop keys …` beside the running city: the exit code and what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "keys", *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
            "ONESTOP_HOME": str(city.home),
            "ONESTOP_PORT_OFFSET": str(city.settings.ports["ledger"] - PORTS["ledger"]),
            "DATABASE_URL": "",
        },
    )
    return done.returncode, done.stdout


def rows(city: City, query: str) -> list[tuple[object, ...]]:
    """A statement as the database's owner."""
    with psycopg.connect(city.admin_dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def versions(city: City) -> dict[str, tuple[object, ...]]:
    """Each part's data keys."""
    return {
        part: tuple(version for (version,) in rows(city, f"SELECT version FROM {part}.data_key ORDER BY 1"))
        for part in SEALING
    }


def search(platform: Machine, city: City, code: str, case: Json | None = None, key: str = "") -> Json:
    """A look-up of an ID card."""
    body = {"case": case or case_of(city), "holder": person(code), "type_codes": [ID_CARD]}
    return platform.post("/approval/v1/licences:search", body, key)


def uses(browser: Person, since: datetime) -> list[str]:
    """The receipts of everything that was done with a person's data since then, as she is shown it."""
    found, token = list[str](), ""
    while True:
        query = urlencode({"page_size": 100, "since": since.isoformat(), "page_token": token})
        answer = browser.ask("GET", f"/citizen/v1/disclosures?{query}")
        assert answer.status_code == 200, answer.text
        found += [one["receipt_id"] for one in answer.json()["disclosures"]]
        if not (token := answer.json()["next_page_token"]):
            return found


@contextmanager
def under_load(city: City, cast: Json, consent: str, told: list[str]) -> Iterator[list[float]]:
    """Callers who keep asking and are never refused; the moments of their answers.

    `told` gathers the receipts of what was told of the applicant.
    """
    stop, answered, failures = threading.Event(), [], list[BaseException]()

    def keep(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
                answered.append(time.monotonic())
                time.sleep(PAUSE_SECONDS)
        except BaseException as failure:
            failures.append(failure)

    with ExitStack() as stack:
        platform = stack.enter_context(platform_of(city))
        clerk = stack.enter_context(platform_of(city))
        bank = stack.enter_context(bank_of(city))
        applicant = person(cast["applicant"]["code"])

        def look_up() -> None:
            found = search(platform, city, applicant["code"])
            assert len(found["licences"]) == 1
            told.append(found["receipt"]["id"])
            licence = found["licences"][0]["id"]
            platform.get(f"/approval/v1/licences/{licence}", {"Use-Code": found["use_code"]})

        def fill() -> None:
            body = {"case": case_of(city), "subjects": {"applicant": applicant}}
            filled = clerk.post(f"/approval/v1/matters/{MATTER}:autofill", body)
            told.append(filled["receipt"]["id"])
            assert not [field for field in filled["fields"] if field.get("gap") == "unavailable"]

        def fetch() -> None:
            body = {"consent_id": consent, "purpose_code": PURPOSE}
            opened(city, bank, bank.post("/partner/v1/farmers:land_rights", body))
            time.sleep(2.0)  # A consent has so many uses.

        threads = [threading.Thread(target=keep, args=(work,)) for work in (look_up, fill, fetch)]
        for thread in threads:
            thread.start()
        try:
            yield answered
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    if failures:
        raise failures[0]


def test_every_process_that_seals_says_which_keys_it_has(city: City) -> None:
    for part in SEALING:
        assert rows(city, f"SELECT count(*) >= 1 FROM {part}.key_holder") == [(True,)]


def forget_guesses(city: City) -> None:
    """Ends the day for which wrong guesses are counted: other tests made some, and they hold an index key."""
    with psycopg.connect(city.admin_dsn) as connection:
        connection.execute("TRUNCATE autofill.guess_subject, autofill.wrong_try")


def test_keys_are_rotated_while_the_city_works(
    city: City, platform: Machine, bank: Machine, farmer: Person, cast: Json
) -> None:
    forget_guesses(city)
    code = cast["applicant"]["code"]
    case, key = case_of(city), uuid.uuid4().hex
    before = versions(city)
    first = search(platform, city, code, case, key)
    licence = f"/approval/v1/licences/{first['licences'][0]['id']}"
    asked = ask_consent(bank, cast["farmer"]["code"], max_uses=200)
    consent = grant(farmer, asked)
    fetch_key, fetch = uuid.uuid4().hex, {"consent_id": consent, "purpose_code": PURPOSE}
    fetched = opened(city, bank, bank.post("/partner/v1/farmers:subsidies", fetch, fetch_key))

    told, began_at = list[str](), datetime.now(UTC)
    with citizen_of(city) as browser, under_load(city, cast, consent, told) as answered:
        browser.browse_in(cast["applicant"]["login"], cast["password"])
        codes = []
        # Twice in a row where people look for what was done: the second makes anew what the first has made.
        ledger_alone = ("--part", "ledger")
        for kind, patience, *of in (
            ("index", "900"),
            ("index", "900", *ledger_alone),
            ("kek", "900"),
            ("data", "0"),
        ):
            began, before_it = len(answered), len(told)
            ended, said = keys(city, "rotate", kind, *of, "--settle", "2", "--patience", patience)
            codes.append((kind, ended))
            assert "NOT DONE" not in said
            assert len(answered) > began + 10
            if kind == "index":
                meanwhile = told[:]
                assert len(meanwhile) > before_it
                assert set(meanwhile) <= set(uses(browser, began_at))  # Nothing is lost to her.

        # Use codes that are out hold the last old key; and the one from before still opens.
        assert codes == [("index", 0), ("index", 0), ("kek", 0), ("data", 3)]
        assert platform.get(licence, {"Use-Code": first["use_code"]})["number"] == code
        rows(city, "UPDATE licence.data_key SET retired_at = retired_at - interval '10 min'")
        assert keys(city, "rotate", "data", "--settle", "2")[0] == 0
        late = platform.ask("GET", licence, {"Use-Code": first["use_code"]})
        refused(late, 403, "USE_CODE_INVALID")

        # The same requests again are the same answers, under the same receipts; the session lasts.
        again = search(platform, city, code, case, key)
        refetched = opened(city, bank, bank.post("/partner/v1/farmers:subsidies", fetch, fetch_key))
        assert again["receipt"]["id"] == first["receipt"]["id"]
        assert refetched["receipt"]["id"] == fetched["receipt"]["id"]
        assert entry_of(city, again)["id"] == entry_of(city, first)["id"]
        assert browser.ask("GET", "/citizen/v1/consent_requests").status_code == 200
        assert farmer.post(f"/citizen/v1/consents/{consent}:revoke", {})["consent"]["state"] == "revoked"

    after = versions(city)
    assert {part: len(kept) for part, kept in after.items()} == dict.fromkeys(SEALING, 1)
    assert all(after[part] > before[part] for part in SEALING)
    code, shown = keys(city, "show")
    assert code == 0
    assert "with another key file" not in shown
    for part in SEALING:
        (line,) = [line.split() for line in shown.splitlines() if line.startswith(part)]
        assert line[1:4] == ["2", str(after[part][0]), "3" if part == "ledger" else "2"]
        assert line[-1] == "-"


def test_a_stopped_city_is_rotated_and_comes_up_with_the_new_keys(own_city: Callable[..., City]) -> None:
    city = own_city(only=["ledger", "issuer"], town=False)
    city.start()
    city.stop()

    for kind in ("kek", "data", "index"):
        code, said = keys(city, "rotate", kind, "--part", "ledger")
        assert code == 0, said
        assert "the city is stopped; starting its database for this command" in said
    assert city.remains() == []

    city.start()
    assert rows(city, "SELECT data_keys FROM ledger.key_holder ORDER BY seen_at DESC LIMIT 1") == [([2],)]
    ring = Keyring.load(city.settings.keys / "ledger-keyring.json")
    assert (list(ring.kek), list(ring.index)) == ([2], [2])
    with city.held_down("postgres"):
        code, said = keys(city, "show")
    assert code == 1
    assert "The city is running, and its database does not answer" in said
    assert city.stop() == 0
