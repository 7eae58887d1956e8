"""Structured logs: one JSON line an event, with the trace's id, and no identity payload."""

from __future__ import annotations

import asyncio
import atexit
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, BinaryIO

import orjson
import structlog
from opentelemetry import trace

_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9]{14,17}[0-9Xx](?![0-9A-Za-z])")
# Where a database's errors repeat values: the rows of PostgreSQL's DETAIL, and asyncpg's view of an argument.
_ROWS = re.compile(r"(?<=\nDETAIL:).*?(?=\nHINT:|\n\n|\Z)", re.DOTALL)
_ARGUMENT = re.compile(r"(?<=invalid input for query argument )(\$[0-9]+)\b.*?(?=\n\n|\Z)", re.DOTALL)
_SHORTEST_NUMBER = 15
"""Nothing shorter can hold what is blotted out."""
_TRACE_PARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_SECRET_NAMES = frozenset({"token", "authorization", "password", "code", "use_code", "cookie", "secret"})

Event = MutableMapping[str, Any]


def redact(text: str) -> str:
    """The text with everything that could be a citizen ID number or a row of the database blotted out."""
    if "\nDETAIL:" in text:
        text = _ROWS.sub(" [withheld]", text)
    if "query argument" in text:
        text = _ARGUMENT.sub(r"\1 [withheld]", text)
    return _LONG_NUMBER.sub("[number]", text)


def _redact_event(_logger: object, _method: str, event: Event) -> Event:
    for name, value in event.items():
        if name in _SECRET_NAMES:
            event[name] = "[withheld]"
        elif isinstance(value, str) and len(value) >= _SHORTEST_NUMBER:
            event[name] = redact(value)
    return event


def add_trace(_logger: object, _method: str, event: Event) -> Event:
    """Names the current span's trace in a line, unless the line names one itself."""
    if "trace_id" in event:
        return event
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
    return event


def configure(part: str, level: str) -> None:
    """Sends this process's logs, the libraries' too, to standard output as JSON lines."""

    def add_part(_logger: object, _method: str, event: Event) -> Event:
        event["part"] = part
        return event

    # What we add ourselves comes after the redaction: ids and times hold nobody's number.
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        _redact_event,
        add_part,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_line)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_together(Lines(sys.stdout.buffer)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_text),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("httpx2", "httpcore2", "asyncio", "pyhanko", "fontTools"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Lines:
    """Writes lines, those of one turn of the event loop together: a busy part has thousands a second.

    What is trouble is written at once, and everything when the process ends in order.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._waiting: list[bytes] = []
        self._lock = threading.Lock()
        atexit.register(self.flush)

    def info(self, line: bytes) -> None:
        """Writes a line at the end of this turn; at once where no loop runs."""
        with self._lock:
            self._waiting.append(line)
            first = len(self._waiting) == 1
        if first:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def error(self, line: bytes) -> None:
        """Writes a line, and what waits before it, now."""
        with self._lock:
            self._waiting.append(line)
        self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        with self._lock:
            lines, self._waiting = self._waiting, []
            if lines:
                self._out.write(b"\n".join(lines) + b"\n")
                self._out.flush()

    debug = msg = info
    warning = warn = exception = critical = fatal = failure = error


def _together(lines: Lines) -> Callable[..., Lines]:
    return lambda *_: lines


def _line(event: Event, **_options: object) -> bytes:
    return orjson.dumps(event, default=repr)


def _text(event: Event, **_options: object) -> str:
    return _line(event).decode()


def answered(outcome: str, began: float, trace_parent: str = "") -> None:
    """Writes the one line that a call, or an item of a batch, leaves in its part's log.

    `outcome` is `ok` or the error's reason, `began` what `time.monotonic` said. The line has the trace of
    `trace_parent` or else of the current span, and the method and the peer of the call (see `bound`); of an
    answer that was released, its receipt too (see `released`).
    """
    facts = {"trace_id": found[1]} if (found := _TRACE_PARENT.fullmatch(trace_parent)) else {}
    _logger.info("call", outcome=outcome, milliseconds=round((time.monotonic() - began) * 1000, 1), **facts)


def released(receipt: str, entry: int, leaf: bytes) -> None:
    """Notes for this task's next lines that an answer leaves: its receipt's id, its entry's index and hash.

    An audit compares the lines with the ledger (cli/audit): they tell of answers of which no row is kept.
    """
    structlog.contextvars.bind_contextvars(receipt=receipt, entry=entry, leaf=leaf.hex())


bound = structlog.contextvars.bound_contextvars
"""Facts for every line written meanwhile: `with bound(method=…, peer=…):`."""


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The logger for a module; events are short and stable, facts are key-values."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


_logger = get_logger()
