"""The development authority over HTTP: what it answers is signed, so the way to it need not be secret.

The standard library's server and no framework: each start of a city on one machine waits for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.authority.answers import LONGEST_QUERY, Answer, Asked

PATIENCE_SECONDS = 10.0
"""How long a caller may take over a request, or keep a connection without one."""

Answering = Callable[[Asked], Answer]


class Server(ThreadingHTTPServer):
    """Answers each connection in a thread of its own; `port` 0 takes a free one."""

    daemon_threads = True

    def __init__(self, host: str, port: int, answering: Answering) -> None:
        self.answering = answering
        super().__init__((host, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hangs up is none of our troubles; anything else is logged by its kind."""
        fault = sys.exc_info()[0]
        if fault is not None and not issubclass(fault, ConnectionError | TimeoutError):
            tell("answer_failed", "error", error=fault.__name__)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            self._write(Answer(HTTPStatus.LENGTH_REQUIRED), close=True)
        elif int(length) > LONGEST_QUERY:
            self._write(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE), close=True)
        else:
            self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        kind = self.headers.get_content_type() if "Content-Type" in self.headers else ""
        try:
            answer = self.server.answering(Asked(self.command, self.path, kind, body))
        except Exception as fault:  # the answer is then that there is none: nobody is told `good` by a fault
            tell("answer_failed", "error", error=type(fault).__name__)
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._write(answer)

    def _write(self, answer: Answer, *, close: bool = False) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Nothing: a line for each query would tell who checks which certificate."""

    def version_string(self) -> str:
        return "authority"


def tell(event: str, level: str = "info", **facts: object) -> None:
    """A line of log as the other parts write them (core/log.py, whose libraries take longer to load than
    everything here)."""
    line = {
        "event": event,
        **facts,
        "level": level,
        "part": "authority",
        "timestamp": datetime.now(UTC).isoformat(),
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)
