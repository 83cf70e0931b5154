"""The part of the facade about keeping documents.

Jobs, versions, generations, backups; `engine.workbench.Workbench` stands on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.generations import Generations


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """The parts that this part of the facade hands on to."""

    generations: Generations


class KeepingFacade:
    """Each part's own method is the facade's."""

    def __init__(self, keeping: Keeping) -> None:
        self.plan_generation = keeping.generations.plan
        self.start_generation = keeping.generations.start
        self.generations = keeping.generations.all
        self.cancel_generation = keeping.generations.cancel
        self.switch_generation = keeping.generations.switch
        self.revert_generation = keeping.generations.revert
        self.build_generation = keeping.generations.build
