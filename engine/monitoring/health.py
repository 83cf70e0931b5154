"""A runner of health checks: each with a limit, kept for a while, run off the page, and never twice at the same time.

A check that does not end by its limit is not started again and not interrupted (what hangs in a thread cannot be): its last
result is shown with how long it has been running, as failed.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from engine.errors import EngineError
from engine.protocols import Meter
from engine.views import Check

logger = logging.getLogger(__name__)

OK, DEGRADED, FAILED = "ok", "degraded", "failed"
LEVELS = {OK: 0, DEGRADED: 1, FAILED: 2}
ROUND_SECONDS = 15.0
EFFECT = "What needs this part does not work now."


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a check found: "ok", "degraded" or "failed"; the effect on users and the next step when it is not ok."""

    state: str = OK
    detail: str
    effect: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One check. `run(asked)` looks; `asked` = a person wants to know now, so a call that costs nothing but time is fine.

    `limit` are the seconds until it counts as hung, `keep` those that a result is good for. `effect` is told when `run` raises.
    `serving` = answers depend on it, so that a failure makes this process "degraded" to whoever balances load.
    """

    name: str
    run: Callable[[bool], Awaitable[Outcome]]
    limit: float = 5.0
    keep: float = 30.0
    effect: str = EFFECT
    dependency: str = ""
    serving: bool = False


@dataclass(slots=True)
class _Kept:
    result: Check | None = None
    at: float = 0.0
    last_ok_at: datetime | None = None
    task: asyncio.Task[None] | None = None
    started: float = 0.0
    overdue: bool = False

    def running(self) -> bool:
        return self.task is not None and not self.task.done()


class HealthChecks:
    """Results of checks by name. `clock` counts seconds, `wall` tells the time; everything belongs to one event loop."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        meter: Meter | None = None,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._meter = meter
        self._kept: dict[str, _Kept] = {}

    async def results(self, checks: Sequence[HealthCheck], *, fresh: bool = False) -> list[Check]:
        """Return a result of each check, in their order: kept ones that are good still, else after a look, at most its limit.

        `fresh` looks at all of them now. What is no longer among `checks` is forgotten. Never raises for a check.
        """
        for gone in self._kept.keys() - {check.name for check in checks}:
            self._stop(self._kept.pop(gone))
        self._start([check for check in checks if fresh or self._age(check) >= check.keep], asked=fresh)
        await self._wait([check for check in checks if fresh or self._age(check) >= check.keep])
        return [self._shown(check) for check in checks]

    def renew(self, checks: Sequence[HealthCheck]) -> None:
        """Start what would be out of date at the next round, and wait for nothing."""
        self._start([check for check in checks if self._age(check) >= check.keep - ROUND_SECONDS], asked=False)

    def forget(self, checks: Sequence[HealthCheck]) -> None:
        """Make results out of date. Waits for nothing."""
        for kept in [self._kept[check.name] for check in checks if check.name in self._kept]:
            kept.at = float("-inf")

    def known(self, checks: Sequence[HealthCheck]) -> list[Check]:
        """Return what is known of these checks, without starting or waiting for anything."""
        return [self._shown(check) for check in checks if check.name in self._kept]

    async def close(self) -> None:
        """Give up what runs."""
        kept, self._kept = list(self._kept.values()), {}
        tasks = [one.task for one in kept if one.task is not None]
        for one in kept:
            self._stop(one)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _age(self, check: HealthCheck) -> float:
        kept = self._kept.get(check.name)
        return self._clock() - kept.at if kept and kept.result else float("inf")

    def _start(self, checks: Sequence[HealthCheck], *, asked: bool) -> None:
        for check in checks:
            kept = self._kept.setdefault(check.name, _Kept())
            if not kept.running():
                kept.started, kept.overdue = self._clock(), False
                kept.task = asyncio.create_task(self._look(check, kept, asked), name=f"check-{check.name}")

    async def _wait(self, checks: Sequence[HealthCheck]) -> None:
        async def wait(check: HealthCheck, kept: _Kept) -> None:
            if kept.task is not None and kept.running():
                left = check.limit - (self._clock() - kept.started)
                _, late = await asyncio.wait({kept.task}, timeout=max(0.0, left))
                kept.overdue = bool(late)

        await asyncio.gather(*(wait(check, self._kept[check.name]) for check in checks))

    async def _look(self, check: HealthCheck, kept: _Kept, asked: bool) -> None:
        outcome = await _outcome(check, asked)
        seconds, moment = self._clock() - kept.started, self._wall()
        if outcome.state == OK:
            kept.last_ok_at = moment
        kept.at = self._clock()
        kept.result = Check(
            name=check.name,
            state=outcome.state,
            detail=outcome.detail,
            effect=outcome.effect,
            hint=outcome.hint,
            elapsed_ms=round(seconds * 1000, 1),
            checked_at=moment,
            last_ok_at=kept.last_ok_at,
            dependency=check.dependency,
        )
        self._tell(check.name, outcome.state)

    def _shown(self, check: HealthCheck) -> Check:
        kept = self._kept[check.name]
        seconds = self._clock() - kept.started
        if not kept.running() or not (kept.overdue or seconds >= check.limit):
            return kept.result or _blank(check)
        self._tell(check.name, FAILED)
        before = kept.result or _blank(check)
        detail = f"has not ended for {seconds:.0f} s; before that: {before.detail}"
        hint = "Wait, or look at the server's log; if it stays so, restart this process."
        return replace(before, state=FAILED, detail=detail, effect=check.effect, hint=hint, elapsed_ms=seconds * 1000)

    def _tell(self, name: str, state: str) -> None:
        if self._meter is not None:
            self._meter.gauged("check_state", (name,), LEVELS.get(state, LEVELS[FAILED]))

    @staticmethod
    def _stop(kept: _Kept) -> None:
        if kept.task is not None:
            kept.task.cancel()


def _blank(check: HealthCheck) -> Check:
    return Check(name=check.name, state=DEGRADED, detail="not looked at yet", dependency=check.dependency)


async def _outcome(check: HealthCheck, asked: bool) -> Outcome:
    try:
        return await check.run(asked)
    except EngineError as error:
        return Outcome(state=FAILED, detail=str(error), effect=check.effect, hint=error.hint)
    except TimeoutError:
        hint = "Look at the server's log, and at what this part runs on."
        return Outcome(state=FAILED, detail=f"no answer within {check.limit:.0f} s", effect=check.effect, hint=hint)
    except OSError as error:
        hint = "Look at the data folder and its disk."
        return Outcome(state=FAILED, detail=error.strerror or str(error), effect=check.effect, hint=hint)
    except Exception:  # a check is there to tell, whatever it meets
        reference = uuid.uuid4().hex[:8]
        logger.exception("the check %s failed in a way it should not (%s)", check.name, reference)
        detail = f"something unexpected went wrong in it (reference {reference})"
        return Outcome(state=FAILED, detail=detail, effect=check.effect, hint="Find the reference in the server's log.")
