"""OpenTelemetry traces of questions and ingestions, when an operator names a collector; else nothing is even imported.

Whatever is timed while a trace is open becomes one of its spans: stages, calls of models and stores, steps of ingestion.
Spans carry names, numbers and the request's id; never a question, a text, a user or what an error said.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING

from engine.errors import ConfigError
from engine.monitoring.catalogue import METRICS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

logger = logging.getLogger(__name__)

PATH = "/v1/traces"  # of OTLP over HTTP (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP Request")
EXPORT_SECONDS = 5.0
EVERY_SECONDS = 2.0
QUEUE = 2048  # spans that wait for the collector; what comes beyond is dropped
CLOSE_SECONDS = 3.0
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")  # W3C Trace Context, section 3.2

_callers: ContextVar[str] = ContextVar("traceparent", default="")
_trace: ContextVar[Context | None] = ContextVar("trace", default=None)


def called_with(traceparent: str) -> None:
    """Let traces that begin in this task be part of a caller's; what is no traceparent is passed over."""
    found = _TRACEPARENT.fullmatch(traceparent)
    known = found and int(found[1], 16) and int(found[2], 16)
    _callers.set(traceparent if known else "")


class Traces:
    """Traces of one process. An exporter of its own thread sends them: a collector that is away costs no answer any time."""

    def __init__(self, endpoint: str = "", *, instance: str = "") -> None:
        """`endpoint` is the base of an OTLP/HTTP collector, as "http://127.0.0.1:4318"; "" makes everything a no-op.

        Raises ConfigError for what is no address.
        """
        if endpoint and not re.fullmatch(r"https?://[^\s/]+\S*", endpoint):
            raise ConfigError("otlp_endpoint is no address", hint="Write it as http://127.0.0.1:4318, or leave it empty.")
        self._endpoint = endpoint.rstrip("/").removesuffix(PATH)
        self._instance = instance
        self._lock = threading.Lock()
        self._provider: TracerProvider | None = None

    def trace(self, name: str, request_id: str = "") -> AbstractContextManager[None]:
        """Return what keeps a trace open in this task, its tasks and its threads. An error marks it by its class."""
        return self._open(name, request_id) if self._endpoint else nullcontext()

    def timed(self, metric: str, labels: Sequence[str], seconds: float, ok: bool) -> None:
        """Add what was just timed to the open trace, if there is one. Never raises."""
        parent = _trace.get()
        if parent is None or labels == ("total",):  # that one is the trace itself
            return
        try:
            end = time.time_ns()
            named = dict(zip(METRICS[metric].labels, labels, strict=True))
            name = " ".join((metric.removesuffix("_seconds"), *labels))
            span = self._tracer().start_span(
                name, context=parent, start_time=end - int(seconds * 1e9), attributes={**named, "ok": ok}
            )
            if not ok:
                _failed(span)
            span.end(end)
        except Exception:  # a trace is worth no answer
            logger.exception("a span is missing in its trace")

    def close(self) -> None:
        """Send what is there, for a few seconds at most. Blocking, idempotent."""
        with self._lock:
            provider, self._provider = self._provider, None
        if provider is not None:
            # The exporter may be waiting for a collector that is away; the process must not wait with it.
            closing = threading.Thread(target=provider.shutdown, daemon=True)
            closing.start()
            closing.join(CLOSE_SECONDS)

    @contextmanager
    def _open(self, name: str, request_id: str) -> Iterator[None]:
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        above = TraceContextTextMapPropagator().extract({"traceparent": _callers.get()})
        span = self._tracer().start_span(name, context=above, attributes={"request_id": request_id} if request_id else None)
        before = _trace.set(set_span_in_context(span))
        try:
            yield
        except Exception as error:
            _failed(span, type(error).__name__)
            raise
        finally:
            _trace.reset(before)
            span.end()

    def _tracer(self) -> Tracer:
        with self._lock:
            if self._provider is None:
                self._provider = _provider(self._endpoint + PATH, self._instance)
            return self._provider.get_tracer("rag-workbench")


def _provider(url: str, instance: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415

    resource = Resource.create({"service.name": "rag-workbench", "service.instance.id": instance})
    provider = TracerProvider(resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS),
            max_queue_size=QUEUE,
            schedule_delay_millis=EVERY_SECONDS * 1000,
            export_timeout_millis=EXPORT_SECONDS * 1000,
        )
    )
    return provider


def _failed(span: object, error: str = "") -> None:
    from opentelemetry.trace import Span, Status, StatusCode  # noqa: PLC0415

    assert isinstance(span, Span)  # noqa: S101
    span.set_status(Status(StatusCode.ERROR, error))
