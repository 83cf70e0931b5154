"""The part of the facade about keeping documents.

Jobs, versions, generations, backups; `engine.workbench.Workbench` stands on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.reconciler import Reconciler


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """The parts that this part of the facade hands on to."""

    reconciler: Reconciler


class KeepingFacade:
    """Each part's own method is the facade's."""

    def __init__(self, keeping: Keeping) -> None:
        self.reconcile = keeping.reconciler.reconcile
