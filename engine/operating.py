"""What operators work with: health, breakers, measurements, alerts; and what keeps them up to date in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any

from engine.errors import EngineError
from engine.foundation import Foundation
from engine.services.alert_channels import AlertChannels
from engine.services.alert_watch import AlertWatch
from engine.services.alerts import Alerts
from engine.services.incidents import Incidents
from engine.services.operations import Operations
from engine.services.support import Support

logger = logging.getLogger(__name__)


class Operating(Foundation):
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
            meter=self.meter,
            every_seconds=self.settings.alerting.every_seconds,
        )

    @cached_property
    def operations(self) -> Operations:
        """What the facade hands on to."""
        return Operations(
            alerts=Alerts(database=self.database, metrics=self.alertable.metrics, value=self.alertable.value),
            channels=self.alert_channels,
            incidents=Incidents(self.database),
            support=Support(database=self.database, settings=self.settings, parts={}),
        )

    def operating_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background while the server serves; each runs until it is cancelled."""
        return (self._warm_up, self.alert_watch.run)

    async def _warm_up(self) -> None:
        # The first question should not pay for loading the model.
        try:
            await asyncio.to_thread(self.parts.local().embed_query, "warm up")
        except EngineError as error:  # the health page shows it
            logger.warning("the embedder is not ready: %s", error)
