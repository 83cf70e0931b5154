"""What runs in this process itself: the built-in embedder, and the packages of the parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine import registry
from engine.monitoring.health import DEGRADED, HealthCheck, Outcome
from engine.protocols import Embedder

WHAT = {"chat": "that answer", "embedding": "that embed", "rerank": "that rerank", "store": "stores"}


def embedder_check(local: Callable[[], Embedder]) -> HealthCheck:
    """Return the check of the built-in embedder: it embeds a few words."""

    async def run(_asked: bool) -> Outcome:
        embedder = await asyncio.to_thread(local)
        vector = await asyncio.to_thread(embedder.embed_query, "health check")
        return Outcome(detail=f"{embedder.model_id}, {vector.shape[0]} dimensions")

    return HealthCheck(
        name="embedder",
        run=run,
        limit=60.0,  # the first time it loads its model
        keep=60.0,
        serving=True,
        effect="Questions are searched by words only, new documents wait, and answers are not graded against their passages.",
    )


def packages_check() -> HealthCheck:
    """Return the check of which parts could be chosen."""

    async def run(_asked: bool) -> Outcome:
        return await asyncio.to_thread(_packages)

    return HealthCheck(name="parts", run=run, limit=30.0, keep=3600.0)


def _packages() -> Outcome:
    parts = [(name, spec) for table in registry.ROLES.values() for name, spec in table.items()]
    missing = sorted({f"{name} ({spec.needs})" for name, spec in parts if not spec.installed})
    counted = ", ".join(f"{len(table)} {WHAT[role]}" for role, table in registry.ROLES.items())
    if not missing:
        return Outcome(detail=f"all are installed: {counted}")
    return Outcome(
        state=DEGRADED,
        detail=f"not installed: {', '.join(missing)}; known: {counted}",
        effect="These parts cannot be chosen.",
        hint="pip install what is in brackets.",
    )
