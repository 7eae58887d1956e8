"""An outside caller: HTTPS with a client certificate, and a token bound to it."""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from pathlib import Path
from typing import Any, Self

import httpx2

Json = dict[str, Any]

TIMEOUT_SECONDS = 20.0


class RefusedError(Exception):
    """The city answered with a problem document."""

    def __init__(self, problem: Json) -> None:
        super().__init__(f"{problem.get('status')} {problem.get('reason')}: {problem.get('detail')}")
        self.problem = problem


class Caller:
    """A registered caller of the machines' listener."""

    def __init__(self, address: str, pki: Path, name: str) -> None:
        trust = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        trust.load_cert_chain(pki / f"{name}.crt", pki / f"{name}.key")
        self._name = name
        self._http = httpx2.Client(base_url=address, verify=trust, timeout=TIMEOUT_SECONDS)
        self._token = ""

    def __enter__(self) -> Self:
        form = {"grant_type": "client_credentials", "client_id": self._name}
        self._token = answered(self._http.post("/oauth2/token", data=form)).json()["access_token"]
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, headers: dict[str, str] | None = None, **params: str) -> Json:
        """A read."""
        answer = answered(self._http.get(path, params=params, headers=self._headers(headers)))
        return dict(answer.json())

    def post(self, path: str, body: Json, key: str = "") -> Json:
        """A call with a JSON body, under this Idempotency-Key or a fresh one."""
        answer = answered(self._http.post(path, json=body, headers=self._headers(_key(key))))
        return dict(answer.json())

    def upload(self, path: str, document: bytes, request: Json, key: str = "") -> httpx2.Response:
        """A call with a file and a JSON part, under this Idempotency-Key or a fresh one."""
        parts: dict[str, tuple[str | None, bytes, str]] = {
            "request": (None, json.dumps(request).encode(), "application/json"),
            "document": ("document", document, "application/octet-stream"),
        }
        return answered(self._http.post(path, files=parts, headers=self._headers(_key(key))))

    def _headers(self, more: dict[str, str] | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", **(more or {})}


def answered(response: httpx2.Response) -> httpx2.Response:
    """The response, or RefusedError with the problem that it tells."""
    if response.is_success:
        return response
    try:
        problem = dict(response.json())
    except ValueError:
        problem = {"status": response.status_code, "reason": "", "detail": response.text[:200]}
    raise RefusedError(problem)


def receipt_in(header: str) -> Json:
    """The receipt that travels in a header beside a file."""
    padded = header + "=" * (-len(header) % 4)
    return dict(json.loads(base64.urlsafe_b64decode(padded)))


def _key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key or uuid.uuid4().hex}
