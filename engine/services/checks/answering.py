"""The chain that answers: degraded when its first link is failing, failed only when no link can answer."""

from __future__ import annotations

import asyncio

from engine.database.database import Database
from engine.monitoring.health import DEGRADED, FAILED, HealthCheck, Outcome
from engine.services.checks.evidence import Breakers, evidence
from engine.services.configuration import Configured

LIMIT_SECONDS = 5.0


def answering_check(database: Database, configured: Configured, breakers: Breakers) -> HealthCheck:
    """Return the check of the chain, by the last call, the last test and the breaker of each link; it calls nobody."""

    async def run(_asked: bool) -> Outcome:
        async with asyncio.timeout(LIMIT_SECONDS):
            chain = (await configured.current(fresh=True)).choices.chain
            async with database.read() as session:
                known = await evidence(session, breakers())
        problems = [(link, known.problem(link.provider, "chat", link.model)) for link in chain]
        told = ", then ".join(str(link) for link in chain)
        failing = [f"{link} ({problem})" for link, problem in problems if problem]
        if not failing:
            return Outcome(detail=told)
        detail = f"{told}; failing: {'; '.join(failing)}"
        hint = "Each provider that fails has a check of its own here, which says what to do."
        if len(failing) == len(chain):
            effect = "Questions get no answer, only the passages that were found."
            return Outcome(state=FAILED, detail=detail, effect=effect, hint=hint)
        first = bool(problems[0][1])
        effect = "The next link answers, and its answers say so." if first else "There is less to fall back on."
        return Outcome(state=DEGRADED, detail=detail, effect=effect, hint=hint)

    return HealthCheck(
        name="answers", run=run, limit=LIMIT_SECONDS + 1, serving=True, effect="Whether questions can be answered is not known."
    )
