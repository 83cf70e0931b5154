"""Traces over OTLP against a real HTTP server that reads the protobuf; away, slow or off they cost nothing."""

from __future__ import annotations

import asyncio
import time

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from engine.errors import ConfigError
from engine.monitoring import tracing
from engine.monitoring.hub import Hub
from engine.monitoring.tracing import Traces, called_with
from tests.upstreams.collector import collecting


def attributes(span):
    return {one.key: one.value.string_value or one.value.bool_value for one in span.attributes}


async def test_what_is_timed_within_a_trace_becomes_its_spans():
    with collecting() as collector:
        traces = Traces(collector.url, instance="one")
        hub = Hub(strict=True, on_timed=traces.timed)
        hub.timed("stage_seconds", ("embed",), 9.0)  # in no trace
        with traces.trace("question", "r1"):
            hub.timed("stage_seconds", ("embed",), 0.25)
            await asyncio.to_thread(hub.timed, "dependency_seconds", ("chat", "openai", "m"), 0.5, ok=False)
            hub.timed("stage_seconds", ("total",), 1.0)  # is the trace itself
        traces.close()
    assert collector.paths == {"/v1/traces"}
    assert collector.resource["service.name"] == "rag-workbench"
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"question", "stage embed", "dependency chat openai m"}
    root, stage, call = spans["question"], spans["stage embed"], spans["dependency chat openai m"]
    assert attributes(root) == {"request_id": "r1"}
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    assert (stage.parent_span_id, call.parent_span_id, root.parent_span_id) == (root.span_id, root.span_id, b"")
    assert stage.end_time_unix_nano - stage.start_time_unix_nano == pytest.approx(0.25e9, abs=1e6)
    assert attributes(call) == {"operation": "chat", "provider": "openai", "model": "m", "ok": False}
    assert (call.status.code, stage.status.code) == (Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET)


async def test_what_an_error_says_never_leaves():
    with collecting() as collector:
        traces = Traces(collector.url)
        with pytest.raises(ValueError, match="Mallory"), traces.trace("question"):
            raise ValueError("the contract of Mallory")
        traces.close()
    (span,) = collector.spans
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "ValueError")
    assert not any(b"Mallory" in body for body in collector.raw)


@pytest.mark.parametrize(
    ("told", "belongs"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", True),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", False),
        ("zz", False),
        ("", False),
    ],
)
async def test_a_callers_trace_goes_on_here(told, belongs):
    with collecting() as collector:
        traces = Traces(collector.url)
        called_with(told)
        with traces.trace("question"):
            pass
        traces.close()
    (span,) = collector.spans
    assert (span.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736") is belongs
    assert (span.parent_span_id.hex() == "00f067aa0ba902b7") is belongs


@pytest.mark.parametrize("where", ["closed port", "black hole"])
async def test_a_collector_that_is_away_slows_nothing(where, monkeypatch):
    monkeypatch.setattr(tracing, "EVERY_SECONDS", 0.05)
    with collecting() as collector:
        collector.hold.set()
        traces = Traces(collector.url if where == "black hole" else "http://127.0.0.1:9")
        hub = Hub(strict=True, on_timed=traces.timed)
        with traces.trace("warm up"):
            pass
        started = time.perf_counter()
        for _ in range(2 * tracing.QUEUE // 10):
            with traces.trace("question"):
                for _ in range(10):
                    hub.timed("stage_seconds", ("embed",), 0.1)
        assert (time.perf_counter() - started) / (2 * tracing.QUEUE) < 2e-3  # seconds a span; measured: 1e-4
        started = time.perf_counter()
        traces.close()
        traces.close()
        assert time.perf_counter() - started < tracing.CLOSE_SECONDS + 2


@pytest.mark.parametrize("endpoint", ["collector:4318", "file:///etc/passwd", "http://", "http:// x"])
def test_what_is_no_address_is_refused_at_the_start(endpoint):
    with pytest.raises(ConfigError, match="otlp_endpoint"):
        Traces(endpoint)


async def test_off_nothing_is_sent_and_calls_cost_next_to_nothing():
    traces = Traces("")
    with traces.trace("question", "r1"):
        traces.timed("stage_seconds", ("embed",), 0.1, True)
    traces.close()
    assert traces._provider is None
