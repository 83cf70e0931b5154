"""The text that Prometheus reads (exposition format 0.0.4, prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from engine.monitoring.catalogue import Metric
from engine.monitoring.series import BOUNDS, Totals

PREFIX = "workbench_"
_LEVELS = (*(str(bound) for bound in BOUNDS), "+Inf")


def registry_of(metrics: Mapping[str, Metric], totals: Callable[[], Iterable[Totals]]) -> CollectorRegistry:
    """Return a registry of our own with all series, and numbers of this process and its Python."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(metrics, totals))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def written(registry: CollectorRegistry) -> bytes:
    """Return the text of a registry; a metric without a series has only its help."""
    return generate_latest(registry)


def served(registry: CollectorRegistry, host: str, port: int) -> Callable[[], None]:
    """Serve the text in a thread of its own, and return what ends that. Raises OSError when the port is taken."""
    server, thread = start_http_server(port, host, registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


def process_numbers() -> dict[str, float]:
    """Return what the system tells of this process, by Prometheus name; {} where it tells nothing."""
    families = ProcessCollector(registry=None).collect()
    return {sample.name: sample.value for family in families for sample in family.samples}


class _Families(Collector):
    """Our series as those of prometheus_client; its own counters would keep everything a second time."""

    def __init__(self, metrics: Mapping[str, Metric], totals: Callable[[], Iterable[Totals]]) -> None:
        self._metrics = metrics
        self._totals = totals

    def collect(self) -> Iterator[Family]:
        series = sorted(self._totals(), key=lambda one: one.labels)
        for name, metric in self._metrics.items():
            own = [one for one in series if one.metric == name]
            if metric.kind == "timing":
                yield from _histogram(name, metric, own)
                continue
            made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = made(PREFIX + name, metric.help, labels=metric.labels)
            for one in own:
                family.add_metric(one.labels, one.total)
            yield family


def _histogram(name: str, metric: Metric, series: Iterable[Totals]) -> Iterator[Family]:
    times = HistogramMetricFamily(PREFIX + name, metric.help, labels=metric.labels)
    failures = CounterMetricFamily(PREFIX + failures_of(name), f"{metric.help}: those that failed", labels=metric.labels)
    for one in series:
        levels = list(zip(_LEVELS, accumulate(one.histogram), strict=True))
        times.add_metric(one.labels, buckets=levels, sum_value=one.total)
        failures.add_metric(one.labels, one.errors)
    yield times
    yield failures


def failures_of(name: str) -> str:
    """Return the name of the counter that goes with a timing: "stage_seconds" -> "stage_failures_total"."""
    return f"{name.removesuffix('_seconds')}_failures_total"
