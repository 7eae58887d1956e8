"""Keys of seals at rest: never in clear, bound to their row, out of the service role's reach to change."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from core.keyring import Keyring
from core.vault import SealBrokenError, Vault
from deploy.local.sm2_pki import load_maker, make_sm2_pki
from deploy.town.seed_eseal import Office, read_offices, seed_eseal
from services.eseal.domain import Algorithm, SealUser
from services.eseal.gm.ses import read_seal
from services.eseal.gm.sm2 import load_sm2
from services.eseal.gm.sm2_certificate import Signer
from services.eseal.keys.signers import VaultSigner
from services.eseal.keystore import COLUMN, VaultKeystore
from services.eseal.operating.making import SealOrder, make_seal
from services.eseal.refusals import KeyUnknownError, Sm2UnavailableError
from services.eseal.store import PgSealStore
from services.eseal.trust.authority import DOCUMENT_SIGNING
from tests.conftest import PoolFactory
from tests.database import CityDatabase
from tests.unit.eseal.documents import KIND, NOW, OFFICE, OFFICE_CODE, make_kit

KIT = make_kit()


async def made(database: CityDatabase) -> tuple[UUID, bool]:
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
        return await make_seal(connection, vault, KIT.authority, order)
    finally:
        await connection.close()


@pytest.fixture
async def keystore(city_database: CityDatabase, pool: PoolFactory) -> VaultKeystore:
    city_database.truncate("eseal")
    opened = await pool("eseal")
    return VaultKeystore(opened, await Vault.open(opened, Keyring.load(city_database.keyring("eseal"))))


async def key_row(pool: PoolFactory) -> asyncpg.Record:
    row = await (await pool("eseal")).fetchrow("SELECT id, private_key, certificate FROM seal_key")
    assert row is not None
    return row


async def test_a_key_signs_and_its_certificate_verifies(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory
) -> None:
    await made(city_database)
    signer = await keystore.signer((await key_row(pool))["id"])

    signature = await signer.sign(b"what is signed")

    certificate = x509.load_der_x509_certificate(signer.certificate)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, b"what is signed", ec.ECDSA(SHA256()))


async def test_a_seals_certificate_is_for_sealing_documents_alone(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory
) -> None:
    await made(city_database)
    certificate = x509.load_der_x509_certificate((await key_row(pool))["certificate"])

    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(KIT.root))
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment
    assert not usage.value.key_cert_sign
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [DOCUMENT_SIGNING]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert f"NTRCN-{OFFICE_CODE}" in certificate.subject.rfc4514_string()
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)


async def test_no_key_lies_in_clear_anywhere_in_the_schema(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory
) -> None:
    await made(city_database)
    row = await key_row(pool)
    plain = keystore._vault.unseal(row["private_key"], row=row["id"], column=COLUMN)
    signer = await keystore.signer(row["id"])
    assert isinstance(signer, VaultSigner)
    key = signer._key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    secret = key.private_numbers().private_value.to_bytes(32, "big")
    assert secret in plain

    with psycopg.connect(city_database.admin_dsn) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'eseal'").fetchall()
        assert ("seal_key",) in tables
        everything = b""
        for (table,) in tables:
            with connection.cursor().copy(f"COPY eseal.{table} TO STDOUT (FORMAT binary)") as rows:
                everything += b"".join(rows)

    assert row["certificate"] in everything
    for needle in (plain, secret, secret.hex().encode(), bytes(reversed(secret))):
        assert needle not in everything


async def test_a_sealed_key_opens_in_its_own_row_and_with_its_own_keyring_only(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory
) -> None:
    await made(city_database)
    row = await key_row(pool)

    with pytest.raises(SealBrokenError):
        keystore._vault.unseal(row["private_key"], row=uuid4(), column=COLUMN)
    with pytest.raises(SealBrokenError):
        keystore._vault.unseal(row["private_key"], row=row["id"], column="seal.picture")
    altered = bytearray(row["private_key"])
    altered[-1] ^= 1
    with pytest.raises(SealBrokenError):
        keystore._vault.unseal(bytes(altered), row=row["id"], column=COLUMN)
    with pytest.raises(SealBrokenError):
        await Vault.open(await pool("eseal"), Keyring.generate())


async def test_an_unknown_key_is_told(keystore: VaultKeystore) -> None:
    with pytest.raises(KeyUnknownError):
        await keystore.signer(uuid4())


async def test_a_signer_shows_nothing_and_stays_in_its_process(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory
) -> None:
    import pickle

    await made(city_database)
    signer = await keystore.signer((await key_row(pool))["id"])
    assert isinstance(signer, VaultSigner)
    assert isinstance(signer._key, ec.EllipticCurvePrivateKey)
    secret = signer._key.private_numbers().private_value

    assert str(secret) not in repr(signer)
    assert f"{secret:x}" not in repr(vars(signer))
    with pytest.raises(TypeError):
        pickle.dumps(signer)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE seal SET standing = 1",
        "DELETE FROM signature",
        "UPDATE signature SET office_code = ''",
        "INSERT INTO seal_user (seal_id, office_code) SELECT id, '11440299MB2L000118' FROM seal",
        "UPDATE seal_key SET is_current = false",
        "DELETE FROM seal_key",
        "TRUNCATE seal CASCADE",
    ],
)
async def test_the_services_role_may_use_seals_not_make_or_change_them(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory, statement: str
) -> None:
    await made(city_database)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await (await pool("eseal")).execute(statement)


async def test_making_a_seal_twice_makes_it_once(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory
) -> None:
    first, new = await made(city_database)
    again, anew = await made(city_database)

    assert (new, anew) == (True, False)
    assert first == again


async def test_every_office_of_the_town_gets_its_seal_once(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory
) -> None:
    offices = read_offices()
    keyring = Keyring.load(city_database.keyring("eseal"))
    connection = await asyncpg.connect(city_database.admin_dsn)
    try:
        count = await seed_eseal(connection, keyring, KIT.authority, offices, NOW)
        again = await seed_eseal(connection, keyring, KIT.authority, offices, NOW)
    finally:
        await connection.close()

    assert (count, again) == (len(offices), 0)
    store = PgSealStore(await pool("eseal"))
    demo = next(office for office in offices if office.name == "武江区市场监督管理局")
    (seal,) = await store.list_usable(office=demo.uscc, matter_code="", after=None, limit=10)
    assert seal.name == "武江区市场监督管理局行政审批专用章"
    seal.require_in_force(NOW)
    found = await store.find_to_put(seal.id)
    assert found is not None
    assert (found[0], found[2].picture.width_mm) == (seal, 42)
    assert SealUser(seal.id, demo.uscc) in found[1]
    await keystore.signer(seal.key_id)


async def test_an_sm2_key_lies_sealed_and_signs_for_its_own_certificate_alone(
    city_database: CityDatabase, keystore: VaultKeystore, pool: PoolFactory, tmp_path: Path
) -> None:
    make_sm2_pki(tmp_path, NOW)
    maker = load_maker(tmp_path)
    assert maker is not None
    offices = read_offices()[:2]
    keyring = Keyring.load(city_database.keyring("eseal"))
    connection = await asyncpg.connect(city_database.admin_dsn)
    try:
        count = await seed_eseal(connection, keyring, KIT.authority, offices, NOW, maker=maker)
    finally:
        await connection.close()

    assert count == 2 * len(offices)
    store = PgSealStore(await pool("eseal"))
    seals = await store.list_usable(office=offices[0].uscc, matter_code="", after=None, limit=10)
    ours = next(seal for seal in seals if seal.algorithm is Algorithm.SM2_SM3)
    found = await store.find_to_put(ours.id)
    assert found is not None
    structure = read_seal(found[2].structure)
    sm2_keystore = VaultKeystore(await pool("eseal"), keystore._vault, load_sm2())
    signer = await sm2_keystore.signer(ours.key_id)
    assert structure.is_for(signer.certificate)
    assert (structure.name, structure.picture_type) == (ours.name, "PNG")
    by = Signer.load(load_sm2(), signer.certificate)
    assert by.key.is_signed(b"x", await signer.sign(b"x"))
    assert by.is_trusted([Signer.load(load_sm2(), maker.authority.certificate)], NOW)
    assert by.key.public_bytes()[-64:].hex() not in repr(signer)
    with pytest.raises(Sm2UnavailableError):
        await keystore.signer(ours.key_id)


def test_the_offices_file_is_read() -> None:
    offices = read_offices()

    assert (
        Office("武江区市场监督管理局", _uscc(offices, "武江区市场监督管理局"), "market_regulation") in offices
    )
    assert all(len(office.uscc) == 18 for office in offices)


def _uscc(offices: list[Office], name: str) -> str:
    return next(office.uscc for office in offices if office.name == name)
