"""The runner of checks, with a clock that only the test moves."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import StoreError
from engine.monitoring.health import HealthCheck, HealthChecks, Outcome


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds

    def wall(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Gauges:
    def __init__(self):
        self.values = {}

    def gauged(self, metric, labels, value):
        self.values[metric, *labels] = value

    def timed(self, *_args, **_options): ...

    def counted(self, *_args): ...


class Probe:
    """A check that counts its runs and waits while `gate` is closed."""

    def __init__(self, name="part", **options):
        self.runs, self.asked, self.found = 0, [], Outcome(detail="fine")
        self.gate = asyncio.Event()
        self.gate.set()
        self.check = HealthCheck(name=name, run=self.run, **({"limit": 0.02, "keep": 30.0} | options))

    async def run(self, asked):
        self.runs += 1
        self.asked.append(asked)
        await self.gate.wait()
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gauges():
    return Gauges()


@pytest.fixture
async def runner(clock, gauges):
    made = HealthChecks(clock=clock, wall=clock.wall, meter=gauges)
    yield made
    await made.close()


async def test_a_result_is_kept_for_its_time_and_looked_for_again_afterwards(runner, clock):
    probe = Probe()
    first = (await runner.results([probe.check]))[0]
    clock.seconds += 29
    assert (await runner.results([probe.check]))[0] == first
    assert (first.checked_at, probe.runs) == (datetime(2026, 1, 1, 0, 1, 40, tzinfo=UTC), 1)
    clock.seconds += 1
    again = (await runner.results([probe.check]))[0]
    assert (probe.runs, again.checked_at - first.checked_at) == (2, timedelta(seconds=30))


async def test_a_result_in_doubt_is_looked_for_again_and_nobody_is_said_to_have_asked(runner):
    doubted, sure = Probe("provider"), Probe("disk")
    checks = [doubted.check, sure.check]
    await runner.results(checks)
    runner.forget([doubted.check, Probe("never looked at").check])
    await runner.results(checks)
    assert (doubted.runs, doubted.asked, sure.runs) == (2, [False, False], 1)


async def test_check_now_looks_again_and_says_that_somebody_asked(runner):
    probe = Probe()
    await runner.results([probe.check])
    await runner.results([probe.check], fresh=True)
    assert probe.asked == [False, True]


async def test_a_slow_check_is_not_started_twice(runner):
    probe = Probe()
    probe.gate.clear()
    both = asyncio.gather(*(runner.results([probe.check], fresh=True) for _ in range(5)))
    await asyncio.sleep(0)
    probe.gate.set()
    assert {one[0].state for one in await both} == {"ok"}
    assert probe.runs == 1


async def test_a_hung_check_shows_its_last_result_and_how_long_it_has_not_ended(runner, clock, gauges):
    probe = Probe(effect="Questions wait.")
    good = (await runner.results([probe.check]))[0]
    probe.gate.clear()
    clock.seconds += 30
    await runner.results([probe.check])
    clock.seconds += 42
    hung = (await runner.results([probe.check], fresh=True))[0]
    assert hung.state == "failed"
    assert "has not ended for 42 s" in hung.detail
    assert "before that: fine" in hung.detail
    assert (hung.effect, hung.last_ok_at, probe.runs) == ("Questions wait.", good.checked_at, 2)
    assert gauges.values["check_state", "part"] == 2
    probe.gate.set()
    await asyncio.sleep(0.01)
    assert (await runner.results([probe.check]))[0].state == "ok"
    assert probe.runs == 2


async def test_a_hung_check_keeps_nobody_waiting_who_comes_after_its_limit(runner, clock):
    probe = Probe(limit=3600.0)
    probe.gate.clear()
    runner.renew([probe.check])
    clock.seconds += 3600
    await asyncio.wait_for(runner.results([probe.check]), 5)  # would otherwise wait for an hour


async def test_the_others_are_told_while_one_hangs(runner):
    slow, quick = Probe("slow"), Probe("quick")
    slow.gate.clear()
    found = {one.name: one.state for one in await runner.results([slow.check, quick.check])}
    assert found == {"slow": "failed", "quick": "ok"}


async def test_when_it_was_last_fine_is_remembered_through_failures(runner, clock):
    probe = Probe(effect="Nobody can ask.")
    good = (await runner.results([probe.check]))[0]
    probe.found = StoreError("the store is away", hint="Start it.")
    clock.seconds += 31
    bad = (await runner.results([probe.check]))[0]
    assert (bad.state, bad.detail, bad.hint, bad.effect) == ("failed", "the store is away", "Start it.", "Nobody can ask.")
    assert bad.last_ok_at == good.checked_at < bad.checked_at


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer within"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("secret insides"), "something unexpected"),
    ],
)
async def test_whatever_a_check_raises_is_a_result_with_a_next_step(runner, error, said):
    probe = Probe()
    probe.found = error
    found = (await runner.results([probe.check]))[0]
    assert (found.state, said in found.detail, "secret" in found.detail) == ("failed", True, False)
    assert found.effect
    assert found.hint


async def test_the_background_round_renews_what_would_be_old_at_the_next_one(runner, clock):
    short, long = Probe("short", keep=30.0), Probe("long", keep=3600.0)
    checks = [short.check, long.check]
    await runner.results(checks)
    clock.seconds += 15
    runner.renew(checks)
    await asyncio.sleep(0)
    assert (short.runs, long.runs) == (2, 1)
    clock.seconds += 29  # a page that comes now waits for nothing
    await runner.results(checks)
    assert (short.runs, long.runs) == (2, 1)


async def test_what_is_no_longer_there_is_forgotten(runner):
    one, other = Probe("one"), Probe("other")
    await runner.results([one.check, other.check])
    assert [check.name for check in await runner.results([other.check])] == ["other"]
    assert [check.name for check in runner.known([one.check, other.check])] == ["other"]
