"""What the health page asks of the facade, in one place: the pages' own view of `engine.services.operations`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from engine.operations_views import (
    AlertChannel,
    AlertInfo,
    AlertMetric,
    AlertRule,
    BreakerCommand,
    BreakerInfo,
    Incident,
    Measurements,
    Range,
)
from engine.types import Principal
from engine.views import Check
from ui.session import Desk


class Operations(Protocol):
    """Methods for operators and admins; each raises EngineError. What they mean stands in the facade."""

    async def health(self, principal: Principal, *, fresh: bool = False) -> Sequence[Check]:
        """Return the checks; `fresh` runs them now."""

    async def breakers(self, principal: Principal) -> Sequence[BreakerInfo]:
        """Return every breaker of this process."""

    async def command_breaker(
        self, principal: Principal, breaker_id: str, command: BreakerCommand, *, reason: str = ""
    ) -> None:
        """Force a breaker, or let it work again."""

    async def measurements(self, principal: Principal, range_: Range, /) -> Measurements:
        """Return what the charts show."""

    async def measurements_csv(self, principal: Principal, range_: Range, /) -> str:
        """Return the same as CSV."""

    async def alert_metrics(self, principal: Principal) -> Sequence[AlertMetric]:
        """Return what rules may watch."""

    async def alert_rules(self, principal: Principal) -> Sequence[AlertRule]:
        """Return the rules."""

    async def save_alert_rule(self, principal: Principal, rule: AlertRule, /) -> AlertRule:
        """Add a rule (its id is "") or change one."""

    async def delete_alert_rule(self, principal: Principal, rule_id: str, /) -> None:
        """Remove a rule."""

    async def silence_alert_rule(self, principal: Principal, rule_id: str, minutes: int, /) -> object:
        """Keep a rule quiet for so long; 0 ends the silence."""

    async def alerts(self, principal: Principal, *, limit: int = 100) -> Sequence[AlertInfo]:
        """Return alerts, newest first."""

    async def acknowledge_alert(self, principal: Principal, alert_id: str, /) -> object:
        """Say that somebody looks after it."""

    async def alert_channels(self, principal: Principal) -> Sequence[AlertChannel]:
        """Return the channels, without their targets."""

    async def save_alert_channel(self, principal: Principal, channel: AlertChannel, /) -> AlertChannel:
        """Add a channel (its id is "") or change one; an empty target keeps the one that is stored."""

    async def delete_alert_channel(self, principal: Principal, channel_id: str, /) -> None:
        """Remove a channel."""

    async def test_alert_channel(self, principal: Principal, channel_id: str, /) -> str:
        """Send a test and return what became of it."""

    async def incidents(self, principal: Principal, range_: Range, /) -> Sequence[Incident]:
        """Return the timeline, newest first."""

    async def support_bundle(self, principal: Principal) -> bytes:
        """Return a ZIP file."""

    async def clear_cache(self, principal: Principal) -> int:
        """Throw kept answers away and return how many there were. For admins."""

    async def preference(self, principal: Principal, name: str, /) -> str:
        """Return what this user chose, or ""."""

    async def set_preference(self, principal: Principal, name: str, value: str, /) -> None:
        """Keep what this user chose."""


def operations(desk: Desk) -> Operations:
    """Return the facade as this page knows it."""
    return cast(Operations, desk.workbench)
