"""Is everything all right? The checks of this installation, put together and kept up to date while it serves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from engine.errors import EngineError
from engine.monitoring.health import OK, ROUND_SECONDS, HealthCheck, HealthChecks
from engine.services.accounts import require_operator
from engine.types import Principal
from engine.views import Check

logger = logging.getLogger(__name__)

Find = Callable[[], Awaitable[Sequence[HealthCheck]]]


class Checkup:
    """`fixed` are the checks that every installation has, `find` gives those of what is configured now."""

    def __init__(self, *, runner: HealthChecks, fixed: Sequence[HealthCheck], find: Sequence[Find]) -> None:
        self._runner = runner
        self._fixed = list(fixed)
        self._find = find
        self._found: list[HealthCheck] = []

    async def health(self, principal: Principal, *, fresh: bool = False) -> list[Check]:
        """Return a result of each check; kept ones are told at once, `fresh` looks now. Raises AccessDenied for analysts.

        What does not end within its own limit is told as such, so this takes no longer than the slowest limit.
        """
        require_operator(principal)
        return await self._runner.results(await self._all(), fresh=fresh)

    def doubt(self) -> None:
        """Look anew at models and stores with the next question for results: a breaker of theirs has just changed."""
        self._runner.forget([check for check in (*self._fixed, *self._found) if check.dependency or check.name == "answers"])

    def problems(self) -> list[str]:
        """Return the names of the checks that serving depends on and that are not fine, as far as is known. Asks nobody."""
        serving = [check for check in (*self._fixed, *self._found) if check.serving]
        return [one.name for one in self._runner.known(serving) if one.state != OK and one.checked_at is not None]

    async def run(self) -> None:
        """Renew results, so that pages find them; until cancelled."""
        try:
            while True:
                try:
                    self._runner.renew(await self._all())
                except Exception:  # whatever it was, the next round looks again
                    logger.exception("the checks could not be renewed")
                await asyncio.sleep(ROUND_SECONDS)
        finally:
            await self._runner.close()

    async def _all(self) -> list[HealthCheck]:
        found: list[HealthCheck] = []
        try:
            for find in self._find:
                found += await find()
        except EngineError as error:  # the check of the database says so; what was configured before is looked at still
            logger.warning("what is configured cannot be read: %s", error)
        else:
            self._found = found
        return [*self._fixed, *self._found]
