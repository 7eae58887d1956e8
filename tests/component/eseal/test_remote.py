"""Remote signing: only what a holder's own factors have authorised is signed, once, and all is recorded."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import grpc
import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from onestop.eseal.v1 import eseal_pb2
from onestop.eseal.v1 import remote_pb2 as pb

from core.disclosure import EntryKind, Outcome
from core.identity import USCC, Scope, Subject
from core.keyring import Keyring
from core.vault import Vault
from services.eseal.domain import Algorithm
from services.eseal.remote.keys import RemoteKeys
from services.eseal.remote.making import revoke, unlock
from services.eseal.remote.refusals import FactorInvalidError, SadInvalidError
from services.eseal.remote.rules import MOST_ATTEMPTS, sad_of
from services.eseal.remote.store import AUTHORISATION_COLUMN, CREDENTIAL_COLUMN, PgRemoteStore
from tests.companies import COMPANY_CODE, device_secret
from tests.component.eseal.companies import Company, digest_of, prepared, ready
from tests.component.eseal.harness import Desk, reason
from tests.conftest import PoolFactory
from tests.unit.eseal.documents import plain

T = TypeVar("T")
DIGESTS = [digest_of("first"), digest_of("second")]


async def refused(call: Awaitable[T]) -> str:
    """The reason for which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return reason(failure.value)


async def count(desk: Desk, table: str = "remote_signature") -> int:
    """Rows of a table."""
    connection = await desk.owner()
    found: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    await connection.close()
    return found


async def test_a_batch_is_signed_verifies_and_is_recorded_with_intent_and_outcome(desk: Desk) -> None:
    company = await ready(desk)
    authorised = await company.authorise(DIGESTS)
    before = len(desk.ledger.entries)

    signed = await company.sign(authorised.sad, DIGESTS)

    key = x509.load_der_x509_certificate(await company.certificate()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for digest, signature in zip(DIGESTS, signed.signatures, strict=True):
        key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))
    intent, outcome = desk.ledger.entries[before:]
    assert (intent.kind, outcome.outcome) == (EntryKind.INTENT, Outcome.COMPLETED)
    assert intent.method == "eseal.remote_sign_hashes"
    assert outcome.subject == Subject(USCC, COMPANY_CODE)
    assert outcome.operator == "legal.rep"
    named = [record.resource for record in outcome.records]
    assert named[0] == f"remote_credential:{company.credential_id}"
    assert named.count("remote_signature") == await count(desk) == 2
    said = json.loads(signed.receipt.answer_json)
    assert said == {"signatures": [base64.b64encode(one).decode() for one in signed.signatures]}


async def test_an_rsa_credential_signs_what_its_certificate_verifies(desk: Desk) -> None:
    company = await ready(desk, Algorithm.RSA_2048_SHA256)
    authorised = await company.authorise(DIGESTS[:1])

    signed = await company.sign(authorised.sad, DIGESTS[:1])

    key = x509.load_der_x509_certificate(await company.certificate()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(signed.signatures[0], DIGESTS[0], padding.PKCS1v15(), Prehashed(SHA256()))


async def test_nobody_gets_a_signature_by_another_algorithm_than_he_asked_for(desk: Desk) -> None:
    company = await ready(desk)
    sad = (await company.authorise(DIGESTS)).sad

    other = company.sign(sad, DIGESTS, algorithms=["sha256_rsa_2048", "sha256_rsa_3072"])

    assert await refused(other) == "REQUEST_INVALID"
    await company.sign(sad, DIGESTS, algorithms=["sha256_rsa_2048", "sha256_ecdsa_p256"])


async def test_a_sad_signs_each_digest_once_and_no_other(desk: Desk) -> None:
    company = await ready(desk)
    authorised = await company.authorise(DIGESTS)

    assert await refused(company.sign(authorised.sad, [digest_of("other")])) == "DIGEST_NOT_AUTHORISED"
    assert await refused(company.sign(authorised.sad, [*DIGESTS, DIGESTS[0]])) == "DIGEST_NOT_AUTHORISED"
    await company.sign(authorised.sad, DIGESTS[:1])
    assert await refused(company.sign(authorised.sad, DIGESTS)) == "DIGEST_NOT_AUTHORISED"
    await company.sign(authorised.sad, DIGESTS[1:])
    assert await refused(company.sign(authorised.sad, DIGESTS[1:])) == "SAD_INVALID"

    assert await count(desk) == 2


async def test_a_retry_gets_the_first_signatures_and_signs_nothing(desk: Desk) -> None:
    company = await ready(desk)
    authorised = await company.authorise(DIGESTS)

    first = await company.sign(authorised.sad, DIGESTS, key="retry-1")
    again = await company.sign(authorised.sad, DIGESTS, key="retry-1")

    assert again == first
    assert await count(desk) == 2
    assert await refused(company.sign(authorised.sad, DIGESTS[:1], key="retry-1")) == "IDEMPOTENCY_KEY_REUSED"


async def test_a_sad_is_told_once_and_kept_nowhere(desk: Desk) -> None:
    company = await ready(desk)

    authorised = await company.authorise(DIGESTS, key="authorise-1")

    assert await refused(company.authorise(DIGESTS, key="authorise-1")) == "TOLD_ONCE"
    secret = base64.urlsafe_b64decode(authorised.sad)[16:]
    connection = await desk.owner()
    vault = await Vault.open(connection, Keyring.load(desk.database.keyring("eseal")))
    replies = await connection.fetch("SELECT reply_id, answer, receipt FROM reply WHERE answer IS NOT NULL")
    await connection.close()
    assert replies
    for row in replies:
        for column in ("answer", "receipt"):
            kept = vault.unseal(row[column], row=row["reply_id"], column=f"reply.{column}")
            assert secret not in kept
            assert authorised.sad.encode() not in kept


async def test_a_sad_dies_with_its_time_and_its_key_is_destroyed(desk: Desk, pool: PoolFactory) -> None:
    company = await ready(desk)
    authorised = await company.authorise(DIGESTS)
    desk.clock.advance(timedelta(minutes=5))

    assert await refused(company.sign(authorised.sad, DIGESTS)) == "SAD_INVALID"

    connection = await desk.owner()
    assert await connection.fetchval("SELECT count(wrapped_key) FROM remote_authorisation") == 1
    vault = await Vault.open(connection, Keyring.load(desk.database.keyring("eseal")))
    await PgRemoteStore(await pool("eseal"), vault, desk.clock).sweep(desk.clock())
    assert await connection.fetchval("SELECT count(wrapped_key) FROM remote_authorisation") == 0
    await connection.close()


async def test_a_sad_is_its_credentials_and_its_applications_alone(desk: Desk) -> None:
    company, other = await ready(desk), await ready(desk)
    sad = (await company.authorise(DIGESTS)).sad

    assert await refused(other.sign(sad, DIGESTS)) == "SAD_INVALID"
    company.application = "another-app"
    assert await refused(company.sign(sad, DIGESTS)) == "CREDENTIAL_NOT_FOUND"
    company.application, company.scopes = "company-app", (Scope.SEAL_USE,)
    assert await refused(company.sign(sad, DIGESTS)) == "SCOPE_MISSING"


async def test_wrong_factors_are_counted_and_lock_the_credential(desk: Desk) -> None:
    company = await ready(desk)
    assert await refused(company.authorise(DIGESTS, pin="no-such-pin")) == "FACTOR_INVALID"
    await company.authorise(DIGESTS)  # The right ones: the count begins anew.

    wrong = [{"pin": "no-such-pin"}, {"secret": device_secret()}, {"pin": "no-such-pin"}] * 2
    for factors in wrong[:MOST_ATTEMPTS]:
        assert await refused(company.authorise(DIGESTS, **factors)) == "FACTOR_INVALID"

    assert await refused(company.authorise(DIGESTS)) == "CREDENTIAL_LOCKED"
    connection = await desk.owner()
    assert await unlock(connection, company.credential_id)
    await connection.close()
    await company.authorise(DIGESTS)


async def test_other_factors_end_the_former_ones_and_what_they_had_authorised(desk: Desk) -> None:
    company = await ready(desk)
    sad = (await company.authorise(DIGESTS)).sad
    secret = device_secret()

    await company.change("another-pin-9", secret)

    assert await refused(company.sign(sad, DIGESTS)) == "SAD_INVALID"
    assert await refused(company.authorise(DIGESTS)) == "FACTOR_INVALID"
    company.pin, company.secret = "another-pin-9", secret
    await company.sign((await company.authorise(DIGESTS)).sad, DIGESTS)


async def test_a_credential_is_taken_once_with_its_code_and_strong_factors(desk: Desk) -> None:
    company = await prepared(desk)
    assert await refused(company.enrol(pin="111111")) == "PIN_WEAK"
    right, company.code = company.code, "A" * 32
    assert await refused(company.enrol()) == "ENROLMENT_CODE_INVALID"
    company.code, strong, company.secret = right, company.secret, "A" * 43
    assert await refused(company.enrol()) == "DEVICE_SECRET_WEAK"
    company.secret = strong

    first = await company.enrol(key="take-1")

    assert first.credential.state == pb.CREDENTIAL_STATE_WAITING
    assert await company.enrol(key="take-1") == first
    assert await refused(company.enrol()) == "ENROLMENT_CODE_INVALID"
    assert await refused(company.authorise(DIGESTS)) == "CREDENTIAL_NOT_READY"


async def test_a_revoked_credential_signs_nothing_more_not_even_what_was_authorised(desk: Desk) -> None:
    company = await ready(desk)
    sad = (await company.authorise(DIGESTS)).sad
    connection = await desk.owner()
    assert await revoke(connection, company.credential_id)
    await connection.close()

    assert await refused(company.sign(sad, DIGESTS)) == "CREDENTIAL_NOT_READY"
    assert await refused(company.authorise(DIGESTS)) == "CREDENTIAL_NOT_READY"


async def test_a_pdf_is_sealed_by_its_digest_and_found_valid(desk: Desk) -> None:
    company = await ready(desk)
    document, range_digest = plain(), digest_of("a byte range that the caller laid out")
    authorised = await company.authorise([hashlib.sha256(document).digest(), range_digest])

    other = plain(2)
    assert await refused(company.sign_documents(authorised.sad, [other])) == "DIGEST_NOT_AUTHORISED"
    signed = await company.sign_documents(authorised.sad, [document], [range_digest])

    assert signed.documents[0].startswith(document)
    answer = await desk.verify(signed.documents[0])
    assert answer.verdict == eseal_pb2.DOCUMENT_VERDICT_VALID
    assert answer.seals[0].trusted
    (info,) = cms.ContentInfo.load(signed.signatures[0])["content"]["signer_infos"]
    attributes = {one["type"].native: one["values"][0].native for one in info["signed_attrs"]}
    assert attributes["message_digest"] == range_digest
    assert await count(desk) == 2


async def test_while_the_ledger_is_away_nothing_is_signed_and_nothing_is_spent(desk: Desk) -> None:
    company = await ready(desk)
    sad = (await company.authorise(DIGESTS)).sad
    desk.ledger.down = True

    assert await refused(company.sign(sad, DIGESTS)) == "PART_DOWN"

    assert await count(desk) == 0
    desk.ledger.down = False
    await company.sign(sad, DIGESTS)


async def test_with_all_of_the_database_and_all_key_files_nothing_can_be_signed(desk: Desk) -> None:
    """Sole control: who runs the service has every row and every key of its own, and lacks the factors."""
    company = await ready(desk)
    await company.authorise(DIGESTS)  # Open now: the most that ever lies there.
    connection = await desk.owner()
    vault = await Vault.open(connection, Keyring.load(desk.database.keyring("eseal")))
    credential = await connection.fetchrow("SELECT * FROM remote_credential")
    open_one = await connection.fetchrow("SELECT * FROM remote_authorisation")
    assert credential is not None
    assert open_one is not None
    everything = b""
    for table in ("remote_credential", "remote_authorisation", "remote_digest", "reply"):
        rows = await connection.fetch(f"SELECT * FROM {table}")
        everything += b"".join(value for row in rows for value in row.values() if isinstance(value, bytes))
    wrapped = vault.unseal(credential["wrapped_key"], row=credential["id"], column=CREDENTIAL_COLUMN)
    by_sad = vault.unseal(open_one["wrapped_key"], row=open_one["id"], column=AUTHORISATION_COLUMN)
    keys = RemoteKeys()

    # Neither is a key, and no key of the service opens either.
    ring = Keyring.load(desk.database.keyring("eseal"))
    for own in [*ring.kek.values(), *ring.index.values(), ring.hashing_key, open_one["secret_sha256"]]:
        for sealed in (wrapped, by_sad):
            with pytest.raises(InvalidTag):
                AESGCM(own[:32]).decrypt(sealed[:12], sealed[12:], company.credential_id.bytes)
    # Not even who has seen the PIN gets in without the device; nor who has the device, without the PIN.
    for pin, secret in ((company.pin, ""), (company.pin, device_secret()), ("222-other", company.secret)):
        with pytest.raises(FactorInvalidError):
            await keys.unwrap(wrapped, company.credential_id, pin=pin, secret=secret, salt=credential["salt"])
    assert company.secret.encode() not in everything
    assert company.pin.encode() not in everything
    # Who writes to the database cannot make an authorisation say something else: its key is bound to it.
    forged = sad_of(open_one["id"], bytes(32))
    await connection.execute(
        "UPDATE remote_authorisation SET secret_sha256 = $1", hashlib.sha256(bytes(32)).digest()
    )
    assert await refused(company.sign(forged, DIGESTS)) == "SAD_INVALID"
    await connection.close()
    assert await count(desk) == 0


async def test_digests_put_under_an_authorisation_afterwards_are_not_signed(desk: Desk) -> None:
    company = await ready(desk)
    sad = (await company.authorise(DIGESTS)).sad
    await desk.execute("UPDATE remote_digest SET digest = $1 WHERE position = 0", digest_of("slipped in"))

    assert await refused(company.sign(sad, [digest_of("slipped in")])) == "SAD_INVALID"
    assert await count(desk) == 0


def test_the_keys_of_an_authorisation_open_only_for_what_was_authorised() -> None:
    keys = RemoteKeys()
    secret = keys.new_secret()
    wrapped = keys.wrap_for_sad(b"a key", secret, b"these digests")

    with pytest.raises(SadInvalidError):
        keys.open_for_sad(wrapped, secret, b"other digests", b"")


async def test_an_application_sees_its_own_credentials_page_by_page(desk: Desk) -> None:
    made = sorted([str((await prepared(desk)).credential_id) for _ in range(3)])
    company = Company(desk, UUID(made[0]), "")

    first = await desk.remote.ListCredentials(pb.ListCredentialsRequest(**company.about(), page_size=2))
    rest = await desk.remote.ListCredentials(
        pb.ListCredentialsRequest(**company.about(), page_size=2, page_token=first.next_page_token)
    )
    company.application = "another-app"
    others = await desk.remote.ListCredentials(pb.ListCredentialsRequest(**company.about()))

    assert [one.id for one in (*first.credentials, *rest.credentials)] == made
    assert (rest.next_page_token, list(others.credentials)) == ("", [])
