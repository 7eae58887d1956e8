"""Frames to and from a child process, as jobs and answers travel; `jobs.write_frame` says how they look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from services.eseal.jobs import Json, frame_lengths, write_frame

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
