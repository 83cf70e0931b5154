"""What calls of models cost: one row a call, with the user, the tokens, the price of that moment and the time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection, User
from engine.database.provider_models import CallRow
from engine.errors import StoreError
from engine.protocols import Embedder, Meter
from engine.provider_views import Usage
from engine.services.configuration import Configured, Live, is_free

logger = logging.getLogger(__name__)
PER = 1_000_000
KEPT_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. `job` is "chat", "rewrite", "rerank", "embedding" or "test"; `error` the class of what failed."""

    provider: str
    model: str
    job: str
    elapsed_ms: float
    input_tokens: int = 0
    output_tokens: int = 0
    error: str = ""


class Ledger:
    """The calls of this installation."""

    def __init__(self, *, database: Database, configured: Configured, meter: Meter) -> None:
        self._database = database
        self._meter = meter
        self._configured = configured

    async def note(self, user_id: str, calls: Sequence[Call]) -> float | None:
        """Write calls down and return what they cost together, None when a price is unknown.

        Never raises for the database: an answer that is there must not be lost because its bill could not be written.
        """
        if not calls:
            return 0.0
        try:
            live = await self._configured.current()
            costs = [self._metered(call, cost(live, call)) for call in calls]
            async with self._database.write() as session:
                for call, price in zip(calls, costs, strict=True):
                    session.add(row_of(user_id, call, price))
        except (StoreError, ValueError, OverflowError) as error:
            logger.warning("%d calls are missing in the ledger: %s", len(calls), error)
            return None
        known = [price for price in costs if price is not None]
        return sum(known) if len(known) == len(costs) else None

    async def bill_embedding(
        self, collection: Collection, texts: Sequence[str], embedder: Embedder, seconds: float
    ) -> Callable[[AsyncSession], None]:
        """Return what writes down a batch of an ingestion, for the transaction that keeps its vectors. Raises StoreError.

        Everything that waits happens here: inside the transaction it would hold the database's one write lock.
        """
        if collection.embedder == "local":
            return lambda _session: None
        tokens = await asyncio.to_thread(lambda: sum(embedder.tokens.count(text) for text in texts))
        call = Call(
            provider=collection.embedder,
            model=collection.embedding_model,
            job="embedding",
            elapsed_ms=seconds * 1000,
            input_tokens=tokens,
        )
        row = row_of("", call, self._metered(call, cost(await self._configured.current(), call)))
        return lambda session: session.add(row)

    def _metered(self, call: Call, price: float | None) -> float | None:
        for direction, tokens in (("input", call.input_tokens), ("output", call.output_tokens)):
            if tokens:
                self._meter.counted("tokens_total", (call.provider, call.model, direction), tokens)
        if price:
            self._meter.counted("cost_usd_total", (call.provider, call.model), price)
        return price

    async def purge(self) -> None:
        """Remove calls that are older than what the page can show."""
        first = (now() - timedelta(days=KEPT_DAYS)).date().isoformat()
        async with self._database.write() as session:
            await session.execute(delete(CallRow).where(CallRow.day < first))

    async def usage(self, *, days: int) -> list[Usage]:
        """Return sums of the last `days` days, newest day first, most expensive first within a day."""
        first = (now() - timedelta(days=days - 1)).date().isoformat()
        async with self._database.read() as session:
            return await _sums(session, first)


def cost(live: Live, call: Call) -> float | None:
    """Return the cost of a call in US dollars; None when the price is unknown."""
    if is_free(live, call.provider) or not (call.input_tokens or call.output_tokens):
        return 0.0
    price = live.prices.get((call.provider, call.model))
    return (call.input_tokens * price[0] + call.output_tokens * price[1]) / PER if price else None


def row_of(user_id: str, call: Call, price: float | None) -> CallRow:
    """Return the row of a call."""
    return CallRow(
        day=now().date().isoformat(),
        user_id=user_id[:32],
        provider=call.provider,
        model=call.model[:200],
        job=call.job,
        error=call.error,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cost_usd=price,
        elapsed_ms=round(call.elapsed_ms, 1),
    )


def who(user_id: str, name: str | None) -> str:
    """Return how the user of a call is shown; `name` is None for an id that no user has."""
    return name or ("command line" if user_id == "local" else "the system" if not user_id else "a former user")


async def _sums(session: AsyncSession, first: str) -> list[Usage]:
    keys = (CallRow.day, CallRow.user_id, CallRow.provider, CallRow.model, CallRow.job)
    query = (
        select(
            *keys,
            func.max(User.name),
            func.count(),
            func.sum(case((CallRow.error.not_in(["", "stopped"]), 1), else_=0)),
            func.sum(CallRow.input_tokens),
            func.sum(CallRow.output_tokens),
            func.sum(CallRow.cost_usd),
            func.sum(case((CallRow.cost_usd.is_(None), 1), else_=0)),
            func.avg(CallRow.elapsed_ms),
        )
        .outerjoin(User, User.id == CallRow.user_id)
        .where(CallRow.day >= first)
        .group_by(*keys)
    )
    rows = await session.execute(query)
    found = [
        Usage(
            day=date.fromisoformat(day),
            user=who(user_id, name),
            provider=provider,
            model=model,
            job=job,
            calls=calls,
            failures=int(failures),
            input_tokens=int(read),
            output_tokens=int(written),
            cost_usd=None if unknown else float(dollars or 0.0),
            mean_ms=round(float(mean), 1),
        )
        for day, user_id, provider, model, job, name, calls, failures, read, written, dollars, unknown, mean in rows
    ]
    return sorted(found, key=lambda one: (-one.day.toordinal(), -(one.cost_usd or 0.0), one.user, one.provider, one.model))
