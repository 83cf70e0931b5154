"""An answer on its way, from the question to its last word."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from engine.pipelines import telling
from engine.pipelines.chain import Attempts, Turn
from engine.protocols import Meter
from engine.services.answer_cache import KeptAnswer
from engine.services.ledger import Call
from engine.types import Prompt


@dataclass(slots=True)
class Draft:
    """An answer on its way, kept by the caller so that a stopped one can still be finished."""

    question: str
    user_id: str = ""
    query: str = ""
    prompt: Prompt | None = None
    parts: list[str] = field(default_factory=list)
    refused: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    calls: list[Call] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    cost: float | None = 0.0
    steps: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    kept: KeptAnswer | None = None
    meter: Meter | None = None

    def step(self, name: str, started: float, **facts: Any) -> None:
        """Note a finished stage with its duration."""
        seconds = time.perf_counter() - started
        self.steps.append({"name": name, "ms": round(seconds * 1000, 2), **facts})
        if self.meter:
            telling.stage(self.meter, name, seconds, facts)

    def begin(self, turn: Turn) -> None:
        """Start over with the next link: what another one wrote is void."""
        self.prompt, self.parts, self.refused, self.details = turn.prompt, [], False, {}
