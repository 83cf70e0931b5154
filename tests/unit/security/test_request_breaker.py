"""The breaker round an application."""

import threading

import pytest

from engine.security.request_breaker import RequestBreaker


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return RequestBreaker(failure_threshold=3, recovery_seconds=30, clock=clock)


def answer(breaker, *statuses):
    for status in statuses:
        ticket = breaker.admit()
        assert ticket is not None
        breaker.report(ticket, status)


def test_it_opens_at_the_third_failure_in_a_row_and_says_for_how_long(breaker, clock):
    answer(breaker, 500, 503)
    assert breaker.retry_after_seconds() == 0
    answer(breaker, 500)
    assert breaker.admit() is None
    clock.now += 10
    assert breaker.retry_after_seconds() == 20


def test_a_success_between_failures_starts_the_count_again(breaker):
    answer(breaker, 500, 500, 200, 500, 500, 302, 500, 500)
    assert breaker.admit() is not None


def test_client_errors_and_clients_that_leave_prove_nothing(breaker):
    answer(breaker, *[404] * 10, *[0] * 10)
    assert breaker.admit() is not None
    answer(breaker, 500, 404, 500, 0, 422, 500)
    assert breaker.admit() is None


def test_after_the_wait_exactly_one_of_many_threads_is_let_through(breaker, clock):
    answer(breaker, 500, 500, 500)
    clock.now += 30
    tickets = []
    threads = [threading.Thread(target=lambda: tickets.append(breaker.admit())) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([ticket for ticket in tickets if ticket is not None]) == 1


def test_a_trial_that_succeeds_closes_and_one_that_fails_opens_again(breaker, clock):
    answer(breaker, 500, 500, 500)
    clock.now += 30
    answer(breaker, 500)
    assert breaker.retry_after_seconds() == 30
    clock.now += 30
    answer(breaker, 200, 200)
    answer(breaker, 500, 500)
    assert breaker.admit() is not None


def test_a_trial_that_never_returns_makes_place_and_is_not_counted_later(breaker, clock):
    answer(breaker, 500, 500, 500)
    clock.now += 30
    lost = breaker.admit()
    assert breaker.admit() is None
    clock.now += 30
    trial = breaker.admit()
    assert trial is not None
    breaker.report(lost, 200)
    assert breaker.admit() is None  # still open: the lost one's answer came too late
    breaker.report(trial, 200)
    assert breaker.admit() is not None


def test_a_trial_without_a_verdict_lets_the_next_one_try_at_once(breaker, clock):
    answer(breaker, 500, 500, 500)
    clock.now += 30
    answer(breaker, 404, 0, 200)
    answer(breaker, 200)


def test_results_from_before_it_opened_are_not_counted(breaker, clock):
    late = breaker.admit()
    answer(breaker, 500, 500, 500)
    breaker.report(late, 200)
    assert breaker.admit() is None
