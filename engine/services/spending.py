"""What models cost this month, and what it will have cost at its end."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.models import User
from engine.database.provider_models import CallRow
from engine.operations_views import Spending
from engine.services.ledger import who

MOST = 10
DAY_SECONDS = 86_400.0


async def spending(session: AsyncSession, moment: datetime) -> Spending:
    """Return what the month of `moment` cost so far; its days are those of UTC, like the ledger's."""
    today = moment.date().isoformat()
    keys = (CallRow.day, CallRow.provider, CallRow.model, CallRow.user_id)
    unknown = func.sum(case((CallRow.cost_usd.is_(None), 1), else_=0))
    query = (
        select(*keys, func.max(User.name), func.coalesce(func.sum(CallRow.cost_usd), 0.0), unknown)
        .outerjoin(User, User.id == CallRow.user_id)
        .where(CallRow.day >= f"{today[:7]}-01", CallRow.day <= today)
        .group_by(*keys)
    )
    by_day: defaultdict[str, float] = defaultdict(float)
    by_model: defaultdict[str, float] = defaultdict(float)
    by_user: defaultdict[str, float] = defaultdict(float)
    without_price = 0
    for day, provider, model, user_id, name, dollars, missing in await session.execute(query):
        for sums, key in ((by_day, day), (by_model, f"{provider} · {model}"), (by_user, who(user_id, name))):
            sums[key] += float(dollars)
        without_price += int(missing)
    month = sum(by_day.values())
    return Spending(
        today=by_day[today],
        month=month,
        forecast=_forecast(month, moment),
        unknown_calls=without_price,
        by_model=_most(by_model),
        by_user=_most(by_user),
    )


async def spent_today(session: AsyncSession, moment: datetime) -> float:
    """Return what this day of UTC cost so far, in US dollars."""
    day = moment.date().isoformat()
    return float(await session.scalar(select(func.sum(CallRow.cost_usd)).where(CallRow.day == day)) or 0.0)


def _forecast(month: float, moment: datetime) -> float:
    # In its first hours a month has no pace yet: it counts as having had one day.
    elapsed = (moment - moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)).total_seconds() / DAY_SECONDS
    return month / max(elapsed, 1.0) * calendar.monthrange(moment.year, moment.month)[1]


def _most(sums: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    ordered = sorted(((name, dollars) for name, dollars in sums.items() if dollars), key=lambda one: (-one[1], one[0]))
    return tuple(ordered[:MOST])
