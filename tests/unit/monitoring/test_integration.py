"""Monitoring of functions: the example of the seed, what is counted, and what a configuration may be."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.errors import ConfigError
from engine.monitoring import MonitoringIntegration


async def test_example_3_of_the_seed_word_for_word():
    """Only the path of the import is another. Its function returns None, as it stands there."""
    # Initialize monitoring
    monitor = MonitoringIntegration({
        "monitoring_enabled": True,
        "alert_thresholds": {
            "error_rate": 0.05,
            "response_time_p95": 2000
        }
    })  # fmt: skip

    # Apply to functions
    @monitor.create_monitored_method("llm", "llm_provider")
    async def generate_response(prompt: str):
        # Your LLM call here - fully monitored
        pass

    assert await generate_response("hello") is None

    # Get comprehensive metrics
    metrics = await monitor.get_comprehensive_metrics()

    numbers = metrics["components"]["llm"]["operations"]["llm_provider"]
    assert (numbers["count"], numbers["errors"], numbers["error_rate"]) == (1, 0, 0.0)
    assert 0 < numbers["p50_ms"] <= numbers["p95_ms"] <= numbers["p99_ms"] < 2_000
    assert (metrics["health"], metrics["alerts"]) == ("healthy", [])
    assert metrics["process"]["memory_bytes"] > 1e6


async def test_errors_are_counted_raised_as_they_were_and_exceed_the_threshold():
    now = [100.0]
    monitor = MonitoringIntegration({"alert_thresholds": {"error_rate": 0.4}}, clock=lambda: now[0])

    @monitor.create_monitored_method("store", "search")
    def search(fails: bool) -> str:
        if fails:
            raise KeyError("secret")
        return "found"

    for fails in (False, True, False):
        if fails:
            with pytest.raises(KeyError, match="secret"):
                search(fails)
        else:
            assert search(fails) == "found"
    assert (await monitor.get_comprehensive_metrics())["health"] == "healthy"  # a third
    with pytest.raises(KeyError):
        search(True)
    now[0] += 60
    metrics = await monitor.get_comprehensive_metrics()
    assert metrics["alerts"] == [
        {"component": "store", "operation": "search", "alert": "error_rate", "value": 0.5, "threshold": 0.4}
    ]
    assert (metrics["health"], metrics["components"]["store"]["status"]) == ("degraded", "degraded")
    assert metrics["uptime_seconds"] == 60
    assert "secret" not in monitor.export_prometheus() + str(metrics)
    now[0] += 3_600
    assert (await monitor.get_comprehensive_metrics())["health"] == "healthy"  # the window forgets


async def test_a_slow_operation_exceeds_its_threshold_in_milliseconds():
    monitor = MonitoringIntegration({"alert_thresholds": {"response_time_p95": 0}})
    monitor.create_monitored_method("llm", "call")(lambda: None)()
    (alert,) = (await monitor.get_comprehensive_metrics())["alerts"]
    assert alert["alert"] == "response_time_p95"


async def test_a_stream_is_timed_to_its_first_item_and_to_its_end():
    monitor, gate = MonitoringIntegration(), asyncio.Event()

    @monitor.create_monitored_method("llm", "stream")
    async def words(n: int):
        for word in range(n):
            yield word

    assert [word async for word in words(3)] == [0, 1, 2]
    left = words(3)
    assert await anext(left) == 0
    await left.aclose()
    gate.set()
    operations = (await monitor.get_comprehensive_metrics())["components"]["llm"]["operations"]
    assert {name: (found["count"], found["errors"]) for name, found in operations.items()} == {
        "stream": (2, 0),
        "stream first item": (2, 0),
    }


async def test_a_stream_that_breaks_is_an_error():
    monitor = MonitoringIntegration()

    @monitor.create_monitored_method("llm", "stream")
    async def words():
        yield 1
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        [word async for word in words()]
    operations = (await monitor.get_comprehensive_metrics())["components"]["llm"]["operations"]
    assert (operations["stream"]["errors"], operations["stream first item"]["errors"]) == (1, 0)


async def test_what_is_wrapped_stays_what_it_was():
    monitor = MonitoringIntegration()
    wrap = monitor.create_monitored_method("a", "b")

    async def coroutine() -> None:
        """Say it."""

    async def stream():
        yield 1

    assert inspect.iscoroutinefunction(wrap(coroutine))
    assert inspect.isasyncgenfunction(wrap(stream))
    assert wrap(coroutine).__doc__ == "Say it."


async def test_switched_off_it_leaves_functions_as_they_are():
    monitor = MonitoringIntegration({"monitoring_enabled": False})

    def function() -> None: ...

    assert monitor.create_monitored_method("a", "b")(function) is function
    metrics = await monitor.get_comprehensive_metrics()
    assert (metrics["monitoring_enabled"], metrics["components"]) == (False, {})


async def test_prometheus_reads_the_export():
    monitor = MonitoringIntegration()
    for n in range(300):
        monitor.create_monitored_method("llm", f"operation {n}")(lambda: None)()
    families = {family.name: family for family in text_string_to_metric_families(monitor.export_prometheus())}
    counts = [one.value for one in families["workbench_operation_seconds"].samples if one.name.endswith("_count")]
    assert (sum(counts), len(counts)) == (300, 101)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"enabled": True}, "known: alert_thresholds, monitoring_enabled"),
        ({"alert_thresholds": {"errors": 1}}, "known: error_rate, response_time_p95"),
        ({"alert_thresholds": {"error_rate": 5}}, "a share"),
        ({"alert_thresholds": {"response_time_p95": "2 s"}}, "milliseconds"),
        ({"alert_thresholds": [1]}, "dictionary"),
        ({"monitoring_enabled": "yes"}, "True or False"),
    ],
)
def test_an_unknown_key_or_an_impossible_value_is_refused(config, told):
    with pytest.raises(ConfigError) as refused:
        MonitoringIntegration(config)
    assert told in f"{refused.value} {refused.value.hint}"


def test_importing_the_package_loads_no_vendor():
    code = "import sys, engine.monitoring.integration, engine.monitoring.tracing; print([n for n in ('prometheus_client', 'opentelemetry') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


class Called:
    """An object that is called like an async function."""

    async def __call__(self):
        raise RuntimeError("down")


async def test_objects_that_are_called_like_async_functions_are_awaited_before_they_count():
    monitor = MonitoringIntegration()
    with pytest.raises(RuntimeError):
        await monitor.create_monitored_method("llm", "x")(Called())()
    found = await monitor.get_comprehensive_metrics()
    assert found["components"]["llm"]["operations"]["x"]["errors"] == 1
