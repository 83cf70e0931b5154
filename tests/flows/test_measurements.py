"""What the health page's charts are made of: real questions, written to SQL, read back, over restarts and replicas."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from engine.access_views import Scope
from engine.database.columns import now
from engine.database.database import Database
from engine.database.models import DocumentRow, Job, User
from engine.database.operations_models import Heartbeat, Preference, RollupRow
from engine.database.provider_models import CallRow
from engine.errors import AccessDenied, InputError, NotFound
from engine.operations_views import Measurements, Range
from engine.services import heartbeats
from engine.services.heartbeats import Heartbeats
from engine.services.replicas import Replica
from engine.services.spending import spending
from engine.testing import ADMIN
from engine.types import Principal, Right, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.people import opened, person, signed_in
from tests.servers.databases import SERVERS, database

NOTE = "The quokka sleeps under a bush. The wombat digs a burrow."


async def filled(workbench: Workbench) -> str:
    collection = (await workbench.create_collection(ADMIN, "animals")).id
    await add(workbench, collection, "a.txt", NOTE)
    return collection


async def asked(workbench: Workbench, collection: str, *questions: str) -> None:
    for question in questions:
        await workbench.ask(ADMIN, question, collections=[collection])


def questions_of(found: Measurements) -> int:
    return sum(point.questions for point in found.traffic)


async def test_questions_become_stages_traffic_and_quality_in_every_range(workbench: Workbench) -> None:
    before = await workbench.measurements(ADMIN, Range.HOUR)
    assert before.empty
    assert before.quality.unsupported_rate is None
    collection = await filled(workbench)
    await asked(workbench, collection, "Where does the quokka sleep?", "What does the wombat dig?", "Who won the election?")
    fresh = await workbench.measurements(ADMIN, Range.QUARTER)
    assert questions_of(fresh) == 3, "the minute that is not over is included"
    await workbench.flush_history()
    for range_ in Range:
        found = await workbench.measurements(ADMIN, range_)
        assert not found.empty
        assert questions_of(found) == 3, range_
        assert sum(point.documents_done for point in found.traffic) == 1
        stages = {one.label: one for one in found.stages}
        assert {"embed", "search", "total"} <= set(stages)
        assert stages["total"].count == 3
        assert 0 < stages["total"].p50_ms <= stages["total"].p95_ms <= stages["total"].p99_ms < 60_000
        assert [one.label for one in found.stages][-1] == "total", "in the order that they happen in"
        assert sum(point.timing.count for point in found.stage_points if point.timing.label == "total") == 3
        assert found.quality.answers + sum(point.refused for point in found.traffic) == 3
        assert 15 <= len(found.traffic) <= 62
        assert found.traffic[0].at == found.since
        assert found.since <= now() - timedelta(seconds=range_.seconds)
        steps = {later.at - sooner.at for sooner, later in zip(found.traffic, found.traffic[1:], strict=False)}
        assert steps == {timedelta(seconds=found.step_seconds)}
    assert not (await workbench.measurements(ADMIN, "15 min")).empty
    with pytest.raises(InputError, match="no such range"):
        await workbench.measurements(ADMIN, "a year")


async def test_the_history_outlives_the_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await asked(workbench, await filled(workbench), "Where does the quokka sleep?")
    async with opened(tmp_path) as workbench:
        found = await workbench.measurements(ADMIN, Range.HOUR)
        assert questions_of(found) == 1
        assert not found.empty
        async with workbench.database.write() as session:  # long ago, so that no range has it
            await session.execute(update(RollupRow).values(at=now() - timedelta(days=90)))
        old = await workbench.measurements(ADMIN, Range.MONTH)
        assert (old.empty, questions_of(old)) == (False, 0)


@pytest.mark.parametrize("server", SERVERS)
async def test_replicas_of_one_database_add_up(server: str, tmp_path: Path) -> None:
    with database(server) as (url, _):
        async with AsyncExitStack() as stack:
            replicas = [
                await stack.enter_async_context(opened(tmp_path / name, database_url=url, monitoring={"instance": instance}))
                for name, instance in (("a", "one"), ("b", "two"), ("c", "two"))  # the last two share a name
            ]
            for number, replica in enumerate(replicas, start=1):
                for _ in range(2):  # the second finds the rows of the first
                    for seconds in (0.1, 0.2, 40.0):
                        replica.meter.timed("stage_seconds", ("total",), seconds * number)
                    replica.meter.counted("questions_total", ("answered",), 5)
                    replica.meter.gauged("breaker_state", ("chat", "p", "m"), number)
                    await replica.flush_history()
            for replica in replicas:
                for range_ in Range:
                    found = await replica.measurements(ADMIN, range_)
                    assert questions_of(found) == 30
                    assert (found.stages[0].count, found.stages[0].p95_ms) == (18, pytest.approx(120_000, rel=0.05))
            async with replicas[0].database.read() as session:
                steps = select(RollupRow.replica, func.sum(RollupRow.total)).where(
                    RollupRow.resolution == 14_400, RollupRow.metric == "questions_total"
                )
                rows = {name: total for name, total in await session.execute(steps.group_by(RollupRow.replica))}
                assert rows == {"one": 10.0, "two": 20.0}
        async with opened(tmp_path / "a", database_url=url) as again:
            assert questions_of(await again.measurements(ADMIN, Range.DAY)) == 30
            await _heart_and_costs(again.database)


async def _heart_and_costs(on_server: Database) -> None:
    beats = Heartbeats(database=on_server, replica=Replica(name="one", host="h"), facts={"slots": 2})
    await beats.beat()
    await beats.beat()
    async with on_server.read() as session:
        assert await heartbeats.slots(session) == 2
        assert (await spending(session, now())).month == 0.0
    await beats.close()
    async with on_server.read() as session:
        assert await heartbeats.alive(session) == []


async def test_only_operators_and_their_keys_see_measurements(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        await person(workbench, "ann")
        await person(workbench, "otto", Role.OPERATOR)
        ann, otto = await signed_in(workbench, "ann"), await signed_in(workbench, "otto")
        with pytest.raises(AccessDenied):
            await workbench.measurements(ann, Range.HOUR)
        with pytest.raises(AccessDenied):
            await workbench.measurements_csv(ann, Range.HOUR)
        for scope, allowed in ((Scope.OPERATE, True), (Scope.READ, False)):
            made = await workbench.create_api_key(otto, scope.value, [scope])
            key = await workbench.authenticate_bearer(made.text, ip="127.0.0.1")
            assert key is not None
            if allowed:
                assert (await workbench.measurements(key, Range.HOUR)).empty
            else:
                with pytest.raises(AccessDenied):
                    await workbench.measurements(key, Range.HOUR)


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[tuple[Workbench, Principal]]:
    async with opened(tmp_path) as workbench:
        await person(workbench, "otto", Role.OPERATOR)
        yield workbench, await signed_in(workbench, "otto")


async def test_operators_see_slow_and_stalled_files_and_the_names_of_those_shared_with_them(
    operated: tuple[Workbench, Principal],
) -> None:
    workbench, otto = operated
    collection = await filled(workbench)
    async with workbench.database.write() as session:
        took = now() - timedelta(seconds=30)
        await session.execute(update(Job).values(created_at=took, updated_at=now()))
    waits, _ = await workbench.upload(ADMIN, collection, "waits.txt", b"The emu runs.")
    async with workbench.database.write() as session:
        longer = now() - timedelta(minutes=5)
        await session.execute(update(Job).where(Job.state == "queued").values(created_at=longer, updated_at=longer))
    found = (await workbench.measurements(otto, Range.HOUR)).ingestion
    assert (found.waiting, found.running) == (1, 0)
    assert found.oldest_seconds == pytest.approx(300, abs=30)
    assert [(one.document, one.state) for one in found.slowest] == [("(not shared with you)", "live")]
    assert found.slowest[0].seconds == pytest.approx(30, abs=1)
    assert [one.document_id for one in found.stalled] == [waits.id]
    await workbench.grant(ADMIN, collection, "otto", Right.READ)
    found = (await workbench.measurements(otto, Range.HOUR)).ingestion
    assert [one.document for one in (*found.slowest, *found.stalled)] == ["a.txt", "waits.txt"]
    async with workbench.database.write() as session:  # a worker that is busy with something else: nothing is stalled
        session.add(Heartbeat(id="one", kind="server", facts={"slots": 1}))
        done = Job.state == "done"
        await session.execute(update(Job).where(done).values(state="running", lease_until=now() + timedelta(minutes=1)))
    assert (await workbench.measurements(otto, Range.HOUR)).ingestion.stalled == ()


async def test_spending_is_of_this_month_with_names_and_a_forecast(operated: tuple[Workbench, Principal]) -> None:
    workbench, otto = operated
    moment = datetime(2026, 4, 11, tzinfo=UTC)  # ten of thirty days are over
    calls = [
        ("2026-04-11", otto.user_id, "m1", 1.0), ("2026-04-02", otto.user_id, "m2", 2.0), ("2026-04-01", "local", "m1", 3.0),
        ("2026-04-03", "", "m1", 0.5), ("2026-04-03", "f" * 32, "m1", 3.5), ("2026-04-03", "", "m1", None), ("2026-03-31", "", "m1", 99.0),
    ]  # fmt: skip
    async with workbench.database.write() as session:
        for day, user_id, model, dollars in calls:
            session.add(
                CallRow(day=day, user_id=user_id, provider="p", model=model, job="chat", cost_usd=dollars, elapsed_ms=1)
            )
    async with workbench.database.read() as session:
        found = await spending(session, moment)
    assert (found.today, found.month, found.forecast, found.unknown_calls) == (1.0, 10.0, pytest.approx(30.0), 1)
    assert found.by_model == (("p · m1", 8.0), ("p · m2", 2.0))
    assert found.by_user == (("a former user", 3.5), ("command line", 3.0), ("otto", 3.0), ("the system", 0.5))


async def test_a_key_that_only_operates_reads_no_names_of_people(operated: tuple[Workbench, Principal]) -> None:
    workbench, otto = operated
    day = now().date().isoformat()
    async with workbench.database.write() as session:
        session.add(CallRow(day=day, user_id=otto.user_id, provider="p", model="m", job="chat", cost_usd=0.5, elapsed_ms=1))
    made = await workbench.create_api_key(otto, "grafana", [Scope.OPERATE])
    key = await workbench.authenticate_bearer(made.text, ip="127.0.0.1")
    assert key is not None
    for who, names in ((otto, ("otto",)), (key, ())):
        found = (await workbench.measurements(who, Range.HOUR)).spending
        assert (found.today, tuple(name for name, _ in found.by_user)) == (0.5, names)
    assert "otto" not in await workbench.measurements_csv(key, Range.HOUR)


async def test_the_table_has_every_number_and_no_formula(operated: tuple[Workbench, Principal]) -> None:
    workbench, otto = operated
    collection = await filled(workbench)
    await asked(workbench, collection, "Where does the quokka sleep?")
    workbench.meter.counted("cache_requests_total", ("=HYPERLINK(1)", "hit"))
    async with workbench.database.write() as session:
        await session.execute(update(User).where(User.name == "otto").values(name="@otto"))
        await session.execute(update(DocumentRow).values(name='=cmd|"/c calc"!A1'))
        day = now().date().isoformat()
        session.add(CallRow(day=day, user_id=otto.user_id, provider="-p", model="m", job="chat", cost_usd=0.5, elapsed_ms=1))
    await workbench.grant(ADMIN, collection, "@otto", Right.READ)
    text = await workbench.measurements_csv(otto, Range.HOUR)
    rows = list(csv.DictReader(io.StringIO(text)))
    sections = {
        "traffic",
        "stage",
        "stages of the range",
        "cache",
        "ingestion",
        "slowest files",
        "spending",
        "spending by user",
        "quality",
    }
    assert sections <= {row["section"] for row in rows}
    found = {(row["section"], row["label"], row["metric"]): row for row in rows if row["section"] != "traffic"}
    assert found["stages of the range", "total", "count"]["value"] == "1"
    assert found["stages of the range", "total", "p95"]["unit"] == "ms"
    assert found["spending", "", "today"]["value"] == "0.5"
    assert sum(int(row["value"]) for row in rows if row["metric"] == "questions") == 1
    assert all(datetime.fromisoformat(row["at"]).tzinfo for row in rows)
    dangerous = [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert dangerous == []
    assert {"'@otto", "'-p · m", "'=HYPERLINK(1) (memory)"} <= {row["label"] for row in rows}


async def test_a_choice_is_kept_for_its_user_alone_and_goes_with_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as workbench:
        bob = await person(workbench, "bob")
        await person(workbench, "eve")
        who, eve = await signed_in(workbench, "bob"), await signed_in(workbench, "eve")
        assert await workbench.preference(who, "health_range") == ""
        await workbench.set_preference(who, "health_range", "7 days")
        await workbench.set_preference(who, "health_range", Range.MONTH)
        assert await workbench.preference(who, "health_range") == "30 days"
        assert await workbench.preference(eve, "health_range") == ""
        for name, value in (("theme", "x"), ("health_range", "x" * 201), ("health_range", "a\nb")):
            with pytest.raises(InputError):
                await workbench.set_preference(who, name, value)
        made = await workbench.create_api_key(who, "k", [Scope.READ])
        key = await workbench.authenticate_bearer(made.text, ip="127.0.0.1")
        assert key is not None
        for caller in (key, await workbench.view_as(ADMIN, bob.id)):
            with pytest.raises(AccessDenied):
                await workbench.set_preference(caller, "health_range", "1 h")
        await workbench.delete_user(ADMIN, bob.id)
        with pytest.raises(NotFound):
            await workbench.set_preference(who, "health_range", "1 h")
        async with workbench.database.read() as session:
            assert await session.scalar(select(func.count()).select_from(Preference)) == 0


async def test_a_server_says_that_it_is_alive_until_it_stops(tmp_path: Path) -> None:
    async with opened(tmp_path, serve=True, monitoring={"instance": "blue"}) as workbench:
        beats: list[Heartbeat] = []
        while not beats:
            async with workbench.database.read() as session:
                beats = await heartbeats.alive(session)
        assert beats[0].id.startswith("blue-")
        assert beats[0].facts["slots"] == 2
        async with workbench.database.write() as session:
            session.add(Heartbeat(id="gone", kind="server", at=now() - timedelta(minutes=2)))
            session.add(Heartbeat(id="long gone", kind="server", at=now() - timedelta(days=2)))
        async with workbench.database.read() as session:
            assert [beat.id for beat in await heartbeats.alive(session)] == [beats[0].id]
    database_ = Database(f"sqlite+aiosqlite:///{tmp_path}/workbench.db")
    await Heartbeats(database=database_, replica=Replica(name="green", host="h"), facts={}).beat()
    async with database_.read() as session:
        left = set(await session.scalars(select(Heartbeat.id)))
    await database_.close()
    assert "gone" in left
    assert "long gone" not in left
    assert beats[0].id not in left
