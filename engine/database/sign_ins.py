"""Wrong passwords and codes, and the lock that they lead to: rows in SQL, so it survives a restart and holds for all processes.

Counted are tries, before the slow check and in the transaction that looks at the count: guesses made side by side cannot slip
under the limit. A right answer takes its own try back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.access_models import SignInFailure
from engine.database.columns import now
from engine.database.models import Counter, Session, User
from engine.sections import AccountRules

KNOWN_FOR = timedelta(days=30)
FAILURES_OF_KEYS = "api key"  # no user can have this name, for it has a space


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A try. `id` is None when a lock refuses it; `locks` says what locks if it fails: "account" or "address"."""

    id: int | None
    locks: str = ""


def network_of(ip: str) -> str:
    """Return what an address is counted as: IPv6 by its /64, which is what one customer gets and can walk through."""
    try:
        address = ipaddress.ip_address(ip.split("%")[0])
    except ValueError:
        return ip[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


async def attempt(session: AsyncSession, *, name: str, ip: str, rules: AccountRules) -> Attempt:
    """Count a try, unless the account or the address is locked. Names of nobody are counted alike.

    An address from which this user signed in within the last 30 days is counted on its own for this account: what strangers try
    elsewhere does not lock the user out at the usual place. All other addresses share one count.
    """
    # Databases other than SQLite would let two transactions see the same count: this row is the queue.
    await session.execute(select(Counter.value).where(Counter.name == "sequence").with_for_update())
    network = network_of(ip)
    since = now() - timedelta(minutes=rules.lock_minutes)
    query = select(SignInFailure.name, SignInFailure.ip).where(
        SignInFailure.at > since,
        SignInFailure.name != FAILURES_OF_KEYS,  # a script with an old key must not keep everybody at its address out
        or_(SignInFailure.name == name, SignInFailure.ip == network),
    )
    tries = [tuple(row) for row in await session.execute(query)]
    known = await _known(session, name, network)
    by_account = sum(one == name and (place == network or not known) for one, place in tries)
    by_address = sum(place == network for _, place in tries)
    if by_account >= rules.lock_after or by_address >= rules.lock_address_after:
        return Attempt(id=None)
    row = SignInFailure(name=name[:100], ip=network)
    session.add(row)
    await session.flush()
    locks = "account" if by_account + 1 == rules.lock_after else ""
    return Attempt(id=row.id, locks=locks or ("address" if by_address + 1 == rules.lock_address_after else ""))


async def _known(session: AsyncSession, name: str, network: str) -> bool:
    query = select(Session.ip).join(User, User.id == Session.user_id)
    places = await session.scalars(query.where(User.name == name, Session.created_at > now() - KNOWN_FOR).distinct())
    return bool(network) and any(network_of(place) == network for place in places)


async def take_back(session: AsyncSession, attempt_id: int | None) -> None:
    """Uncount a try that was right, without forgetting the wrong ones: more may be asked before there is a session."""
    await session.execute(delete(SignInFailure).where(SignInFailure.id == attempt_id))


async def forget(session: AsyncSession, *, name: str, ip: str) -> None:
    """Start the count of an account anew at one address, after a whole sign-in. What others try elsewhere stays counted."""
    await session.execute(delete(SignInFailure).where(SignInFailure.name == name, SignInFailure.ip == network_of(ip)))


async def unlock(session: AsyncSession, name: str) -> None:
    """Forget every wrong try at an account."""
    await session.execute(delete(SignInFailure).where(SignInFailure.name == name))


async def purge(session: AsyncSession, *, before: datetime) -> None:
    """Remove tries that no lock counts any more."""
    await session.execute(delete(SignInFailure).where(SignInFailure.at < before))


async def locked(session: AsyncSession, rules: AccountRules, names: Sequence[str] = ()) -> dict[str, datetime]:
    """Return name -> end of the lock, for all accounts, or these, that are locked for addresses they did not sign in from."""
    window = timedelta(minutes=rules.lock_minutes)
    query = select(SignInFailure.name, SignInFailure.at).where(SignInFailure.at > now() - window)
    if names:
        query = query.where(SignInFailure.name.in_(names))
    times: dict[str, list[datetime]] = {}
    for name, at in await session.execute(query.order_by(SignInFailure.at.desc())):
        times.setdefault(name, []).append(at)
    return {name: found[rules.lock_after - 1] + window for name, found in times.items() if len(found) >= rules.lock_after}
