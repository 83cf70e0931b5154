"""What operators work with: health, breakers, measurements, alerts; and what keeps them up to date in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any

import engine
from engine.checking import Checking
from engine.errors import EngineError
from engine.operations_views import AlertInfo, Incident, Measurements, Range
from engine.services import heartbeats
from engine.services.alert_channels import AlertChannels
from engine.services.alert_watch import AlertWatch
from engine.services.alertable import Alertable
from engine.services.alerts import Alerts
from engine.services.breakers import Breakers
from engine.services.cache_desk import CacheDesk
from engine.services.heartbeats import Heartbeats
from engine.services.history import History
from engine.services.incidents import Incidents
from engine.services.measurements import Measured
from engine.services.operations import Operations
from engine.services.preferences import Preferences
from engine.services.replicas import Replica, replica
from engine.services.support import Part, Support
from engine.types import Principal

logger = logging.getLogger(__name__)


class Operating(Checking):
    """The part of `engine.assembly.Assembly` between its foundation and the stories."""

    @cached_property
    def alert_channels(self) -> AlertChannels:
        """Where alerts go."""
        return AlertChannels(database=self.database, sealer=self.sealer, settings=self.settings.alerting)

    @cached_property
    def alert_watch(self) -> AlertWatch:
        """Who looks at the rules."""
        return AlertWatch(
            database=self.database,
            channels=self.alert_channels,
            value=self.alertable.value,
            metrics=self.alertable.metrics,
            which=self.alertable.which,
            meter=self.meter,
            every_seconds=self.settings.alerting.every_seconds,
        )

    @cached_property
    def operations(self) -> Operations:
        """What the facade hands on to."""
        return Operations(
            cache=CacheDesk(cache=self.cache, database=self.database),
            checkup=self.checkup,
            readiness=self.readiness,
            breakers=self.breakers,
            meter=self.meter,
            history=self.history,
            measured=Measured(database=self.database, history=self.history),
            preferences=Preferences(self.database),
            alerts=Alerts(database=self.database, metrics=self.alertable.metrics, value=self.alertable.value),
            channels=self.alert_channels,
            incidents=Incidents(self.database),
            support=self.support,
        )

    @cached_property
    def support(self) -> Support:
        """A bundle for whoever helps."""

        async def last_hour(principal: Principal) -> Measurements:
            return await self.operations.measured.measurements(principal, Range.HOUR)

        async def last_day(principal: Principal) -> list[Incident]:
            return await self.operations.incidents.incidents(principal, Range.DAY)

        async def alerts(principal: Principal) -> list[AlertInfo]:
            return await self.operations.alerts.alerts(principal)

        async def metrics(_: Principal) -> bytes:
            return await asyncio.to_thread(self.meter.exposition)

        parts: dict[str, Part] = {
            "health.json": self.checkup.health,
            "breakers.json": self.breakers.breakers,
            "measurements.json": last_hour,
            "incidents.json": last_day,
            "alerts.json": alerts,
            "metrics.txt": metrics,
        }
        return Support(database=self.database, settings=self.settings, parts=parts)

    @cached_property
    def breakers(self) -> Breakers:
        """The operators' desk of breakers."""
        return Breakers(
            database=self.database,
            configured=self.configured,
            parts=self.parts,
            guards=self.guards,
            transitions=self.transitions,
            shared=self.shared_states,
            changed=lambda: self.checkup.doubt(),
        )

    @cached_property
    def replica(self) -> Replica:
        """Who this process is among those that share the database."""
        return replica(self.settings)

    @cached_property
    def history(self) -> History:
        """What is measured, by the minute and for long."""
        return History(
            database=self.database,
            hub=self.meter,
            replica=self.replica,
            minute_hours=self.settings.monitoring.minute_hours,
        )

    @cached_property
    def alertable(self) -> Alertable:
        """What alert rules can watch."""
        return Alertable(database=self.database, history=self.history)

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """That this server is alive."""
        slots = self.settings.ingest_workers if self.settings.ingestion.worker == "inside" else 0
        return self.heart(heartbeats.SERVER, slots=slots)

    def heart(self, kind: str, *, slots: int) -> Heartbeats:
        """Return the heart of a process of this kind that works on so many documents at a time."""
        facts = {"version": engine.__version__, "slots": slots, "host": self.replica.host}
        return Heartbeats(database=self.database, replica=self.replica, facts=facts, kind=kind)

    def operating_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background while the server serves; each runs until it is cancelled."""
        return (
            self._warm_up,
            self._serve_metrics,
            self.history.run,
            self._beat,
            self.breakers.run,
            self.alert_watch.run,
            self.checkup.run,
        )

    def purges(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what removes rows that are out of date by themselves; each is called once in an hour."""
        accounts, bearer = self.accounts.purge, self.access.bearer.purge
        return (self.ledger.purge, accounts, bearer, self.quotas.purge, self.alert_watch.purge)

    async def _serve_metrics(self) -> None:
        """Give Prometheus its own port, if one is set. A port that is taken costs the metrics there, never the server."""
        host, port = self.settings.monitoring.metrics_host, self.settings.monitoring.metrics_port
        if not port:
            return
        try:
            end = await asyncio.to_thread(self.meter.serve, host, port)
        except OSError as error:
            logger.warning(
                "metrics are not served at %s:%d (%s); everything else is, also /metrics", host, port, error.strerror
            )
            return
        try:
            await asyncio.Event().wait()
        finally:
            end()

    async def _warm_up(self) -> None:
        # The first question should not pay for loading the model.
        try:
            await asyncio.to_thread(self.parts.local().embed_query, "warm up")
        except EngineError as error:  # the health page shows it
            logger.warning("the embedder is not ready: %s", error)
        finally:  # also when it failed: a start that never ends would be killed for ever, and help nobody
            self.readiness.warm()

    async def _beat(self) -> None:
        try:
            await self.heartbeats.run()
        finally:
            await self.heartbeats.close()
