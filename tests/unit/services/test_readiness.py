"""Ready, degraded or not: with a database that answers, fails or hangs, and a clock that only the test moves."""

import asyncio
from itertools import count

import pytest

from engine.errors import StoreError
from engine.services.readiness import Readinesses


class Sql:
    def __init__(self):
        self.asked, self.error = 0, None
        self.gate = asyncio.Event()
        self.gate.set()

    async def ping(self):
        self.asked += 1
        await self.gate.wait()
        if self.error:
            raise self.error


@pytest.fixture
def sql():
    return Sql()


@pytest.fixture
def problems():
    return []


@pytest.fixture
def ready(sql, problems):
    seconds = count(0.0, 10.0)  # each look at the clock is ten seconds later, so that nothing is kept
    made = Readinesses(ping=sql.ping, problems=lambda: problems, limit=0.02, clock=lambda: next(seconds))
    made.migrated()
    return made


async def states(ready):
    return (await ready.readiness()).state, (await ready.startup()).state


async def test_the_start_is_over_after_migrations_and_the_first_load_of_the_embedder(sql):
    made = Readinesses(ping=sql.ping, problems=lambda: ())
    assert await states(made) == ("unready", "unready")
    made.migrated()
    assert await states(made) == ("ready", "unready")
    made.warm()
    assert await states(made) == ("ready", "ready")


async def test_whatever_is_away_for_all_processes_alike_degrades_and_takes_none_out(ready, problems):
    problems.append("chat · openai")
    found = await ready.readiness()
    assert (found.state, found.reasons) == ("degraded", ("chat · openai",))


@pytest.mark.parametrize("error", [StoreError("away"), RuntimeError("whatever")])
async def test_a_database_that_fails_makes_it_unready_and_ready_again(ready, sql, error):
    sql.error = error
    assert (await ready.readiness()).state == "unready"
    sql.error = None
    assert (await ready.readiness()).state == "ready"


async def test_a_database_that_hangs_is_given_up_after_the_limit(ready, sql):
    sql.gate.clear()
    found = await asyncio.wait_for(ready.readiness(), 5)
    assert (found.state, found.reasons) == ("unready", ("the database does not answer",))
    sql.gate.set()
    assert (await ready.readiness()).state == "ready"


async def test_strangers_make_no_load_one_question_in_a_second_reaches_sql(sql):
    seconds = 0.0
    made = Readinesses(ping=sql.ping, problems=lambda: (), clock=lambda: seconds)
    made.migrated()
    await asyncio.gather(*(made.readiness() for _ in range(100)))
    seconds = 0.9
    await made.readiness()
    assert sql.asked == 1
    seconds = 1.0
    await made.readiness()
    assert sql.asked == 2


async def test_who_goes_away_takes_the_answer_from_nobody_else(ready, sql):
    sql.gate.clear()
    first = asyncio.create_task(ready.readiness())
    second = asyncio.create_task(ready.readiness())
    await asyncio.sleep(0)
    first.cancel()
    sql.gate.set()
    assert (await second).state == "ready"


async def test_a_process_that_leaves_is_not_ready_whatever_sql_says(ready, sql):
    sql.gate.clear()
    asked = asyncio.create_task(ready.readiness())
    await asyncio.sleep(0)
    ready.leave()
    sql.gate.set()
    assert (await asked).state == "unready"
    assert (await ready.readiness()).reasons == ("it shuts down",)
