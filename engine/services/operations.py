"""The part of the facade about running the workbench: `engine.workbench.Workbench` stands on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from engine.monitoring.hub import Hub
from engine.services.accounts import require_operator
from engine.services.history import History
from engine.services.measurements import Measured
from engine.services.preferences import Preferences
from engine.types import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The parts that this part of the facade hands on to."""

    history: History
    measured: Measured
    preferences: Preferences
    meter: Hub


class OperationsFacade:
    """Each part's own method is the facade's."""

    def __init__(self, operations: Operations) -> None:
        self.flush_history = operations.history.flush
        self.measurements = operations.measured.measurements
        self.measurements_csv = operations.measured.measurements_csv
        self.preference = operations.preferences.preference
        self.set_preference = operations.preferences.set_preference
        self.meter = operations.meter

    async def metrics(self, principal: Principal) -> bytes:
        """Return every metric of this process in the text format 0.0.4 of Prometheus. For operators and admins."""
        require_operator(principal)
        return await asyncio.to_thread(self.meter.exposition)
