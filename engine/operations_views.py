"""What operators see: breakers, measurements, alerts, incidents. Read-only rows, made by the facade for one principal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# --- dependencies and their breakers ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """What a breaker stands in front of: one operation ("chat", "embedding", "rerank", "store") of one provider and model."""

    operation: str
    provider: str
    model: str = ""

    def __str__(self) -> str:
        return " · ".join(part for part in (self.operation, self.provider, self.model) if part)


class BreakerState(StrEnum):
    """The states of a breaker. The forced ones were set by an operator and stay until an operator ends them."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    TRIPPED = "tripped"  # forced open: no call passes, running ones are given up
    DRAINING = "draining"  # forced open: no call passes, running ones may end
    HELD = "held closed"  # forced closed: every call passes, whatever the rates


class BreakerCommand(StrEnum):
    """What an operator may do with a breaker. `RESET` goes back to closed, with an empty window and the first wait."""

    TRIP = "trip"
    DRAIN = "drain"
    HOLD = "hold"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerInfo:
    """A breaker and its bulkhead, as this process knows them.

    Rates are shares 0..1 of the calls in the window (`calls`), None below the minimum number of calls. `permitted` counts the
    calls that went through since the start, `not_permitted` those that were refused. `retry_after_seconds` is how long the
    breaker stays open; `shared` = another process opened it.
    """

    id: str
    dependency: Dependency
    state: BreakerState
    since: datetime
    calls: int
    failure_rate: float | None
    slow_rate: float | None
    permitted: int
    not_permitted: int
    in_use: int
    limit: int
    retry_after_seconds: float = 0.0
    last_error: str = ""
    forced_by: str = ""
    reason: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A breaker changed its state. `by` is "" for the breaker itself, "another process", or an operator's name."""

    dependency: Dependency
    before: BreakerState
    after: BreakerState
    at: datetime
    reason: str
    by: str = ""


# --- health ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether this process can serve: "ready", "degraded" (it serves, with a part missing) or "unready"."""

    state: str
    reasons: tuple[str, ...] = ()


# --- measurements ----------------------------------------------------------------------------------------------------


class Range(StrEnum):
    """How far back the charts go."""

    QUARTER = "15 min"
    HOUR = "1 h"
    DAY = "24 h"
    WEEK = "7 days"
    MONTH = "30 days"

    @property
    def seconds(self) -> int:
        """The length."""
        return {"15 min": 900, "1 h": 3600, "24 h": 86_400, "7 days": 604_800, "30 days": 2_592_000}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long something took in a span of time: `label` is a stage, or a dependency as text. Milliseconds."""

    label: str
    count: int
    errors: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingPoint:
    """A `Timing` of one step of a chart that begins at `at`."""

    at: datetime
    timing: Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPoint:
    """One step of a chart. `fallback` counts answers by another than the first link, `cached` those that were kept."""

    at: datetime
    questions: int
    failed: int
    refused: int
    fallback: int
    cached: int
    documents_done: int
    documents_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowFile:
    """A file whose processing took long, or has not ended."""

    document_id: str
    document: str
    state: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """The queue now, and the slowest files of the range. `stalled` wait although a worker could take them."""

    waiting: int
    running: int
    oldest_seconds: float
    slowest: tuple[SlowFile, ...] = ()
    stalled: tuple[SlowFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """US dollars. `forecast` is this month at the pace of its days so far; `unknown_calls` have no price and are in no sum."""

    today: float
    month: float
    forecast: float
    unknown_calls: int = 0
    by_model: tuple[tuple[str, float], ...] = ()
    by_user: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How answers in the range were: sentences by support, and shares 0..1 (None without any)."""

    answers: int
    unsupported_rate: float | None
    refusal_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """One of the caches. `rate` is hits of all look-ups in the range, None without any; `where` is "redis" or "memory"."""

    name: str
    where: str
    hits: int
    misses: int
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What the charts of the health page show, for one range; all replicas together. `empty` before the first question."""

    range: Range
    since: datetime
    step_seconds: int
    empty: bool
    stages: tuple[Timing, ...] = ()
    stage_points: tuple[TimingPoint, ...] = ()
    dependencies: tuple[Timing, ...] = ()
    traffic: tuple[TrafficPoint, ...] = ()
    caches: tuple[CacheInfo, ...] = ()
    errors: tuple[tuple[str, int], ...] = ()
    ingestion: Ingestion = field(default_factory=lambda: Ingestion(waiting=0, running=0, oldest_seconds=0.0))
    spending: Spending = field(default_factory=lambda: Spending(today=0.0, month=0.0, forecast=0.0))
    quality: Quality = field(default_factory=lambda: Quality(answers=0, unsupported_rate=None, refusal_rate=None))


# --- alerts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMetric:
    """Something a rule may watch: `unit` is "", "ms", "%", "s" or "US$"; `labels` are what it can be narrowed to now."""

    name: str
    label: str
    unit: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """Fires when `metric` (of `label`, "" = all together) is `above` the threshold (or below it) for `for_minutes`.

    It resolves when that is no longer so, and does not fire again within `cooldown_minutes`. `id` is "" for a new rule;
    `channels` are ids of channels, in-app always included.
    """

    id: str = ""
    name: str
    metric: str
    label: str = ""
    above: bool = True
    threshold: float
    for_minutes: float = 0.0
    cooldown_minutes: float = 10.0
    enabled: bool = True
    channels: tuple[str, ...] = ()
    silenced_until: datetime | None = None
    changed_by: str = ""
    value: float | None = None  # what it is now, None while there is nothing to measure


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChannel:
    """Where alerts go: `kind` is "webhook" or "mail". `target` is only given to save it; `shown` is a harmless part of it."""

    id: str = ""
    name: str
    kind: str
    target: str = field(default="", repr=False)
    shown: str = ""
    last_result: str = ""
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertInfo:
    """One alert, from its firing to its end. `deliveries` are channel -> "sent" or why not."""

    id: str
    rule_id: str
    rule: str
    firing: bool
    value: float
    detail: str
    started_at: datetime
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    deliveries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A line of the timeline. `kind` is "alert", "breaker", "change" or "server"; `state` "bad", "good" or "note"."""

    at: datetime
    kind: str
    state: str
    title: str
    detail: str = ""
    by: str = ""
