"""The part of the facade about running the workbench: `engine.workbench.Workbench` stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.checkup import Checkup
from engine.services.readiness import Readinesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The parts that this part of the facade hands on to."""

    checkup: Checkup
    readiness: Readinesses


class OperationsFacade:
    """Each part's own method is the facade's."""

    def __init__(self, operations: Operations) -> None:
        """Hand on."""
        self.health = operations.checkup.health
        self.readiness = operations.readiness.readiness
        self.startup = operations.readiness.startup
