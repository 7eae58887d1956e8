"""A route: its shape, and what handles it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from gateway.call import Call
from gateway.shapes import Shape

Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Route(Shape):
    """One route as the application serves it."""

    handler: Handler
