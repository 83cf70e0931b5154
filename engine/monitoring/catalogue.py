"""Every metric that exists: its kind, the names of its labels, how many label sets are told apart, and what it means.

A label set beyond the cap counts as "other", so that the number of series has a bound whatever users and models come along.
No label ever holds a user, a document, a question or a key.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """`kind` is "timing" (a histogram of seconds), "counter" or "gauge". `cap` bounds the sets of label values."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()
    cap: int = 20


_DEPENDENCY = ("operation", "provider", "model")

METRICS: dict[str, Metric] = {
    # questions and their stages
    "stage_seconds": Metric("timing", "Stages of answering a question", ("stage",), 12),
    "questions_total": Metric(
        "counter", "Questions by what became of them", ("outcome",), 8
    ),  # answered refused failed stopped
    "answers_total": Metric("counter", "Answers by who gave them", ("served_by",), 8),  # first fallback extractive cache
    "sentences_total": Metric("counter", "Sentences of answers by support", ("support",), 6),
    "tokens_total": Metric("counter", "Tokens of models", ("provider", "model", "direction"), 60),
    "cost_usd_total": Metric("counter", "Cost of models in US dollars", ("provider", "model"), 30),
    # dependencies
    "dependency_seconds": Metric("timing", "Calls of models and stores", _DEPENDENCY, 20),
    "dependency_calls_total": Metric("counter", "Calls by result", (*_DEPENDENCY, "result"), 120),  # success failure neutral
    "breaker_state": Metric("gauge", "0 closed, 1 half-open, 2 open, 3 forced open, -1 held closed", _DEPENDENCY, 30),
    "not_permitted_total": Metric("counter", "Calls that were refused", (*_DEPENDENCY, "reason"), 60),  # open full budget
    "slow_calls_total": Metric("counter", "Calls that took longer than the limit for slow ones", _DEPENDENCY, 30),
    "retries_total": Metric("counter", "Further tries by what went wrong before", ("operation", "reason"), 40),
    "bulkhead_in_use": Metric("gauge", "Calls that are running", _DEPENDENCY, 30),
    # caches and limits
    "cache_requests_total": Metric("counter", "Look-ups", ("cache", "result")),  # answers embeddings ...; hit miss error
    "cache_bytes": Metric("gauge", "Bytes kept in this process"),
    "redis_up": Metric("gauge", "1 while Redis answers, 0 while this process does without"),
    "limited_total": Metric("counter", "What was slowed down", ("what",)),
    # ingestion
    "ingest_seconds": Metric("timing", "Steps of processing a document", ("step",), 8),
    "documents_total": Metric("counter", "Documents by what became of them", ("outcome",), 6),  # live failed
    "queue_documents": Metric("gauge", "Documents that wait or are in work"),
    "queue_oldest_seconds": Metric("gauge", "How long the oldest of them has waited"),
    "store_backlog_documents": Metric("gauge", "Changed documents that a store has still to take in", ("store",), 12),
    "store_backlog_oldest_seconds": Metric("gauge", "How long the oldest of them has waited", ("store",), 12),
    # the server
    "http_seconds": Metric("timing", "Requests by area", ("area", "status"), 24),
    "errors_total": Metric("counter", "Errors by class", ("error",), 40),
    "sign_ins_total": Metric("counter", "Sign-ins by outcome", ("outcome",), 12),
    "check_state": Metric("gauge", "Health checks: 0 ok, 1 degraded, 2 failed", ("check",), 40),
    "alerts_firing": Metric("gauge", "Alerts that are firing"),
    # functions that MonitoringIntegration wraps
    "operation_seconds": Metric("timing", "Functions measured by their owners", ("component", "operation"), 20),
}
"""Prometheus names have `workbench_` in front."""
