"""The part of the facade about keeping documents.

Jobs, versions, generations, backups; `engine.workbench.Workbench` stands on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.job_desk import JobDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """The parts that this part of the facade hands on to."""

    jobs: JobDesk


class KeepingFacade:
    """Each part's own method is the facade's."""

    def __init__(self, keeping: Keeping) -> None:
        self.jobs = keeping.jobs.jobs
        self.job_log = keeping.jobs.job_log
        self.cancel = keeping.jobs.cancel
        self.requeue = keeping.jobs.requeue
        self.tray = keeping.jobs.tray
