"""The operators' desk of breakers: what they force is kept in SQL, what breakers do is audited, and processes tell each other.

An operator's command is one row that every process follows within a second or two, also after a restart. What a breaker counts
stays in its process; only that it is open is told to the others (`SharedStates`), with a time after which it is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy import select

from engine import registry
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection
from engine.database.operations_models import BreakerForce
from engine.errors import ConfigError, EngineError, NotFound
from engine.operations_views import BreakerCommand, BreakerInfo, BreakerState, Dependency, Transition
from engine.protocols import SharedStates
from engine.provider_views import Choice
from engine.resilience.guards import Guards
from engine.services.accounts import require_operator
from engine.services.configuration import Configured
from engine.services.parts import Parts
from engine.services.provider_cards import WORDS
from engine.types import Principal

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
KEPT_TRANSITIONS = 1000
REASON_CHARS = 200
SAME_SECONDS = 2.0  # two times of one opening, told by two clocks
FORCED = {
    BreakerCommand.TRIP: BreakerState.TRIPPED,
    BreakerCommand.DRAIN: BreakerState.DRAINING,
    BreakerCommand.HOLD: BreakerState.HELD,
    BreakerCommand.RESET: BreakerState.CLOSED,
}
ACTIONS = {
    BreakerState.OPEN: "breaker.open",
    BreakerState.HALF_OPEN: "breaker.probe",
    BreakerState.CLOSED: "breaker.close",
}


class Transitions:
    """Changes of breakers until they are written down. `put` is called from any thread and never waits.

    At most `KEPT_TRANSITIONS` are kept while SQL is away; then the oldest ones go, and the log says so.
    """

    def __init__(self) -> None:
        self._waiting: list[Transition] = []
        self._lock = threading.Lock()

    def put(self, transition: Transition) -> None:
        """Take one in."""
        with self._lock:
            self._waiting.append(transition)
            lost = self._waiting[:-KEPT_TRANSITIONS]
            del self._waiting[:-KEPT_TRANSITIONS]
        for one in lost:
            logger.error("a change of breaker %s at %s will not be audited: too many are waiting", one.dependency, one.at)

    def waiting(self) -> list[Transition]:
        """Return them, oldest first; they stay."""
        with self._lock:
            return list(self._waiting)

    def written(self, those: list[Transition]) -> None:
        """Let these go."""
        ids = set(map(id, those))
        with self._lock:
            self._waiting = [one for one in self._waiting if id(one) not in ids]


class Alone:
    """Satisfies SharedStates where processes have no way to tell each other."""

    async def publish(self, breaker_id: str, seconds: float, reason: str) -> None:
        """Nobody can be told."""

    async def opened(self) -> dict[str, tuple[float, str]]:
        """Nobody can be asked."""
        return {}


class Breakers:
    """All breakers of this process, for operators and admins."""

    def __init__(
        self,
        *,
        database: Database,
        configured: Configured,
        parts: Parts,
        guards: Guards,
        transitions: Transitions,
        shared: SharedStates,
        wall: Callable[[], float] = time.time,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._changed = changed
        self._database = database
        self._configured = configured
        self._parts = parts
        self._guards = guards
        self._transitions = transitions
        self._shared = shared
        self._wall = wall
        self._applied: dict[str, tuple[str, datetime]] | None = None
        self._published: dict[str, float] = {}  # breaker -> until when, by our own clock
        self._followed: dict[str, float] = {}
        self._behind = False  # the last time could not keep up

    # --- for operators -----------------------------------------------------------------------------------------------

    async def breakers(self, principal: Principal) -> list[BreakerInfo]:
        """Return what stands in front of models and stores, also of those that were not called yet, as this process knows it.

        Raises AccessDenied unless the principal is an operator or an admin.
        """
        require_operator(principal)
        return await self._all()

    async def command(self, principal: Principal, breaker_id: str, command: BreakerCommand, *, reason: str = "") -> None:
        """Force a breaker, or give it back to itself; this process follows at once, the others within two seconds.

        Raises AccessDenied, NotFound.
        """
        require_operator(principal)
        info = next((one for one in await self._all() if one.id == breaker_id), None)
        if info is None:
            raise NotFound("there is no such breaker", hint="Look at the list of breakers.")
        reason = "".join(char for char in " ".join(reason.split()) if char.isprintable())[:REASON_CHARS]
        action = f"breaker.{command.value}"
        async with self._database.write() as session:
            force = BreakerForce(
                id=info.id,
                dependency=asdict(info.dependency),
                state=FORCED[command].value,
                by=principal.name[:100],
                reason=reason,
                at=now(),
            )
            await session.merge(force)
            await record(
                session,
                principal,
                action,
                str(info.dependency),
                reason=reason,
                breaker=info.id,
                before=info.state.value,
            )
        await self._follow()
        self._changed()

    async def _all(self) -> list[BreakerInfo]:
        live = await self._configured.current(fresh=True)  # who has just added a model looks for it here
        choices = live.choices
        async with self._database.read() as session:
            columns = select(Collection.embedder, Collection.embedding_model, Collection.store).distinct()
            used = list(await session.execute(columns))
        stores = [name for name, row in live.providers.items() if row.kind in registry.STORES]
        wanted = [
            *(("chat", one) for one in (*choices.chain, choices.rewrite) if one),
            *(("embedding", one) for one in (choices.embedding, *(Choice(provider=row[0], model=row[1]) for row in used))),
            *(("rerank", one) for one in (choices.rerank,) if one),
            *(("store", Choice(provider=name)) for name in {choices.store, *stores, *(row[2] for row in used)}),
        ]
        for role, choice in wanted:
            try:
                dependency = await self._parts.dependency(role, choice)
            except ConfigError:  # it was removed, or its address is missing: whoever uses it is told
                continue
            if dependency is not None:
                self._guards.of(dependency)
        infos = [guard.info() for guard in self._guards.all()]
        infos = [replace(one, last_error=WORDS.get(one.last_error, one.last_error)) for one in infos]
        # Of a provider that was removed nobody needs to know more than what an operator may want to take back.
        known = [one for one in infos if await self._exists(one.dependency) or one.forced_by]
        return sorted(known, key=lambda one: (one.dependency.operation, one.dependency.provider, one.dependency.model))

    async def _exists(self, dependency: Dependency) -> bool:
        try:
            choice = Choice(provider=dependency.provider, model=dependency.model)
            return await self._parts.dependency(dependency.operation, choice) is not None
        except ConfigError:
            return False

    # --- in the background -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep up until cancelled."""
        while True:
            await self.sync()
            await asyncio.sleep(EVERY_SECONDS)

    async def close(self) -> None:
        """Audit what is left, for the end of the process."""
        await self.sync()

    async def sync(self) -> None:
        """Follow operators, tell and ask other processes, and audit what changed. Never raises."""
        steps: tuple[Callable[[], Awaitable[None]], ...] = (self._follow, self._share, self.write)
        failed = False
        for step in steps:
            try:
                await step()
            except Exception as error:  # the next second tries again
                if not (self._behind or failed):  # told once, not every second of an outage
                    known = isinstance(error, EngineError)
                    logger.warning("breakers could not be kept up to date: %s", error, exc_info=None if known else error)
                failed = True
        if self._behind and not failed:
            logger.info("breakers are up to date again")
        self._behind = failed

    async def write(self) -> None:
        """Audit what breakers of this process did by themselves. Raises StoreError; nothing is lost then."""
        # What an operator did is audited where he does it, and what another process did over there.
        batch = self._transitions.waiting()
        own = [one for one in batch if not one.by and one.after in ACTIONS]
        if own:
            async with self._database.write() as session:
                for one in own:
                    info = self._guards.of(one.dependency).info()
                    await record(
                        session,
                        None,
                        ACTIONS[one.after],
                        str(one.dependency),
                        reason=one.reason,
                        breaker=info.id,
                        before=one.before.value,
                        at=one.at.isoformat(),
                        last_error=info.last_error,
                    )
        self._transitions.written(batch)
        if batch:
            self._changed()

    async def _follow(self) -> None:
        async with self._database.read() as session:
            rows = list(await session.scalars(select(BreakerForce)))
        first, applied = self._applied is None, self._applied or {}
        for row in rows:
            if applied.get(row.id) == (row.state, row.at):
                continue
            state = BreakerState(row.state)
            if not (first and state is BreakerState.CLOSED):  # what begins now is closed anyway
                guard = self._guards.of(Dependency(**row.dependency))
                guard.breaker.force(state, by=row.by, reason=row.reason)
            applied[row.id] = (row.state, row.at)
        self._applied = applied

    async def _share(self) -> None:
        guards = {(info := guard.info()).id: (guard, info) for guard in self._guards.all()}
        for key, (_, info) in guards.items():
            until = self._wall() + info.retry_after_seconds
            if info.state is BreakerState.OPEN and not info.shared:
                if abs(self._published.get(key, 0.0) - until) > SAME_SECONDS:
                    self._published[key] = until
                    await self._shared.publish(key, info.retry_after_seconds, info.reason)
            elif info.state is not BreakerState.HALF_OPEN and not info.shared:
                known = self._published.pop(key, 0.0), self._followed.get(key, 0.0)
                if max(known) > self._wall():  # it works again, or an operator decided
                    await self._shared.publish(key, 0.0, "")
        told = await self._shared.opened()
        for key, (guard, _) in guards.items():
            until, reason = told.get(key, (0.0, ""))
            mine = key in self._published and abs(self._published[key] - until) <= SAME_SECONDS
            if mine or abs(self._followed.get(key, 0.0) - until) <= SAME_SECONDS:
                continue
            # Gone before its time: another process found that it works again.
            guard.breaker.opened_elsewhere(max(0.0, until - self._wall()), reason)
            self._followed[key] = until
