"""What is in deploy/ fits the metrics that exist. (PromQL itself is not parsed: promtool is no part of the tests.)"""

import json
import re
import runpy
from pathlib import Path

import pytest
import yaml

from engine.monitoring.catalogue import METRICS

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
BOARD = json.loads((DEPLOY / "grafana" / "workbench.json").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
CHARTS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [
    *(pytest.param(rule["expr"], id=rule["alert"]) for rule in ALERTS),
    *(
        pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
        for panel in CHARTS
        for target in panel["targets"]
    ),
]
WORDS = {"sum", "max", "min", "by", "le", "rate", "increase", "histogram_quantile", "instance", "job", "up"}
RANGE = re.compile(r"\[(?:\d+[smh]|\$__rate_interval)\]")


def problems(expression):
    """Return what is wrong with an expression: names, suffixes, labels, values, parentheses."""
    found, text = [], re.sub(r'"[^"]*"', '""', expression)
    for opening, closing in ("()", "[]", "{}"):
        if text.count(opening) != text.count(closing):
            found.append(f"{opening} without {closing}")
    labels = {"instance", "job", "le"}
    for name, suffix in series(expression):
        metric = METRICS.get(name)
        if metric is None:
            found.append(f"no metric {name}")
            continue
        if (metric.kind == "timing") != bool(suffix):
            found.append(f"{name}: a {metric.kind} has no series {name}{suffix}")
        if (metric.kind != "gauge") != bool(re.search(rf"workbench_{name}{suffix}\b(?:{{[^}}]*}})?\[", expression)):
            found.append(f"{name}: counters need a range, gauges none")
        labels |= set(metric.labels)
    if "histogram_quantile" in expression and not ("_bucket" in expression and re.search(r"by \([^)]*\ble\b", expression)):
        found.append("a percentile needs the buckets and le")
    bare = RANGE.sub("", re.sub(r"workbench_\w+", "", text))
    found += [f"unknown word {word}" for word in re.findall(r"\b[a-z_]\w*", bare) if word not in WORDS | labels]
    return found


def series(expression):
    """Yield (metric, suffix) of every series of ours."""
    for full in re.findall(r"\bworkbench_(\w+)", expression):
        suffix = next((end for end in ("_bucket", "_sum", "_count") if full.endswith(end) and full not in METRICS), "")
        yield full.removesuffix(suffix), suffix


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_metrics_and_labels_that_exist(expression):
    assert problems(expression) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "sum(rate(workbench_nothing_total[5m]))",
        "sum(rate(workbench_stage_seconds[5m]))",
        "sum(rate(workbench_questions_total_count[5m]))",
        "sum(rate(workbench_questions_total[5m])",
        "sum(workbench_questions_total)",
        "rate(workbench_redis_up[5m])",
        'sum(rate(workbench_questions_total{stage="x"}[5m]))',
        "histogram_quantile(0.95, sum by (stage) (rate(workbench_stage_seconds_bucket[5m])))",
        "summ(rate(workbench_questions_total[5m]))",
    ],
)
def test_the_test_itself_finds_what_is_wrong(wrong):
    assert problems(wrong)


def test_the_dashboard_is_one_that_grafana_imports():
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert BOARD["uid"]
    assert BOARD["schemaVersion"] >= 36
    assert all(panel["targets"] and panel["title"] and panel["datasource"]["uid"] == "${datasource}" for panel in CHARTS)
    taken = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(taken) == len(set(taken))
    assert [one["name"] for one in BOARD["templating"]["list"]] == ["datasource"]


def test_the_dashboard_is_what_its_script_writes():
    assert runpy.run_path(str(DEPLOY / "grafana" / "make_dashboard.py"))["dashboard"]() == BOARD


def test_every_metric_of_the_server_is_on_the_dashboard():
    shown = {name for panel in CHARTS for target in panel["targets"] for name, _ in series(target["expr"])}
    assert set(METRICS) - shown == {"slow_calls_total", "operation_seconds"}  # the times show the one, the other is the owner's


def test_every_alert_says_for_whom_it_matters_and_what_to_do():
    names = [rule["alert"] for rule in ALERTS]
    assert len(names) == len(set(names))
    for rule in ALERTS:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", rule["for"])


def test_prometheus_comes_with_a_key_from_a_file_and_loads_the_rules():
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert set(job["authorization"]) == {"type", "credentials_file"}
    assert job["job_name"] == "workbench"
    assert all((DEPLOY / "prometheus" / name).exists() for name in config["rule_files"])
