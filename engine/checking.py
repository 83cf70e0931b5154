"""What looks whether everything works: the health checks, and whether this process can serve."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property

from engine.foundation import Foundation
from engine.monitoring.health import HealthChecks
from engine.operations_views import BreakerInfo
from engine.services.checks.answering import answering_check
from engine.services.checks.audit import audit_check
from engine.services.checks.backlog import backlog_check
from engine.services.checks.backup import backup_check
from engine.services.checks.certificates import Endpoint, certificates_check, endpoints
from engine.services.checks.disk import disk_check, require_room
from engine.services.checks.evidence import REFUSING
from engine.services.checks.keys import keys_check
from engine.services.checks.parts import embedder_check, packages_check
from engine.services.checks.providers import ProviderChecks
from engine.services.checks.sql import RedisTime, clock_check, database_check, redis_check
from engine.services.checks.stores import StoreChecks
from engine.services.checks.worker import worker_check
from engine.services.checkup import Checkup
from engine.services.readiness import Readinesses


class Checking(Foundation):
    """The part of `engine.assembly.Assembly` above its foundation."""

    @cached_property
    def checkup(self) -> Checkup:
        """The health checks."""
        database, configured = self.database, self.configured
        providers = ProviderChecks(database=database, configured=configured, tests=self.tests, breakers=self.breaker_infos)
        stores = StoreChecks(database=database, configured=configured, parts=self.parts)
        fixed = [
            database_check(database),
            redis_check(self.redis_time),
            answering_check(database, configured, self.breaker_infos),
            embedder_check(self.parts.local),
            worker_check(database),
            backlog_check(database),
            disk_check(self.settings.data_dir),
            clock_check(database, self.redis_time),
            keys_check(database),
            certificates_check(self._endpoints),
            audit_check(database, self.keeper),
            packages_check(),
            *([backup_check(database, self.settings.backups)] if self.settings.backups.every_hours else []),
        ]
        return Checkup(runner=HealthChecks(meter=self.meter), fixed=fixed, find=[stores.all, providers.all])

    @cached_property
    def readiness(self) -> Readinesses:
        """Whether this process can serve."""
        return Readinesses(ping=self._able, problems=self._problems)

    @property
    def redis_time(self) -> RedisTime | None:
        """What asks Redis for its time; None without Redis."""
        return self.cache.time if self.settings.caching.redis_url.get_secret_value() else None

    def breaker_infos(self) -> Sequence[BreakerInfo]:
        """Return the breakers of this process as they are now."""
        return [guard.info() for guard in self.guards.all()]

    async def _able(self) -> None:
        await self.database.migrated()
        await asyncio.to_thread(require_room, self.settings.data_dir)

    def _problems(self) -> list[str]:
        refusing = [str(one.dependency) for one in self.breaker_infos() if one.state in REFUSING]
        return [*self.checkup.problems(), *refusing]

    async def _endpoints(self) -> list[Endpoint]:
        live = await self.configured.current()
        redis = self.settings.caching.redis_url.get_secret_value()
        return endpoints(live, redis, guard=self.outgoing.guard, rules=self.provider_rules)
