"""The hub: what goes in comes out once, series stay few, labels tell no secrets."""

from __future__ import annotations

import logging
import random
import threading
import time
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.monitoring.catalogue import METRICS
from engine.monitoring.hub import Hub
from engine.monitoring.labels import LABEL_CHARS, cleaned
from engine.monitoring.series import BOUNDS, Measured
from engine.monitoring.sketch import bucket_of, quantile

MOST_SERIES = 2000


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hub(clock):
    return Hub(strict=True, clock=clock)


def samples(text: bytes) -> list:
    return [sample for family in text_string_to_metric_families(text.decode()) for sample in family.samples]


def value(text: bytes, name: str, **labels: str) -> float:
    return next(one.value for one in samples(text) if one.name == name and one.labels == labels)


def test_prometheus_reads_counts_sums_and_buckets_of_timings(hub):
    for seconds in (0.004, 0.3, 400.0):
        hub.timed("stage_seconds", ("embed",), seconds, ok=seconds < 1)
    text = hub.exposition()
    assert value(text, "workbench_stage_seconds_count", stage="embed") == 3
    assert value(text, "workbench_stage_seconds_sum", stage="embed") == pytest.approx(400.304)
    assert value(text, "workbench_stage_seconds_bucket", stage="embed", le="0.005") == 1
    assert value(text, "workbench_stage_seconds_bucket", stage="embed", le="0.5") == 2
    assert value(text, "workbench_stage_seconds_bucket", stage="embed", le="+Inf") == 3
    assert value(text, "workbench_stage_failures_total", stage="embed") == 1
    assert (BOUNDS[0], BOUNDS[-1]) == (0.005, 120.0)
    assert len(BOUNDS) <= 12


def test_prometheus_reads_counters_gauges_and_the_process(hub):
    hub.counted("tokens_total", ("openai", "m", "input"), 250)
    hub.counted("tokens_total", ("openai", "m", "input"), 50)
    hub.gauged("queue_documents", (), 7)
    hub.gauged("queue_documents", (), 4)
    text = hub.exposition()
    assert value(text, "workbench_tokens_total", provider="openai", model="m", direction="input") == 300
    assert value(text, "workbench_queue_documents") == 4
    assert value(text, "process_resident_memory_bytes") > 1e6


def test_a_drain_has_each_call_exactly_once_and_gauges_each_time(hub):
    hub.timed("stage_seconds", ("embed",), 0.2)
    hub.timed("stage_seconds", ("embed",), 0.2, ok=False)
    hub.counted("dependency_calls_total", ("chat", "openai", "m", "failure"))
    hub.gauged("redis_up", (), 1)
    calls, gauge, timing = hub.drain()
    assert calls.label == "chat|openai|m|failure"
    assert gauge == Measured(metric="redis_up", label="", kind="gauge", count=1, errors=0, total=1.0, buckets={})
    assert (timing.count, timing.errors, timing.total, sum(timing.buckets.values())) == (2, 1, 0.4, 2)
    assert quantile(timing.buckets, 0.5) == pytest.approx(0.2, rel=0.05)
    hub.timed("stage_seconds", ("embed",), 0.1)
    assert [(one.metric, one.count) for one in hub.drain()] == [("redis_up", 1), ("stage_seconds", 1)]
    assert value(hub.exposition(), "workbench_stage_seconds_count", stage="embed") == 3  # draining takes nothing from it


@pytest.mark.parametrize("calls", [2, 6, 20, 100])
def test_a_share_of_the_calls_is_not_slower_than_its_percentile_and_the_slowest_of_few_is_told(calls):
    buckets = {bucket_of(0.1): calls - 1, bucket_of(60.0): 1}
    assert quantile(buckets, 0.5) == pytest.approx(0.1, rel=0.05)
    assert quantile(buckets, 0.95) == pytest.approx(60.0 if calls < 20 else 0.1, rel=0.05)
    assert quantile(buckets, 0.99) == pytest.approx(60.0 if calls < 100 else 0.1, rel=0.05)


def test_a_snapshot_forgets_what_is_older_than_asked_for(hub, clock):
    hub.counted("limited_total", ("ask",))
    clock.now += 300
    hub.counted("limited_total", ("ask",), 2)
    assert [one.total for one in hub.snapshot(60)] == [2]
    assert [one.total for one in hub.snapshot(600)] == [3]
    clock.now += 3_600
    assert hub.snapshot(900) == []
    for _ in range(200):  # slots are a ring: an hour of traffic keeps a quarter of it
        clock.now += 10
        hub.counted("limited_total", ("ask",))
    assert [one.total for one in hub.snapshot(10_000)] == [90]


def test_what_is_wrong_raises_in_tests(hub):
    for wrong in (
        lambda: hub.counted("no_such_total"),
        lambda: hub.counted("limited_total"),
        lambda: hub.counted("limited_total", ("a", "b")),
        lambda: hub.timed("limited_total", ("a",), 1.0),
        lambda: hub.counted("limited_total", ("a",), -1),
        lambda: hub.timed("stage_seconds", ("embed",), float("nan")),
        lambda: hub.gauged("redis_up", (), float("inf")),
    ):
        with pytest.raises(ValueError, match=r"no \w+ '|impossible"):
            wrong()
    assert hub.drain() == []


def test_what_is_wrong_is_logged_once_in_production(caplog):
    hub = Hub()
    with caplog.at_level(logging.ERROR):
        for n in range(1_000):
            hub.counted("no_such_total", (str(n),))
            hub.timed("stage_seconds", ("embed",), float("nan"))
    assert len(caplog.records) == 2
    assert hub.drain() == []


def test_whatever_comes_the_number_of_series_has_a_bound(hub):
    """1,000 users, 1,000 documents and 500 models: every label of every metric takes every value."""
    ids = random.Random(1)
    values = [f"user-{n}" for n in range(1_000)] + [f"document {n}.pdf" for n in range(1_000)] + [f"m{n}" for n in range(500)]
    for value_ in values:
        for name, metric in METRICS.items():
            labels = [value_, *(ids.choice(values) for _ in metric.labels[1:])][: len(metric.labels)]
            match metric.kind:
                case "timing":
                    hub.timed(name, labels, 0.1, ok=False)
                case "counter":
                    hub.counted(name, labels)
                case _:
                    hub.gauged(name, labels, 1)
    found = samples(hub.exposition())
    print(f"{len(found)} series")
    assert len(found) < MOST_SERIES
    assert value(hub.exposition(), "workbench_limited_total", what="other") == len(values) - METRICS["limited_total"].cap
    assert len(hub.drain()) <= sum(metric.cap + 1 for metric in METRICS.values())


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("ft:gpt-4o-mini-2024-07-18:org::abc123", "ft:gpt-4o-mini-2024-07-18:org::abc123"),
        ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("sk-proj-abcdefgh12345678", "[key]"),
        ("model?key=AIzaSyD-1234567890abcdef", "model?key=[key]"),
        ("Bearer abcdefghijklmnop", "[key]"),
        ("wb_0123456789ab_" + "Q" * 43, "[key]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "[key]"),
        ("0123456789abcdef0123456789abcdef", "[key]"),  # an id of a user or a document
        ("a|b\n\x1b[31mc\u202e", "a/b[31mc"),
        ("x " * 200, ("x " * 200)[:LABEL_CHARS].strip()),
    ],
)
def test_labels_are_short_and_printable_and_hold_no_key(hub, told, kept):
    assert cleaned(told).strip() == kept
    hub.counted("errors_total", (told,))
    hub.counted("errors_total", (told,))
    (one,) = hub.drain()
    assert (one.label.strip(), one.total) == (kept, 2)
    assert value(hub.exposition(), "workbench_errors_total", error=one.label) == 2


def test_labels_that_come_in_odd_spellings_are_not_kept_for_ever(hub):
    for n in range(5_000):
        hub.counted("errors_total", (f"sk-proj-abcdefgh{n:08}",))
    assert len(hub._series) == 1


def test_threads_lose_no_call(hub):
    stop = threading.Event()
    drained: list[Measured] = []

    def drain():
        while not stop.is_set():
            drained.extend(hub.drain())
            hub.exposition()

    def count():
        for n in range(2_000):
            hub.timed("stage_seconds", (f"s{n % 3}",), 0.01)

    drainer = threading.Thread(target=drain)
    drainer.start()
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    drainer.join()
    assert sum(one.count for one in [*drained, *hub.drain()]) == 8_000


def test_a_call_takes_microseconds(hub):
    started = time.perf_counter()
    for _ in range(10_000):
        hub.timed("dependency_seconds", ("chat", "openai", "m"), 0.3)
    assert (time.perf_counter() - started) / 10_000 < 200e-6  # measured: 5e-6; the bound is for a busy machine


def test_a_port_of_its_own_serves_the_text_without_a_credential_until_it_is_closed(hub):
    hub.counted("limited_total", ("ask",))
    close = hub.serve("127.0.0.1", port := free_port())
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert answer.headers["content-type"].startswith("text/plain")
            assert value(answer.read(), "workbench_limited_total", what="ask") == 1
        with pytest.raises(OSError, match="in use"):
            hub.serve("127.0.0.1", port)
    finally:
        close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
