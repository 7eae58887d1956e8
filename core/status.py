"""ServiceError to google.rpc.Status and back: one typed error crosses every hop intact."""

from __future__ import annotations

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from core.db import is_outage
from core.errors import FieldFault, Kind, RelayedError, ServiceError, UnavailableError

DOMAIN = "onestop"

CODES: dict[Kind, code_pb2.Code.ValueType] = {
    Kind.INVALID: code_pb2.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Kind.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    Kind.NOT_FOUND: code_pb2.NOT_FOUND,
    Kind.CONFLICT: code_pb2.ALREADY_EXISTS,
    Kind.PRECONDITION: code_pb2.FAILED_PRECONDITION,
    Kind.EXHAUSTED: code_pb2.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: code_pb2.UNAVAILABLE,
    Kind.LATE: code_pb2.DEADLINE_EXCEEDED,
    Kind.TOO_LARGE: code_pb2.OUT_OF_RANGE,
    Kind.UNSUPPORTED: code_pb2.UNIMPLEMENTED,
    Kind.INTERNAL: code_pb2.INTERNAL,
}
_KINDS = {code: kind for kind, code in CODES.items()}
_KINDS[code_pb2.ABORTED] = Kind.CONFLICT
_KINDS[code_pb2.CANCELLED] = Kind.LATE

_FAULTS = ("Unexpected ", "Failed to ", "Exception ")
"""How gRPC tells a fault in the code of a side. Any other INTERNAL or UNKNOWN without a status of ours is
its word for a connection that broke off: `Stream removed`, `Received RST_STREAM …`."""

_WITHHELD = "an internal error; the trace id finds it in the logs"

LONGEST_MESSAGE = 300
LARGEST_FAULTS = 2048
"""Characters and bytes. gRPC drops a call whose trailers are larger than 8 KiB, in which a character of the
message may take nine bytes; the caller would then learn nothing."""


def to_status(error: BaseException) -> status_pb2.Status:
    """The status of an error. Neither ServiceError nor outage: INTERNAL, its text withheld."""
    if isinstance(error, TimeoutError):
        return _status(Kind.LATE, "DEADLINE_PASSED", "the deadline passed before the answer was ready")
    if is_outage(error):
        error = UnavailableError("the database is away; ask again shortly", retry_after=1.0)
    if not isinstance(error, ServiceError):
        return _status(Kind.INTERNAL, "INTERNAL", _WITHHELD)
    status = _status(error.kind, error.reason, error.message, error.part)
    if error.faults:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=fault.field, reason=fault.rule, description=fault.message
            )
            for fault in error.faults
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _status(kind: Kind, reason: str, message: str, part: str = "") -> status_pb2.Status:
    status = status_pb2.Status(code=CODES[kind], message=message)
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    if part:
        info.metadata["part"] = part
    status.details.add().Pack(info)
    return status


def for_trailers(status: status_pb2.Status) -> status_pb2.Status:
    """The same status, with a message and as many faults, the first ones, as trailers can carry."""
    short = status_pb2.Status(code=status.code, message=status.message[:LONGEST_MESSAGE])
    for detail in status.details:
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR) and len(detail.value) > LARGEST_FAULTS:
            told, kept = error_details_pb2.BadRequest(), error_details_pb2.BadRequest()
            detail.Unpack(told)
            for violation in told.field_violations:
                violation.field = violation.field[:LONGEST_MESSAGE]
                violation.description = violation.description[:LONGEST_MESSAGE]
                if kept.ByteSize() + violation.ByteSize() > LARGEST_FAULTS:
                    break
                kept.field_violations.append(violation)
            short.details.add().Pack(kept)
        else:
            short.details.append(detail)
    return short


def from_status(status: status_pb2.Status, part: str = "") -> RelayedError:
    """The error that a status tells. `part` names the hop where the status itself does not."""
    kind = _KINDS.get(status.code, Kind.INTERNAL)
    reason = code_pb2.Code.Name(status.code) if status.code in code_pb2.Code.values() else "INTERNAL"
    faults: list[FieldFault] = []
    retry_after: float | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason = info.reason
            part = info.metadata.get("part", part)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            faults += [FieldFault(v.field, v.reason, v.description) for v in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    return RelayedError(
        status.message,
        relayed_kind=kind,
        relayed_reason=reason,
        faults=faults,
        part=part,
        retry_after=retry_after,
    )


def reason_in(status: status_pb2.Status) -> str:
    """The reason that a status tells, such as `LICENCE_NOT_FOUND`."""
    return from_status(status).reason


def from_rpc_error(error: grpc.aio.AioRpcError, part: str) -> RelayedError:
    """The error that a failed call to `part` tells; a part that cannot be reached is down, not broken."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # an aio error has the call's accessors
    if status is not None:
        return from_status(status, part)
    code = error.code()
    unexplained = code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    broke_off = unexplained and not (error.details() or "").startswith(_FAULTS)
    if code is grpc.StatusCode.UNAVAILABLE or broke_off:
        kind, reason, message = Kind.UNAVAILABLE, "PART_DOWN", f"{part} is down or cannot be reached"
    elif code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}:
        kind, reason, message = Kind.LATE, "DEADLINE_PASSED", f"{part} did not answer in time"
    elif code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        kind, reason, message = Kind.TOO_LARGE, "MESSAGE_TOO_LARGE", f"the message to {part} is too large"
    else:
        kind, reason, message = Kind.INTERNAL, "INTERNAL", _WITHHELD
    retry_after = 1.0 if kind is Kind.UNAVAILABLE else None
    return RelayedError(message, relayed_kind=kind, relayed_reason=reason, part=part, retry_after=retry_after)
