"""Alert rules and alerts, as operators work with them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import alerts
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.operations_models import AlertRow, AlertRuleRow
from engine.errors import InputError, NotFound, StoreError
from engine.operations_views import AlertInfo, AlertMetric, AlertRule
from engine.services.accounts import require_operator
from engine.services.naming import clean_name
from engine.types import Principal

WINDOW_MINUTES = 5.0  # what a value is measured over
LONGEST_MINUTES = 7 * 24 * 60.0
MOST_RULES = 200
PAGE = 500
NAME_CHARS = 100
TOLD = ("metric", "label", "above", "threshold", "for_minutes", "cooldown_minutes", "enabled")

Value: TypeAlias = Callable[[str, str, float], Awaitable[float | None]]
"""(metric, label, minutes) -> what it is now, None while there is nothing to measure. Raises StoreError."""
Metrics: TypeAlias = Callable[[], Awaitable[list[AlertMetric]]]


class Alerts:
    """Rules, and what they found."""

    def __init__(self, *, database: Database, metrics: Metrics, value: Value) -> None:
        self._database = database
        self._metrics = metrics
        self._value = value

    async def metrics(self, principal: Principal) -> list[AlertMetric]:
        """Return what a rule may watch. Raises AccessDenied."""
        require_operator(principal)
        return await self._metrics()

    async def rules(self, principal: Principal) -> list[AlertRule]:
        """Return all rules with the present value of what each watches. Raises AccessDenied."""
        require_operator(principal)
        async with self._database.read() as session:
            found = await alerts.rules(session)
        return [replace(rule, value=await self._now(rule)) for rule in found]

    async def save_rule(self, principal: Principal, rule: AlertRule) -> AlertRule:
        """Make a rule (no id), or change one; it is looked at within seconds. Raises InputError, NotFound, AccessDenied."""
        require_operator(principal)
        rule = await self._checked(rule)
        async with self._database.write() as session:
            if not await alerts.known_channels(session, rule.channels):
                raise InputError("a channel of this rule does not exist any more", hint="Choose its channels again.")
            if not rule.id and len(await alerts.rules(session)) >= MOST_RULES:
                raise InputError(f"there are {MOST_RULES} rules already", hint="Remove one first.")
            row = await alerts.save_rule(session, rule, by=principal.name)
            if row is None:
                raise NotFound("there is no such rule", hint="It was removed meanwhile.")
            told: dict[str, Any] = {name: getattr(rule, name) for name in TOLD}
            what = "change" if rule.id else "make"
            await record(
                session, principal, "alert.rule", row.id, name=rule.name, what=what, channels=len(rule.channels), **told
            )
        return alerts.rule_of(row)

    async def delete_rule(self, principal: Principal, rule_id: str) -> None:
        """Remove a rule; its alerts stay in the history, an open one is resolved. Raises NotFound, AccessDenied."""
        require_operator(principal)
        async with self._database.write() as session:
            row = await self._rule(session, rule_id)
            await alerts.close_alert(session, rule_id)
            await session.delete(row)
            await record(session, principal, "alert.rule", rule_id, name=row.name, what="remove")

    async def silence(self, principal: Principal, rule_id: str, minutes: float) -> None:
        """Send nothing of a rule for so many minutes; 0 lets it speak again. Raises InputError, NotFound, AccessDenied."""
        require_operator(principal)
        if not 0 <= minutes <= LONGEST_MINUTES:
            raise InputError("a rule is silenced for at most a week", hint="Switch it off instead.")
        async with self._database.write() as session:
            row = await self._rule(session, rule_id)
            row.silenced_until = now() + timedelta(minutes=minutes) if minutes else None
            await record(session, principal, "alert.silence", rule_id, name=row.name, minutes=minutes)

    async def alerts(self, principal: Principal, *, limit: int = 100) -> list[AlertInfo]:
        """Return alerts: firing ones first, then the newest. Raises AccessDenied."""
        require_operator(principal)
        async with self._database.read() as session:
            names = {one.id: one.name for one in await alerts.channels(session)}
            return await alerts.infos(session, limit=max(1, min(limit, PAGE)), names=names)

    async def acknowledge(self, principal: Principal, alert_id: str) -> None:
        """Say that somebody looks after an alert. Raises NotFound, AccessDenied."""
        require_operator(principal)
        async with self._database.write() as session:
            row = await session.get(AlertRow, alert_id)
            if row is None:
                raise NotFound("there is no such alert")
            if row.acknowledged_at is None:
                row.acknowledged_at, row.acknowledged_by = now(), principal.name[:100]
                await record(session, principal, "alert.acknowledge", alert_id, rule=row.rule)

    async def _now(self, rule: AlertRule) -> float | None:
        try:
            return await self._value(rule.metric, rule.label, WINDOW_MINUTES)
        except StoreError:
            return None

    async def _checked(self, rule: AlertRule) -> AlertRule:
        name = clean_name(rule.name, "a rule", most=NAME_CHARS)
        known = {one.name: one for one in await self._metrics()}
        if rule.metric not in known:
            raise InputError("there is nothing of this name to watch", hint=f"Known: {', '.join(sorted(known))}.")
        if len(rule.label) > 300 or not rule.label.isprintable():
            raise InputError("this is no label", hint="Choose one from the list.")
        numbers = (rule.threshold, rule.for_minutes, rule.cooldown_minutes)
        if not all(math.isfinite(number) for number in numbers) or abs(rule.threshold) > 1e12:
            raise InputError("a threshold is a number", hint="Enter another one.")
        if not (0 <= rule.for_minutes <= LONGEST_MINUTES and 0 <= rule.cooldown_minutes <= LONGEST_MINUTES):
            raise InputError("minutes are 0 to a week's", hint="Enter another number.")
        return replace(rule, name=name, channels=tuple(dict.fromkeys(rule.channels)))

    async def _rule(self, session: AsyncSession, rule_id: str) -> AlertRuleRow:
        row = await session.get(AlertRuleRow, rule_id)
        if row is None:
            raise NotFound("there is no such rule", hint="It was removed meanwhile.")
        return row
