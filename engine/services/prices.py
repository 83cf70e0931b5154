"""Prices per million tokens, entered by admins: what is not known stays unknown."""

from __future__ import annotations

from sqlalchemy import select

from engine import registry
from engine.database.audit import record
from engine.database.database import Database
from engine.database.provider_models import CallRow, PriceRow
from engine.errors import InputError
from engine.provider_views import Price, Usage
from engine.services.accounts import require_role
from engine.services.configuration import Configured
from engine.services.ledger import Ledger
from engine.types import Principal, Role


class Prices:
    """The price table, and what calls cost by it. Every call needs an admin."""

    def __init__(self, *, database: Database, configured: Configured, ledger: Ledger) -> None:
        self._database = database
        self._configured = configured
        self._ledger = ledger

    async def usage(self, principal: Principal, *, days: int = 30) -> list[Usage]:
        """Return sums of calls by day, user and model. Raises InputError."""
        require_role(principal, Role.ADMIN)
        if not 1 <= days <= 400:
            raise InputError("usage is kept for 1 to 400 days back", hint="Choose a number in between.")
        return await self._ledger.usage(days=days)

    async def prices(self, principal: Principal) -> list[Price]:
        """Return a row for each model that has a price, is chosen, or was called, where calls cost anything."""
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        async with self._database.read() as session:
            called = (await session.execute(select(CallRow.provider, CallRow.model).distinct())).all()
        chosen = [*live.choices.chain, live.choices.embedding, *filter(None, (live.choices.rewrite, live.choices.rerank))]
        paid = {name for name, row in live.providers.items() if any(one.secret for one in registry.roles(row.kind).values())}
        keys = {(name, model) for name, model in called} | {(one.provider, one.model) for one in chosen} | set(live.prices)
        return [
            Price(provider=name, model=model, input_usd=price[0] if price else None, output_usd=price[1] if price else None)
            for name, model in sorted(keys)
            if name in paid and model
            for price in [live.prices.get((name, model))]
        ]

    async def set_price(
        self, principal: Principal, provider: str, model: str, input_usd: float | None, output_usd: float | None
    ) -> None:
        """Set US dollars per million tokens for later calls; both None = unknown. Raises InputError."""
        require_role(principal, Role.ADMIN)
        if (input_usd is None) != (output_usd is None) or min(input_usd or 0.0, output_usd or 0.0) < 0:
            raise InputError("a price has two parts, input and output, of 0 or more", hint="Enter both, or leave both empty.")
        live = await self._configured.current(fresh=True)
        async with self._database.write() as session:
            row = await session.get(PriceRow, (provider, model))
            before = [row.input_usd, row.output_usd] if row else None
            if input_usd is None or output_usd is None:
                if row is not None:
                    await session.delete(row)
            else:
                await session.merge(PriceRow(provider=provider, model=model, input_usd=input_usd, output_usd=output_usd))
            await self._configured.bump(session, live.choices, by=principal.name)
            after = None if input_usd is None else [input_usd, output_usd]
            await record(session, principal, "price.set", f"{provider} · {model}", before=before, after=after)
        await self._configured.current(fresh=True)
