"""The catalogue: what the documentation says of it, and what it can come to."""

from __future__ import annotations

import re
from pathlib import Path

from engine.monitoring.catalogue import METRICS
from engine.monitoring.series import BOUNDS

DOC = Path(__file__).resolve().parents[3] / "docs" / "monitoring.md"


def test_the_documentation_lists_every_metric_as_it_is():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, -]+) \| (\d+) \| (.+) \|$", DOC.read_text(), re.MULTILINE)
    assert [row[0] for row in rows] == list(METRICS)
    for name, kind, labels, sets, what in rows:
        metric = METRICS[name]
        told = (kind, "" if labels == "-" else labels, int(sets), what)
        assert told == (metric.kind, ", ".join(metric.labels), metric.cap if metric.labels else 1, metric.help)


def test_names_say_what_they_are():
    for name, metric in METRICS.items():
        assert metric.kind in {"timing", "counter", "gauge"}
        assert name.endswith("_seconds") or metric.kind != "timing", name
        assert name.endswith("_total") == (metric.kind == "counter"), name


def test_all_caps_together_stay_below_two_thousand_series():
    of_one = {"timing": len(BOUNDS) + 1 + 2 + 1, "counter": 1, "gauge": 1}  # buckets, sum and count, failures
    most = sum((metric.cap + 1 if metric.labels else 1) * of_one[metric.kind] for metric in METRICS.values())
    assert most + 20 < 2_000  # the process and its Python
