"""W3C trace context: spans by OpenTelemetry, sent to a collector where one is configured.

The standard variables apply: without OTEL_EXPORTER_OTLP_ENDPOINT spans are made for the log lines
and the headers only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("onestop")


def configure(part: str) -> None:
    """Sets this process's provider up; called once at start."""
    provider = TracerProvider(resource=Resource.create({"service.name": f"onestop-{part}"}))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, trace_parent: str = "") -> Iterator[trace.Span]:
    """A span under the given `traceparent`, or under the current span where that is empty."""
    parent = (
        _PROPAGATOR.extract({"traceparent": trace_parent}) if trace_parent else otel_context.get_current()
    )
    with _TRACER.start_as_current_span(name, context=parent, record_exception=False) as current:
        yield current


def current_trace_parent() -> str:
    """`traceparent` of the current span; empty where there is none."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")


def current_trace_id() -> str:
    """The current trace's id, 32 hexadecimal digits; empty where there is none."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
