"""What is known of providers without asking them: the last real call, the last test, and the breakers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.columns import now
from engine.database.provider_models import CallRow, ProviderTest
from engine.operations_views import BreakerInfo, BreakerState
from engine.services.provider_cards import WORDS

DAYS = 7
NOT_FAILURES = ("", "stopped")
JOBS = {"chat": ("chat",), "embedding": ("embedding",), "rerank": ("rerank",), "rewrite": ("rewrite",)}
REFUSING = {
    BreakerState.OPEN: "is left alone after failures",
    BreakerState.TRIPPED: "was taken out by an operator",
    BreakerState.DRAINING: "is being taken out by an operator",
}

Breakers = Callable[[], Sequence[BreakerInfo]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The newest call or test of a provider in one role: `problem` is "" when it went well."""

    at: datetime
    problem: str
    elapsed_ms: float


class Evidence:
    """The newest of each provider, read once for one look."""

    def __init__(self, last: Mapping[tuple[str, str], Last], breakers: Sequence[BreakerInfo]) -> None:
        self._last = last
        self._breakers = breakers

    def last(self, provider: str, role: str = "") -> Last | None:
        """Return the newest of one role, or of all of them."""
        found = [one for (name, of), one in self._last.items() if name == provider and role in ("", of)]
        return max(found, key=lambda one: one.at, default=None)

    def forced(self, provider: str) -> bool:
        """Tell whether an operator took something of a provider out of use, and nothing else keeps its calls away."""
        states = {one.state for one in self._breakers if one.dependency.provider == provider} & REFUSING.keys()
        return bool(states) and BreakerState.OPEN not in states

    def refusing(self, provider: str, operation: str = "", model: str = "") -> str:
        """Return why calls are not let through now, "" when they are."""
        for one in self._breakers:
            its = one.dependency
            mine = its.provider == provider and operation in ("", its.operation) and model in ("", its.model)
            if mine and one.state in REFUSING:
                wait = f", for {one.retry_after_seconds:.0f} s more" if one.retry_after_seconds else ""
                told = f": {one.reason or one.last_error}" if one.reason or one.last_error else ""
                return f"{its.operation} {REFUSING[one.state]}{wait}{told}"
        return ""

    def problem(self, provider: str, role: str, model: str = "") -> str:
        """Return what is wrong with a provider in a role as far as is known, "" when nothing is."""
        refusing = self.refusing(provider, "chat" if role == "rewrite" else role, model)
        last = self.last(provider, role)
        return refusing or (last.problem if last else "")


async def evidence(session: AsyncSession, breakers: Sequence[BreakerInfo]) -> Evidence:
    """Return what is known now. Calls older than a week tell nothing."""
    first = (now() - timedelta(days=DAYS)).date().isoformat()
    known = (CallRow.day >= first) & CallRow.job.in_(list(JOBS)) & (CallRow.error != "stopped")
    newest = select(func.max(CallRow.id)).where(known).group_by(CallRow.provider, CallRow.job)
    last: dict[tuple[str, str], Last] = {}
    for row in await session.scalars(select(CallRow).where(CallRow.id.in_(newest))):
        failed = row.error not in NOT_FAILURES
        problem = f"the last call failed ({WORDS.get(row.error, row.error)})" if failed else ""
        last[row.provider, row.job] = Last(at=row.at, problem=problem, elapsed_ms=row.elapsed_ms)
    for test in await session.scalars(select(ProviderTest).where(ProviderTest.role != "store")):
        before = last.get((test.provider, test.role))
        if before is None or before.at < test.at:
            problem = "" if test.ok else f"the last test failed: {test.detail}"
            last[test.provider, test.role] = Last(at=test.at, problem=problem, elapsed_ms=test.elapsed_ms)
    return Evidence(last, breakers)
