"""Prices: what is no number, no model or nobody's is refused, and the table does not grow for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.database.columns import now
from engine.database.provider_models import CallRow
from engine.errors import InputError
from engine.testing import ADMIN, offline_workbench

NAN, INF = float("nan"), float("inf")


@pytest.fixture
async def workbench(tmp_path):
    async with offline_workbench(tmp_path) as made:
        await made.add_provider(ADMIN, "openai", name="box", base_url="http://127.0.0.1:9", key="sk-0123456789abcdef")
        yield made


async def test_prices_that_are_none(workbench):
    numbers = [
        (NAN, 1.0), (1.0, NAN), (INF, INF), (1e308, 1e308), (1e6 + 1, 1.0), (-1.0, 1.0), (None, 1.0), (1.0, None), ("1", "2"),
        (10**400, 1.0), (True, False), ([], 1.0), (b"1", 1.0),
    ]  # fmt: skip
    for one, other in numbers:
        with pytest.raises(InputError):
            await workbench.set_price(ADMIN, "box", "m", one, other)
    for model in ("", "m" * 121, "m\0", "m\n", "\ud800", None, 5, ["m"]):
        with pytest.raises(InputError):
            await workbench.set_price(ADMIN, "box", model, 1.0, 1.0)
    for provider in ("", "nobody", "\ud800", None, 5, ["box"], "extractive"):
        with pytest.raises(InputError):
            await workbench.set_price(ADMIN, provider, "m", 1.0, 1.0)
    assert await workbench.prices(ADMIN) == []
    for days in (NAN, "3", None, 1.5, 0, 401):
        with pytest.raises(InputError):
            await workbench.usage(ADMIN, days=days)
    await workbench.set_price(ADMIN, "box", "m", 0, 1e6)
    assert [(one.model, one.input_usd, one.output_usd) for one in await workbench.prices(ADMIN)] == [("m", 0, 1e6)]


async def test_models_that_were_called_long_ago_are_not_listed(workbench):
    async with workbench._ledger._database.write() as session:
        for model, days in (("new", 89), ("old", 91)):
            day = (now() - timedelta(days=days)).date().isoformat()
            session.add(CallRow(day=day, provider="box", model=model, job="chat", elapsed_ms=1.0))
    assert [one.model for one in await workbench.prices(ADMIN)] == ["new"]
