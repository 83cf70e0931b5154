"""The providers that admins added: their addresses, options and sealed keys. A key goes in and never comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine import registry
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection
from engine.database.provider_models import CallRow, PriceRow, Provider, ProviderTest, SpaceRow
from engine.errors import InputError, NotFound
from engine.provider_views import Choice, KindInfo, ProviderInfo, TestResult
from engine.security.sealing import Sealer
from engine.services.accounts import require_role
from engine.services.choosing import checked
from engine.services.configuration import Configured, Live
from engine.services.ledger import Ledger
from engine.services.outgoing import Outgoing
from engine.services.provider_cards import card, kind_info
from engine.services.provider_input import (
    bound,
    clean_key,
    clean_name,
    clean_options,
    clean_timeout,
    clean_url,
    last4,
    place,
    refuse_built_in,
)
from engine.services.provider_tests import Tests
from engine.types import Principal, Role, Scalar

KEPT = timedelta(days=8)


class Providers:
    """Adding, changing and removing providers. Every call needs an admin; every change is audited with before and after."""

    def __init__(
        self,
        *,
        database: Database,
        configured: Configured,
        sealer: Sealer,
        tests: Tests,
        ledger: Ledger,
        outgoing: Outgoing,
    ) -> None:
        self._database = database
        self._configured = configured
        self._sealer = sealer
        self._tests = tests
        self._ledger = ledger
        self._outgoing = outgoing

    async def kinds(self, principal: Principal) -> list[KindInfo]:
        """Return what can be added, by label."""
        require_role(principal, Role.ADMIN)
        names = {name for table in registry.ROLES.values() for name, spec in table.items() if not spec.built_in}
        return sorted((kind_info(name) for name in names), key=lambda one: one.label.casefold())

    async def all(self, principal: Principal) -> list[ProviderInfo]:
        """Return built-in providers, then the added ones by name."""
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        tests = await self._tests.latest()
        async with self._database.read() as session:
            today = await _today(session)
            used = await _used(session, live)
        built_in = [
            name
            for name in dict.fromkeys(name for table in registry.ROLES.values() for name in table)
            if all(spec.built_in for spec in registry.roles(name).values())
        ]
        rows: list[tuple[str, Provider | None]] = [(name, None) for name in built_in]
        rows += list(live.providers.items())
        return [card(name, row, tests.get(name, []), today.get(name), used[name]) for name, row in rows]

    async def one(self, principal: Principal, name: str) -> ProviderInfo:
        """Return one provider. Raises NotFound."""
        for info in await self.all(principal):
            if info.name == name:
                return info
        raise NotFound(f"there is no provider {name!r}", hint="Choose one from the list.")

    async def add(
        self,
        principal: Principal,
        kind: str,
        *,
        name: str,
        base_url: str = "",
        key: str = "",
        options: Mapping[str, Scalar] | None = None,
        timeout_seconds: float = 60.0,
    ) -> ProviderInfo:
        """Add a provider; nothing uses it until it is chosen. Raises InputError, UnknownComponent, AddressDenied."""
        require_role(principal, Role.ADMIN)
        refuse_built_in(kind)
        specs = registry.roles(kind)
        name = clean_name(name, kind)
        key = clean_key(key)
        row = Provider(
            name=name,
            kind=kind,
            base_url=clean_url(base_url, specs),
            key_last4=last4(key),
            options=clean_options(options or {}, specs),
            timeout_seconds=clean_timeout(timeout_seconds),
        )
        await self._outgoing.check(principal, name, row.base_url)
        row.sealed_key = self._sealer.seal(bound(key, row.base_url, row.options)) if key else None
        live = await self._configured.current(fresh=True)
        async with self._database.write() as session:
            if await session.get(Provider, name) is not None:
                raise InputError(f"there is already a provider {name!r}", hint="Choose another name.")
            row.revision = live.choices.version + 1  # never used before, whatever had this name
            session.add(row)
            await self._configured.bump(session, live.choices, by=principal.name)
            await record(session, principal, "provider.add", name, after=_told(row), key="set" if key else "none")
        await self._configured.current(fresh=True)
        return await self.one(principal, name)

    async def edit(
        self,
        principal: Principal,
        name: str,
        *,
        base_url: str | None = None,
        key: str | None = None,
        options: Mapping[str, Scalar] | None = None,
        timeout_seconds: float | None = None,
    ) -> tuple[ProviderInfo, bool]:
        """Change what is given (None = leave it); tell whether the stored key was dropped because the host changed.

        A key belongs to the host it was entered for: another address could be somebody else's. Raises NotFound, InputError,
        AddressDenied.
        """
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        if base_url is not None:
            async with self._database.read() as session:
                kind = (await _require(session, name)).kind
            await self._outgoing.check(principal, name, clean_url(base_url, registry.roles(kind)))
        async with self._database.write() as session:
            row = await _require(session, name)
            specs, before = registry.roles(row.kind), _told(row)
            url = row.base_url if base_url is None else clean_url(base_url, specs)
            new_key = clean_key(key) if key is not None else None
            cleaned = row.options if options is None else clean_options(options, specs)
            moved = place(url, cleaned) != place(row.base_url, row.options)
            dropped = moved and bool(row.sealed_key) and not new_key
            if dropped or new_key is not None:
                row.sealed_key = self._sealer.seal(bound(new_key, url, cleaned)) if new_key else None
                row.key_last4 = last4(new_key or "")
            row.base_url = url
            row.options = cleaned
            row.timeout_seconds = row.timeout_seconds if timeout_seconds is None else clean_timeout(timeout_seconds)
            row.revision = live.choices.version + 1
            await _forget_tests(session, name)
            await self._configured.bump(session, live.choices, by=principal.name)
            became = "dropped" if dropped else "unchanged" if new_key is None else "changed" if new_key else "removed"
            await record(session, principal, "provider.edit", name, before=before, after=_told(row), key=became)
        await self._configured.current(fresh=True)
        return await self.one(principal, name), dropped

    async def remove(self, principal: Principal, name: str) -> None:
        """Remove a provider with its key. Raises NotFound, and InputError that names what still uses it."""
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        async with self._database.write() as session:
            row = await _require(session, name)
            used = (await _used(session, live))[name]
            if used:
                raise InputError(
                    f"the provider {name!r} is in use: {'; '.join(used)}", hint="Choose another one for that first."
                )
            before = _told(row)
            await session.delete(row)
            await _forget_tests(session, name)
            await session.execute(delete(PriceRow).where(PriceRow.provider == name))
            await self._configured.bump(session, live.choices, by=principal.name)
            await record(session, principal, "provider.remove", name, before=before)
        await self._configured.current(fresh=True)

    async def test(self, principal: Principal, name: str, role: str, model: str = "") -> TestResult:
        """Call a provider for real and keep the result. Raises NotFound, InputError for a role that it does not have."""
        info = await self.one(principal, name)
        if role not in info.roles:
            raise InputError(f"{name} does not do {role}", hint=f"It does: {', '.join(info.roles)}.")
        if model:
            model = checked(await self._configured.current(), role, Choice(provider=name, model=model)).model
        result = await self._tests.run(principal.user_id, name, role, model)
        async with self._database.write() as session:
            outcome = "success" if result.ok else "failure"
            await record(session, principal, "provider.test", name, outcome=outcome, role=role, model=result.model)
        return result

    async def models(self, principal: Principal, name: str, role: str) -> list[str]:
        """Return the models that a provider offers now. Raises NotFound, ProviderError, ConfigError."""
        info = await self.one(principal, name)
        return await self._tests.models(name, role) if role in info.roles else []


async def _require(session: AsyncSession, name: str) -> Provider:
    row = await session.get(Provider, name)
    if row is None:
        raise NotFound(f"there is no provider {name!r} that could be changed", hint="Choose one from the list.")
    return row


async def _forget_tests(session: AsyncSession, name: str) -> None:
    await session.execute(delete(ProviderTest).where(ProviderTest.provider == name))


async def _today(session: AsyncSession) -> dict[str, tuple[int, int, int, float | None, str]]:
    """Return provider -> calls, failures, tokens, cost (None = unknown) of today, and the error of its last call."""
    query = (
        select(
            CallRow.provider,
            func.count(),
            func.sum(case((CallRow.error.not_in(["", "stopped"]), 1), else_=0)),
            func.sum(CallRow.input_tokens + CallRow.output_tokens),
            func.sum(CallRow.cost_usd),
            func.sum(case((CallRow.cost_usd.is_(None), 1), else_=0)),
            func.max(CallRow.id),
        )
        .where(CallRow.day == now().date().isoformat())
        .group_by(CallRow.provider)
    )
    found = {}
    for name, calls, failures, tokens, dollars, unknown, last in await session.execute(query):
        row = await session.get_one(CallRow, last)
        cost = None if unknown else float(dollars or 0.0)
        found[name] = (calls, int(failures), int(tokens), cost, "" if row.error == "stopped" else row.error)
    return found


async def _used(session: AsyncSession, live: Live) -> dict[str, list[str]]:
    """Return provider -> sentences about what depends on it."""
    used: dict[str, list[str]] = defaultdict(list)
    for n, link in enumerate(live.choices.chain, start=1):
        used[link.provider].append(f"answers: number {n} of {len(live.choices.chain)}")
    for job, choice in (("rewriting questions", live.choices.rewrite), ("reranking", live.choices.rerank)):
        if choice:
            used[choice.provider].append(job)
    used[live.choices.embedding.provider].append("embedding of new collections")
    used[live.choices.store].append("store of new collections")
    for column, what in ((Collection.embedder, "embedding"), (Collection.store, "vectors")):
        for name, count in await session.execute(select(column, func.count()).group_by(column)):
            used[name].append(f"{what} of {count} collection{'s' * (count != 1)}")
    # A space that could not be removed from its store for long must not keep a dead provider here for ever.
    kept = select(SpaceRow.store, func.count()).where(SpaceRow.retired_at > now() - KEPT)
    for name, count in await session.execute(kept.group_by(SpaceRow.store)):
        used[name].append(f"kept for a week after moves of {count} collection{'s' * (count != 1)}")
    return used


def _told(row: Provider) -> dict[str, object]:
    """Return what the audit may say of a provider."""
    return {"kind": row.kind, "base_url": row.base_url, "options": dict(row.options), "timeout_seconds": row.timeout_seconds}
