"""Spans that nobody collects are ids all the same: one trace through all parts."""

from __future__ import annotations

from opentelemetry import trace as otel

from core.trace import current_trace_id, current_trace_parent, span

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_span_goes_on_with_its_parents_trace_under_an_id_of_its_own() -> None:
    with span("call", PARENT):
        told = current_trace_parent()

    version, trace_id, span_id, flags = told.split("-")
    assert (version, trace_id, flags) == ("00", "4bf92f3577b34da6a3ce929d0e0e4736", "01")
    assert span_id != "00f067aa0ba902b7"


def test_a_span_without_a_parent_begins_a_trace_and_those_inside_belong_to_it() -> None:
    with span("request"):
        outer = current_trace_id()
        with span("item"):
            inner = current_trace_id()
    after = current_trace_id()

    assert outer == inner
    assert len(outer) == 32
    assert after == ""


def test_a_malformed_parent_is_no_parent() -> None:
    with span("call", "00-zz-zz-zz"):
        told = current_trace_parent()

    assert len(told) == 55


def test_the_span_before_is_current_again_whatever_happens_inside() -> None:
    try:
        with span("call", PARENT):
            raise ValueError
    except ValueError:
        pass

    assert not otel.get_current_span().get_span_context().is_valid
    assert current_trace_parent() == ""
