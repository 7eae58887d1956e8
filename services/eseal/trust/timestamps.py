"""The time of seals, vouched for by an authority apart from us: RFC 3161 over HTTP.

A seal says when it was made by our own clock, and our record bears it out. So a key is given out only while a
timestamp authority has said, not long ago, that the clock is right.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from aiohttp import ClientError
from asn1crypto import tsp, x509
from pyhanko.sign.general import SigningError
from pyhanko.sign.timestamps.aiohttp_client import HTTPTimeStamper
from pyhanko.sign.timestamps.common_utils import TimestampRequestError
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko.sign.validation.status import TimestampSignatureStatus
from pyhanko_certvalidator import ValidationContext

from core import log
from core.clock import Clock
from core.errors import UnavailableError
from services.eseal.refusals import (
    TimestampAuthorityAwayError,
    TimestampNotOfferedError,
    TimestampUnavailableError,
)
from services.eseal.sealing.ports import Signer
from services.eseal.sealing.putting import Keystore

TOLERANCE = timedelta(minutes=1)
"""How far our clock may be from the authority's; its answers may have whole seconds only."""
FRESH_SECONDS = 3600.0
"""How long what it said counts. An authority that is away longer costs seals, never their time."""
EVERY_SECONDS = 600.0
AGAIN_SECONDS = 10.0
FIRST_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""After the first failures in a row: an authority may be starting too."""
ANSWER_SECONDS = 5.0
DIGESTS = {32: "sha256", 48: "sha384", 64: "sha512"}
"""Whose digest it is, by its bytes."""
_GRANTED = frozenset({"granted", "granted_with_mods"})

_logger = log.get_logger()
FAILURES = (
    TimestampRequestError,
    SignatureValidationError,
    SigningError,
    ClientError,
    TimeoutError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
)


class TimeNotProvedError(UnavailableError):
    """Nobody apart from us has vouched for our clock lately."""

    reason = "TIME_NOT_PROVED"


@dataclass(frozen=True)
class Proof:
    """When the clock was found right, on the clock that never jumps, and how the two stood then."""

    at: float
    offset: float


@dataclass(frozen=True)
class Token:
    """A timestamp that holds: CMS, DER, and the time that it says."""

    content: bytes
    moment: datetime


class TimestampAuthority:
    """One authority, believed by these roots (DER) alone."""

    def __init__(self, url: str, roots: Sequence[bytes]) -> None:
        self._stamper = HTTPTimeStamper(url, timeout=ANSWER_SECONDS)
        self._roots = [x509.Certificate.load(root) for root in roots]

    async def moment(self) -> datetime:
        """Its time, from a timestamp made for this question alone. Raises one of several errors otherwise."""
        return (await self.token(hashlib.sha256(secrets.token_bytes(32)).digest())).moment

    async def token(self, digest: bytes, algorithm: str = "", *, nonce: int | None = None) -> Token:
        """Its timestamp over a digest, checked; by the digest's length SHA-256, SHA-384 or SHA-512, unless an
        algorithm is named as asn1crypto names it.

        `nonce` is sent, and comes back in the token; one of our own where there is none given.
        Raises one of FAILURES.
        """
        function = algorithm or DIGESTS[len(digest)]
        sent = secrets.randbits(63) if nonce is None else nonce
        imprint = {"hash_algorithm": {"algorithm": function}, "hashed_message": digest}
        asked = tsp.TimeStampReq({"version": 1, "message_imprint": imprint, "nonce": sent, "cert_req": True})
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await self._stamper.async_request_tsa_response(asked)
        if answer["status"]["status"].native not in _GRANTED:
            raise TimestampRequestError("the authority refuses")
        token = answer["time_stamp_token"]
        if token["content"]["encap_content_info"]["content"].parsed["nonce"].native != sent:
            raise TimestampRequestError("the token answers another question")
        found = TimestampSignatureStatus(
            **await validate_tst_signed_data(
                token["content"],
                ValidationContext(trust_roots=self._roots, allow_fetching=False),
                lambda said: digest if said == function else b"",
            )
        )
        if not (found.intact and found.valid and found.trusted):
            raise ValueError("the timestamp does not hold")
        return Token(token.dump(), found.timestamp)


def _agrees(before: datetime, said: datetime, after: datetime) -> bool:
    """Whether our clock, read before and after asking, is with the authority's; if not, it is logged."""
    if before - TOLERANCE <= said <= after + TOLERANCE:
        return True
    _logger.error("clock_wrong", seconds=round((after - said).total_seconds(), 1))
    return False


class SealStamper:
    """Puts timestamps into seals: the authority's word, as long as it and our clock agree."""

    def __init__(self, authority: TimestampAuthority, clock: Clock) -> None:
        self._authority = authority
        self._clock = clock

    async def token(self, digest: bytes, algorithm: str = "") -> bytes:
        """A timestamp over a digest, CMS DER; `algorithm` as of TimestampAuthority.token.

        Raises TimestampUnavailableError, and TimeNotProvedError where our clock is off.
        """
        before = self._clock()
        try:
            token = await self._authority.token(digest, algorithm)
        except FAILURES as failure:
            _logger.warning("timestamp_authority_away", error=type(failure).__name__)
            raise TimestampUnavailableError(
                "the timestamp authority has not answered as it should; nothing was sealed",
                retry_after=AGAIN_SECONDS,
            ) from None
        if not _agrees(before, token.moment, self._clock()):
            raise TimeNotProvedError(
                "our clock and the timestamp authority's differ; nothing was sealed",
                retry_after=AGAIN_SECONDS,
            )
        return token.content


class OutsideStamps:
    """Timestamps for whoever asks by remote signing; none where the settings name no authority."""

    def __init__(self, authority: TimestampAuthority | None) -> None:
        self._authority = authority

    async def token(self, digest: bytes, nonce: int | None) -> bytes:
        """The token over a digest, DER, with the nonce in it if one is given.

        Errors: TIMESTAMP_NOT_OFFERED, TIMESTAMP_AUTHORITY_AWAY.
        """
        if self._authority is None:
            raise TimestampNotOfferedError("this installation has no timestamp authority")
        try:
            return (await self._authority.token(digest, nonce=nonce)).content
        except FAILURES as failure:
            _logger.warning("timestamp_authority_away", error=type(failure).__name__)
            raise TimestampAuthorityAwayError(
                "the timestamp authority does not answer as it should", retry_after=AGAIN_SECONDS
            ) from None


class ProvedClock:
    """Says whether an authority vouches for our clock."""

    def __init__(
        self,
        authority: TimestampAuthority,
        clock: Clock,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authority = authority
        self._clock = clock
        self._steady = steady
        self._proof: Proof | None = None
        self._lost = asyncio.Event()

    async def prove(self) -> bool:
        """Asks the authority. An answer that contradicts the clock ends what was proved; none leaves it."""
        before = self._clock()
        try:
            said = await self._authority.moment()
        except FAILURES as failure:
            _logger.warning("timestamp_authority_away", error=type(failure).__name__)
            return False
        after = self._clock()
        if not _agrees(before, said, after):
            self._proof = None
            return False
        at = self._steady()
        self._proof = Proof(at, after.timestamp() - at)
        return True

    async def keep(self) -> None:
        """Asks for as long as the process lives."""
        pauses = iter(FIRST_PAUSES)
        proved = self._proof is not None
        while True:
            if proved:
                pauses = iter(FIRST_PAUSES)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), EVERY_SECONDS)
            else:
                await asyncio.sleep(next(pauses, AGAIN_SECONDS))
            self._lost.clear()
            proved = await self.prove()

    def require(self) -> None:
        """Raises TimeNotProvedError unless the clock was right lately, and has not jumped since."""
        proof, now = self._proof, self._steady()
        if proof is None or now - proof.at > FRESH_SECONDS:
            raise TimeNotProvedError(
                "no timestamp authority has vouched for the time of seals lately", retry_after=AGAIN_SECONDS
            )
        if abs(self._clock().timestamp() - now - proof.offset) > TOLERANCE.total_seconds():
            self._proof = None
            self._lost.set()
            raise TimeNotProvedError(
                "the clock has jumped; it has to be proved anew", retry_after=AGAIN_SECONDS
            )


class TimedKeystore:
    """A keystore that gives out keys only while the time is proved."""

    def __init__(self, keystore: Keystore, proof: ProvedClock) -> None:
        self._keystore = keystore
        self._proof = proof

    async def signer(self, key_id: UUID) -> Signer:
        """As the keystore's own. Also raises TimeNotProvedError."""
        self._proof.require()
        return await self._keystore.signer(key_id)
