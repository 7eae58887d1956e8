"""The API document and the pages to read it, all from this machine."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

_OWN = Path(__file__).with_name("docs_page")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_ASSETS = {
    "swagger_bundle.js": "text/javascript",
    "swagger_style.css": "text/css",
    "start.js": "text/javascript",
    "page.css": "text/css",
}


class Documentation:
    """Serves the document under /openapi.json and its reader under /docs."""

    def __init__(self, document: dict[str, object]) -> None:
        self._document = json.dumps(document, ensure_ascii=False, indent=1).encode()
        self._page = (_OWN / "index.html").read_bytes()
        self._assets = {name: _read_asset(name) for name in _ASSETS}

    def add_to(self, app: web.Application, *, with_home: bool) -> None:
        """Adds the routes; `with_home` sends who comes to the start on to the reader."""
        app.router.add_get("/openapi.json", self.document)
        app.router.add_get("/docs", self.page)
        app.router.add_get("/docs/assets/{name}", self.asset)
        if with_home:
            app.router.add_get("/", self.home)

    async def document(self, request: web.Request) -> web.Response:
        """The OpenAPI document."""
        return web.Response(
            body=self._document,
            content_type="application/json",
            headers={"Cache-Control": "no-cache"},
        )

    async def page(self, request: web.Request) -> web.Response:
        """The reader."""
        return web.Response(
            body=self._page,
            content_type="text/html",
            charset="utf-8",
            headers={
                "Content-Security-Policy": _POLICY,
                "Cache-Control": "no-cache",
                "Referrer-Policy": "no-referrer",
            },
        )

    async def asset(self, request: web.Request) -> web.Response:
        """A script or style of the reader."""
        name = request.match_info["name"]
        if name not in self._assets:
            raise web.HTTPNotFound
        response = web.Response(
            body=self._assets[name],
            content_type=_ASSETS[name],
            charset="utf-8",
            headers={"Cache-Control": "public, max-age=86400"},
        )
        response.enable_compression()
        return response

    async def home(self, request: web.Request) -> web.Response:
        """On to the reader."""
        return web.Response(status=303, headers={"Location": "/docs"})


def _read_asset(name: str) -> bytes:
    """Ours, or the offapi package's. That package reads all it has when it is imported, so it is not."""
    own = _OWN / name
    if own.exists():
        return own.read_bytes()
    package = find_spec("offapi")
    assert package is not None, "offapi is among the requirements"
    assert package.submodule_search_locations is not None
    return (Path(package.submodule_search_locations[0]) / name).read_bytes()
