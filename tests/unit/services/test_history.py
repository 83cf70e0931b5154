"""Measurements on their way into SQL and back: nothing is lost, nothing is counted twice, and percentiles stay right."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, text

from engine.database.database import Database
from engine.database.operations_models import RollupRow
from engine.database.rollups import FOUR_HOURS, HALF_DAY, HALF_HOUR, MINUTE, RESOLUTIONS
from engine.errors import StoreError
from engine.monitoring.hub import Hub
from engine.services.history import MINUTES_HELD, STEPS_HELD, History
from engine.services.measurements import by_label, timing
from engine.services.replicas import Replica

NOON = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)


class Wall:
    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def go(self, **duration: float) -> None:
        self.at += timedelta(**duration)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "empty.db"

    async def make() -> None:
        made = Database(f"sqlite+aiosqlite:///{path}", audit_key=b"k" * 32)
        await made.migrate()
        await made.close()

    asyncio.run(make())
    return path


@pytest.fixture
async def database(empty: Path, tmp_path: Path) -> AsyncIterator[Database]:
    shutil.copy(empty, tmp_path / "x.db")
    made = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db", audit_key=b"k" * 32)
    yield made
    await made.close()


@pytest.fixture
def wall() -> Wall:
    return Wall()


def history(database: Database, wall: Wall, name: str = "one") -> tuple[History, Hub]:
    hub = Hub(strict=True)
    return History(database=database, hub=hub, replica=Replica(name=name, host="h"), minute_hours=48, wall=wall), hub


async def questions(
    reader: History, resolution: int = MINUTE, since: datetime = NOON - timedelta(days=401)
) -> dict[datetime, float]:
    found: dict[datetime, float] = {}
    for cell in await reader.read(["questions_total"], resolution=resolution, since=since):
        found[cell.at] = found.get(cell.at, 0.0) + cell.sums.total
    return found


@pytest.mark.parametrize("shape", ["exponential", "lognormal", "two modes", "one value", "few"])
async def test_percentiles_of_all_minutes_and_replicas_are_those_of_all_durations(
    database: Database, wall: Wall, shape: str
) -> None:
    random = np.random.default_rng(7)
    durations = {
        "exponential": random.exponential(0.8, 3000),
        "lognormal": random.lognormal(-3, 2, 3000),
        "two modes": np.concatenate([random.normal(0.05, 0.005, 2000), random.normal(20, 2, 1000)]),
        "one value": np.full(90, 0.2),
        "few": np.array([0.001, 0.1, 7.0]),
    }[shape]
    durations = np.clip(durations, 1e-4, None)
    random.shuffle(durations)
    replicas = [history(database, wall, f"r{number}") for number in range(3)]
    for part in np.array_split(durations, 12):
        for (_, hub), share in zip(replicas, np.array_split(part, 3), strict=True):
            for seconds in share:
                hub.timed("stage_seconds", ("total",), float(seconds))
        for keeper, _ in replicas[:2]:  # the third writes all at the end
            await keeper.flush()
        wall.go(minutes=7)
    for resolution in RESOLUTIONS:
        cells = await replicas[2][0].read(
            ["stage_seconds"], resolution=resolution, since=NOON - timedelta(days=1), buckets=True
        )
        found = timing("total", by_label(cells)["total"])
        assert found.count == len(durations)
        assert found.mean_ms == pytest.approx(durations.mean() * 1000)
        for q in (50, 95, 99):
            exact = np.percentile(durations, q, method="inverted_cdf") * 1000  # nearest rank
            assert getattr(found, f"p{q}_ms") == pytest.approx(exact, rel=0.05), (resolution, q)
    assert len(cells) <= 4, "the half days of three replicas are few rows"


async def test_every_resolution_has_the_same_sums_in_its_own_steps(database: Database, wall: Wall) -> None:
    keeper, hub = history(database, wall)
    for _ in range(6):
        hub.counted("questions_total", ("answered",), 2)
        wall.go(minutes=25)
        await keeper.flush()
    assert sum((await questions(keeper)).values()) == 12
    halves = (2, 2, 2, 2, 4)
    assert await questions(keeper, HALF_HOUR) == {NOON + timedelta(minutes=30 * n): total for n, total in enumerate(halves)}
    assert await questions(keeper, FOUR_HOURS) == {NOON: 12.0}
    assert await questions(keeper, HALF_DAY) == {NOON: 12.0}
    async with database.read() as session:
        rows = await session.execute(select(RollupRow.resolution, func.sum(RollupRow.total)).group_by(RollupRow.resolution))
        assert {resolution: total for resolution, total in rows} == dict.fromkeys(RESOLUTIONS, 12.0)


async def test_what_is_drained_just_after_a_minute_belongs_to_the_minute_before(database: Database, wall: Wall) -> None:
    keeper, hub = history(database, wall)
    hub.counted("questions_total", ("answered",))
    wall.go(seconds=60.05)
    await keeper.flush()
    assert await questions(keeper) == {NOON: 1.0}


async def test_a_clock_that_is_set_back_puts_nothing_into_the_future(database: Database, wall: Wall) -> None:
    one, hub = history(database, wall)
    hub.counted("questions_total", ("answered",))
    wall.go(hours=-1)
    await one.flush()
    assert await questions(one) == {wall.at: 1}


async def test_what_is_not_written_yet_is_read_with_the_rest(database: Database, wall: Wall) -> None:
    keeper, hub = history(database, wall)
    hub.counted("questions_total", ("answered",))
    await keeper.flush()
    hub.counted("questions_total", ("answered",))
    assert await questions(keeper) == {NOON: 2.0}
    assert await questions(keeper) == {NOON: 2.0}, "reading is no writing"
    assert await questions(history(database, wall)[0]) == {NOON: 1.0}, "another process sees what is written"


async def test_while_sql_is_away_nothing_is_lost_and_it_is_written_where_it_belongs(database: Database, wall: Wall) -> None:
    keeper, hub = history(database, wall)
    async with database.write() as session:
        await session.execute(text("ALTER TABLE rollups RENAME TO away"))
    for _ in range(5):
        hub.counted("questions_total", ("answered",))
        hub.gauged("breaker_state", ("chat", "p", "m"), 2)
        wall.go(minutes=1)
        with pytest.raises(StoreError):
            await keeper.flush()
    async with database.write() as session:
        await session.execute(text("ALTER TABLE away RENAME TO rollups"))
    await keeper.flush()
    await keeper.flush()
    assert await questions(history(database, wall)[0]) == {NOON + timedelta(minutes=n): 1.0 for n in range(5)}


async def test_a_long_outage_takes_bounded_memory_and_still_loses_nothing(database: Database, wall: Wall) -> None:
    keeper, hub = history(database, wall)
    for _ in range(300):
        hub.counted("questions_total", ("answered",))
        keeper._take()
        wall.go(minutes=17)
    assert MINUTES_HELD <= len(keeper._waiting) <= STEPS_HELD
    await keeper.flush()
    assert sum((await questions(history(database, wall)[0])).values()) == 300


async def test_the_end_of_a_process_writes_what_came_since_the_last_minute(database: Database, wall: Wall) -> None:
    keeper, hub = history(database, wall)
    hub.counted("questions_total", ("answered",))
    await keeper.close()
    assert await questions(history(database, wall)[0]) == {NOON: 1.0}


async def test_an_end_that_cannot_write_is_told_in_the_log(
    database: Database, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    keeper, hub = history(database, wall)
    hub.counted("questions_total", ("answered",))
    async with database.write() as session:
        await session.execute(text("DROP TABLE rollups"))
    await keeper.close()
    assert "the last minute of measurements is lost" in caplog.text


async def test_a_write_that_is_committed_while_the_process_stops_is_not_done_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = Wall(NOON + timedelta(seconds=59.99))
    keeper, hub = history(database, wall)
    hub.counted("questions_total", ("answered",))
    committed, told, write = asyncio.Event(), asyncio.Event(), database.write

    @asynccontextmanager
    async def late():
        async with write() as session:
            yield session
        committed.set()
        await told.wait()  # the answer of a slow server

    monkeypatch.setattr(database, "write", late)
    running = asyncio.create_task(keeper.run())
    await committed.wait()
    running.cancel()
    await asyncio.wait([running])
    told.set()
    await keeper.close()
    assert await questions(history(database, wall)[0]) == {NOON: 1.0}


async def test_minutes_go_after_two_days_and_longer_steps_after_400(database: Database, wall: Wall) -> None:
    keeper, hub = history(database, wall)
    hub.counted("questions_total", ("answered",))
    await keeper.flush()
    wall.go(hours=47)
    await keeper.purge()
    assert [len(await questions(keeper, resolution)) for resolution in RESOLUTIONS] == [1, 1, 1, 1]
    wall.go(hours=2)
    await keeper.purge()
    assert [len(await questions(keeper, resolution)) for resolution in RESOLUTIONS] == [0, 0, 1, 1]
    wall.go(days=400)
    await keeper.purge()
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(RollupRow)) == 0


async def test_a_gauge_is_what_each_process_last_said(database: Database, wall: Wall) -> None:
    (one, hub), (other, other_hub) = history(database, wall), history(database, wall)  # of the same name: one host
    hub.gauged("breaker_state", ("chat", "p", "m"), 2)
    other_hub.gauged("breaker_state", ("chat", "p", "m"), 0)
    await one.flush()
    await other.flush()
    assert sorted((await other.gauges("breaker_state"))["chat|p|m"]) == [0.0, 2.0]
    hub.gauged("breaker_state", ("chat", "p", "m"), 1)
    assert sorted((await one.gauges("breaker_state"))["chat|p|m"]) == [0.0, 1.0], "its own is as of now"
    await one.flush()
    assert sorted((await other.gauges("breaker_state"))["chat|p|m"]) == [0.0, 1.0]
    wall.go(minutes=4)
    assert (await other.gauges("breaker_state"))["chat|p|m"] == [0.0], "one that is gone is not asked"
