"""The part of the facade about running the workbench: `engine.workbench.Workbench` stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.breakers import Breakers


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The parts that this part of the facade hands on to."""

    breakers: Breakers


class OperationsFacade:
    """Each part's own method is the facade's."""

    def __init__(self, operations: Operations) -> None:
        """Hand on."""
        self.breakers = operations.breakers.breakers
        self.command_breaker = operations.breakers.command

