"""A key of a seal is given out while a timestamp authority vouches for the clock, and not otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from asn1crypto import cms, keys, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper

from services.eseal.domain import Algorithm
from services.eseal.refusals import TimestampAuthorityAwayError, TimestampNotOfferedError
from services.eseal.sealing.ports import Signer
from services.eseal.trust.timestamps import (
    FRESH_SECONDS,
    OutsideStamps,
    ProvedClock,
    TimedKeystore,
    TimeNotProvedError,
    TimestampAuthority,
)
from tests.loops import of_the_module


@dataclass(frozen=True)
class Certified:
    """A root, and a certificate below it with its key; all DER."""

    root: bytes
    certificate: bytes
    key: bytes


def certified(usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING) -> Certified:
    """Whoever may make timestamps, or by its usage may not."""
    above, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    root = _signed("Root", above.public_key(), above, x509.BasicConstraints(ca=True, path_length=0))
    usages = x509.ExtendedKeyUsage([usage])
    leaf = _signed("Time authority", key.public_key(), above, usages)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Certified(root.public_bytes(Encoding.DER), leaf.public_bytes(Encoding.DER), private)


def _signed(
    name: str, key: rsa.RSAPublicKey, signer: rsa.RSAPrivateKey, extension: x509.ExtensionType
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=True)
        .sign(signer, SHA256())
    )


@dataclass
class Authority:
    """A timestamp authority over HTTP, and what a test makes of it."""

    shows: Certified
    url: str = ""
    asked: int = 0
    off: timedelta = timedelta()
    spoil: Callable[[bytes], bytes] = field(default=lambda answer: answer)
    digest: bytes = b""

    async def answer(self, request: web.Request) -> web.Response:
        """RFC 3161 section 3.4."""
        self.asked += 1
        asked = tsp.TimeStampReq.load(await request.read())
        if self.digest:
            asked["message_imprint"]["hashed_message"] = self.digest
        stamper = DummyTimeStamper(
            asn1_x509.Certificate.load(self.shows.certificate),
            keys.PrivateKeyInfo.load(self.shows.key),
            fixed_dt=datetime.now(UTC) + self.off,
        )
        body = self.spoil(stamper.request_tsa_response(asked).dump())
        return web.Response(body=body, content_type="application/timestamp-reply")


@pytest.fixture(scope="module")
def usual() -> Certified:
    """The authority's."""
    return certified()


@of_the_module()
async def authority(usual: Certified) -> AsyncIterator[Authority]:
    """One that runs."""
    made = Authority(usual)
    app = web.Application()
    app.router.add_post("/tsa", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/tsa"
    yield made
    await runner.cleanup()


@dataclass
class Clocks:
    """Ours: the one on the wall, and the one that never jumps."""

    ahead: timedelta = timedelta()
    steady_seconds: float = 1000.0

    def wall(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def steady(self) -> float:
        return self.steady_seconds

    def pass_by(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)
        self.steady_seconds += seconds


class Keys:
    """A keystore that counts who asks."""

    def __init__(self) -> None:
        self.given: list[UUID] = []

    async def signer(self, key_id: UUID) -> Signer:
        self.given.append(key_id)
        return Key()


class Key:
    algorithm = Algorithm.ECDSA_P256_SHA256
    is_quick = True
    certificate = b""
    chain = ()
    in_device = False

    async def sign(self, data: bytes) -> bytes:
        return data


@dataclass
class Ground:
    authority: Authority
    clocks: Clocks
    proof: ProvedClock
    keys: Keys
    keystore: TimedKeystore

    async def gives(self) -> bool:
        """Whether a key is given out now."""
        before = len(self.keys.given)
        with suppress(TimeNotProvedError):
            await self.keystore.signer(uuid4())
        return len(self.keys.given) > before

    async def gives_soon(self) -> bool:
        """Whether a key is given out within a few seconds."""
        for _ in range(500):
            if await self.gives():
                return True
            await asyncio.sleep(0.01)
        return False


@pytest.fixture
def ground(authority: Authority) -> Ground:
    clocks, kept = Clocks(), Keys()
    believed = TimestampAuthority(authority.url, [authority.shows.root])
    proof = ProvedClock(believed, clocks.wall, clocks.steady)
    return Ground(authority, clocks, proof, kept, TimedKeystore(kept, proof))


async def test_no_key_is_given_out_before_the_time_is_proved(ground: Ground) -> None:
    assert not await ground.gives()

    assert await ground.proof.prove()

    assert await ground.gives()
    assert ground.authority.asked == 1


async def test_a_clock_sixteen_minutes_off_seals_nothing(ground: Ground) -> None:
    for minutes in (16, -16):
        ground.clocks.ahead = timedelta(minutes=minutes)
        assert not await ground.proof.prove()
        assert not await ground.gives()

    ground.clocks.ahead = timedelta()
    assert await ground.proof.prove()
    assert await ground.gives()


async def test_a_clock_that_jumps_is_noticed_at_once(ground: Ground) -> None:
    await ground.proof.prove()

    ground.clocks.ahead += timedelta(minutes=5)

    assert not await ground.gives()
    ground.clocks.ahead = timedelta()
    assert not await ground.gives()
    assert await ground.proof.prove()
    assert await ground.gives()


async def test_a_clock_that_has_jumped_is_proved_anew_at_once(ground: Ground) -> None:
    keeping = asyncio.create_task(ground.proof.keep())
    try:
        assert await ground.gives_soon()
        ground.clocks.ahead += timedelta(minutes=5)
        assert not await ground.gives()
        ground.clocks.ahead = timedelta()
        assert await ground.gives_soon()
    finally:
        keeping.cancel()


async def test_an_authority_that_is_away_is_done_without_for_an_hour(ground: Ground) -> None:
    await ground.proof.prove()
    ground.authority.spoil = lambda _: b"gone"
    ground.clocks.pass_by(FRESH_SECONDS - 1)
    ground.authority.off = ground.clocks.ahead

    assert not await ground.proof.prove()
    assert await ground.gives()

    ground.clocks.pass_by(2)
    assert not await ground.gives()
    ground.authority.spoil, ground.authority.off = (lambda answer: answer), ground.clocks.ahead
    assert await ground.proof.prove()
    assert await ground.gives()


async def test_an_answer_that_proves_nothing_is_none(ground: Ground) -> None:
    def flipped(answer: bytes) -> bytes:
        return answer[:-20] + bytes([answer[-20] ^ 1]) + answer[-19:]

    for spoil in (flipped, lambda _: b"", lambda answer: answer[:100], lambda _: b"0\x03\x02\x01\x02"):
        ground.authority.spoil = spoil
        assert not await ground.proof.prove()
    ground.authority.spoil, ground.authority.digest = (lambda answer: answer), b"x" * 32
    assert not await ground.proof.prove()

    assert not await ground.gives()
    assert ground.authority.asked == 5


@pytest.mark.parametrize(
    ("usage", "believed", "right"),
    [
        (ExtendedKeyUsageOID.TIME_STAMPING, True, True),
        (ExtendedKeyUsageOID.TIME_STAMPING, False, False),
        (ExtendedKeyUsageOID.CODE_SIGNING, True, False),
    ],
    ids=["believed", "another-authority", "another-use"],
)
async def test_whom_nobody_vouches_for_proves_nothing(
    ground: Ground, usual: Certified, usage: x509.ObjectIdentifier, believed: bool, right: bool
) -> None:
    ground.authority.shows = made = certified(usage)
    roots = [made.root if believed else usual.root]
    proof = ProvedClock(TimestampAuthority(ground.authority.url, roots), ground.clocks.wall)

    assert await proof.prove() is right
    assert ground.authority.asked == 1


async def test_an_authority_that_nobody_reaches_lets_the_service_start_and_seal_nothing() -> None:
    proof = ProvedClock(TimestampAuthority("http://127.0.0.1:1/tsa", []), Clocks().wall)

    assert not await proof.prove()
    with pytest.raises(TimeNotProvedError) as refused:
        proof.require()
    assert refused.value.retry_after


async def test_who_asks_by_remote_signing_gets_a_token_with_her_nonce_that_our_roots_bear_out(
    authority: Authority,
) -> None:
    stamps = OutsideStamps(TimestampAuthority(authority.url, [authority.shows.root]))

    for function, size in (("sha256", 32), ("sha384", 48), ("sha512", 64)):
        token = cms.ContentInfo.load(await stamps.token(b"\x07" * size, 0x5A))
        said = token["content"]["encap_content_info"]["content"].parsed
        assert said["nonce"].native == 0x5A
        assert said["message_imprint"]["hash_algorithm"]["algorithm"].native == function
        assert said["message_imprint"]["hashed_message"].native == b"\x07" * size


async def test_no_token_is_passed_on_that_our_roots_do_not_bear_out(authority: Authority) -> None:
    with pytest.raises(TimestampAuthorityAwayError):
        await OutsideStamps(TimestampAuthority(authority.url, [certified().root])).token(b"\x07" * 32, None)
    authority.digest = b"\x08" * 32
    with pytest.raises(TimestampAuthorityAwayError):
        await OutsideStamps(TimestampAuthority(authority.url, [authority.shows.root])).token(
            b"\x07" * 32, None
        )
    with pytest.raises(TimestampNotOfferedError):
        await OutsideStamps(None).token(b"\x07" * 32, None)
