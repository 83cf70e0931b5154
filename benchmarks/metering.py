"""What a measurement costs its caller: microseconds per call of the hub, alone and beside others, and with a trace open.

`python -m benchmarks.metering` takes less than ten seconds and needs no network.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

from engine.monitoring.catalogue import METRICS
from engine.monitoring.hub import Hub
from engine.monitoring.tracing import Traces

ROUNDS, CALLS = 100, 100
LABELS = ("chat", "openai", "gpt-4o-mini")


def measured(call: Callable[[], object]) -> tuple[float, float]:
    """Return the median and the 95th percentile of microseconds per call, over rounds of 100 calls."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter() - started) / CALLS * 1e6)
    return statistics.median(rounds), statistics.quantiles(rounds, n=20)[-1]


def filled() -> Hub:
    """Return a hub with as many series as there can be."""
    hub = Hub(strict=True)
    for name, metric in METRICS.items():
        for n in range(metric.cap + 1):
            labels = [f"value{n}"] * len(metric.labels)
            match metric.kind:
                case "timing":
                    hub.timed(name, labels, n / 10)
                case "counter":
                    hub.counted(name, labels)
                case _:
                    hub.gauged(name, labels, n)
    return hub


def beside(hub: Hub, call: Callable[[], object], threads: int) -> tuple[float, float]:
    """Return the same while other threads measure as well."""
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            hub.timed("stage_seconds", ("embed",), 0.1)

    others = [threading.Thread(target=busy) for _ in range(threads)]
    for thread in others:
        thread.start()
    try:
        return measured(call)
    finally:
        stop.set()
        for thread in others:
            thread.join()


def main() -> None:
    hub = Hub(strict=True)
    rows: list[tuple[str, tuple[float, float]]] = [
        ("timed, 3 labels", measured(lambda: hub.timed("dependency_seconds", LABELS, 0.3))),
        ("counted, 4 labels", measured(lambda: hub.counted("dependency_calls_total", (*LABELS, "success")))),
        ("gauged, no label", measured(lambda: hub.gauged("redis_up", (), 1))),
        ("timed beside 1 busy thread", beside(hub, lambda: hub.timed("dependency_seconds", LABELS, 0.3), 1)),
    ]
    full = filled()
    rows += [
        ("timed, new labels beyond the cap", measured(lambda: full.timed("dependency_seconds", ("x", "y", "z"), 0.3))),
        ("drain, every series there can be", _once(full.drain)),
        ("snapshot of 15 minutes, same", _once(lambda: full.snapshot(900))),
        ("exposition, same", _once(full.exposition)),
    ]
    traces = Traces("http://127.0.0.1:9")  # nobody listens: spans queue and are dropped
    traced = Hub(strict=True, on_timed=traces.timed)
    with traces.trace("question"):
        rows.append(
            ("timed in an open trace, collector away", measured(lambda: traced.timed("stage_seconds", ("embed",), 0.1)))
        )
    traces.close()
    print(f"{'call':<42}{'p50 µs':>12}{'p95 µs':>12}")
    for name, (middle, high) in rows:
        print(f"{name:<42}{middle:>12.1f}{high:>12.1f}")


def _once(call: Callable[[], object]) -> tuple[float, float]:
    times = []
    for _ in range(10):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


if __name__ == "__main__":
    main()
