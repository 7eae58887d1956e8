"""W3C trace context: spans by OpenTelemetry, sent to a collector where one is configured.

The standard variables apply. Without OTEL_EXPORTER_OTLP_ENDPOINT nobody collects spans, and they are ids for
the log lines and the headers: such a span costs a third of one that is recorded for nobody.
"""

from __future__ import annotations

import os
from contextvars import Token
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("onestop")
_IDS = RandomIdGenerator()


def configure(part: str) -> None:
    """Sets this process's provider up, if there is a collector; called once at start."""
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider = TracerProvider(resource=Resource.create({"service.name": f"onestop-{part}"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)


class span:  # noqa: N801  # used as a function: `with span("item", parent):`
    """A span under the given `traceparent`, or under the current span where that is empty."""

    __slots__ = ("_name", "_span", "_token", "_trace_parent")

    def __init__(self, name: str, trace_parent: str = "") -> None:
        self._name = name
        self._trace_parent = trace_parent

    def __enter__(self) -> trace.Span:
        parent = otel_context.get_current()
        if self._trace_parent:
            parent = _PROPAGATOR.extract({"traceparent": self._trace_parent}, context=Context())
        self._span: trace.Span = _TRACER.start_span(self._name, context=parent)
        if not self._span.is_recording():
            self._span = _under(parent)
        self._token: Token[Context] = otel_context.attach(trace.set_span_in_context(self._span, parent))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trail: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)
        if self._span.is_recording():
            if failure is not None:
                self._span.set_status(trace.StatusCode.ERROR, type(failure).__name__)
            self._span.end()


def _under(parent: Context) -> trace.Span:
    """Ids for a span that nobody collects: the parent's trace, or one of its own."""
    above = trace.get_current_span(parent).get_span_context()
    if not above.is_valid:
        return NonRecordingSpan(
            SpanContext(_IDS.generate_trace_id(), _IDS.generate_span_id(), False, TraceFlags.get_default())
        )
    return NonRecordingSpan(
        SpanContext(above.trace_id, _IDS.generate_span_id(), False, above.trace_flags, above.trace_state)
    )


def current_trace_parent() -> str:
    """`traceparent` of the current span; empty where there is none."""
    span_context = trace.get_current_span().get_span_context()
    if not span_context.is_valid:
        return ""
    ids = trace.format_trace_id(span_context.trace_id), trace.format_span_id(span_context.span_id)
    return f"00-{ids[0]}-{ids[1]}-{span_context.trace_flags:02x}"


def current_trace_id() -> str:
    """The current trace's id, 32 hexadecimal digits; empty where there is none."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
