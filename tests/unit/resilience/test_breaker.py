"""The breaker alone, on a clock that moves when told. B-numbers: shared/design/security-and-reliability.md section 4."""

from __future__ import annotations

import hashlib
import threading
import time
from datetime import timedelta

import pytest

from engine.errors import CircuitOpen
from engine.operations_views import BreakerState, Dependency
from engine.resilience.breaker import ELSEWHERE, breaker_id
from tests.unit.resilience.stage import CHAT, Clock, Fails, breaker, fail, succeed


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock, **changed):
    one = breaker(clock, **changed)
    fail(one, 10)
    assert one.state is BreakerState.OPEN
    return one


def test_b01_fewer_calls_than_the_minimum_never_open_it(clock) -> None:
    one = breaker(clock)
    fail(one, 9)
    assert one.state is BreakerState.CLOSED
    assert one.info().failure_rate is None


def test_b02_it_opens_with_the_very_call_that_fills_the_minimum_at_the_rate(clock) -> None:
    one = breaker(clock)
    succeed(one, 5)
    fail(one, 4)
    assert one.state is BreakerState.CLOSED
    fail(one, 1)
    assert one.state is BreakerState.OPEN
    assert one.info().reason == "5 of 10 calls failed"


def test_b02_a_rate_just_below_the_threshold_leaves_it_closed(clock) -> None:
    one = breaker(clock)
    succeed(one, 6)
    fail(one, 4)
    assert (one.state, one.info().failure_rate) == (BreakerState.CLOSED, 0.4)


def test_b03_a_count_window_forgets_the_oldest_call(clock) -> None:
    one = breaker(clock)
    fail(one, 4)
    succeed(one, 10)
    assert one.info().failure_rate == 0.0
    fail(one, 4)
    assert (one.state, one.info().failure_rate) == (BreakerState.CLOSED, 0.4)


def test_b03_a_time_window_forgets_without_traffic(clock) -> None:
    one = breaker(clock, window="time", window_seconds=60)
    fail(one, 9)
    clock.now += 30
    assert one.info().calls == 9
    clock.now += 30
    assert one.info().calls == 0
    fail(one, 1)
    assert one.state is BreakerState.CLOSED


def test_b03_a_time_window_opens_for_what_lies_inside_it(clock) -> None:
    one = breaker(clock, window="time", window_seconds=60)
    fail(one, 5)
    clock.now += 50
    fail(one, 5)
    assert one.state is BreakerState.OPEN


def test_a_time_window_stays_small_under_any_traffic(clock) -> None:
    one = breaker(clock, window="time", window_seconds=60)
    for _ in range(2_000):
        succeed(one, 1)
        clock.now += 0.1
    assert len(one._window._slices) <= 21
    assert 570 <= one.info().calls <= 600


def test_b04_slow_calls_open_it_when_they_end_although_all_succeed(clock) -> None:
    one = breaker(clock, slow_rate=0.8, slow_seconds=60)
    running = [one.acquire() for _ in range(10)]
    clock.now += 3_600
    assert one.state is BreakerState.CLOSED, "nothing counts before it ends"
    for permit in running[:8]:
        permit.succeeded(60.0)
    running[8].succeeded(59.9)
    assert one.state is BreakerState.CLOSED
    running[9].succeeded(59.9)
    assert one.state is BreakerState.OPEN
    assert one.info().reason == "8 of 10 calls were slow"


def test_b05_an_open_breaker_refuses_quickly_and_says_when_to_come_back(clock) -> None:
    one = opened(clock)
    clock.now += 10
    took = []
    for _ in range(20):
        started = time.perf_counter()
        with pytest.raises(CircuitOpen) as caught:
            one.acquire()
        took.append(time.perf_counter() - started)
    assert min(took) < 0.005
    assert caught.value.retry_after_seconds == pytest.approx(20.0)
    assert "20 s" in caught.value.hint
    assert one.info().not_permitted == 20


def test_b06_after_the_wait_exactly_the_probes_pass_among_50_threads(clock) -> None:
    one = opened(clock, probes=3)
    clock.now += 30
    barrier, results = threading.Barrier(50), []

    def ask() -> None:
        barrier.wait()
        try:
            results.append(one.acquire())
        except CircuitOpen as error:
            results.append(error)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [one for one in results if isinstance(one, CircuitOpen)]
    assert (len(results), len(refused)) == (50, 47)
    assert one.state is BreakerState.HALF_OPEN
    assert all(error.retry_after_seconds > 0 for error in refused)


def test_b07_the_rate_of_the_probes_decides(clock) -> None:
    one = opened(clock, probes=4)
    clock.now += 30
    probes = [one.acquire() for _ in range(4)]
    for probe in probes[:3]:
        probe.succeeded(0.1)
    assert one.state is BreakerState.HALF_OPEN
    probes[3].failed(Fails(), 0.1)
    assert one.state is BreakerState.CLOSED, "1 of 4 is below one half"


def test_b07_failing_probes_double_the_wait_up_to_the_longest(clock) -> None:
    one = opened(clock, probes=1, open_seconds=30, longest_open_seconds=300)
    waits = []
    for _ in range(6):
        waits.append(round(one.info().retry_after_seconds))
        clock.now += one.info().retry_after_seconds
        one.acquire().failed(Fails(), 0.1)
    assert waits == [30, 60, 120, 240, 300, 300]


def test_b07_slow_probes_open_it_again(clock) -> None:
    one = opened(clock, probes=1, slow_seconds=60)
    clock.now += 30
    one.acquire().succeeded(61.0)
    assert one.state is BreakerState.OPEN


def test_b07_recovery_clears_the_window_and_the_wait(clock) -> None:
    one = opened(clock, probes=1)
    clock.now += 30
    one.acquire().failed(Fails(), 0.1)
    clock.now += 60
    one.acquire().succeeded(0.1)
    assert (one.state, one.info().calls) == (BreakerState.CLOSED, 0)
    fail(one, 9)
    assert one.state is BreakerState.CLOSED
    fail(one, 1)
    assert one.info().retry_after_seconds == pytest.approx(30.0)


def test_b08_a_probe_that_never_returns_counts_as_failed(clock) -> None:
    one = opened(clock, probes=1, probe_seconds=120)
    clock.now += 30
    lost = one.acquire()
    clock.now += 119
    assert one.state is BreakerState.HALF_OPEN
    clock.now += 1
    assert one.state is BreakerState.OPEN
    assert one.info().retry_after_seconds == pytest.approx(60.0)
    clock.now += 60
    one.acquire().succeeded(0.1)
    assert one.state is BreakerState.CLOSED
    lost.failed(Fails(), 200.0)
    assert one.info().calls == 0


def test_b08_a_lost_probe_does_not_keep_the_others_from_deciding(clock) -> None:
    one = opened(clock, probes=3, probe_seconds=120)
    clock.now += 30
    _lost, second, third = one.acquire(), one.acquire(), one.acquire()
    second.succeeded(0.1)
    third.succeeded(0.1)
    assert one.state is BreakerState.HALF_OPEN
    clock.now += 120
    assert one.state is BreakerState.CLOSED, "1 of 3 failed"


def test_b08_a_neutral_probe_gives_its_place_to_another(clock) -> None:
    one = opened(clock, probes=1)
    clock.now += 30
    one.acquire().neutral()
    assert one.state is BreakerState.HALF_OPEN
    one.acquire().succeeded(0.1)
    assert one.state is BreakerState.CLOSED


def test_b08_a_probe_that_still_delivers_is_not_lost(clock) -> None:
    one = opened(clock, probes=1, probe_seconds=120)
    clock.now += 30
    probe = one.acquire()
    for _ in range(5):
        clock.now += 100
        probe.alive()
    probe.succeeded(0.1)
    assert one.state is BreakerState.CLOSED


def test_b09_a_result_from_before_a_change_of_state_is_not_counted(clock) -> None:
    one = breaker(clock, probes=2)
    early_success, early_failure = one.acquire(), one.acquire()
    fail(one, 10)
    clock.now += 30
    probe = one.acquire()
    early_failure.failed(Fails(), 0.1)
    early_success.succeeded(0.1)
    assert one.state is BreakerState.HALF_OPEN, "neither decides for the probes"
    probe.succeeded(0.1)
    one.acquire().succeeded(0.1)
    assert one.state is BreakerState.CLOSED


def test_a_second_report_does_nothing(clock) -> None:
    one = breaker(clock)
    permit = one.acquire()
    permit.succeeded(0.1)
    permit.failed(Fails(), 0.1)
    assert (one.info().calls, one.info().last_error) == (1, "")


def test_the_lock_is_free_while_a_call_runs(clock) -> None:
    one = breaker(clock)
    one.acquire()
    assert one._lock.acquire(blocking=False)
    one._lock.release()


@pytest.mark.parametrize("state", [BreakerState.TRIPPED, BreakerState.DRAINING])
def test_b24_forced_open_stays_until_an_operator_ends_it(clock, state) -> None:
    one = breaker(clock)
    one.force(state, by="Ana", reason="maintenance")
    clock.now += 1e6
    with pytest.raises(CircuitOpen, match="by an operator"):
        one.acquire()
    info = one.info()
    assert (info.state, info.forced_by, info.reason) == (state, "Ana", "maintenance")
    one.force(BreakerState.CLOSED, by="Ana")
    one.acquire()
    assert one.info().forced_by == ""


def test_tripping_gives_up_running_calls_and_draining_does_not(clock) -> None:
    one = breaker(clock)
    running = one.acquire()
    one.force(BreakerState.DRAINING, by="Ana")
    assert not running.given_up
    one.force(BreakerState.TRIPPED, by="Ana")
    one.force(BreakerState.CLOSED, by="Ana")
    assert running.given_up, "also when it was reset before the call looked"
    assert not one.acquire().given_up


def test_held_closed_passes_everything_and_still_records(clock) -> None:
    one = breaker(clock)
    one.force(BreakerState.HELD, by="Ana")
    fail(one, 50)
    assert (one.state, one.info().failure_rate, one.info().permitted) == (BreakerState.HELD, 1.0, 50)


def test_reset_begins_with_an_empty_window_and_the_first_wait(clock) -> None:
    one = opened(clock, probes=1)
    clock.now += 30
    one.acquire().failed(Fails(), 0.1)
    one.force(BreakerState.CLOSED, by="Ana")
    assert one.info().calls == 0
    fail(one, 10)
    assert one.info().retry_after_seconds == pytest.approx(30.0)


def test_nobody_forces_it_half_open(clock) -> None:
    with pytest.raises(ValueError, match="half-open"):
        breaker(clock).force(BreakerState.HALF_OPEN, by="Ana")


def test_b22_it_follows_another_process_and_its_end(clock) -> None:
    heard = []
    one = breaker(clock, heard)
    one.opened_elsewhere(20, "5 of 5 calls failed")
    info = one.info()
    assert (info.state, info.shared, info.retry_after_seconds) == (BreakerState.OPEN, True, pytest.approx(20.0))
    assert heard[0].by == ELSEWHERE
    one.opened_elsewhere(0, "")
    assert one.state is BreakerState.HALF_OPEN


def test_what_another_process_says_opens_it_no_longer_than_it_would_open_by_itself(clock) -> None:
    for said in (1e12, float("inf")):
        one = breaker(clock)
        one.opened_elsewhere(said, "forged")
        assert one.info().retry_after_seconds <= 300.0
        with pytest.raises(CircuitOpen):
            one.acquire()
        one.opened_elsewhere(said, "forged")
        assert one.info().retry_after_seconds <= 300.0


def test_b22_what_another_process_says_moves_neither_operators_nor_own_openings(clock) -> None:
    held = breaker(clock)
    held.force(BreakerState.HELD, by="Ana")
    held.opened_elsewhere(20, "")
    assert held.state is BreakerState.HELD
    own = opened(clock)
    own.opened_elsewhere(0, "")
    assert own.state is BreakerState.OPEN


def test_transitions_are_told_in_order_outside_the_lock_and_logged(clock, caplog) -> None:
    heard = []
    one = breaker(clock, heard, probes=1)
    one._on_transition = lambda change: (heard.append(change), one.info())  # it would hang inside the lock
    fail(one, 10)
    clock.now += 30
    one.acquire().succeeded(0.1)
    assert [(change.before.value, change.after.value) for change in heard] == [
        ("closed", "open"), ("open", "half-open"), ("half-open", "closed")]  # fmt: skip
    assert (heard[2].at, heard[2].at - heard[0].at) == (clock.wall(), timedelta(seconds=30))
    assert heard[0].reason == "10 of 10 calls failed"
    assert "chat · openai · gpt: closed -> open (10 of 10 calls failed)" in caplog.text


def test_a_listener_that_fails_breaks_no_call(clock, caplog) -> None:
    one = breaker(clock)
    one._on_transition = lambda change: 1 / 0
    fail(one, 10)
    assert one.state is BreakerState.OPEN
    assert "ZeroDivisionError" in caplog.text


def test_the_id_is_the_same_in_every_process() -> None:
    assert breaker_id(CHAT) == hashlib.sha256(b"chat\0openai\0gpt").hexdigest()[:16] == "76837ee09e4837e7"
    assert breaker_id(CHAT) != breaker_id(Dependency(operation="chat", provider="openaigpt"))


def test_the_last_error_holds_no_words_of_users(clock) -> None:
    one = breaker(clock)
    one.acquire().failed(Fails("the question was: salary of Ana"), 0.1)
    assert one.info().last_error == "Fails"
