"""Remote credentials of companies, what their holders authorise, and what is refused: pure rules, no I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from uuid import UUID

from core.errors import FieldFault, fault_error
from services.eseal.domain import SUITES, Algorithm
from services.eseal.remote.refusals import (
    CredentialNotReadyError,
    DeviceSecretWeakError,
    EnrolmentCodeInvalidError,
    PinWeakError,
    SadInvalidError,
    locked,
    not_authorised,
    sad_invalid,
)

MOST_ATTEMPTS = 5
"""Wrong factors in a row, after which a credential is locked until an operator unlocks it."""
MOST_DIGESTS = 100
"""Signatures that one authorisation may permit."""
SAD_LIFE = timedelta(minutes=5)
"""How long an authorisation may be used."""
KEPT = timedelta(days=2)
"""How long one is kept after that, so that a retry finds it: replies are kept for a day."""
MOST_DOCUMENT_BYTES = 4 * 1024 * 1024
"""Of all documents of one call together."""
ALGORITHMS = (
    Algorithm.ECDSA_P256_SHA256,
    Algorithm.ECDSA_P384_SHA384,
    Algorithm.RSA_2048_SHA256,
    Algorithm.RSA_3072_SHA256,
)
"""Suites that sign a digest made elsewhere."""

_SECRET_BYTES = 32
_SHORTEST_PIN = 6
_DISTINCT_BYTES = 20
"""Of 32 random bytes fewer are distinct once in 10^15 times."""


class CredentialState(Enum):
    """State of a credential; values as in the contract."""

    PREPARED = 1
    WAITING = 2
    READY = 3
    REVOKED = 4


@dataclass(frozen=True)
class Credential:
    """A company's key for remote signing, and the one application that may ask for it."""

    id: UUID
    owner_code: str
    owner_name: str
    holder: str
    """The account of the person at the company who holds the factors."""
    application: str
    algorithm: Algorithm
    state: CredentialState
    enrolment_sha256: bytes = field(repr=False)
    enrolment_until: datetime
    attempts: int
    salt: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    """The key under the holder's factors, sealed by the vault; empty before there is one."""
    certificate: bytes = field(repr=False)
    valid_from: datetime | None
    valid_until: datetime | None

    @property
    def locked(self) -> bool:
        """Whether no factor is tried any more."""
        return self.attempts >= MOST_ATTEMPTS

    def require_ready(self, moment: datetime) -> None:
        """Passes a credential that may sign then, else raises CredentialNotReadyError."""
        if self.state is not CredentialState.READY:
            raise CredentialNotReadyError(
                f"the credential is {self.state.name.lower()}; only a ready one signs"
            )
        if self.valid_from is None or self.valid_until is None:
            raise CredentialNotReadyError("the credential has no certificate")
        if not self.valid_from <= moment < self.valid_until:
            raise CredentialNotReadyError("the credential's certificate is not in its validity")

    def require_unlocked(self) -> None:
        """Passes one whose factors may be tried, else raises CredentialLockedError."""
        if self.locked:
            raise locked()

    def require_enrolment(self, code: str, moment: datetime) -> None:
        """Passes the code that an operator handed over, in time, else raises EnrolmentCodeInvalidError."""
        right = self.state is CredentialState.PREPARED and hmac.compare_digest(
            self.enrolment_sha256, code_digest(code)
        )
        if not right or moment >= self.enrolment_until:
            raise EnrolmentCodeInvalidError("the enrolment code is wrong, used or too old; ask for a new one")


@dataclass(frozen=True)
class Authorisation:
    """What a holder has authorised: these digests, each once, with this credential, until then."""

    id: UUID
    credential_id: UUID
    secret_sha256: bytes = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    """The key under the SAD's secret, sealed by the vault; empty once all is signed or the time is over."""
    expires_at: datetime
    digests: tuple[bytes, ...]

    @property
    def binding(self) -> bytes:
        """What the wrapped key is bound to: a row that says something else does not open."""
        return bound_to(self.id, self.credential_id, self.expires_at, self.digests)

    def require_secret(self, secret: bytes, credential_id: UUID) -> None:
        """Passes the SAD of this authorisation and credential, else raises SadInvalidError."""
        right = hmac.compare_digest(hashlib.sha256(secret).digest(), self.secret_sha256)
        if not right or self.credential_id != credential_id:
            raise sad_invalid()

    def require_open(self, digests: Sequence[bytes], moment: datetime) -> None:
        """Passes while it may be used, for digests that it names. Raises SadInvalidError and kin."""
        if moment >= self.expires_at or not self.wrapped_key:
            raise SadInvalidError("the SAD is used up or too old; authorise anew")
        if Counter(digests) - Counter(self.digests):
            raise not_authorised()


@dataclass(frozen=True)
class RemoteSignature:
    """The record of one signature."""

    id: UUID
    credential_id: UUID
    authorisation_id: UUID
    intent_id: UUID
    digest: bytes
    signed_at: datetime
    caller: str


@dataclass(frozen=True)
class Authorised:
    """The answer to an authorisation. Its receipt commits to the SAD; nothing here keeps it."""

    sad: str = field(repr=False)
    expires_in: int
    """Seconds."""


@dataclass(frozen=True)
class SignedHashes:
    """Signatures in the order of the digests."""

    signatures: tuple[bytes, ...]


@dataclass(frozen=True)
class SignedDocuments:
    """Sealed PDFs in the order of the documents; CMS objects in the order of the digests."""

    documents: tuple[bytes, ...] = field(repr=False)
    signatures: tuple[bytes, ...] = field(repr=False)


def bound_to(
    authorisation_id: UUID, credential_id: UUID, expires_at: datetime, digests: Sequence[bytes]
) -> bytes:
    """Authorisation, credential, time and digests as bytes, without two ways to read them."""
    micros = int(expires_at.timestamp() * 1_000_000)
    listed = b"".join(len(one).to_bytes(2, "big") + one for one in digests)
    return b"".join((authorisation_id.bytes, credential_id.bytes, micros.to_bytes(8, "big"), listed))


def sad_of(authorisation_id: UUID, secret: bytes) -> str:
    """The signature activation data: the authorisation's id and the secret that opens it, base64url."""
    return base64.urlsafe_b64encode(authorisation_id.bytes + secret).decode()


def read_sad(text: str) -> tuple[UUID, bytes]:
    """The id and the secret in signature activation data. Raises SadInvalidError."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise sad_invalid() from None
    if len(raw) != 16 + _SECRET_BYTES:
        raise sad_invalid()
    return UUID(bytes=raw[:16]), raw[16:]


def code_digest(code: str) -> bytes:
    """What is kept of an enrolment code. It has 160 random bits, so a plain digest gives nothing away."""
    return hashlib.sha256(code.strip().upper().encode()).digest()


def require_pin(pin: str) -> None:
    """Passes a PIN that may be chosen, else raises PinWeakError."""
    steps = {ord(after) - ord(before) for before, after in pairwise(pin)}
    if len(pin) < _SHORTEST_PIN or len(set(pin)) < 3 or steps in ({1}, {-1}):
        message = "take 6 to 64 characters that neither repeat two nor count up or down"
        raise PinWeakError(message, faults=[FieldFault("pin", "weak", message)])


def require_secret(secret: str) -> None:
    """Passes 32 bytes, base64url, that may be random, else raises DeviceSecretWeakError."""
    try:
        raw = base64.b64decode(secret + "=", altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != _SECRET_BYTES or len(set(raw)) < _DISTINCT_BYTES:
        message = "must be 32 random bytes, base64url without padding: 43 characters"
        raise DeviceSecretWeakError(message, faults=[FieldFault("device_secret", "weak", message)])


def require_digests(digests: Sequence[bytes], length: int, field_name: str) -> None:
    """Passes digests of this many bytes. Raises InvalidError naming the first that is not."""
    for index, digest in enumerate(digests):
        if len(digest) != length:
            raise fault_error(f"{field_name}[{index}]", "length", f"must be a digest of {length} bytes")


def digest_bytes(algorithm: Algorithm) -> int:
    """How long the digests are that a suite signs."""
    return hashlib.new(SUITES[algorithm].digest).digest_size


def require_suite(algorithm: Algorithm, meant: Sequence[str]) -> None:
    """Passes a credential's suite that the caller can mean; nothing named means any. Raises InvalidError."""
    if meant and algorithm.value not in meant:
        raise fault_error("algorithms", "other", f"the credential signs by {algorithm.value}")
