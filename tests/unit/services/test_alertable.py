"""What alert rules watch has the value that its name promises, of all replicas together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import Collection, DocumentRow, Job, Version
from engine.database.provider_models import CallRow
from engine.errors import InputError
from engine.monitoring.hub import Hub
from engine.services.alertable import Alertable
from engine.services.history import History
from engine.services.replicas import Replica

CHAT = ("chat", "acme", "m1")
OTHER = ("chat", "acme", "m2")


class Two:
    """Two processes over one database; rules are watched in the first."""

    def __init__(self, database: Database) -> None:
        self.at = now()
        self.hub, self.other_hub = Hub(strict=True), Hub(strict=True)
        self.history, self.other = (
            History(database=database, hub=hub, replica=Replica(name=name, host="h"), minute_hours=48, wall=lambda: self.at)
            for name, hub in (("one", self.hub), ("other", self.other_hub))
        )
        self.watched = Alertable(database=database, history=self.history, wall=lambda: self.at)
        self.database = database

    async def value(self, name: str, label: str = "", minutes: float = 5) -> float | None:
        return await self.watched.value(name, label, minutes)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db", audit_key=b"k" * 32)
    await database.migrate()
    yield Two(database)
    await database.close()


async def test_each_has_the_value_that_its_name_promises(two: Two) -> None:
    for hub in (two.hub, two.other_hub):
        for outcome, times in (("answered", 6), ("refused", 2), ("failed", 1), ("stopped", 1)):
            hub.counted("questions_total", (outcome,), times)
        for served, times in (("first", 6), ("fallback", 3), ("cache", 1)):
            hub.counted("answers_total", (served,), times)
        for support, times in (("supported", 3), ("unsupported", 1)):
            hub.counted("sentences_total", (support,), times)
        hub.counted("cache_requests_total", ("answers", "hit"), 1)
        hub.counted("cache_requests_total", ("answers", "miss"), 3)
        hub.counted("cache_requests_total", ("embeddings", "hit"), 4)
        hub.counted("not_permitted_total", (*CHAT, "open"), 10)
        for seconds, ok in ((0.1, True), (0.1, True), (0.1, True), (9.0, False)):
            hub.timed("dependency_seconds", CHAT, seconds, ok=ok)
            hub.timed("stage_seconds", ("total",), seconds)
            hub.timed("stage_seconds", ("embed",), 0.01)
        hub.timed("dependency_seconds", OTHER, 0.1)
        hub.gauged("check_state", ("disk",), 1)
    two.hub.gauged("breaker_state", CHAT, 0)
    two.other_hub.gauged("breaker_state", CHAT, 2)
    two.other_hub.gauged("breaker_state", OTHER, -1)
    two.other_hub.gauged("check_state", ("redis",), 2)
    await two.other.flush()
    expected = {
        ("error_rate", ""): 10.0, ("refusal_rate", ""): 25.0, ("unsupported_rate", ""): 25.0, ("fallback_rate", ""): 30.0,
        ("cache_hit_rate", ""): 62.5, ("cache_hit_rate", "answers"): 25.0, ("cache_hit_rate", "embeddings"): 100.0,
        ("stage_p50_ms", ""): 100.0, ("stage_p50_ms", "embed"): 10.0, ("stage_p95_ms", "total"): 9000.0,
        ("dependency_p50_ms", "chat · acme · m2"): 100.0, ("dependency_p95_ms", ""): 9000.0,
        ("dependency_error_rate", ""): 20.0, ("dependency_error_rate", "chat · acme · m1"): 25.0, ("dependency_error_rate", "chat · acme · m2"): 0.0,
        ("breaker_open", ""): 1.0, ("breaker_open", "chat · acme · m1"): 1.0, ("breaker_open", "chat · acme · m2"): 0.0,
        ("check_failed", ""): 1.0, ("check_failed", "disk"): 0.0, ("check_failed", "redis"): 1.0,
        ("queue_documents", ""): 0.0, ("queue_oldest_seconds", ""): 0.0, ("spending_today", ""): 0.0,
    }  # fmt: skip
    found = {key: await two.value(*key) for key in expected}
    assert found == {key: pytest.approx(value, rel=0.05) for key, value in expected.items()}
    assert await two.watched.which("breaker_open", "") == ["chat · acme · m1"]
    assert await two.watched.which("check_failed", "disk") == await two.watched.which("error_rate", "") == []
    pace = await two.value("questions_per_minute", minutes=5)
    assert pace == pytest.approx(20 / 5, rel=0.2)
    assert await two.value("not_permitted_per_minute", "chat · acme · m1") == pytest.approx(pace)
    assert await two.value("not_permitted_per_minute", "chat · acme · m2") == 0.0
    rows = {one.name: one for one in await two.watched.metrics()}
    assert {name for name, _ in expected} <= set(rows)
    assert rows["dependency_p95_ms"].labels == ("chat · acme · m1", "chat · acme · m2") == rows["breaker_open"].labels
    assert rows["check_failed"].labels == ("disk", "redis")
    assert rows["cache_hit_rate"].labels == ("answers", "embeddings")
    assert "first_token" in rows["stage_p95_ms"].labels


async def test_nothing_measured_is_nothing_and_not_a_zero_that_looks_good(two: Two) -> None:
    values = {one.name: await two.value(one.name) for one in await two.watched.metrics()}
    present = {name for name, value in values.items() if value is not None}
    assert present == {
        "questions_per_minute",
        "not_permitted_per_minute",
        "queue_documents",
        "queue_oldest_seconds",
        "spending_today",
    }


async def test_what_was_longer_ago_than_the_minutes_does_not_count(two: Two) -> None:
    two.hub.counted("questions_total", ("failed",))
    await two.history.flush()
    two.at += timedelta(minutes=7)
    two.hub.counted("questions_total", ("answered",))
    assert await two.value("error_rate", minutes=1) == 0.0
    assert await two.value("error_rate", minutes=10) == 50.0


async def test_a_name_that_does_not_exist_is_refused_with_those_that_do(two: Two) -> None:
    with pytest.raises(InputError) as refusal:
        await two.value("cpu")
    assert "error_rate" in refusal.value.hint


async def test_the_queue_and_the_spending_are_those_of_now(two: Two) -> None:
    async with two.database.write() as session:
        session.add(
            Collection(
                id="c",
                name="c",
                chunker="fixed",
                chunk_tokens=1,
                overlap_tokens=0,
                embedder="local",
                dimension=1,
                model_id="m",
                created_by="x",
            )
        )
        session.add(DocumentRow(id="d", collection_id="c", name="a.txt", created_by="x"))
        await session.flush()
        session.add(Version(id="v", document_id="d", collection_id="c", number=1, sha256="s", size_bytes=1, blob="b"))
        await session.flush()
        session.add(Job(version_id="v", created_at=now() - timedelta(seconds=90)))
        for day in (now(), now() - timedelta(days=1)):
            session.add(CallRow(day=day.date().isoformat(), provider="p", job="chat", cost_usd=1.25, elapsed_ms=1))
    assert await two.value("queue_documents") == 1.0
    assert await two.value("queue_oldest_seconds") == pytest.approx(90, abs=20)
    assert await two.value("spending_today") == 1.25
    await asyncio.gather(*(two.value(one.name) for one in await two.watched.metrics()))
