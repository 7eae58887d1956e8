"""A seal's key certified by a real authority: asked for, taken into use, renewed; by the commands too."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from asn1crypto import csr, pem
from cryptography.hazmat.primitives.serialization import load_der_public_key
from PIL import Image

import cli.seal.__main__ as command
from cli.seal.picture import OwnWorkshop
from core.clock import now
from core.keyring import Keyring
from core.vault import Vault
from deploy.local.pki import open_authority
from deploy.local.sm2_pki import load_maker, make_sm2_pki
from services.eseal.domain import SUITES, Algorithm, Place, Seal, SealState
from services.eseal.envelope import pades_envelope
from services.eseal.gm.ses import read_seal
from services.eseal.gm.sm2 import load_sm2
from services.eseal.gm.sm2_certificate import load_certificates
from services.eseal.keys.token import Token
from services.eseal.keystore import COLUMN, VaultKeystore, generate
from services.eseal.operating.enrolling import (
    Keystores,
    Taken,
    Wish,
    ask_certificate,
    take_certificate,
    withdraw_request,
)
from services.eseal.operating.issued import NotTakenError
from services.eseal.operating.making import SealOrder, Sm2Maker, make_seal
from services.eseal.pdf.inspection import inspect
from services.eseal.pdf.sealing import prepare
from services.eseal.refusals import KeyUnknownError
from services.eseal.sealing.ports import Signer as KeySigner
from services.eseal.sealing.prepared import Imprint
from services.eseal.store import PgSealStore
from services.eseal.trust.authority import SealAuthority, load_roots
from tests.component.eseal.soft_token import SoftToken, soft_token
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.unit.eseal.documents import KIND, OFFICE, OFFICE_CODE, SealKit, make_kit, plain
from tests.unit.eseal.uploads import drawn, png

P256, SM2 = Algorithm.ECDSA_P256_SHA256, Algorithm.SM2_SM3
NOW = now().replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass
class Ground:
    """A database with the owner's rights, its keystores, and two authorities that are believed."""

    home: Path
    database: CityDatabase
    connection: asyncpg.Connection
    keystores: Keystores
    authority: SealAuthority
    maker: Sm2Maker
    pool: asyncpg.Pool

    async def seal(self, *, sm2: bool = False, valid: timedelta = 365 * DAY) -> UUID:
        order = SealOrder(
            owner_code=OFFICE_CODE,
            owner_name=OFFICE,
            kind=KIND + ("（国密）" if sm2 else ""),
            division="440299",
            valid_from=NOW - DAY,
            valid_until=NOW + valid,
            users=[(OFFICE_CODE, "")],
        )
        who = self.maker if sm2 else self.authority
        return (await make_seal(self.connection, self.keystores.vault, who, order))[0]

    async def ask(
        self, seal_id: UUID, algorithm: Algorithm = P256, keystore: str = "vault"
    ) -> csr.CertificationRequest:
        made = await ask_certificate(
            self.connection, self.keystores, Wish(seal_id, algorithm, keystore, "keeper1")
        )
        return csr.CertificationRequest.load(pem.unarmor(made)[2])

    def issue(
        self, request: csr.CertificationRequest, *, start: timedelta = -DAY, end: timedelta = 30 * DAY
    ) -> bytes:
        """What the authority answers, PEM."""
        spki = request["certification_request_info"]["subject_pk_info"].dump()
        options = {"seal_name": OFFICE, "owner_code": OFFICE_CODE, "owner_name": OFFICE}
        sm2 = request["signature_algorithm"]["algorithm"].dotted.startswith("1.2.156")
        if sm2:
            der = self.maker.authority.issue(
                load_sm2().load_public(spki), valid_from=NOW + start, valid_until=NOW + end, **options
            )
        else:
            key = load_der_public_key(spki)
            der = self.authority.issue(
                key,  # type: ignore[arg-type]
                valid_from=NOW + start,
                valid_until=NOW + end,
                **options,
            )
        return bytes(pem.armor("CERTIFICATE", der))

    async def take(self, seal_id: UUID, content: bytes, *, maker: Sm2Maker | None = None) -> Taken:
        sm2 = bool(
            await self.connection.fetchval(
                "SELECT 1 FROM key_request WHERE seal_id = $1 AND algorithm = 'sm3_sm2'", seal_id
            )
        )
        pki = self.home / "pki"
        roots = load_certificates(pki / "seal-ca-sm2.crt") if sm2 else load_roots(pki / "seal-ca.crt")
        return await take_certificate(
            self.connection,
            self.keystores,
            seal_id=seal_id,
            content=content,
            roots=roots,
            moment=NOW,
            maker=maker,
        )

    def keystore(self) -> VaultKeystore:
        """As the service has it, with the rights of its own role."""
        return VaultKeystore(self.pool, self.keystores.vault, load_sm2(), self.keystores.token)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city's folder, its authorities two days old."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "pki").mkdir()
    open_authority(folder / "pki" / "seal-ca", "test seal authority", NOW - 2 * DAY)
    make_sm2_pki(folder / "pki", NOW - 2 * DAY)
    return folder


@pytest.fixture
async def ground(home: Path, city_database: CityDatabase, pool: PoolFactory) -> AsyncIterator[Ground]:
    city_database.truncate("eseal")
    connection = await asyncpg.connect(city_database.admin_dsn, server_settings={"search_path": "eseal"})
    vault = await Vault.open(connection, Keyring.load(city_database.keyring("eseal")))
    maker = load_maker(home / "pki")
    assert maker is not None
    authority = SealAuthority.load(home / "pki" / "seal-ca.crt", home / "pki" / "seal-ca.key")
    keystores = Keystores(vault, load_sm2())
    yield Ground(home, city_database, connection, keystores, authority, maker, await pool("eseal"))
    await connection.close()


async def test_a_certificate_that_was_asked_for_comes_into_use_and_the_old_one_stays_on_old_signatures(
    ground: Ground,
) -> None:
    seal_id = await ground.seal()
    store, keystore = PgSealStore(ground.pool), ground.keystore()
    before = await found(store, seal_id)
    kit = replace(make_kit(), root=load_roots(ground.home / "pki" / "seal-ca.crt")[0])
    old = await replace(kit, signer=await keystore.signer(before.key_id)).seal(plain())
    request = await ground.ask(seal_id, Algorithm.ECDSA_P384_SHA384)
    assert (await found(store, seal_id)).key_id == before.key_id

    taken = await ground.take(seal_id, ground.issue(request))

    after = await found(store, seal_id)
    assert (after.key_id, after.algorithm) == (taken.key_id, Algorithm.ECDSA_P384_SHA384)
    signer = await keystore.signer(after.key_id)
    assert (after.valid_from, after.valid_until) == (NOW - DAY, NOW + 30 * DAY)
    (finding,) = await inspect(old, roots=[kit.root], moment=NOW)
    both = await store.of_certificates([finding.certificate_sha256, after.certificate_sha256])
    assert {seal.id for seal in both.values()} == {seal_id}
    assert len(both) == 2
    assert (finding.valid, finding.trusted_now) == (True, True)
    (finding,) = await inspect(await sealed_by(kit, signer), roots=[kit.root], moment=NOW)
    assert (finding.valid, finding.trusted_now, finding.algorithm) == (True, True, "sha384_ecdsa_p384")


async def sealed_by(kit: SealKit, signer: KeySigner) -> bytes:
    """A PDF sealed by the prepared path with the digest that the key asks for."""
    prepared = prepare(plain(), Place(), Imprint(kit.picture, "seal-1", OFFICE + KIND, NOW))
    digest = prepared.digest_after(hashlib.new(SUITES[signer.algorithm].digest, plain()))
    return prepared.filled(await pades_envelope(signer, digest))


async def found(store: PgSealStore, seal_id: UUID) -> Seal:
    seal = await store.find_to_put(seal_id)
    assert seal is not None
    return seal[0]


async def test_asked_twice_the_same_key_is_asked_for_and_another_kind_is_refused(ground: Ground) -> None:
    seal_id = await ground.seal()
    first = await ground.ask(seal_id)

    again = await ground.ask(seal_id)

    assert again["certification_request_info"].dump() == first["certification_request_info"].dump()
    with pytest.raises(NotTakenError) as refused:
        await ground.ask(seal_id, Algorithm.RSA_2048_SHA256)
    assert refused.value.rule == "request"


async def test_taken_twice_it_is_taken_once(ground: Ground) -> None:
    seal_id = await ground.seal()
    content = ground.issue(await ground.ask(seal_id))
    first = await ground.take(seal_id, content)

    again = await ground.take(seal_id, content)

    assert again == replace(first, new=False)
    assert await ground.connection.fetchval("SELECT count(*) FROM seal_key") == 2


async def test_what_is_wrong_leaves_the_seal_as_it_was_and_the_request_waiting(ground: Ground) -> None:
    seal_id = await ground.seal()
    before = await ground.connection.fetch("SELECT * FROM seal_key")
    request = await ground.ask(seal_id)
    other = await ground.ask(await ground.seal(sm2=True), SM2)

    for content, rule in (
        (ground.issue(request, end=-timedelta(hours=1)), "validity"),
        (ground.issue(other), "public_key"),
        (b"nothing", "form"),
    ):
        with pytest.raises(NotTakenError) as refused:
            await ground.take(seal_id, content)
        assert refused.value.rule == rule

    now_is = await ground.connection.fetch("SELECT * FROM seal_key WHERE seal_id = $1", seal_id)
    assert now_is == before
    assert (await ground.take(seal_id, ground.issue(request))).new


async def test_a_key_that_was_swapped_while_it_waited_is_not_used(ground: Ground) -> None:
    seal_id = await ground.seal()
    content = ground.issue(await ground.ask(seal_id))
    row = await ground.connection.fetchrow("SELECT id, private_key FROM key_request")
    assert row is not None
    sealed, _ = generate(ground.keystores.vault, row["id"], P256)
    await ground.connection.execute("UPDATE key_request SET private_key = $1", sealed)

    with pytest.raises(NotTakenError) as refused:
        await ground.take(seal_id, content)

    assert refused.value.rule == "private_key"


async def test_a_seal_that_was_revoked_takes_no_certificate(ground: Ground) -> None:
    seal_id = await ground.seal()
    content = ground.issue(await ground.ask(seal_id))
    await ground.connection.execute("UPDATE seal SET standing = $1", SealState.REVOKED.value)

    for attempt in (lambda: ground.take(seal_id, content), lambda: ground.ask(seal_id)):
        with pytest.raises(NotTakenError) as refused:
            await attempt()
        assert refused.value.rule == "seal"
    with pytest.raises(NotTakenError):
        await ground.ask(uuid4())


async def test_a_request_that_is_withdrawn_takes_its_key_along(ground: Ground) -> None:
    seal_id = await ground.seal()
    content = ground.issue(await ground.ask(seal_id))

    assert await withdraw_request(ground.connection, ground.keystores, seal_id)

    assert not await withdraw_request(ground.connection, ground.keystores, seal_id)
    with pytest.raises(NotTakenError) as refused:
        await ground.take(seal_id, content)
    assert refused.value.rule == "request"


async def test_a_key_that_waits_lies_sealed_and_the_services_role_does_not_see_it(ground: Ground) -> None:
    await ground.ask(await ground.seal())
    row = await ground.connection.fetchrow("SELECT * FROM key_request")
    assert row is not None

    plain_key = ground.keystores.vault.unseal(row["private_key"], row=row["id"], column=COLUMN)

    assert plain_key not in b"".join(value for value in row.values() if isinstance(value, bytes))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ground.pool.fetch("SELECT 1 FROM key_request")
    with pytest.raises(KeyUnknownError):
        await ground.keystore().signer(row["id"])


async def test_a_seal_with_sm2_is_made_anew_for_its_certificate_with_the_face_that_it_had(
    ground: Ground,
) -> None:
    seal_id = await ground.seal(sm2=True)
    store = PgSealStore(ground.pool)
    before = await store.find_to_put(seal_id)
    content = ground.issue(await ground.ask(seal_id, SM2))
    with pytest.raises(NotTakenError) as refused:
        await ground.take(seal_id, content)
    assert refused.value.rule == "maker"

    taken = await ground.take(seal_id, content, maker=ground.maker)

    after = await store.find_to_put(seal_id)
    assert before is not None
    assert after is not None
    old, new = read_seal(before[2].structure), read_seal(after[2].structure)
    signer = await ground.keystore().signer(taken.key_id)
    assert new.is_for(signer.certificate)
    assert not old.is_for(signer.certificate)
    assert (new.picture, new.name, new.seal_id) == (old.picture, old.name, old.seal_id)
    assert new.valid_until == NOW + 30 * DAY


async def test_a_seals_first_certificate_comes_before_it_is_made_and_shows_what_was_applied_for(
    ground: Ground,
) -> None:
    seal_id = await ground.seal(sm2=True)
    # As it was when it had been applied for, with a picture of its owner's own.
    await ground.connection.execute("DELETE FROM seal_key")
    await ground.connection.execute("UPDATE seal SET standing = $1, picture = NULL", SealState.APPLIED.value)
    await ground.connection.execute(
        "UPDATE seal_application SET picture = $1, picture_width = 30", png(drawn())
    )
    content = ground.issue(await ground.ask(seal_id, SM2))
    with pytest.raises(NotTakenError) as refused:
        await ground.take(seal_id, content, maker=ground.maker)
    assert refused.value.rule == "picture"

    ground.keystores = replace(ground.keystores, reader=OwnWorkshop())
    await ground.take(seal_id, content, maker=ground.maker)

    made = read_seal(await ground.connection.fetchval("SELECT structure FROM seal_key WHERE is_current"))
    assert (made.picture_type, made.width_mm) == ("PNG", 30)
    assert Image.open(BytesIO(made.picture)).convert("RGBA").tobytes() == drawn().tobytes()


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    with soft_token(tmp_path_factory.mktemp("softhsm")) as made:
        yield made


async def test_a_key_on_the_token_is_certified_and_puts_the_seal(ground: Ground, soft: SoftToken) -> None:
    token = Token(soft.place, sessions=1, seconds=20.0, writing=True)
    ground.keystores = replace(ground.keystores, token=token)
    try:
        seal_id = await ground.seal()
        content = ground.issue(await ground.ask(seal_id, P256, "token"))
        with pytest.raises(NotTakenError, match="not configured"):
            await take_certificate(
                ground.connection,
                replace(ground.keystores, token=None),
                seal_id=seal_id,
                content=content,
                roots=load_roots(ground.home / "pki" / "seal-ca.crt"),
                moment=NOW,
            )

        taken = await ground.take(seal_id, content)

        row = await ground.connection.fetchrow("SELECT * FROM seal_key WHERE id = $1", taken.key_id)
        assert row is not None
        assert (row["keystore"], row["token"], row["private_key"]) == ("token", "seals", None)
        kit = SealKit(
            ground.authority,
            load_roots(ground.home / "pki" / "seal-ca.crt")[0],
            await ground.keystore().signer(taken.key_id),
            make_kit().picture,
        )
        (finding,) = await inspect(await kit.seal(plain(), place=Place()), roots=[kit.root], moment=NOW)
        assert (finding.valid, finding.trusted_now) == (True, True)
        await ground.ask(seal_id, P256, "token")
        waiting = await ground.connection.fetchval("SELECT id FROM key_request")
        await withdraw_request(ground.connection, ground.keystores, seal_id)
        with pytest.raises(KeyUnknownError, match="no such key"):
            await token.sign(waiting, P256, b"x")
    finally:
        await token.close()


@pytest.fixture
def onestop(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The operator's command, in the city of the ground."""
    home = ground.database.keys.parent
    if not (home / "pki").exists():
        (home / "pki").symlink_to(ground.home / "pki")
    monkeypatch.setenv("ONESTOP_HOME", str(home))
    monkeypatch.setenv("DATABASE_URL", ground.database.admin_dsn)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["onestop seal", *words])
        try:
            code = command.main()
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


async def test_an_operator_asks_and_imports_by_two_commands(
    ground: Ground, onestop: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    seal_id = str(await ground.seal())

    code, request, errors = await asyncio.to_thread(
        onestop, "request", "--seal", seal_id, "--operator", "keeper1"
    )
    assert (code, errors) == (0, "")
    issued = ground.issue(csr.CertificationRequest.load(pem.unarmor(request.encode())[2]))
    (tmp_path / "issued.pem").write_bytes(issued)
    imported = ["import", "--seal", seal_id, "--certificate", str(tmp_path / "issued.pem")]
    code, said, _ = await asyncio.to_thread(onestop, *imported)
    assert code == 0
    assert said.startswith("the new key is in use, its certificate valid from ")
    code, said, _ = await asyncio.to_thread(onestop, *imported)
    assert code == 0
    assert said.startswith("the new key was in use already")

    (tmp_path / "issued.pem").write_bytes(b"nothing")
    code, said, errors = await asyncio.to_thread(onestop, *imported)
    assert (code, said) == (1, "")
    assert errors.startswith("NOT DONE: the file holds no certificate")
    code, _, errors = await asyncio.to_thread(
        onestop, "request", "--seal", seal_id, "--operator", "keeper1", "--keystore", "token"
    )
    assert code == 1
    assert "ONESTOP_TOKEN_MODULE" in errors
    code, _, errors = await asyncio.to_thread(
        onestop, "request", "--seal", "this one", "--operator", "keeper1"
    )
    assert code == 2
    code, _, errors = await asyncio.to_thread(onestop, "melt")
    assert code == 2
    assert "request" in errors
