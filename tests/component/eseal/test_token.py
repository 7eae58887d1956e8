"""A token by its real library (SoftHSM2): it signs, never shows its keys, and its failures stay its own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pkcs11
import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, ObjectClass

from core.keyring import Keyring
from core.vault import Vault
from services.eseal.domain import SUITES, Algorithm, Format
from services.eseal.keys.signers import is_signed
from services.eseal.keys.token import Token, TokenSigner
from services.eseal.keystore import VaultKeystore
from services.eseal.operating.making import SealOrder, make_seal
from services.eseal.pdf.inspection import inspect
from services.eseal.refusals import KeystoreUnavailableError, KeyUnknownError
from tests.component.eseal.soft_token import PIN, SoftToken, soft_token
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.loops import of_the_module
from tests.unit.eseal.documents import KIND, NOW, OFFICE, OFFICE_CODE, plain
from tests.unit.eseal.test_algorithms import KIT, issued, kit_of

ON_TOKENS = [one for one, suite in SUITES.items() if suite.format is Format.PDF]
P256 = Algorithm.ECDSA_P256_SHA256


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    with soft_token(tmp_path_factory.mktemp("softhsm")) as made:
        yield made


@of_the_module()
async def token(soft: SoftToken) -> AsyncIterator[Token]:
    """One session, as the service has it; it may make keys besides."""
    opened = Token(soft.place, sessions=1, seconds=10.0, writing=True)
    yield opened
    await opened.close()


@pytest.mark.parametrize("algorithm", ON_TOKENS)
async def test_a_key_made_on_the_token_signs_by_its_own_suite(token: Token, algorithm: Algorithm) -> None:
    key_id = uuid4()
    public = await token.generate(key_id, algorithm)

    signature = await token.sign(key_id, algorithm, b"what is signed")

    assert is_signed(public, algorithm, b"what is signed", signature)
    assert not is_signed(public, algorithm, b"what is not", signature)
    with pytest.raises(KeyUnknownError, match="id already"):
        await token.generate(key_id, algorithm)


async def test_a_key_on_the_token_does_not_leave_it(token: Token, soft: SoftToken) -> None:
    key_id = uuid4()
    await token.generate(key_id, P256)

    session = pkcs11.lib(str(soft.place.module)).get_token(token_label=soft.place.label).open(user_pin=PIN)
    try:
        key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=key_id.bytes)
        assert key[Attribute.SENSITIVE]
        assert not key[Attribute.EXTRACTABLE]
        assert key[Attribute.LOCAL]
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]
    finally:
        session.close()


async def test_a_key_that_could_leave_the_token_is_not_used(token: Token, soft: SoftToken) -> None:
    key_id = uuid4()
    session = (
        pkcs11.lib(str(soft.place.module)).get_token(token_label=soft.place.label).open(rw=True, user_pin=PIN)
    )
    try:
        session.generate_keypair(
            KeyType.RSA,
            2048,
            id=key_id.bytes,
            store=True,
            private_template={Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False},
        )
    finally:
        session.close()

    with pytest.raises(KeyUnknownError, match="give the key away"):
        await token.sign(key_id, Algorithm.RSA_2048_SHA256, b"x")


async def test_what_is_not_there_or_of_another_kind_is_told_and_the_session_stays(token: Token) -> None:
    key_id = uuid4()
    await token.generate(key_id, P256)
    (process,) = token._all

    with pytest.raises(KeyUnknownError, match="no such key"):
        await token.sign(uuid4(), P256, b"x")
    with pytest.raises(KeyUnknownError, match="another kind"):
        await token.sign(key_id, Algorithm.RSA_2048_SHA256, b"x")
    with pytest.raises(KeyUnknownError, match="PKCS #11"):
        await token.sign(key_id, Algorithm.SM2_SM3, b"x")
    await token.destroy(key_id, P256)
    with pytest.raises(KeyUnknownError, match="no such key"):
        await token.sign(key_id, P256, b"x")

    assert token._all == {process}


async def test_what_another_key_signed_is_no_signature(token: Token) -> None:
    key_id = uuid4()
    await token.generate(key_id, P256)
    signer = TokenSigner(token, key_id, P256, kit_of(P256).signer.certificate)

    with pytest.raises(KeyUnknownError, match="not by the key"):
        await signer.sign(b"x")


async def test_a_session_that_breaks_is_opened_anew(token: Token) -> None:
    key_id = uuid4()
    public = await token.generate(key_id, P256)
    for process in list(token._all):
        os.kill(process.pid, signal.SIGKILL)

    signature = await token.sign(key_id, P256, b"x")

    assert is_signed(public, P256, b"x", signature)


async def test_a_token_that_was_reset_is_told_and_taken_up_again(soft: SoftToken, tmp_path: Path) -> None:
    place = tmp_path / "again"
    place.mkdir()
    with soft_token(place) as own:
        token = Token(own.place, sessions=1, seconds=10.0, writing=True)
        await token.generate(uuid4(), P256)
        shutil.rmtree(own.tokens)
        own.tokens.mkdir()
        try:
            with pytest.raises(KeystoreUnavailableError, match="no token of this label"):
                await token.generate(uuid4(), P256)
            own.make()

            key_id = uuid4()
            public = await token.generate(key_id, P256)

            assert is_signed(public, P256, b"x", await token.sign(key_id, P256, b"x"))
        finally:
            await token.close()


async def test_a_token_that_hangs_costs_its_own_calls_and_their_time_alone(token: Token) -> None:
    key_id = uuid4()
    await token.generate(key_id, P256)
    token._seconds = 0.5
    (process,) = token._all
    os.kill(process.pid, signal.SIGSTOP)
    began = time.monotonic()

    answers = await asyncio.gather(
        *(token.sign(key_id, P256, b"x") for _ in range(3)), return_exceptions=True
    )

    assert any(isinstance(one, KeystoreUnavailableError) for one in answers)
    assert all(isinstance(one, KeystoreUnavailableError | bytes) for one in answers)
    assert time.monotonic() - began < 3.0
    token._seconds = 10.0
    assert await token.sign(key_id, P256, b"x")


async def test_a_wrong_pin_is_tried_once_for_each_file(soft: SoftToken) -> None:
    token = Token(soft.place, sessions=2, seconds=10.0)
    soft.write_pin("00000000")
    try:
        for _ in range(2):
            answers = await asyncio.gather(
                *(token.sign(uuid4(), P256, b"x") for _ in range(2)), return_exceptions=True
            )
            assert [type(one) for one in answers] == [KeystoreUnavailableError] * 2
            assert all("PIN" in str(one) and "0000" not in str(one) for one in answers)
        flags = pkcs11.lib(str(soft.place.module)).get_token(token_label=soft.place.label).flags
        assert not flags & pkcs11.TokenFlag.USER_PIN_LOCKED
        soft.write_pin(PIN)
        await token.require()
    finally:
        soft.write_pin(PIN)
        await token.close()


async def test_what_is_no_library_is_told(soft: SoftToken, tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"no library")
    token = Token(replace(soft.place, module=tmp_path / "lib.so"), seconds=10.0)

    with pytest.raises(KeystoreUnavailableError, match="cannot be opened"):
        await token.require()
    await token.close()


async def test_no_pin_stands_in_a_session_s_command_line_or_repr(token: Token) -> None:
    await token.require()
    (process,) = token._all

    assert PIN not in command_line(process.pid)
    assert PIN not in repr(token)
    assert PIN not in repr(vars(token))


def command_line(pid: int) -> str:
    """Empty where the system does not tell it."""
    line = Path(f"/proc/{pid}/cmdline")
    return line.read_text() if line.exists() else ""


async def test_a_seal_whose_key_lies_on_the_token_is_put_from_its_row(
    token: Token, city_database: CityDatabase, pool: PoolFactory
) -> None:
    key_id = await seal_on(token, city_database)
    opened = await pool("eseal")
    vault = await Vault.open(opened, Keyring.load(city_database.keyring("eseal")))
    signer = await VaultKeystore(opened, vault, token=token).signer(key_id)

    document = await replace(kit_of(P256), signer=signer).seal(plain())

    (finding,) = await inspect(document, roots=[KIT.root], moment=NOW)
    assert (finding.intact, finding.valid, finding.trusted_now) == (True, True, True)
    with pytest.raises(KeyUnknownError, match="not configured here"):
        await VaultKeystore(opened, vault).signer(key_id)
    elsewhere = Token(replace(token._place, label="another"))
    with pytest.raises(KeyUnknownError, match="not configured here"):
        await VaultKeystore(opened, vault, token=elsewhere).signer(key_id)


async def seal_on(token: Token, database: CityDatabase) -> UUID:
    """The key's id of a new seal, moved to a new key on the token."""
    connection = await asyncpg.connect(database.admin_dsn, server_settings={"search_path": "eseal"})
    try:
        vault = await Vault.open(connection, Keyring.load(database.keyring("eseal")))
        order = SealOrder(
            owner_code=OFFICE_CODE,
            owner_name=OFFICE,
            kind=KIND,
            division="440299",
            valid_from=NOW,
            valid_until=NOW + timedelta(days=365),
            users=[(OFFICE_CODE, "")],
        )
        await make_seal(connection, vault, KIT.authority, order)
        key_id: UUID = await connection.fetchval("SELECT id FROM seal_key")
        certificate = issued(load_der_public_key(await token.generate(key_id, P256)))
        await connection.execute(
            "UPDATE seal_key SET keystore = 'token', token = $1, private_key = NULL, certificate = $2,"
            " certificate_sha256 = $3",
            token.label,
            certificate,
            hashlib.sha256(certificate).digest(),
        )
    finally:
        await connection.close()
    return key_id


def test_a_process_with_keys_leaves_no_image_of_its_memory() -> None:
    asked = "import ctypes, resource; from services.eseal.keys.undumped import forbid_dumps; forbid_dumps();"
    asked += "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
    if sys.platform != "linux":
        pytest.skip("prctl is Linux's")

    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout

    assert said.split(maxsplit=1) == ["0", "(0, 0)\n"]
