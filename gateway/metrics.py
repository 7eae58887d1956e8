"""What the operators see: counts and times by route and part. No label ever holds identity payload."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class Metrics:
    """The gateway's own registry, so that tests and processes do not share one."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "onestop_gateway_requests",
            "Requests answered.",
            ("listener", "route", "method", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "onestop_gateway_request_seconds",
            "Time from a request's headers to its answer.",
            ("listener", "route"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "onestop_gateway_requests_in_flight",
            "Requests being answered now.",
            ("listener",),
            registry=self._registry,
        )
        self.part_seconds = Histogram(
            "onestop_gateway_part_seconds",
            "Time that a part took for one item.",
            ("part", "method", "outcome"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.shed = Counter(
            "onestop_gateway_shed",
            "Requests refused, or given up in time, because there was no room at a part.",
            ("part",),
            registry=self._registry,
        )
        self.limited = Counter(
            "onestop_gateway_limited",
            "Requests refused by a rate limit.",
            ("limit",),
            registry=self._registry,
        )
        self.loop_delay = Gauge(
            "onestop_gateway_part_loop_delay_seconds",
            "Longest time that a part's event loop was held up, within the last half minute to minute.",
            ("part",),
            registry=self._registry,
        )

        self.ledger_size = Gauge(
            "onestop_gateway_ledger_size", "Entries in the ledger.", registry=self._registry
        )
        self.witness_size = Gauge(
            "onestop_gateway_witness_size",
            "Entries of the newest tree that the witness cosigned.",
            ("witness",),
            registry=self._registry,
        )
        self.witness_cosigns = Gauge(
            "onestop_gateway_witness_cosigns",
            "1 while the witness cosigns, 0 while it is silent or refuses.",
            ("witness",),
            registry=self._registry,
        )

    def text(self) -> bytes:
        """All of it in the Prometheus text format."""
        return generate_latest(self._registry)
