"""Prices per million tokens, entered by admins: what is not known stays unknown."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from engine import registry
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.database.provider_models import CallRow, PriceRow
from engine.errors import InputError
from engine.provider_views import Price, Usage
from engine.services.accounts import require_role
from engine.services.configuration import Configured
from engine.services.ledger import Ledger
from engine.types import Principal, Role

MAX_USD = 1e6
MAX_MODEL_CHARS = 120
CALLED_DAYS = 90


class Prices:
    """The price table, and what calls cost by it. Every call needs an admin."""

    def __init__(self, *, database: Database, configured: Configured, ledger: Ledger) -> None:
        self._database = database
        self._configured = configured
        self._ledger = ledger

    async def usage(self, principal: Principal, *, days: int = 30) -> list[Usage]:
        """Return sums of calls by day, user and model. Raises InputError."""
        require_role(principal, Role.ADMIN)
        if not isinstance(days, int) or not 1 <= days <= 400:
            raise InputError("usage is kept for 1 to 400 days back", hint="Choose a number in between.")
        return await self._ledger.usage(days=days)

    async def prices(self, principal: Principal) -> list[Price]:
        """Return a row for each model that has a price, is chosen, or was called in 90 days, where calls cost anything."""
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        since = (now() - timedelta(days=CALLED_DAYS)).date().isoformat()
        async with self._database.read() as session:
            called = (
                await session.execute(select(CallRow.provider, CallRow.model).where(CallRow.day >= since).distinct())
            ).all()
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
        if (input_usd is None) != (output_usd is None) or not (_is_price(input_usd) and _is_price(output_usd)):
            raise InputError(
                f"a price has two parts, input and output, of 0 to {MAX_USD:,.0f}", hint="Enter both, or leave both empty."
            )
        if not isinstance(model, str) or not model.isprintable() or not 1 <= len(model) <= MAX_MODEL_CHARS:
            raise InputError(f"a model's name has 1 to {MAX_MODEL_CHARS} characters", hint="Choose one from the list.")
        live = await self._configured.current(fresh=True)
        if not isinstance(provider, str) or provider not in live.providers:
            raise InputError("there is no such provider", hint="Add it first: prices belong to a provider and a model.")
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


def _is_price(usd: float | None) -> bool:
    return usd is None or (isinstance(usd, (int, float)) and not isinstance(usd, bool) and 0 <= usd <= MAX_USD)
