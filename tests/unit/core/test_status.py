"""A status crosses the wire whatever is wrong with a request, and however often."""

from __future__ import annotations

import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from core.errors import FieldFault, InvalidError, Kind
from core.status import for_trailers, from_rpc_error, from_status, to_status

ROOM = 8 * 1024
"""What gRPC takes of trailers without dropping calls."""


def weight(error: InvalidError) -> int:
    """Bytes that an error takes in trailers: the message escaped, and the status in base64."""
    status = for_trailers(to_status(error))
    escaped = sum(1 if " " <= one <= "~" else 3 * len(one.encode()) for one in status.message)
    return escaped + len(status.SerializeToString()) * 4 // 3


def test_a_usual_error_crosses_whole() -> None:
    faults = [FieldFault(f"items[{number}].code", "pattern", "must be a code") for number in range(20)]
    status = to_status(
        InvalidError("the request breaks the contract's rules", faults=faults, retry_after=1.5)
    )

    assert for_trailers(status) == status


def test_of_too_many_faults_the_first_ones_are_told() -> None:
    faults = [FieldFault(f"type_codes[{number}]", "string.len", "must be 21 long") for number in range(5_000)]
    error = InvalidError("编号" * 5_000, faults=faults)

    told = from_status(for_trailers(to_status(error)))

    assert weight(error) < ROOM
    assert 20 <= len(told.faults) < 5_000
    assert list(told.faults) == faults[: len(told.faults)]
    assert told.reason == error.reason
    assert told.message == "编号" * 150


def test_a_field_that_is_nested_without_end_is_cut() -> None:
    error = InvalidError("no", faults=[FieldFault("a." * 5_000, "depth", "编" * 5_000)])

    (fault,) = from_status(for_trailers(to_status(error))).faults

    assert weight(error) < ROOM
    assert fault.field == "a." * 150


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (grpc.StatusCode.UNKNOWN, "Stream removed"),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed"),
    ],
)
def test_a_stream_that_broke_off_means_that_the_part_is_down(code: grpc.StatusCode, said: str) -> None:
    told = from_rpc_error(AioRpcError(code, Metadata(), Metadata(), said), "eseal")

    assert (told.kind, told.reason, told.part) == (Kind.UNAVAILABLE, "PART_DOWN", "eseal")


def test_a_fault_of_the_other_side_stays_one() -> None:
    error = AioRpcError(grpc.StatusCode.UNKNOWN, Metadata(), Metadata(), "Unexpected <class 'KeyError'>: 'x'")

    told = from_rpc_error(error, "eseal")

    assert (told.kind, told.reason) == (Kind.INTERNAL, "INTERNAL")
    assert "KeyError" not in told.message
