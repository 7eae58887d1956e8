"""Rate limits, each caller its own, kept in this process."""

from __future__ import annotations

import time
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
    CITIZEN = "citizen"
    ADDRESS = "address"


class RateLimitedError(ServiceError):
    """The caller has used up its requests for now."""

    kind = Kind.EXHAUSTED
    reason = "RATE_LIMITED"


class Limits:
    """Counts requests in windows."""

    def __init__(self, config: GatewayConfig, metrics: Metrics) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._items: dict[Limit, RateLimitItem] = {
            Limit.TOKEN: parse(config.token_limit),
            Limit.APPROVAL: parse(config.approval_limit),
            Limit.PARTNER: parse(config.partner_limit),
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
