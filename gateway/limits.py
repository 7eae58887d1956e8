"""Rate limits, each caller its own, kept in this process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from core.errors import Kind, ServiceError
from gateway.config import GatewayConfig
from gateway.metrics import Metrics


class Limit(StrEnum):
    """The limits there are, by audience."""

    TOKEN = "token"  # noqa: S105 - a limit's name
    APPROVAL = "approval"
    PARTNER = "partner"
    COMPANY = "company"
    CITIZEN = "citizen"
    ADDRESS = "address"


class RateLimitedError(ServiceError):
    """The caller has used up its requests for now."""

    kind = Kind.EXHAUSTED
    reason = "RATE_LIMITED"


class UploadsFullError(ServiceError):
    """As many documents as there is room for are being handled."""

    kind = Kind.UNAVAILABLE
    reason = "UPLOADS_FULL"


class Uploads:
    """Room for documents in memory: without a bound, a crowd of slow uploads would take all there is."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    @contextmanager
    def room(self, caller: str) -> Iterator[None]:
        """Room for one document of the caller while the context lasts. Raises UploadsFullError."""
        if self._held.total() >= self._most or self._held[caller] >= self._most // 2:
            raise UploadsFullError(
                "too many documents are being handled; try again shortly", part="gateway", retry_after=1.0
            )
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            self._held += Counter()  # drops callers that hold nothing


class Limits:
    """Counts requests in windows."""

    def __init__(self, config: GatewayConfig, metrics: Metrics) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._items: dict[Limit, RateLimitItem] = {
            Limit.TOKEN: parse(config.token_limit),
            Limit.APPROVAL: parse(config.approval_limit),
            Limit.PARTNER: parse(config.partner_limit),
            Limit.COMPANY: parse(config.company_limit),
            Limit.CITIZEN: parse(config.citizen_limit),
            Limit.ADDRESS: parse(config.address_limit),
        }
        self._metrics = metrics

    async def count(self, limit: Limit, caller: str) -> None:
        """Counts one request of this caller. Raises RateLimitedError saying when to come back."""
        item = self._items[limit]
        if await self._limiter.hit(item, limit.value, caller):
            return
        self._metrics.limited.labels(limit.value).inc()
        window = await self._limiter.get_window_stats(item, limit.value, caller)
        raise RateLimitedError(
            f"the limit of {item} for this caller is used up",
            part="gateway",
            retry_after=max(1.0, window.reset_time - time.time()),
        )
