"""TLS certificates of servers of one's own: providers and stores with an https address, and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from engine.database.columns import now
from engine.errors import AddressDenied
from engine.monitoring.health import DEGRADED, FAILED, HealthCheck, Outcome
from engine.security.certificates import certificate_end
from engine.services.configuration import Live
from engine.types import Guard

SOON = timedelta(days=14)
KEEP_SECONDS = 3600.0
AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server that shows a certificate, by the name that people know it under."""

    name: str
    host: str
    port: int
    guard: Guard


def endpoints(live: Live, redis_url: str, *, guard: Callable[[str], Guard], rules: Guard) -> list[Endpoint]:
    """Return the endpoints with TLS. A vendor's own address is the vendor's to look after, and is left out."""
    named = [(name, row.base_url, guard(name)) for name, row in live.providers.items()]
    found = []
    for name, url, its in [*named, ("redis", redis_url, rules)]:
        parts = urlsplit(url)
        if parts.scheme in ("https", "rediss") and parts.hostname:
            port = parts.port or (443 if parts.scheme == "https" else 6379)
            found.append(Endpoint(name=name, host=parts.hostname, port=port, guard=its))
    return found


def certificates_check(
    find: Callable[[], Awaitable[Sequence[Endpoint]]],
    *,
    end_of: Callable[..., datetime] = certificate_end,
    wall: Callable[[], datetime] = now,
) -> HealthCheck:
    """Return the check of certificates: a handshake with each endpoint, once an hour and when somebody asks."""

    async def run(_asked: bool) -> Outcome:
        places = await find()
        if not places:
            return Outcome(detail="no provider, store or Redis of one's own is reached over TLS")
        slots = asyncio.Semaphore(AT_ONCE)

        async def end(place: Endpoint) -> datetime | None:
            async with slots:
                try:
                    return await asyncio.to_thread(end_of, place.host, place.port, guard=place.guard)
                except (AddressDenied, OSError, ValueError):
                    return None  # whether it can be reached is told by its own check

        moment = wall()
        ends = dict(zip((place.name for place in places), await asyncio.gather(*map(end, places)), strict=True))
        over = [name for name, at in ends.items() if at is not None and at <= moment]
        soon = [f"{name} (in {(at - moment).days} days)" for name, at in ends.items() if at and moment < at <= moment + SOON]
        dark = [name for name, at in ends.items() if at is None]
        told = [f"{len(ends) - len(dark)} certificates were looked at"]
        told += [f"ended: {', '.join(over)}"] if over else []
        told += [f"end within 14 days: {', '.join(soon)}"] if soon else []
        told += [f"could not be looked at: {', '.join(dark)}"] if dark else []
        if not over and not soon:
            return Outcome(detail="; ".join(told))
        return Outcome(
            state=FAILED if over else DEGRADED,
            detail="; ".join(told),
            effect="A server is refused from the moment its certificate ends, and what it does is missing.",
            hint="Renew the certificate on that server.",
        )

    return HealthCheck(
        name="certificates", run=run, limit=30.0, keep=KEEP_SECONDS, effect="Which certificates end soon is not known."
    )
