"""One typed error that crosses gRPC intact and becomes a problem document at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """What sort of failure it is; decides the gRPC status and the HTTP status."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    EXHAUSTED = "exhausted"
    UNAVAILABLE = "unavailable"
    LATE = "late"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


@dataclass(frozen=True)
class FieldFault:
    """One field at fault: its path, the rule it breaks, and what would be right. Never its value."""

    field: str
    rule: str
    message: str


class ServiceError(Exception):
    """A failure that the caller is told of.

    `reason` is stable and for programs; the message is for people. Neither ever holds identity payload.
    """

    kind: ClassVar[Kind] = Kind.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        faults: Sequence[FieldFault] = (),
        part: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.faults = tuple(faults)
        self.part = part
        self.retry_after = retry_after


class RelayedError(ServiceError):
    """A failure that another part reported, passed on as it came."""

    def __init__(
        self,
        message: str,
        *,
        relayed_kind: Kind,
        relayed_reason: str,
        faults: Sequence[FieldFault] = (),
        part: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, faults=faults, part=part, retry_after=retry_after)
        self.kind = relayed_kind  # type: ignore[misc]  # an instance carries what the class usually says
        self.reason = relayed_reason  # type: ignore[misc]


class InvalidError(ServiceError):
    """A malformed request."""

    kind = Kind.INVALID
    reason = "REQUEST_INVALID"


class UnauthenticatedError(ServiceError):
    """A proof of identity is missing or does not hold."""

    kind = Kind.UNAUTHENTICATED
    reason = "TOKEN_INVALID"


class ScopeMissingError(ServiceError):
    """The caller is known, and not permitted this API."""

    kind = Kind.FORBIDDEN
    reason = "SCOPE_MISSING"


class BasisMissingError(ServiceError):
    """The call names no basis, or one that does not permit it."""

    kind = Kind.FORBIDDEN
    reason = "BASIS_NOT_PERMITTED"


class UnavailableError(ServiceError):
    """A part is down; the call may be tried again."""

    kind = Kind.UNAVAILABLE
    reason = "PART_DOWN"


class LateError(ServiceError):
    """The deadline has passed."""

    kind = Kind.LATE
    reason = "DEADLINE_PASSED"


def fault_error(field: str, rule: str, message: str) -> InvalidError:
    """An error about one field of the request."""
    return InvalidError(f"{field}: {message}", faults=[FieldFault(field, rule, message)])
