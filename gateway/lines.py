"""Bodies of lines (newline-delimited JSON), read as they arrive and as they are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import ClientPayloadError, web

from core.errors import fault_error
from gateway.problems import refused

NDJSON = "application/x-ndjson"


async def read_lines(
    request: web.Request, *, longest: int, seconds: float
) -> AsyncIterator[list[bytes | None]]:
    """The lines of a body, without their ends and without empty ones, together those that came together.

    None stands for a line of more than `longest` bytes. Raises ProblemError where nothing comes for so many
    seconds while more is wanted, InvalidError where the body is cut off.
    """
    kept, skipping = bytearray(), False
    while True:
        try:
            async with asyncio.timeout(seconds):
                piece = await request.content.readany()
        except TimeoutError:
            raise refused(408, "BODY_LATE", f"no line came for {seconds:g} seconds") from None
        except (web.RequestPayloadError, ClientPayloadError, ConnectionError):
            raise fault_error("body", "lines", "was cut off") from None
        *ended, rest = piece.split(b"\n") if piece else (b"", b"")
        lines: list[bytes | None] = []
        for part in ended:
            kept += part
            if skipping or len(kept) > longest:
                lines.append(None)
            elif line := bytes(kept).strip():
                lines.append(line)
            kept, skipping = bytearray(), False
        kept += rest
        if len(kept) > longest:
            kept, skipping = bytearray(), True
        if lines:
            yield lines
        if not piece:
            return
