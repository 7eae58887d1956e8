"""What opens old entries is destroyed when two people have decided it, and then nothing opens them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest

from core.clock import now
from core.entries import Entry
from core.identity import Subject
from core.merkle import VerificationError
from deploy.local.migrate import ROOT
from services.ledger.domain import ReceiptNotFoundError, Shredding, StoreLostError
from services.ledger.sequencer import State
from services.ledger.shredding import Shredder
from tests.database import CityDatabase
from tests.store.ledger.conftest import ANSWER, SUBJECT, StartLedger, Town, disclosure, intent, proved
from tests.store.ledger.test_custody import HOLDER, PLATFORM, asking

Admin = psycopg.Connection[tuple[object, ...]]

NEIGHBOUR = Subject("111", "440299199001010037")
LONG_AGO = timedelta(days=4 * 365)
BEFORE = (now() - timedelta(days=3 * 365 + 2)).date()


class Office:
    """Operators with logins of their own, and the command as they give it."""

    def __init__(self, database: CityDatabase, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self.logins: list[str] = []

    def hire(self, role: str) -> str:
        """A new login that is a member of a role."""
        login = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._database.admin_dsn, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'p-{login}' IN ROLE {role}".encode())
        address = urlsplit(self._database.admin_dsn)
        host = address.netloc.rpartition("@")[2]
        dsn = urlunsplit(address._replace(netloc=f"{login}:{quote(f'p-{login}')}@{host}"))
        (self._folder / login).write_text(dsn)
        self.logins.append(login)
        return login

    def close(self) -> None:
        with psycopg.connect(self._database.admin_dsn, autocommit=True) as connection:
            for login in self.logins:
                connection.execute(f"DROP OWNED BY {login}; DROP ROLE {login}".encode())

    def shred(self, login: str, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """`onestop shred …`, by one of them."""
        return subprocess.run(
            [sys.executable, "-m", "cli", "shred", *arguments],
            input=said,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
                "ONESTOP_OPERATOR_DSN_FILE": str(self._folder / login),
                "ONESTOP_HOME": str(self._database.keys.parent),
            },
            check=False,
        )

    def ask(self, login: str, request: uuid.UUID, *named: str, said: str) -> subprocess.CompletedProcess[str]:
        reason = ("--reason", "retention_over", "--before", str(BEFORE), "--request", str(request))
        return self.shred(login, "ask", *reason, *named, "-", said=said)

    def decide(self, *entries: Entry) -> uuid.UUID:
        """A request for these entries, asked for and approved."""
        request = uuid.uuid4()
        asked = self.ask(
            self.hire("onestop_administration"),
            request,
            "--items",
            said="\n".join(str(entry.item_id) for entry in entries),
        )
        assert asked.returncode == 0, asked.stderr
        approved = self.shred(self.hire("onestop_security"), "approve", str(request))
        assert approved.returncode == 0, approved.stderr
        return request


@pytest.fixture
def office(fresh_database: CityDatabase, tmp_path: Path) -> Iterator[Office]:
    made = Office(fresh_database, tmp_path)
    yield made
    made.close()


def long_ago() -> datetime:
    return now() - LONG_AGO


async def aged(start: StartLedger, *entries: Entry) -> Town:
    """A ledger of today, in whose log these entries are four years old."""
    before = await start(clock=long_ago)
    await before.append(*entries)
    await before.stop()
    return await start()


def shredder(ledger: Town) -> Shredder:
    return Shredder(ledger.desk, ledger.sequencer, ledger.store)


def acts(admin: Admin) -> list[tuple[int, str]]:
    """Kind and leaf of what the log says of destroyed openings."""
    rows = admin.execute(
        "SELECT kind, convert_from(leaf, 'UTF8') FROM entry WHERE recorder = 'ledger' ORDER BY idx"
    ).fetchall()
    return [(int(str(kind)), str(leaf)) for kind, leaf in rows]


def openings(admin: Admin) -> set[object]:
    return {row[0] for row in admin.execute("SELECT item_id FROM opening").fetchall()}


async def test_openings_of_a_person_are_destroyed_and_the_log_stays_provable(
    start: StartLedger, office: Office, admin: Admin
) -> None:
    hers, other = disclosure(), disclosure(subject=NEIGHBOUR)
    together = disclosure(subject=NEIGHBOUR, further_subjects=(SUBJECT,))
    ledger = await aged(start, hers, other, together)
    await ledger.append(young := disclosure())
    request = uuid.uuid4()
    asked = office.ask(
        office.hire("onestop_administration"),
        request,
        "--subject",
        said=f"{SUBJECT.code_type} {SUBJECT.code}\n",
    )
    approved = office.shred(office.hire("onestop_security"), "approve", str(request))

    await shredder(ledger).work()

    assert (asked.returncode, approved.returncode) == (0, 0), asked.stderr + approved.stderr
    assert "asked for: 2 openings" in asked.stdout
    assert openings(admin).isdisjoint({hers.item_id, together.item_id})
    assert {other.item_id, young.item_id} <= openings(admin)
    receipt = await ledger.desk.receipt(asking(PLATFORM), hers.item_id)
    assert receipt.opening_destroyed
    assert receipt.answer_salt == b""
    assert proved(receipt, None).index == 0
    assert not (await ledger.desk.receipt(asking(PLATFORM), other.item_id)).opening_destroyed
    with pytest.raises(ReceiptNotFoundError):
        await ledger.desk.receipt(asking(HOLDER), hers.item_id)
    assert [kind for kind, _ in acts(admin)] == [2, 3]
    told = "".join(leaf for _, leaf in acts(admin))
    assert str(hers.item_id) in told
    for secret in (SUBJECT.code, hers.operator, *office.logins):
        assert secret not in told
    await ledger.stop()
    again = await start()
    assert again.sequencer.state is State.LEADING


async def test_verifying_says_that_the_answer_can_no_longer_be_shown(
    start: StartLedger, office: Office
) -> None:
    entry = disclosure()
    ledger = await aged(start, entry)
    office.decide(entry)
    await shredder(ledger).work()

    receipt = await ledger.desk.receipt(asking(PLATFORM), entry.item_id)

    with pytest.raises(VerificationError, match="can no longer be opened"):
        proved(receipt, ANSWER)


@pytest.mark.parametrize("crash_at", ["before", "after", "recorded"])
async def test_crash_in_the_middle_leaves_either_and_the_rest_is_done_once(
    start: StartLedger, office: Office, admin: Admin, crash_at: str
) -> None:
    entry = disclosure()
    ledger = await aged(start, entry)
    office.decide(entry)

    class Crashing:
        """The store, until the process ends at a chosen moment."""

        approved_shreddings = ledger.store.approved_shreddings

        async def carry_out(self, shredding: Shredding, intent_id: uuid.UUID) -> None:
            if crash_at == "before":
                raise StoreLostError
            await ledger.store.carry_out(shredding, intent_id)
            if crash_at == "after":
                raise StoreLostError

        async def shredding_recorded(self, shredding: Shredding) -> None:
            raise StoreLostError

    with pytest.raises(StoreLostError):
        await Shredder(ledger.desk, ledger.sequencer, Crashing()).work()
    kinds, there = [kind for kind, _ in acts(admin)], entry.item_id in openings(admin)
    await shredder(ledger).work()
    await shredder(ledger).work()

    assert (kinds, there) == {
        "before": ([2], True),
        "after": ([2], False),
        "recorded": ([2, 3], False),
    }[crash_at]
    assert [kind for kind, _ in acts(admin)] == [2, 3]
    assert entry.item_id not in openings(admin)


async def test_many_openings_are_destroyed_in_batches(
    start: StartLedger, office: Office, admin: Admin
) -> None:
    entries = [disclosure() for _ in range(401)]
    ledger = await aged(start, *entries)
    office.decide(*entries)

    await shredder(ledger).work()

    assert [kind for kind, _ in acts(admin)] == [2, 3, 2, 3]
    assert openings(admin).isdisjoint({entry.item_id for entry in entries})


async def test_asking_again_under_the_same_id_asks_once(
    start: StartLedger, office: Office, admin: Admin
) -> None:
    entry = disclosure()
    await aged(start, entry)
    login, request = office.hire("onestop_administration"), uuid.uuid4()

    said = [office.ask(login, request, "--items", said=str(entry.item_id)).stdout for _ in range(2)]

    assert said[0] == said[1]
    assert "asked for: 1 openings" in said[0]
    assert admin.execute("SELECT count(*) FROM shredding_batch").fetchone() == (1,)
    assert "1 openings" in office.shred(login, "show").stdout


async def test_what_may_not_be_destroyed_is_refused(start: StartLedger, office: Office) -> None:
    old, act = disclosure(), intent()
    ledger = await aged(start, old, act)
    await ledger.append(young := disclosure())
    login = office.hire("onestop_administration")

    refused = {
        name: office.ask(login, uuid.uuid4(), "--items", said=str(item)).stderr
        for name, item in {"young": young.item_id, "open": act.item_id, "unknown": uuid.uuid4()}.items()
    }
    recent = office.shred(
        *(login, "ask", "--reason", "court_order", "--before", str(now().date()), "--items", "-"),
        said=str(old.item_id),
    )
    malformed = office.ask(login, uuid.uuid4(), "--items", said="not an id")

    assert all("unknown, too young, or intents without outcome" in said for said in refused.values())
    assert "at least 3 years" in recent.stderr
    assert "a UUID" in malformed.stderr
    assert recent.returncode == malformed.returncode == 1


async def test_nobody_destroys_alone(
    start: StartLedger, office: Office, fresh_database: CityDatabase
) -> None:
    entry = disclosure()
    ledger = await aged(start, entry)
    both = office.hire("onestop_administration, onestop_security")
    request = uuid.uuid4()
    assert office.ask(both, request, "--items", said=str(entry.item_id)).returncode == 0

    alone = office.shred(both, "approve", str(request))
    asker = office.shred(office.hire("onestop_administration"), "approve", str(request))
    approver = office.ask(office.hire("onestop_security"), uuid.uuid4(), "--items", said=str(entry.item_id))
    await shredder(ledger).work()

    assert "whoever asks does not approve" in alone.stderr
    assert "permission denied" in asker.stderr
    assert "permission denied" in approver.stderr
    with psycopg.connect(fresh_database.dsn("ledger"), autocommit=True) as service:
        for statement in (
            "DELETE FROM opening",
            f"SELECT approve_shredding('{request}')",
            f"SELECT carry_out_shredding('{request}', 0, '{entry.item_id}')",
            "UPDATE shredding SET approved_by = 'nobody'",
            "INSERT INTO shredding_batch VALUES (gen_random_uuid(), 0, '{}')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(statement.encode())
    assert not (await ledger.desk.receipt(asking(PLATFORM), entry.item_id)).opening_destroyed


async def test_nothing_is_destroyed_before_the_log_holds_its_intent(
    start: StartLedger, office: Office, fresh_database: CityDatabase
) -> None:
    entry = disclosure()
    await aged(start, entry)
    request = office.decide(entry)

    with (
        psycopg.connect(fresh_database.dsn("ledger"), autocommit=True) as service,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="holds no intent"),
    ):
        service.execute(f"SELECT carry_out_shredding('{request}', 0, '{entry.item_id}')".encode())
