"""Alert rules, channels and alerts in SQL. An open alert is unique for its rule, so that many processes fire it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import leases
from engine.database.columns import new_id, now
from engine.database.operations_models import AlertChannelRow, AlertRow, AlertRuleRow
from engine.operations_views import AlertChannel, AlertInfo, AlertRule

LEASE = "lease:alerts"
LEASE_SECONDS = 60
KEPT = timedelta(days=400)


async def rules(session: AsyncSession) -> list[AlertRule]:
    """Return all rules, by name."""
    return [rule_of(row) for row in await session.scalars(select(AlertRuleRow).order_by(AlertRuleRow.name, AlertRuleRow.id))]


def rule_of(row: AlertRuleRow) -> AlertRule:
    """Return a rule as it is shown."""
    return AlertRule(
        id=row.id,
        name=row.name,
        metric=row.metric,
        label=row.label,
        above=row.above,
        threshold=row.threshold,
        for_minutes=row.for_minutes,
        cooldown_minutes=row.cooldown_minutes,
        enabled=row.enabled,
        channels=tuple(row.channels),
        silenced_until=row.silenced_until,
        changed_by=row.changed_by,
    )


async def save_rule(session: AsyncSession, rule: AlertRule, *, by: str) -> AlertRuleRow | None:
    """Write a rule, a new one when it has no id; None when there is none with that id."""
    row = await session.get(AlertRuleRow, rule.id) if rule.id else AlertRuleRow(id=new_id())
    if row is None:
        return None
    for name in ("name", "metric", "label", "above", "threshold", "for_minutes", "cooldown_minutes", "enabled"):
        setattr(row, name, getattr(rule, name))
    row.channels, row.changed_by, row.changed_at = list(rule.channels), by[:100], now()
    session.add(row)
    await session.flush()
    return row


async def channels(session: AsyncSession) -> list[AlertChannel]:
    """Return all channels, by name, without their targets."""
    rows = await session.scalars(select(AlertChannelRow).order_by(AlertChannelRow.name, AlertChannelRow.id))
    return [channel_of(row) for row in rows]


def channel_of(row: AlertChannelRow) -> AlertChannel:
    """Return a channel as it is shown."""
    return AlertChannel(
        id=row.id, name=row.name, kind=row.kind, shown=row.shown, last_result=row.last_result, last_at=row.last_at
    )


async def open_alert(session: AsyncSession, rule: AlertRule, *, value: float, detail: str) -> AlertRow | None:
    """Begin an alert; None when one of this rule is open already."""
    row = AlertRow(
        id=new_id(),
        rule_id=rule.id,
        rule=rule.name,
        open_key=rule.id,
        value=value,
        detail=detail[:500],
        started_at=now(),
        deliveries={},
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return None
    return row


async def close_alert(session: AsyncSession, rule_id: str) -> AlertRow | None:
    """End the open alert of a rule; None when there is none."""
    row = await session.scalar(select(AlertRow).where(AlertRow.open_key == rule_id).with_for_update())
    if row is not None:
        row.open_key, row.resolved_at = None, now()
    return row


async def open_rules(session: AsyncSession) -> dict[str, datetime]:
    """Return the ids of rules with an open alert, and when it began."""
    rows = await session.execute(select(AlertRow.rule_id, AlertRow.started_at).where(AlertRow.open_key.is_not(None)))
    return {rule_id: at for rule_id, at in rows}


async def last_resolved(session: AsyncSession, since: datetime) -> dict[str, datetime]:
    """Return rule id -> when its last alert ended, of those that ended since then."""
    rows = await session.execute(
        select(AlertRow.rule_id, AlertRow.resolved_at).where(AlertRow.resolved_at >= since).order_by(AlertRow.resolved_at)
    )
    return {rule_id: at for rule_id, at in rows if at is not None}


async def undelivered(session: AsyncSession, since: datetime) -> list[AlertRow]:
    """Return alerts that are open, or were until then, and may not have reached all of their channels, oldest first."""
    recent = or_(AlertRow.open_key.is_not(None), AlertRow.resolved_at >= since)
    return list(await session.scalars(select(AlertRow).where(recent).order_by(AlertRow.started_at)))


async def infos(session: AsyncSession, *, limit: int, names: Mapping[str, str]) -> list[AlertInfo]:
    """Return alerts: firing ones first, then the newest. `names` is channel id -> name."""
    order = (AlertRow.resolved_at.is_not(None), AlertRow.started_at.desc())
    return [_info(row, names) for row in await session.scalars(select(AlertRow).order_by(*order).limit(limit))]


def _info(row: AlertRow, names: Mapping[str, str]) -> AlertInfo:
    told = {}
    for key, outcome in row.deliveries.items():
        channel, _, event = key.partition(":")
        told[f"{names.get(channel, 'a removed channel')} ({event})"] = str(outcome.get("told", ""))
    return AlertInfo(
        id=row.id,
        rule_id=row.rule_id,
        rule=row.rule,
        firing=row.open_key is not None,
        value=row.value,
        detail=row.detail,
        started_at=row.started_at,
        resolved_at=row.resolved_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        deliveries=told,
    )


async def lead(session: AsyncSession, owner: str) -> bool:
    """Take or prolong the right to look at the rules: one process at a time has it, another takes over after a minute."""
    return await leases.take(session, LEASE, owner, seconds=LEASE_SECONDS)


async def purge(session: AsyncSession) -> None:
    """Remove alerts that ended long ago."""
    await session.execute(delete(AlertRow).where(AlertRow.resolved_at < now() - KEPT))


async def without_channel(session: AsyncSession, channel_id: str) -> None:
    """Take a channel out of all rules."""
    for row in await session.scalars(select(AlertRuleRow)):
        if channel_id in row.channels:
            row.channels = [one for one in row.channels if one != channel_id]


async def known_channels(session: AsyncSession, ids: Sequence[str]) -> bool:
    """Whether all of these channels exist."""
    return set(ids) <= set(await session.scalars(select(AlertChannelRow.id)))
