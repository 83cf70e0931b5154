"""The tables behind the health page: history of measurements, what operators forced, alerts, and who is alive."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from engine.database.columns import Base, LongText, Real, now


class RollupRow(Base):
    """What one replica measured of one metric and label in the `resolution` seconds that begin at `at`.

    `buckets` are counts of a log-scaled histogram (`engine.monitoring.sketch`), so that percentiles of sums are right.
    """

    __tablename__ = "rollups"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    resolution: Mapped[int]
    at: Mapped[datetime]
    replica: Mapped[str] = mapped_column(String(60))
    metric: Mapped[str] = mapped_column(String(60))
    label: Mapped[str] = mapped_column(String(300), default="")
    count: Mapped[int] = mapped_column(default=0)
    errors: Mapped[int] = mapped_column(default=0)
    total: Mapped[float] = mapped_column(Real, default=0.0)
    buckets: Mapped[dict[str, Any]] = mapped_column(default=dict)
    __table_args__ = (Index("ix_rollups_resolution_metric_at", "resolution", "metric", "at"),)


class BreakerForce(Base):
    """A breaker that an operator tripped, drains or holds closed; every process follows, also after a restart."""

    __tablename__ = "breaker_forces"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    dependency: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(100), default="")
    reason: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime] = mapped_column(default=now)


class AlertRuleRow(Base):
    """A rule. Since when it is breached is not here: who takes over measures anew. That it fires is its open alert."""

    __tablename__ = "alert_rules"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    metric: Mapped[str] = mapped_column(String(60))
    label: Mapped[str] = mapped_column(String(300), default="")
    above: Mapped[bool] = mapped_column(default=True)
    threshold: Mapped[float] = mapped_column(Real)
    for_minutes: Mapped[float] = mapped_column(Real, default=0.0)
    cooldown_minutes: Mapped[float] = mapped_column(Real, default=10.0)
    enabled: Mapped[bool] = mapped_column(default=True)
    channels: Mapped[list[Any]] = mapped_column(default=list)
    silenced_until: Mapped[datetime | None]
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime] = mapped_column(default=now)


class AlertChannelRow(Base):
    """Where alerts go. The target (an address that may hold a token) is sealed."""

    __tablename__ = "alert_channels"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(20))
    sealed_target: Mapped[str] = mapped_column(LongText)
    shown: Mapped[str] = mapped_column(String(200), default="")
    last_result: Mapped[str] = mapped_column(String(300), default="")
    last_at: Mapped[datetime | None]


class AlertRow(Base):
    """An alert. `open_key` is the rule's id while it fires and NULL afterwards: unique, so that many replicas fire it once."""

    __tablename__ = "alerts"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    rule_id: Mapped[str] = mapped_column(String(32), index=True)
    rule: Mapped[str] = mapped_column(String(100))
    open_key: Mapped[str | None] = mapped_column(String(32), unique=True)
    value: Mapped[float] = mapped_column(Real)
    detail: Mapped[str] = mapped_column(String(500), default="")
    started_at: Mapped[datetime] = mapped_column(index=True)
    resolved_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str] = mapped_column(String(100), default="")
    deliveries: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Heartbeat(Base):
    """A process that serves (`kind` "server"), and when it last said so; `facts` hold its version, slots and host.

    Rows `lease:...` are leases instead (`engine.database.leases`): `kind` is the process that has it.
    """

    __tablename__ = "heartbeats"
    id: Mapped[str] = mapped_column(String(60), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(default=now)
    at: Mapped[datetime] = mapped_column(default=now)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Preference(Base):
    """What one user chose for a screen, such as the range of the charts."""

    __tablename__ = "preferences"
    user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(200), default="")
