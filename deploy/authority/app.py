"""The development authority over HTTP: what it answers is signed, so the way to it need not be secret.

`POST /tsa` (RFC 3161 section 3.4), `POST /ocsp` (RFC 6960 appendix A.1), `GET /crl/<authority>.crl`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from deploy.authority import stamping, status
from deploy.authority.stamping import Stamper
from deploy.authority.status import Status


def build(stamper: Stamper, statuses: Status, clock: Callable[[], datetime]) -> web.Application:
    """The application; `clock` tells the time in UTC."""
    app = web.Application(client_max_size=max(stamping.LONGEST_QUERY, status.LONGEST_QUERY))

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def stamp(request: web.Request) -> web.Response:
        _require_type(request, "application/timestamp-query")
        body = stamper.answer(await request.read(), clock())
        return web.Response(body=body, content_type="application/timestamp-reply")

    async def ocsp(request: web.Request) -> web.Response:
        _require_type(request, "application/ocsp-request")
        body = statuses.ocsp(await request.read(), clock())
        return web.Response(body=body, content_type="application/ocsp-response")

    async def crl(request: web.Request) -> web.Response:
        try:
            body = statuses.crl(request.match_info["name"], clock())
        except KeyError:
            raise web.HTTPNotFound from None
        return web.Response(body=body, content_type="application/pkix-crl")

    app.router.add_get("/healthz", health)
    app.router.add_post("/tsa", stamp)
    app.router.add_post("/ocsp", ocsp)
    app.router.add_get("/crl/{name:[a-z-]{1,32}}.crl", crl)
    return app


def _require_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        raise web.HTTPUnsupportedMediaType(text=f"send {wanted}")
