"""What the development authority answers to a request; no server here.

`POST /tsa` (RFC 3161 section 3.4), `POST /ocsp` (RFC 6960 appendix A.1), `GET /crl/<authority>.crl`, and
`GET /healthz`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus

from deploy.authority.stamping import Stamper
from deploy.authority.status import Status

LONGEST_QUERY = 16 * 1024
_STAMPS, _OCSP = "application/timestamp-query", "application/ocsp-request"
_LIST = re.compile(r"/crl/([a-z0-9-]{1,32})\.crl")


@dataclass(frozen=True)
class Asked:
    """A request: method, path, the type of its body, and that."""

    method: str
    path: str
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: HTTPStatus
    content_type: str = "text/plain"
    body: bytes = field(default=b"", repr=False)


class Answers:
    """The authority: what it stamps with, and what it knows of certificates."""

    def __init__(self, stamper: Stamper, statuses: Status) -> None:
        self._stamper = stamper
        self._statuses = statuses

    def to(self, asked: Asked, moment: datetime) -> Answer:
        """The answer at a moment in UTC."""
        if len(asked.body) > LONGEST_QUERY:
            return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if asked.method == "GET":
            return self._get(asked.path, moment)
        answer: Callable[[bytes, datetime], bytes]
        if asked.method == "POST" and asked.path == "/tsa":
            wanted, given, answer = _STAMPS, "application/timestamp-reply", self._stamper.answer
        elif asked.method == "POST" and asked.path == "/ocsp":
            wanted, given, answer = _OCSP, "application/ocsp-response", self._statuses.respond
        else:
            return Answer(HTTPStatus.NOT_FOUND)
        if asked.content_type != wanted:
            return Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, body=f"send {wanted}\n".encode())
        return Answer(HTTPStatus.OK, given, answer(asked.body, moment))

    def _get(self, path: str, moment: datetime) -> Answer:
        if path == "/healthz":
            return Answer(HTTPStatus.OK, "application/json", b'{"status":"ok"}')
        named = _LIST.fullmatch(path)
        if named is None or not self._statuses.has_list(named[1]):
            return Answer(HTTPStatus.NOT_FOUND)
        return Answer(HTTPStatus.OK, "application/pkix-crl", self._statuses.revocations_of(named[1], moment))
