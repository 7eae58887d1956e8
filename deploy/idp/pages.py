"""The pages that people see, in Chinese and English, without scripts and without anything from outside."""

from __future__ import annotations

import secrets
from pathlib import Path

import jinja2
from aiohttp import web

_FOLDER = Path(__file__).with_name("pages")
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
)


def page(name: str, *, status: int = 200, form_targets: str = "", **values: object) -> web.Response:
    """A page by the name of its template.

    `form_targets` are origins to which a form's answer may redirect; browsers hold a form's redirects
    against `form-action` as well.
    """
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' {form_targets}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    text = _TEMPLATES.get_template(f"{name}.html").render(nonce=nonce, **values)
    return web.Response(
        text=text,
        status=status,
        content_type="text/html",
        headers={
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        },
    )
