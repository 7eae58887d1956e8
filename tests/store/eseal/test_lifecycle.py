"""The life of a seal: asked for by operators' own logins, carried out after the ledger holds it, and kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest
from cryptography import x509
from PIL import Image

from core.clock import now
from core.disclosure import Disclosure
from core.entries import EntryKind, Outcome
from core.keyring import Keyring
from core.replies import PgReplies
from core.vault import Vault
from deploy.local.migrate import ROOT
from deploy.local.sm2_pki import load_maker, make_sm2_pki
from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Algorithm, SealUser
from services.eseal.gm.ses import read_seal
from services.eseal.keys.token import Token
from services.eseal.keystore import VaultKeystore
from services.eseal.lifecycle import STEPS, Application, Upload
from services.eseal.operating.keeping import Keeper, Making
from services.eseal.operating.making import VaultSealMaker
from services.eseal.operating.store import PgKeepingStore
from services.eseal.raster import raster_of
from services.eseal.refusals import KeyUnknownError
from services.eseal.rpc import present
from services.eseal.store import PgSealStore
from services.eseal.usage import day_in_china
from tests.component.eseal.soft_token import soft_token
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.fakes import FakeLedger
from tests.unit.eseal.documents import NOW, OFFICE, OFFICE_CODE, make_kit
from tests.unit.eseal.uploads import drawn, png, svg

KIT = make_kit()


class Bureau:
    """Operators with logins of their own, their command, and the service's half that carries out."""

    def __init__(self, database: CityDatabase, folder: Path, pool: asyncpg.Pool, vault: Vault) -> None:
        self._database, self._folder = database, folder
        self.pool = pool
        self.ledger = FakeLedger()
        self.keys = VaultKeystore(pool, vault)
        self.vault = vault
        self.reads_with(None)
        self.logins: list[str] = []

    @property
    def admin_dsn(self) -> str:
        """Of the database's owner."""
        return self._database.admin_dsn

    def reads_with(self, reader: Workshop | None) -> None:
        """Who reads the pictures that owners bring."""
        replies = PgReplies(self.pool, self.vault, now)
        self.keeper = Keeper(
            store=PgKeepingStore(self.pool),
            maker=VaultSealMaker(self.vault, KIT.authority, reader=reader),
            keys=self.keys,
            disclosure=Disclosure(ledger=self.ledger, replies=replies, present=present, clock=now),
            clock=now,
        )

    def hire(self, role: str) -> str:
        login = f"test_{uuid4().hex[:12]}"
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

    def ask(self, login: str, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`onestop seal …` by one of them, who does not wait."""
        waiting = () if action in ("list", "show") else ("--reason", "order 7", "--wait", "0")
        return subprocess.run(
            [sys.executable, "-m", "cli", "seal", action, *arguments, *waiting],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "gen"))),
                "ONESTOP_OPERATOR_DSN_FILE": str(self._folder / login),
            },
            check=False,
        )

    async def does(self, login: str, action: str, *arguments: str) -> UUID:
        """Asked for, and carried out; the seal's id."""
        asked = self.ask(login, action, *arguments)
        assert asked.returncode == 3, asked.stdout + asked.stderr
        await self.keeper.work()
        (open_,) = await self.pool.fetch("SELECT count(*) FROM seal_request WHERE closed_at IS NULL")
        assert open_[0] == 0
        return UUID(asked.stdout.partition(", seal ")[2][:36])

    def move_to_token(self, key: UUID, label: str) -> None:
        """As if the seal's key had been made on a token and never in the vault."""
        change = "UPDATE eseal.seal_key SET keystore = 'token', token = %s, private_key = NULL WHERE id = %s"
        with psycopg.connect(self._database.admin_dsn, autocommit=True) as connection:
            connection.execute(change, (label, key))

    async def standing(self, seal: UUID) -> int:
        return int(await self.pool.fetchval("SELECT standing FROM seal WHERE id = $1", seal))

    def apply_words(self, title: str = "合同专用章") -> tuple[str, ...]:
        return (
            *("--owner", OFFICE_CODE, "--owner-name", OFFICE, "--title", title, "--kind", "contract"),
            *(
                "--division",
                "440299",
                "--valid-from",
                f"{NOW:%F}",
                "--valid-until",
                f"{NOW + timedelta(90):%F}",
            ),
        )


@pytest.fixture
async def bureau(city_database: CityDatabase, pool: PoolFactory, tmp_path: Path) -> AsyncIterator[Bureau]:
    city_database.truncate("eseal")
    opened = await pool("eseal")
    vault = await Vault.open(opened, Keyring.load(city_database.keyring("eseal")))
    made = Bureau(city_database, tmp_path, opened, vault)
    yield made
    made.close()


async def test_a_seal_goes_from_application_to_the_end_of_its_key(bureau: Bureau) -> None:
    li, wang = bureau.hire("onestop_administration"), bureau.hire("onestop_security")

    seal = await bureau.does(li, "apply", *bureau.apply_words())
    stood = [await bureau.standing(seal)]
    for who, action in ((li, "make"), (wang, "enable"), (li, "suspend"), (wang, "resume"), (wang, "revoke")):
        await bureau.does(who, action, str(seal))
        stood.append(await bureau.standing(seal))
    key = await bureau.pool.fetchval("SELECT id FROM seal_key WHERE seal_id = $1", seal)
    await (await bureau.keys.signer(key)).sign(b"x")
    await bureau.does(li, "destroy", str(seal))
    await bureau.keeper.work()

    assert [*stood, await bureau.standing(seal)] == [5, 6, 1, 2, 1, 3, 7]
    with pytest.raises(KeyUnknownError):
        await bureau.keys.signer(key)
    assert await bureau.pool.fetchval("SELECT private_key FROM seal_key WHERE id = $1", key) is None
    acts = await bureau.pool.fetch("SELECT action, actor, reason, intent_id FROM seal_act ORDER BY step")
    assert [(act["action"], act["actor"]) for act in acts][:3] == [
        ("apply", li),
        ("make", li),
        ("enable", wang),
    ]
    intents = {entry.item_id: entry for entry in bureau.ledger.entries if entry.kind is EntryKind.INTENT}
    ends = {entry.intent_id: entry.outcome for entry in bureau.ledger.entries if entry.intent_id}
    assert [intents[act["intent_id"]].method for act in acts] == [
        f"eseal.seal_{act['action']}" for act in acts
    ]
    assert {ends[act["intent_id"]] for act in acts} == {Outcome.COMPLETED}
    shown = bureau.ask(li, "show", str(seal))
    assert "destroyed" in shown.stdout
    certificate = await bureau.pool.fetchval("SELECT certificate FROM seal_key WHERE id = $1", key)
    assert f"serial number {x509.load_der_x509_certificate(certificate).serial_number:x};" in shown.stdout
    assert f"enable by {wang}: order 7" in shown.stdout


async def test_with_a_seal_its_key_on_the_token_is_destroyed_and_never_left_out(
    bureau: Bureau, tmp_path_factory: pytest.TempPathFactory
) -> None:
    li, wang = bureau.hire("onestop_administration"), bureau.hire("onestop_security")
    seal = await bureau.does(li, "apply", *bureau.apply_words())
    for who, action in ((li, "make"), (wang, "enable"), (wang, "revoke")):
        await bureau.does(who, action, str(seal))
    key = await bureau.pool.fetchval("SELECT id FROM seal_key WHERE seal_id = $1", seal)
    with soft_token(tmp_path_factory.mktemp("softhsm")) as soft:
        token = Token(soft.place, sessions=1, seconds=20.0, writing=True)
        try:
            await token.generate(key, Algorithm.ECDSA_P256_SHA256)
            bureau.move_to_token(key, soft.place.label)

            elsewhere = bureau.ask(li, "destroy", str(seal))
            await bureau.keeper.work()
            stood = await bureau.standing(seal)
            refusal = await bureau.pool.fetchval(
                "SELECT refusal FROM seal_request WHERE seal_id = $1 ORDER BY asked_at DESC LIMIT 1", seal
            )
            signature = await token.sign(key, Algorithm.ECDSA_P256_SHA256, b"x")
            bureau.keys._writing_token = token
            await bureau.does(li, "destroy", str(seal))

            assert (elsewhere.returncode, stood, bool(signature)) == (3, 3, True)
            assert "not configured here" in refusal
            assert await bureau.standing(seal) == 7
            with pytest.raises(KeyUnknownError, match="no such key"):
                await token.sign(key, Algorithm.ECDSA_P256_SHA256, b"x")
        finally:
            await token.close()


async def test_duties_are_separate_and_no_step_is_skipped(bureau: Bureau) -> None:
    li, wang = bureau.hire("onestop_administration"), bureau.hire("onestop_security")
    both = bureau.hire("onestop_administration, onestop_security")
    seal = await bureau.does(both, "apply", *bureau.apply_words())

    early = bureau.ask(wang, "enable", str(seal))
    await bureau.does(li, "make", str(seal))
    own = bureau.ask(both, "enable", str(seal))
    wrong_role = bureau.ask(li, "enable", str(seal))
    twice = bureau.ask(li, "apply", *bureau.apply_words())

    assert "SEAL_STEP_NOT_POSSIBLE" in early.stderr
    assert "it is applied, and enable follows made" in early.stderr
    assert "SEAL_DUTIES_NOT_SEPARATE" in own.stderr
    assert wrong_role.returncode == 1
    assert "permission denied" in wrong_role.stderr
    assert "onestop_security" in wrong_role.stderr
    assert "SEAL_EXISTS" in twice.stderr
    assert await bureau.standing(seal) == 6
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await bureau.pool.execute(
            "SELECT put_seal_act($1, 'enable', 'me', 'x', '{}', now(), NULL, NULL)", seal
        )


async def test_history_is_never_changed_and_holds_the_owner_to_the_same_rules(
    bureau: Bureau, city_database: CityDatabase
) -> None:
    li = bureau.hire("onestop_administration")
    seal = await bureau.does(li, "apply", *bureau.apply_words())
    with psycopg.connect(city_database.admin_dsn, autocommit=True) as owner:
        owner.execute("SET search_path = eseal")
        for statement in ("UPDATE seal_act SET actor = 'x'", "DELETE FROM seal_act"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="SEAL_HISTORY_FINAL"):
                owner.execute(statement.encode())
        await bureau.does(li, "make", str(seal))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="SEAL_DUTIES_NOT_SEPARATE"):
            owner.execute("SELECT put_seal_act(%s, 'enable', %s, 'x', '{}', now(), NULL, NULL)", (seal, li))


async def test_without_the_ledger_nothing_is_done_and_it_is_done_once_it_is_back(bureau: Bureau) -> None:
    li = bureau.hire("onestop_administration")
    seal = await bureau.does(li, "apply", *bureau.apply_words())
    append = bureau.ledger.append
    asked = bureau.ask(li, "make", str(seal))

    async def away(*_: object) -> object:
        raise ConnectionError

    bureau.ledger.append = away  # type: ignore[method-assign, assignment]
    with pytest.raises(ConnectionError):
        await bureau.keeper.work()
    before = await bureau.standing(seal)
    bureau.ledger.append = append  # type: ignore[method-assign]
    await bureau.pool.execute("UPDATE reply SET deadline = now() - interval '1 s'")
    await bureau.keeper.work()

    assert asked.returncode == 3
    assert (before, await bureau.standing(seal)) == (5, 6)


async def test_the_database_has_the_same_steps(bureau: Bureau) -> None:
    rows = await bureau.pool.fetch("SELECT * FROM seal_step")

    assert {
        (
            row["action"],
            row["from_standing"],
            row["to_standing"],
            frozenset(row["roles"]),
            frozenset(row["apart_from"]),
        )
        for row in rows
    } == {
        (action.value, state.value if state else 0, step.to.value, step.roles, step.apart_from)
        for (action, state), step in STEPS.items()
    }


async def test_a_quota_is_never_overrun_however_many_come_at_once(bureau: Bureau) -> None:
    li, wang = bureau.hire("onestop_administration"), bureau.hire("onestop_security")
    seal = await bureau.does(li, "apply", *bureau.apply_words())
    await bureau.does(li, "make", str(seal))
    own = bureau.ask(li, "permit", str(seal), "--office", OFFICE_CODE)
    await bureau.does(wang, "permit", str(seal), "--office", OFFICE_CODE, "--per-day", "3", "--in-all", "4")
    store = PgSealStore(bureau.pool)
    found = await store.find_to_put(seal)
    assert found is not None
    (rule,) = found[1]

    async def use(day_later: int = 0) -> bool:
        async with bureau.pool.acquire() as connection, connection.transaction():
            day = day_in_china(NOW + timedelta(day_later))
            left = await store.quota_left(connection, rule, day)
            await asyncio.sleep(0)
            if left:
                await store.use_quota(connection, rule, day, 1)
            return left > 0

    today = await asyncio.gather(*(use() for _ in range(12)))
    tomorrow = await asyncio.gather(*(use(1) for _ in range(6)))

    assert own.returncode == 1
    assert (rule, rule.is_limited) == (SealUser(seal, OFFICE_CODE), True)
    assert (sum(today), sum(tomorrow)) == (3, 1)


@pytest.fixture
async def workshop() -> AsyncIterator[Workshop]:
    opened = Workshop(workers=1)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_picture_of_the_owners_own_is_the_seals_and_its_approver_is_told(
    bureau: Bureau, workshop: Workshop, tmp_path: Path
) -> None:
    bureau.reads_with(workshop)
    li, wang = bureau.hire("onestop_administration"), bureau.hire("onestop_security")
    file = tmp_path / "seal.png"
    file.write_bytes(png(drawn()))
    brought = ("--picture", str(file), "--picture-width", "30")

    seal = await bureau.does(li, "apply", *bureau.apply_words(), *brought)
    await bureau.does(li, "make", str(seal))
    shown = bureau.ask(wang, "show", str(seal))
    await bureau.does(wang, "enable", str(seal))

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"{file.stat().st_size} bytes, SHA-256 {digest}, 30 mm wide" in shown.stdout
    found = await PgSealStore(bureau.pool).find_to_put(seal)
    assert found is not None
    picture = found[2].picture
    assert (picture.width_mm, picture.height_mm) == (30, 30)
    raster = raster_of(picture)
    assert raster is not None
    assert (raster.width, raster.height) == (200, 200)


async def test_a_picture_that_no_seal_can_have_is_refused_before_anything_is_asked_and_when_it_is_made(
    bureau: Bureau, workshop: Workshop, tmp_path: Path
) -> None:
    bureau.reads_with(workshop)
    li = bureau.hire("onestop_administration")
    hostile = svg("<script>alert(1)</script>")
    file = tmp_path / "seal.svg"
    file.write_bytes(hostile)
    large = tmp_path / "large.png"
    large.write_bytes(bytes(300_000))

    refused = bureau.ask(li, "apply", *bureau.apply_words(), "--picture", str(file))
    too_large = bureau.ask(li, "apply", *bureau.apply_words(), "--picture", str(large))
    nothing_asked = await bureau.pool.fetchval("SELECT count(*) FROM seal_request")
    file.write_bytes(svg(""))
    seal = await bureau.does(li, "apply", *bureau.apply_words(), "--picture", str(file))
    # Whoever writes to the database past the command gets no further.
    with psycopg.connect(bureau.admin_dsn, autocommit=True) as connection:
        connection.execute("UPDATE eseal.seal_application SET picture = %s", [hostile])
    bureau.ask(li, "make", str(seal))
    await bureau.keeper.work()

    assert (refused.returncode, too_large.returncode, nothing_asked) == (1, 1, 0)
    assert "<script>" in refused.stderr
    assert "256 KiB" in too_large.stderr
    (left,) = await bureau.pool.fetch("SELECT refusal FROM seal_request WHERE refusal IS NOT NULL")
    assert left["refusal"].startswith("SEAL_PICTURE_INVALID")
    assert await bureau.standing(seal) == 5
    assert await bureau.pool.fetchval("SELECT count(*) FROM seal_key") == 0


async def test_an_ofds_seal_holds_the_picture_that_its_owner_brought(
    bureau: Bureau, workshop: Workshop, tmp_path: Path
) -> None:
    make_sm2_pki(tmp_path, NOW - timedelta(days=2))
    maker = load_maker(tmp_path)
    assert maker is not None
    wanted = Application(
        owner_code=OFFICE_CODE,
        owner_name=OFFICE,
        title="",
        division="440299",
        valid_from=NOW,
        valid_until=NOW + timedelta(days=90),
        algorithm=Algorithm.SM2_SM3,
        upload=Upload(png(drawn()), 30.0),
    )

    made = await VaultSealMaker(bureau.vault, None, maker, workshop).make(
        Making(wanted, "4402990000012", has_key=False)
    )

    assert made.key is not None
    seal = read_seal(made.key.structure or b"")
    assert (seal.picture_type, seal.width_mm, seal.height_mm) == ("PNG", 30, 30)
    assert Image.open(BytesIO(seal.picture)).convert("RGBA").tobytes() == drawn().tobytes()
