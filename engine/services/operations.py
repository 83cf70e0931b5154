"""The part of the facade about running the workbench: `engine.workbench.Workbench` stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.cache_desk import CacheDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The parts that this part of the facade hands on to."""

    cache: CacheDesk


class OperationsFacade:
    """Each part's own method is the facade's."""

    def __init__(self, operations: Operations) -> None:
        """Hand on."""
        self.clear_cache = operations.cache.clear
