"""Frames to and from a child process: a head (JSON) after its length, then the blobs that it counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

Json = dict[str, object]
MAX_FRAME = 64 * 1024 * 1024
"""Bytes of all blobs of a frame."""
MAX_HEAD = 8 * 1024 * 1024
"""Bytes of an answer's head: 64 findings, each with as many texts as it may have, stay below."""


async def exchange(
    process: asyncio.subprocess.Process, head: Json, blobs: Sequence[bytes]
) -> tuple[Json, list[bytes]]:
    """Sends a job and reads its answer. Raises EOFError or ConnectionError where the process died."""
    if process.stdin is None:
        raise EOFError
    # At once: a worker that is woken by the first bytes only waits for the rest.
    process.stdin.writelines(write_frame(head, blobs))
    await process.stdin.drain()
    return await read_frame(process)


async def read_frame(process: asyncio.subprocess.Process) -> tuple[Json, list[bytes]]:
    """One answer. IncompleteReadError (an EOFError) when the worker died."""
    if process.stdout is None:
        raise EOFError
    length = int.from_bytes(await process.stdout.readexactly(4), "big")
    if length > MAX_HEAD:
        raise ValueError("an answer's head is larger than it may be")
    head: Json = json.loads(await process.stdout.readexactly(length))
    if not isinstance(head, dict):
        raise ValueError("an answer's head is an object")
    return head, [await process.stdout.readexactly(size) for size in frame_lengths(head)]


def kill(process: asyncio.subprocess.Process) -> None:
    """Ends a child process at once."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        process.kill()


def write_frame(head: Json, blobs: Sequence[bytes]) -> list[bytes]:
    """The pieces of a frame, to be written one after another."""
    encoded = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode("utf-8")
    return [len(encoded).to_bytes(4, "big"), encoded, *blobs]


def frame_lengths(head: Json) -> list[int]:
    """Lengths of the blobs that follow a head. Raises ValueError where they exceed MAX_FRAME."""
    lengths = integers(head.get("blobs"))
    if min(lengths, default=0) < 0 or sum(lengths) > MAX_FRAME:
        raise ValueError("a frame is larger than it may be")
    return lengths


def integers(value: object) -> list[int]:
    """A list of whole numbers out of a head. Raises ValueError where it is anything else."""
    if not isinstance(value, list) or not all(isinstance(number, int) for number in value):
        raise ValueError("expected whole numbers")
    return value
