"""Looks at the rules again and again, in one process at a time: fires, resolves, and sends until it has arrived."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from engine.database import alerts
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.operations_models import AlertRow
from engine.errors import EngineError
from engine.monitoring.alerting import FIRE, Watch
from engine.operations_views import AlertRule
from engine.protocols import Meter
from engine.services.alert_channels import AlertChannels, Notice
from engine.services.alerts import WINDOW_MINUTES, Metrics, Value

logger = logging.getLogger(__name__)

TRIES = 4  # of sending one notice; with a look each 15 s that is most of a minute
SENT = "sent"
NAMED = 3

Which = Callable[[str, str], Awaitable[Sequence[str]]]
"""The names of what a metric of a label counts, none where it counts nothing that has names."""
RECENT = timedelta(hours=1)


class AlertWatch:
    """One a process; `run` belongs into a background task. `clock` gives Unix seconds."""

    def __init__(
        self,
        *,
        database: Database,
        channels: AlertChannels,
        value: Value,
        metrics: Metrics,
        meter: Meter,
        which: Which | None = None,
        every_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._channels = channels
        self._value = value
        self._metrics = metrics
        self._meter = meter
        self._which = which
        self._every = every_seconds
        self._clock = clock
        self._owner = uuid.uuid4().hex[:20]
        self._watches: dict[str, Watch] = {}

    async def run(self) -> None:
        """Look until it is cancelled."""
        while True:
            try:
                await self.look()
            except EngineError as error:  # the database is away for a moment: the next look tells all
                logger.warning("the alert rules could not be looked at: %s", error)
            except Exception:  # whatever it was, alerts must not stay silent for the rest of this process
                logger.exception("looking at the alert rules failed")
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Judge every rule once, if it is this process's turn. Raises StoreError."""
        async with self._database.write() as session:
            mine = await alerts.lead(session, self._owner)
        if not mine:
            self._watches.clear()  # another process knows better; what this one knew is out of date
            return
        async with self._database.read() as session:
            rules = {rule.id: rule for rule in await alerts.rules(session)}
            firing = await alerts.open_rules(session)
            ended = await alerts.last_resolved(session, now() - timedelta(days=8))
        units = {metric.name: (metric.label, metric.unit) for metric in await self._metrics()}
        self._watches = {key: watch for key, watch in self._watches.items() if key in rules}
        for rule in rules.values():
            quiet = ended[rule.id].timestamp() + rule.cooldown_minutes * 60 if rule.id in ended else 0.0
            watch = self._watches.setdefault(rule.id, Watch(quiet_until=quiet))
            watch.firing = rule.id in firing
            value = await self._value(rule.metric, rule.label, WINDOW_MINUTES) if rule.enabled else None
            if verdict := watch.look(rule, value, self._clock()):
                label, unit = units.get(rule.metric, (rule.metric, ""))
                named = await self._which(rule.metric, rule.label) if self._which else []
                await self._change(rule, value, fired=verdict == FIRE, what=_words(rule, value, label, unit, named))
        self._meter.gauged("alerts_firing", (), float(sum(watch.firing for watch in self._watches.values())))
        await self._deliver(rules)

    async def _change(self, rule: AlertRule, value: float | None, *, fired: bool, what: str) -> None:
        async with self._database.write() as session:
            if fired:
                row = await alerts.open_alert(session, rule, value=value or 0.0, detail=what)
            else:
                row = await alerts.close_alert(session, rule.id)
            if row is None:
                return  # another process was quicker
            action = "alert.fire" if fired else "alert.resolve"
            await record(session, None, action, row.id, rule=rule.name, metric=rule.metric, label=rule.label, value=value)
        logger.warning("alert %s: %s", "fired" if fired else "resolved", rule.name)

    async def _deliver(self, rules: dict[str, AlertRule]) -> None:
        async with self._database.read() as session:
            rows = await alerts.undelivered(session, now() - RECENT)
        for row in rows:
            rule = rules.get(row.rule_id)
            if rule is None or (rule.silenced_until and rule.silenced_until > now()):
                continue
            for event in ("fired", "resolved") if row.resolved_at else ("fired",):
                for channel in rule.channels:
                    await self._send(row, rule, channel, event)

    async def _send(self, row: AlertRow, rule: AlertRule, channel: str, event: str) -> None:
        key = f"{channel}:{event}"
        before = row.deliveries.get(key, {})
        tries = int(before.get("tries", 0))
        never_fired = event == "resolved" and row.deliveries.get(f"{channel}:fired", {}).get("told") != SENT
        if before.get("told") == SENT or tries >= TRIES or never_fired or (event == "fired" and row.resolved_at):
            return
        told = await self._channels.send(channel, _notice(row, rule, event))
        async with self._database.write() as session:
            again = await session.get(AlertRow, row.id, with_for_update=True)
            if again is not None:
                again.deliveries = {**again.deliveries, key: {"told": told[:200], "tries": tries + 1}}
                row.deliveries = again.deliveries

    async def purge(self) -> None:
        """Remove alerts that ended long ago. For the engine."""
        async with self._database.write() as session:
            await alerts.purge(session)


def _words(rule: AlertRule, value: float | None, label: str, unit: str, named: Sequence[str]) -> str:
    of = f" of {rule.label}" if rule.label else ""
    beyond = "above" if rule.above else "below"
    shown = "nothing to measure" if value is None else f"{value:.4g} {unit}".strip()
    told = f" ({', '.join(named[:NAMED])}{', …' * (len(named) > NAMED)})" if named else ""
    return f"{label}{of}: {shown}{told}; the rule fires {beyond} {rule.threshold:g} {unit}".strip()


def _notice(row: AlertRow, rule: AlertRule, event: str) -> Notice:
    return Notice(
        event=event,
        title=f"{row.rule} {event}",
        text=row.detail if event == "fired" else f"It is over. It was: {row.detail}",
        facts={
            "rule": row.rule,
            "metric": rule.metric,
            "label": rule.label,
            "value": row.value,
            "threshold": rule.threshold,
            "started_at": row.started_at.isoformat(),
            "resolved_at": row.resolved_at.isoformat() if row.resolved_at else None,
            "alert_id": row.id,
        },
    )
