"""One check for each provider that an admin added: what is known of it, and, when somebody asks, whether it lists its models.

Nothing is ever called that costs money: that is a test on the providers page, and somebody presses for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine import registry
from engine.database.database import Database
from engine.monitoring.health import DEGRADED, FAILED, HealthCheck, Outcome
from engine.operations_views import Dependency
from engine.provider_views import Choice, Choices
from engine.services.checks.evidence import Breakers, Evidence, evidence
from engine.services.configuration import Configured, Live
from engine.services.provider_tests import LIST_SECONDS, Tests

LIMIT_SECONDS = 5.0
HINT = "An admin finds its address, its key and its last error on the providers page, and tests it again there."
TAKEN_OUT = "When it may be called again, press Reset on its breaker below."
EFFECTS = {
    "chat": "Answers come from another link of the chain, and say so; without one only passages are shown.",
    "embedding": "New documents wait, and its collections are searched by words only.",
    "rerank": "Passages keep the order of the search.",
    "rewrite": "Follow-up questions are completed by rules.",
    "": "Nothing uses it now.",
}


class ProviderChecks:
    """Makes the checks of what is configured now."""

    def __init__(self, *, database: Database, configured: Configured, tests: Tests, breakers: Breakers) -> None:
        self._database = database
        self._configured = configured
        self._tests = tests
        self._breakers = breakers

    async def all(self) -> list[HealthCheck]:
        """Return a check for each added provider that is more than a store. Raises StoreError."""
        live = await self._configured.current()
        return [self._check(live, name, roles) for name in live.providers if (roles := _roles(live, name))]

    def _check(self, live: Live, name: str, roles: Sequence[str]) -> HealthCheck:
        job, choice = _use(live.choices, name)
        operation = {"rewrite": "chat", "": roles[0]}.get(job, job)

        async def run(asked: bool) -> Outcome:
            async with asyncio.timeout(LIMIT_SECONDS), self._database.read() as session:
                known = await evidence(session, self._breakers())
            listed = await self._listed(name, roles) if asked else ""
            return _outcome(known, name, job, listed)

        return HealthCheck(
            name=f"provider {name}",
            run=run,
            limit=LIMIT_SECONDS + LIST_SECONDS + 2,
            dependency=str(Dependency(operation=operation, provider=name, model=choice.model)),
            effect="Whether it works is not known.",
        )

    async def _listed(self, name: str, roles: Sequence[str]) -> str:
        """Ask for the models, which costs nothing. Raises ProviderError, ConfigError."""
        role = next((one for one in ("chat", "embedding") if one in roles), "")
        found = await self._tests.models(name, role) if role else []
        return f"{len(found)} models listed just now" if found else ""


def _outcome(known: Evidence, name: str, job: str, listed: str) -> Outcome:
    last, refusing = known.last(name), known.refusing(name)
    parts = [refusing, last.problem if last else "", listed]
    if last and not last.problem:
        parts.append(f"the last call or test went well, {last.at:%Y-%m-%d %H:%M} UTC, {last.elapsed_ms:.0f} ms")
    detail = "; ".join(filter(None, parts)) or "never called and never tested"
    if not refusing and not (last and last.problem):
        return Outcome(detail=detail)
    # What nothing uses, what an operator took out, or what just answered although its last call failed, is a warning.
    mild = not job or known.forced(name) or (listed and not refusing)
    return Outcome(
        state=DEGRADED if mild else FAILED, detail=detail, effect=EFFECTS[job], hint=TAKEN_OUT if known.forced(name) else HINT
    )


def _roles(live: Live, name: str) -> list[str]:
    return [role for role in registry.roles(live.providers[name].kind) if role != "store"]


def _use(choices: Choices, name: str) -> tuple[str, Choice]:
    """Return what a provider is used for, the most important first, and with which model."""
    uses = [("chat", link) for link in choices.chain] + [("embedding", choices.embedding)]
    uses += [(job, one) for job, one in (("rewrite", choices.rewrite), ("rerank", choices.rerank)) if one]
    return next(((job, one) for job, one in uses if one.provider == name), ("", Choice(provider=name)))
