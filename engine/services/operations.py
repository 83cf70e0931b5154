"""The part of the facade about running the workbench: `engine.workbench.Workbench` stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.alert_channels import AlertChannels
from engine.services.alerts import Alerts
from engine.services.incidents import Incidents
from engine.services.support import Support


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The parts that this part of the facade hands on to."""

    alerts: Alerts
    channels: AlertChannels
    incidents: Incidents
    support: Support


class OperationsFacade:
    """Each part's own method is the facade's."""

    def __init__(self, operations: Operations) -> None:
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
