"""The pages for people: who used my data, and checking a receipt. Plain files, all from this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

_FOLDER = Path(__file__).with_name("pages")
_PAGES = {"/verify": "verify.html", "/citizen/disclosures": "disclosures.html"}
_TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "form-action 'self' {provider}; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


class Pages:
    """Serves each page at its path, and its scripts and style under /pages/assets."""

    def __init__(self, oidc_issuer: str) -> None:
        """`oidc_issuer`: where signing out leads; browsers hold a form's redirects against the policy too."""
        provider = urlsplit(oidc_issuer)
        self._policy = _POLICY.format(provider=f"{provider.scheme}://{provider.netloc}")
        self._pages = {path: (_FOLDER / name).read_bytes() for path, name in _PAGES.items()}
        self._assets = {
            path.name: (path.read_bytes(), _TYPES[path.suffix])
            for path in _FOLDER.iterdir()
            if path.suffix in _TYPES
        }

    def add_to(self, app: web.Application) -> None:
        """Adds the routes."""
        for path in _PAGES:
            app.router.add_get(path, self.page)
        app.router.add_get("/pages/assets/{name}", self.asset)

    async def page(self, request: web.Request) -> web.Response:
        """The page at this path."""
        return web.Response(
            body=self._pages[request.path],
            content_type="text/html",
            charset="utf-8",
            headers={
                "Content-Security-Policy": self._policy,
                "Cache-Control": "no-cache",
                "Referrer-Policy": "same-origin",  # So that signing out tells its origin.
            },
        )

    async def asset(self, request: web.Request) -> web.Response:
        """A script or the style."""
        found = self._assets.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, kind = found
        # What belongs together is asked for anew together: a page never meets another version's script.
        return web.Response(
            body=body, content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"}
        )
