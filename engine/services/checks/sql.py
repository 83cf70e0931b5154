"""The database, and the clocks that must agree with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from engine.database.database import Database
from engine.errors import EngineError
from engine.monitoring.health import DEGRADED, FAILED, HealthCheck, Outcome

LIMIT_SECONDS = 5.0
SLOW_MS = 500.0
SKEW_SECONDS, BAD_SKEW_SECONDS = 5.0, 60.0

RedisTime = Callable[[], Awaitable[float]]
"""What Redis's TIME says, in Unix seconds. Raises EngineError."""


def database_check(database: Database, *, timer: Callable[[], float] = time.perf_counter) -> HealthCheck:
    """Return the check of SQL: it answers, soon enough, and its tables are those of this version."""

    async def run(_asked: bool) -> Outcome:
        async with asyncio.timeout(LIMIT_SECONDS):
            started = timer()
            current = await database.migrated()
            milliseconds = (timer() - started) * 1000
        detail = f"{database.url.get_backend_name()} answered in {milliseconds:.0f} ms"
        if not current:
            return Outcome(
                state=FAILED,
                detail=f"{detail}; its tables are older than this version of the app",
                effect="What was added since does not work.",
                hint="Restart this process: it brings the tables up to date when it starts.",
            )
        if milliseconds < SLOW_MS:
            return Outcome(detail=f"{detail}; its tables are up to date")
        return Outcome(
            state=DEGRADED,
            detail=detail,
            effect="Every page and every answer takes longer.",
            hint="Look at the load of the database's machine and at the network to it.",
        )

    return HealthCheck(
        name="database",
        run=run,
        limit=LIMIT_SECONDS + 1,
        serving=True,
        effect="Nobody can sign in, ask or upload; nothing is lost.",
    )


def redis_check(redis: RedisTime | None) -> HealthCheck:
    """Return the check of Redis; without one everything is kept in this process, and that is fine."""

    async def run(_asked: bool) -> Outcome:
        if redis is None:
            return Outcome(detail="none is set: what is cached and counted is kept in this process")
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                started = time.perf_counter()
                await redis()
                return Outcome(detail=f"answered in {(time.perf_counter() - started) * 1000:.0f} ms")
        except (EngineError, TimeoutError) as error:
            return Outcome(
                state=DEGRADED,
                detail=str(error) or f"no answer within {LIMIT_SECONDS:.0f} s",
                effect="Each process caches and counts on its own until it is back; answers may take longer.",
                hint="Start Redis, or correct caching.redis_url; it is used again by itself.",
            )

    return HealthCheck(name="redis", run=run, limit=LIMIT_SECONDS + 1, serving=True)


def clock_check(
    database: Database, redis: RedisTime | None, *, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> HealthCheck:
    """Return the check of this process's clock against those of SQL and Redis: sessions and leases depend on it."""

    async def run(_asked: bool) -> Outcome:
        async with asyncio.timeout(LIMIT_SECONDS):
            found = {"the database": await _ahead(lambda: _seconds(database), wall)}
            if redis is not None:
                with suppress(EngineError, OSError):  # the check of Redis tells
                    found["Redis"] = await _ahead(redis, wall)
        told = ", ".join(_apart(ahead, who) for who, ahead in found.items())
        worst = max(abs(ahead) for ahead in found.values())
        if worst <= SKEW_SECONDS:
            return Outcome(detail=f"this process is {told}")
        return Outcome(
            state=FAILED if worst > BAD_SKEW_SECONDS else DEGRADED,
            detail=f"this process is {told}",
            effect="Sign-ins end too early or too late, and two workers may take the same file.",
            hint="Set the clocks of all machines by the same time server (NTP).",
        )

    return HealthCheck(name="clock", run=run, limit=LIMIT_SECONDS + 1, effect="Whether the clocks agree is not known.")


def _apart(ahead: float, who: str) -> str:
    if abs(ahead) < 0.05:
        return f"in time with {who}"
    return f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} {who}"


async def _seconds(database: Database) -> float:
    return (await database.time()).timestamp()


async def _ahead(other: RedisTime, wall: Callable[[], datetime]) -> float:
    """Return by how many seconds this clock is ahead; the other one is taken to have been read half-way (Cristian's method)."""
    before = wall().timestamp()
    told = await other()
    return (before + wall().timestamp()) / 2 - told
