"""What became of a certificate, and what follows for a seal: pure rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.eseal.refusals import CertificateRevokedError, RevocationUnknownError


class State(StrEnum):
    """What a certificate's authority says of it."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Standing:
    """A certificate's state with what proves it: an OCSP response or a revocation list, DER."""

    state: State
    revoked_at: datetime | None = None
    ocsp: bytes = field(default=b"", repr=False)
    crl: bytes = field(default=b"", repr=False)
    of_file: bool = False
    """Whether only the file's own data say so, as of when they were put in: of now nobody does."""

    def as_of_file(self) -> Standing:
        """The same, said by nothing but the file's own data."""
        return replace(self, of_file=True)


UNKNOWN = Standing(State.UNKNOWN)
"""Nobody has said anything that counts."""


class Revocation(StrEnum):
    """What a report says of a seal's certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    REVOKED_SINCE = "revoked_since"
    """Revoked, but only after a time at which the seal is proved to have been put."""
    UNKNOWN = "unknown"


def revocation_of(standing: Standing, proved_at: datetime | None) -> Revocation:
    """What is said of a certificate by which a seal was put at a proved time, None where none is proved."""
    if standing.state is State.REVOKED:
        revoked_at = standing.revoked_at
        since = proved_at is not None and revoked_at is not None and proved_at < revoked_at
        return Revocation.REVOKED_SINCE if since else Revocation.REVOKED
    return Revocation(standing.state.value)


def worst_of(standings: list[Standing]) -> Standing:
    """Of a whole chain: revoked where one is (the earliest), else unknown where one is, else good."""
    revoked = [one for one in standings if one.state is State.REVOKED]
    if revoked:
        # One without a time counts as revoked ever since.
        return next((one for one in revoked if one.revoked_at is None), None) or min(
            revoked, key=lambda one: one.revoked_at.timestamp() if one.revoked_at else 0.0
        )
    unknown = [one for one in standings if one.state is State.UNKNOWN]
    if unknown or not standings:
        return UNKNOWN
    return standings[0]


def require_good(standing: Standing, *, refuse_unknown: bool) -> None:
    """Passes a certificate by which a seal may be put now.

    Raises CertificateRevokedError, and RevocationUnknownError where unknown ones are refused.
    """
    if standing.state is State.REVOKED:
        raise CertificateRevokedError("the seal's certificate has been revoked; have it renewed")
    if standing.state is State.UNKNOWN and refuse_unknown:
        raise RevocationUnknownError(
            "nobody has said in time whether the seal's certificate was revoked; nothing was sealed",
            retry_after=5.0,
        )
