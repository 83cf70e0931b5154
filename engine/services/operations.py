"""The part of the facade about running the workbench: `engine.workbench.Workbench` stands on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from engine.monitoring.hub import Hub
from engine.services.accounts import require_operator
from engine.services.alert_channels import AlertChannels
from engine.services.alerts import Alerts
from engine.services.breakers import Breakers
from engine.services.cache_desk import CacheDesk
from engine.services.checkup import Checkup
from engine.services.history import History
from engine.services.incidents import Incidents
from engine.services.measurements import Measured
from engine.services.preferences import Preferences
from engine.services.readiness import Readinesses
from engine.services.support import Support
from engine.types import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The parts that this part of the facade hands on to."""

    cache: CacheDesk
    history: History
    measured: Measured
    preferences: Preferences
    meter: Hub
    alerts: Alerts
    channels: AlertChannels
    incidents: Incidents
    support: Support
    breakers: Breakers
    checkup: Checkup
    readiness: Readinesses


class OperationsFacade:
    """Each part's own method is the facade's."""

    def __init__(self, operations: Operations) -> None:
        self.clear_cache = operations.cache.clear
        self.health = operations.checkup.health
        self.readiness = operations.readiness.readiness
        self.startup = operations.readiness.startup
        self.flush_history = operations.history.flush
        self.measurements = operations.measured.measurements
        self.measurements_csv = operations.measured.measurements_csv
        self.preference = operations.preferences.preference
        self.set_preference = operations.preferences.set_preference
        self.meter = operations.meter
        self.alert_metrics = operations.alerts.metrics
        self.alert_rules = operations.alerts.rules
        self.save_alert_rule = operations.alerts.save_rule
        self.delete_alert_rule = operations.alerts.delete_rule
        self.silence_alert_rule = operations.alerts.silence
        self.alerts = operations.alerts.alerts
        self.acknowledge_alert = operations.alerts.acknowledge
        self.alert_channels = operations.channels.all
        self.save_alert_channel = operations.channels.save
        self.delete_alert_channel = operations.channels.delete
        self.test_alert_channel = operations.channels.test
        self.incidents = operations.incidents.incidents
        self.support_bundle = operations.support.bundle
        self.breakers = operations.breakers.breakers
        self.command_breaker = operations.breakers.command

    async def metrics(self, principal: Principal) -> bytes:
        """Return every metric of this process in the text format 0.0.4 of Prometheus. For operators and admins."""
        require_operator(principal)
        return await asyncio.to_thread(self.meter.exposition)
