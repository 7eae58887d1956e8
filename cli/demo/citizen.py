"""A citizen who signs in at the identity provider with her password, as a browser would do it for her."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
import ssl
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2

from cli.demo.client import TIMEOUT_SECONDS, Json, answered

CLIENT_ID = "onestop-cli"
REDIRECT = "http://127.0.0.1:8090/callback"

_INPUT = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'([a-z]+)="([^"]*)"', re.IGNORECASE)
_FORM = re.compile(r'<form\b[^>]*\baction="([^"]*)"', re.IGNORECASE)


class Citizen:
    """A signed-in person on the people's listener, by bearer token."""

    def __init__(self, address: str, provider: str, ca: Path) -> None:
        trust = ssl.create_default_context(cafile=str(ca))
        self._http = httpx2.Client(base_url=address, verify=trust, timeout=TIMEOUT_SECONDS)
        self._provider = provider
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self, login: str, password: str) -> None:
        """Authorization code with PKCE (RFC 7636), as a native app (RFC 8252)."""
        known = answered(self._http.get(f"{self._provider}/.well-known/openid-configuration")).json()
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        state = secrets.token_urlsafe(16)
        page = answered(
            self._http.get(
                known["authorization_endpoint"],
                params={
                    "response_type": "code",
                    "client_id": CLIENT_ID,
                    "redirect_uri": REDIRECT,
                    "scope": "openid profile",
                    "state": state,
                    "nonce": secrets.token_urlsafe(16),
                    "code_challenge": challenge,
                    "code_challenge_method": "S256",
                },
                follow_redirects=True,
            )
        )
        back = self._submit(page, login, password)
        answer = parse_qs(urlsplit(back).query)
        if answer.get("state") != [state] or "code" not in answer:
            raise RuntimeError("the identity provider did not send a code back")
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT,
            "code": answer["code"][0],
            "code_verifier": verifier,
        }
        self._token = answered(self._http.post(known["token_endpoint"], data=form)).json()["id_token"]

    def get(self, path: str) -> Json:
        """A read of one's own."""
        return dict(answered(self._http.get(path, headers=self._headers())).json())

    def post(self, path: str, body: Json) -> Json:
        """An act of one's own, under a fresh Idempotency-Key."""
        headers = {**self._headers(), "Idempotency-Key": secrets.token_hex(16)}
        return dict(answered(self._http.post(path, json=body, headers=headers)).json())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _submit(self, page: httpx2.Response, login: str, password: str) -> str:
        """Fills in the sign-in page and follows it to where it sends the code."""
        fields: dict[str, str] = {}
        for tag in _INPUT.findall(page.text):
            attributes = {name.lower(): html.unescape(value) for name, value in _ATTRIBUTE.findall(tag)}
            if "name" in attributes:
                fields[attributes["name"]] = attributes.get("value", "")
                if attributes.get("type") == "password":
                    fields[attributes["name"]] = password
        for name in ("login", "username"):
            if name in fields:
                fields[name] = login
        action = _FORM.search(page.text)
        target = urljoin(str(page.url), html.unescape(action[1]) if action else "")
        response = self._http.post(target, data=fields)
        while response.is_redirect:
            where = urljoin(str(response.url), response.headers["location"])
            if where.startswith(REDIRECT):
                return where
            response = self._http.get(where)
        answered(response)
        raise RuntimeError("the identity provider did not accept the sign-in")
