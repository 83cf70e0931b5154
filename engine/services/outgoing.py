"""The addresses of providers: checked when they are entered and at every connection; what is refused is audited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.database.audit import record
from engine.database.database import Database
from engine.errors import AddressDenied
from engine.services.provider_input import PORTS
from engine.types import Guard, Principal

QUIET_SECONDS = 60.0  # a chain that asks a refused provider at each question must not fill the audit log


class Outgoing:
    """Rules with an audit log. It belongs to one event loop, its guards to any thread."""

    def __init__(self, *, database: Database, rules: Guard) -> None:
        self._database = database
        self._rules = rules
        self._noted: dict[tuple[str, str], float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def check(self, principal: Principal, name: str, url: str) -> None:
        """Refuse the address of a provider as it is now; one whose host cannot be found is left to later checks.

        Raises AddressDenied.
        """
        parts = urlsplit(url)
        if not parts.hostname:
            return  # the vendor's own, or none
        try:
            await asyncio.to_thread(self._rules.addresses, parts.hostname, parts.port or PORTS[parts.scheme])
        except AddressDenied as error:
            if not error.by_rule:
                return
            await self._record(principal, name, error.host)
            raise AddressDenied(
                "the address of this provider is none that this server may connect to",
                hint="Which ones it may is in the setting `egress.providers`, an operator's.",
                host=error.host,
            ) from None

    def guard(self, name: str) -> Guard:
        """Return the guard for connections of a provider; to be called in the event loop."""
        return _Watched(self, name, asyncio.get_running_loop())

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return what the rules do."""
        return self._rules.addresses(host, port)

    def note(self, name: str, host: str) -> None:
        """Record a refused connection, once a minute; to be called in the event loop."""
        now = time.monotonic()
        if now - self._noted.get((name, host), -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._noted[name, host] = now
        task = asyncio.get_running_loop().create_task(self._record(None, name, host))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def close(self) -> None:
        """Wait until what was refused is recorded."""
        await asyncio.gather(*self._notes, return_exceptions=True)

    async def _record(self, principal: Principal | None, name: str, host: str) -> None:
        async with self._database.write() as session:
            await record(session, principal, "egress.refused", name, outcome="denied", host=host, purpose="provider")


@dataclass(frozen=True, slots=True)
class _Watched:
    outgoing: Outgoing
    name: str
    loop: asyncio.AbstractEventLoop

    def addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return self.outgoing.addresses(host, port)
        except AddressDenied as error:
            if error.by_rule and not self.loop.is_closed():
                self.loop.call_soon_threadsafe(self.outgoing.note, self.name, error.host)
            raise
