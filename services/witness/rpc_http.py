"""The protocol over HTTP (C2SP tlog-witness): add-checkpoint, and what was cosigned last."""

from __future__ import annotations

import re
import time

from aiohttp import web

from core import trace
from core.log import get_logger
from services.witness.domain import InconsistentError, OtherSizeError, RefusedError
from services.witness.service import Witness

LARGEST_BODY = 256 * 1024
LARGEST_EVIDENCE = 16 * 1024

_DIGEST = re.compile(r"[0-9a-f]{64}")
_logger = get_logger()


def application(witness: Witness) -> web.Application:
    """The submission and monitoring prefix, both at the root."""
    handlers = _Handlers(witness)
    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_post("/add-checkpoint", handlers.add_checkpoint)
    app.router.add_get("/{digest}/checkpoint", handlers.checkpoint)
    app.router.add_get("/healthz", handlers.alive)
    return app


class _Handlers:
    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        """A cosignature, or why there is none."""
        began = time.monotonic()
        with trace.span("add-checkpoint", request.headers.get("traceparent", "")):
            try:
                body = await request.read()
                answer = web.Response(text=await self._witness.add_checkpoint(body))
            except OtherSizeError as refusal:
                # Also how a log asks which size that is: no trouble by itself.
                text = f"{refusal.size}\n".encode()
                answer = web.Response(status=refusal.status, body=text, content_type="text/x.tlog.size")
                _logger.info("other_size", cosigned=refusal.size)
            except RefusedError as refusal:
                answer = web.Response(status=refusal.status, text=f"{refusal}\n")
                _tell(refusal, body)
            _logger.info(
                "cosigning", status=answer.status, milliseconds=round((time.monotonic() - began) * 1000, 1)
            )
            return answer

    async def checkpoint(self, request: web.Request) -> web.Response:
        """The last checkpoint of a log that was cosigned."""
        digest = request.match_info["digest"]
        note = await self._witness.newest(digest) if _DIGEST.fullmatch(digest) else None
        if note is None:
            return web.Response(status=404, text="nothing was cosigned for this log\n")
        return web.Response(text=note, headers={"Cache-Control": "no-cache"})

    async def alive(self, request: web.Request) -> web.Response:
        """This process runs."""
        return web.json_response({"status": "ok"})


def _tell(refusal: RefusedError, body: bytes) -> None:
    """What a log signed and cannot prove goes into the log as it came: it may prove what that log did."""
    if isinstance(refusal, InconsistentError):
        evidence = body[:LARGEST_EVIDENCE].decode(errors="replace")
        _logger.critical("checkpoint_refused", status=refusal.status, why=str(refusal), request=evidence)
    else:
        _logger.warning("checkpoint_refused", status=refusal.status, why=str(refusal))
