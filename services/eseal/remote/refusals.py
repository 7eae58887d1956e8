"""What remote signing refuses, and why."""

from __future__ import annotations

from core.errors import Kind, ServiceError


class CredentialNotFoundError(ServiceError):
    """No credential of this application has this id; whether another's has, nobody is told."""

    kind = Kind.NOT_FOUND
    reason = "CREDENTIAL_NOT_FOUND"


class CredentialNotReadyError(ServiceError):
    """Not taken yet, without a certificate, not in its validity, or revoked."""

    kind = Kind.PRECONDITION
    reason = "CREDENTIAL_NOT_READY"


class CredentialLockedError(ServiceError):
    """Too many wrong factors came."""

    kind = Kind.FORBIDDEN
    reason = "CREDENTIAL_LOCKED"


class FactorInvalidError(ServiceError):
    """PIN or device secret do not release the key; which of them, nobody can tell."""

    kind = Kind.FORBIDDEN
    reason = "FACTOR_INVALID"


class EnrolmentCodeInvalidError(ServiceError):
    """The code is wrong, used or too old."""

    kind = Kind.FORBIDDEN
    reason = "ENROLMENT_CODE_INVALID"


class PinWeakError(ServiceError):
    """A PIN that is too short, or one character again and again, or counts up or down."""

    kind = Kind.INVALID
    reason = "PIN_WEAK"


class DeviceSecretWeakError(ServiceError):
    """A device secret that nobody has drawn at random."""

    kind = Kind.INVALID
    reason = "DEVICE_SECRET_WEAK"


class SadInvalidError(ServiceError):
    """Signature activation data that is not ours, another's, used up or too old."""

    kind = Kind.FORBIDDEN
    reason = "SAD_INVALID"


class DigestNotAuthorisedError(ServiceError):
    """A digest that was not authorised, or is signed already."""

    kind = Kind.FORBIDDEN
    reason = "DIGEST_NOT_AUTHORISED"


class ToldOnceError(ServiceError):
    """The retry of a request whose answer holds a secret, which is kept nowhere and so not told again."""

    kind = Kind.CONFLICT
    reason = "TOLD_ONCE"


def locked() -> CredentialLockedError:
    """Too many wrong factors."""
    return CredentialLockedError("too many wrong factors came; an operator unlocks the credential")


def sad_invalid() -> SadInvalidError:
    """One answer for whatever is no SAD of this credential."""
    return SadInvalidError("this is no SAD of the credential; authorise first")


def not_authorised() -> DigestNotAuthorisedError:
    """A digest that the SAD does not name, or no longer."""
    return DigestNotAuthorisedError("a digest is not authorised by the SAD, or is signed already")
