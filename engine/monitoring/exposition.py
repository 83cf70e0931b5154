"""The text that Prometheus reads (exposition format 0.0.4, prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from engine.monitoring.catalogue import Metric
from engine.monitoring.series import BOUNDS, Totals

PREFIX = "workbench_"
_LEVELS = (*(str(bound) for bound in BOUNDS), "+Inf")


def written(metrics: Mapping[str, Metric], series: Iterable[Totals]) -> bytes:
    """Return the text of all series, and of this process and its Python; a metric without a series has only its help."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(metrics, series))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return generate_latest(registry)


class _Families(Collector):
    """Our series as those of prometheus_client; its own counters would keep everything a second time."""

    def __init__(self, metrics: Mapping[str, Metric], series: Iterable[Totals]) -> None:
        self._metrics = metrics
        self._series = sorted(series, key=lambda one: one.labels)

    def collect(self) -> Iterator[Family]:
        for name, metric in self._metrics.items():
            own = [one for one in self._series if one.metric == name]
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
