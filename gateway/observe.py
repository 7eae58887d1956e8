"""Around every request: its span, its log line, its metrics, and its errors as problem documents."""

from __future__ import annotations

import time
from functools import cache

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from core import log, trace
from core.errors import ServiceError
from gateway.metrics import Metrics
from gateway.problems import QUIET, problem_of, problem_response
from gateway.traffic import Traffic

CALLER = web.RequestKey("caller", str)
"""Name of the machine, or `citizen`; for the log."""

RECEIPT = web.RequestKey("receipt", str)
"""Id of the receipt that the answer leaves with; for the log, by which an audit knows what has left."""

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
STRICT_TRANSPORT = "max-age=31536000"

GONE = 499
"""What counts as the status where the caller went away; no answer has it."""

_logger = log.get_logger()


def observer(listener: str, metrics: Metrics, traffic: Traffic, *, strict: bool) -> Middleware:
    """The middleware of one listener. `strict` tells browsers to come by HTTPS only (RFC 6797).

    While the traffic is ending, a connection ends with its answer: what comes on it next would be cut off.
    """

    in_flight = metrics.in_flight.labels(listener)
    # A label's series is looked up once: there are as many as routes, methods and statuses.
    counted = cache(
        lambda route, method, status: metrics.requests.labels(listener, route, method, str(status))
    )
    seconds = cache(lambda route: metrics.seconds.labels(listener, route))

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = route_of(request)
        began = time.monotonic()
        in_flight.inc()
        status = GONE
        try:
            with (
                traffic.one(),
                trace.span(f"{request.method} {route}", request.headers.get("traceparent", "")),
            ):
                response = await _answer(request, handler)
                status = response.status
                response.headers.update(QUIET)
                if traffic.ending:
                    response.force_close()
                if strict:
                    response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
                _log(listener, request, route, status, began)
                return response
        finally:
            in_flight.dec()
            counted(route, _method(request), str(status)).inc()
            seconds(route).observe(time.monotonic() - began)

    return observe


def headers_beforehand(*, strict: bool) -> dict[str, str]:
    """What the middleware puts on every answer, for one whose headers leave before it sees it."""
    kept = {**QUIET, "Cache-Control": "no-store"}
    return kept | {"Strict-Transport-Security": STRICT_TRANSPORT} if strict else kept


def route_of(request: web.Request) -> str:
    """The route's pattern: what was asked for without what it was asked about."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:
        if isinstance(error, ConnectionError) and request.transport is None:
            # Its caller's own connection, lost amid the body: nobody is there to read an answer.
            return web.Response(status=GONE)
        problem = problem_of(error)
        if problem.status == 500 and isinstance(error, ServiceError):
            # The part has logged what happened there.
            _logger.error("part_failed", route=route_of(request), failed=error.part)
        elif problem.status == 500:
            _logger.exception("request_failed", route=route_of(request))
        return problem_response(problem, trace.current_trace_id())


def _log(listener: str, request: web.Request, route: str, status: int, began: float) -> None:
    _logger.info(
        "request",
        listener=listener,
        method=_method(request),
        route=route,
        status=status,
        milliseconds=round((time.monotonic() - began) * 1000, 1),
        caller=request.get(CALLER, ""),
        **({"receipt": receipt} if (receipt := request.get(RECEIPT, "")) else {}),
    )


def _method(request: web.Request) -> str:
    """The method, if it is one: a label must not be what a caller makes up."""
    return request.method if request.method in KNOWN_METHODS else "OTHER"
