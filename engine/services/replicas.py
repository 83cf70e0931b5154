"""What this process is called in the tables that all processes share."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field

from engine.database.columns import new_id
from engine.settings import Settings

NAME_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """`name` is the replica's, the same after a restart; two processes of one host may share it. `process` is nobody else's."""

    name: str
    host: str
    process: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "process", f"{self.name}-{new_id()[:12]}")


def replica(settings: Settings) -> Replica:
    """Return who this process is, by its settings, else by the host's name."""
    host = platform.node()
    return Replica(name=(settings.monitoring.instance or host)[:NAME_CHARS] or "replica", host=host[:NAME_CHARS])
