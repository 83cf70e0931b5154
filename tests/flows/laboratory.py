"""A workbench whose breakers go by a clock that tests move, over upstreams that fail when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.assembly import Assembly
from engine.operations_views import BreakerInfo, Dependency
from engine.protocols import SharedStates
from engine.provider_views import Choice
from engine.resilience.guard import Guard
from engine.resilience.guards import Guards
from engine.services.breakers import Breakers
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.workbench import Workbench
from tests.upstreams.server import KEY, Upstream

QUESTION = "How many days of paid leave does an employee have?"
EXTRACTIVE = Choice(provider="extractive")
BOX = Choice(provider="box", model="m-1")
CHAT = Dependency(operation="chat", provider="box", model="m-1")
EMBEDDING = Dependency(operation="embedding", provider="box", model="e-1")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Lab:
    """One process."""

    assembly: Assembly
    workbench: Workbench
    clock: Clock

    @property
    def desk(self) -> Breakers:
        return self.assembly.breakers

    def guard(self, dependency: Dependency) -> Guard:
        return self.assembly.guards.of(dependency)

    def breaker(self, dependency: Dependency) -> BreakerInfo:
        return self.guard(dependency).info()

    async def choose(self, **choices: Any) -> None:
        version = (await self.workbench.choices(ADMIN)).version
        await self.workbench.choose(ADMIN, expected_version=version, **choices)

    async def audited(self, action: str) -> list[Any]:
        return [one for one in reversed(await self.workbench.audit(ADMIN)) if one.action.startswith(action)]


@asynccontextmanager
async def lab(
    folder: Path, *, clock: Clock | None = None, shared: SharedStates | None = None, **resilience: Any
) -> AsyncIterator[Lab]:
    """Open a process over `folder`; waits before further tries take no time."""
    clock = clock or Clock()
    assembly = Assembly(
        offline_settings(folder, caching={"answers": False}, resilience={"attempts": 1, "ramp_seconds": 0, **resilience})
    )
    # Cached properties: what is put in place of them before the first use is what everything else is made of.
    vars(assembly)["guards"] = Guards(
        assembly.settings.resilience, on_transition=assembly.transitions.put, clock=clock, chance=lambda: 0.0
    )
    if shared is not None:
        vars(assembly)["shared_states"] = shared
    assembly.use_embedder("local", HashedWords())
    assembly.breakers._wall = clock
    async with assembly.opened(serve=False) as workbench:
        yield Lab(assembly, workbench, clock)


async def add_box(here: Lab, upstream: Upstream, *links: Choice) -> None:
    """Add the provider `box`, and let it answer first."""
    await here.workbench.add_provider(ADMIN, "openai", name="box", base_url=upstream.url, key=KEY, timeout_seconds=5)
    await here.choose(chain=links or (BOX, EXTRACTIVE))


def posts(upstream: Upstream, path: str = "") -> int:
    """Return how many calls came in, of those whose path ends so."""
    return sum(call.method == "POST" and call.path.endswith(path) for call in list(upstream.calls))
