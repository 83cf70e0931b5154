"""Writes workbench.json, the dashboard: `python deploy/grafana/make_dashboard.py`. A panel is one line below."""

import json
from pathlib import Path
from typing import Any

P = "workbench_"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
QUANTILES = (0.5, 0.95, 0.99)


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Return the rate of a counter over the interval of the panel, of all replicas together."""
    return f"sum by ({by}) (rate({P}{metric}{{{where}}}[$__rate_interval]))"


def quantiles(metric: str, by: str) -> list[tuple[str, str]]:
    """Return targets for the percentiles of a timing."""
    labels = " ".join("{{" + name + "}}" for name in by.split(", "))
    return [
        (f"histogram_quantile({q}, sum by (le, {by}) (rate({P}{metric}_bucket[$__rate_interval])))", f"p{q * 100:.0f} {labels}")
        for q in QUANTILES
    ]


DEPENDENCY = "operation, provider, model"
HIT = 'result="hit"'
NAMED = "{{operation}} {{provider}} {{model}}"
ROWS = {
    "Now": [
        ("Checks: 0 ok, 1 degraded, 2 failed", "none", [(f"max by (check) ({P}check_state)", "{{check}}")]),
        ("Alerts that fire", "none", [(f"max({P}alerts_firing)", "alerts")]),
        ("Breakers: 0 closed, 1 half-open, 2 open, 3 forced", "none", [(f"max by ({DEPENDENCY}) ({P}breaker_state)", NAMED)]),
    ],
    "Questions": [
        ("Time by stage", "s", quantiles("stage_seconds", "stage")),
        ("Questions by outcome", "reqps", [(rate("questions_total", "outcome"), "{{outcome}}")]),
        ("Answers by who gave them", "reqps", [(rate("answers_total", "served_by"), "{{served_by}}")]),
        ("Sentences by support", "cps", [(rate("sentences_total", "support"), "{{support}}")]),
    ],
    "Traffic and errors": [
        ("Requests by area", "reqps", [(rate("http_seconds_count", "area, status"), "{{area}} {{status}}")]),
        ("Time of requests", "s", quantiles("http_seconds", "area")),
        ("Errors by class", "cps", [(rate("errors_total", "error"), "{{error}}")]),
        ("Slowed down", "cps", [(rate("limited_total", "what"), "{{what}}")]),
        ("Sign-ins", "cps", [(rate("sign_ins_total", "outcome"), "{{outcome}}")]),
    ],
    "Models and stores": [
        ("Time of calls", "s", quantiles("dependency_seconds", DEPENDENCY)),
        ("Calls by result", "reqps", [(rate("dependency_calls_total", f"{DEPENDENCY}, result"), NAMED + " {{result}}")]),
        ("Refused without a call", "reqps", [(rate("not_permitted_total", f"{DEPENDENCY}, reason"), NAMED + " {{reason}}")]),
        ("Tried again", "reqps", [(rate("retries_total", "operation, reason"), "{{operation}} {{reason}}")]),
        ("Running calls", "none", [(f"sum by ({DEPENDENCY}) ({P}bulkhead_in_use)", NAMED)]),
    ],
    "Caches": [
        ("Share of hits", "percentunit", [
            (f"{rate('cache_requests_total', 'cache', HIT)} / {rate('cache_requests_total', 'cache')}", "{{cache}}"),
        ]),
        ("Kept in this process", "bytes", [(f"sum by (instance) ({P}cache_bytes)", "{{instance}}")]),
        ("Redis", "bool_yes_no", [(f"min by (instance) ({P}redis_up)", "{{instance}}")]),
    ],
    "Documents": [
        ("Queue", "none", [(f"max({P}queue_documents)", "documents")]),
        ("The oldest in the queue", "s", [(f"max({P}queue_oldest_seconds)", "oldest")]),
        ("Documents by outcome", "cps", [(rate("documents_total", "outcome"), "{{outcome}}")]),
        ("Not in its store yet", "none", [(f"max by (store) ({P}store_backlog_documents)", "{{store}}")]),
        ("The oldest that is not in its store", "s", [(f"max by (store) ({P}store_backlog_oldest_seconds)", "{{store}}")]),
        ("Time by step", "s", quantiles("ingest_seconds", "step")),
    ],
    "Cost": [
        ("US dollars in an hour", "currencyUSD", [
            (f"sum by (provider, model) (increase({P}cost_usd_total[1h]))", "{{provider}} {{model}}"),
        ]),
        ("Tokens in a second", "cps", [
            (rate("tokens_total", "provider, model, direction"), "{{provider}} {{model}} {{direction}}"),
        ]),
    ],
}  # fmt: skip


def panel(number: int, title: str, unit: str, targets: list[tuple[str, str]], x: int, y: int) -> dict[str, Any]:
    """Return a chart, 8 of 24 columns wide."""
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": 8, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"lineWidth": 1, "fillOpacity": 5}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(65 + n), "expr": expression, "legendFormat": legend, "datasource": SOURCE}
            for n, (expression, legend) in enumerate(targets)
        ],
    }


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, charts in ROWS.items():
        row = {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        panels.append({**row, "collapsed": False, "panels": []})
        for n, (name, unit, targets) in enumerate(charts):
            panels.append(panel(len(panels) + 1, name, unit, targets, n % 3 * 8, y + 1 + n // 3 * 8))
        y += 1 + -(-len(charts) // 3) * 8
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "current": {}}
    return {
        "uid": "rag-workbench",
        "title": "RAG Workbench",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "tags": ["workbench"],
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


if __name__ == "__main__":
    Path(__file__).with_name("workbench.json").write_text(json.dumps(dashboard(), indent=1) + "\n")
