"""The sliding window: exact at its edges, safe under threads, bounded in memory."""

import random
import threading

import pytest

from engine.errors import ConfigError
from engine.rate_limit import EXACT_ENTRIES, SlidingWindow


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_limit_is_allowed_and_then_refused_with_the_time_to_wait(clock):
    window = SlidingWindow(3, 60, clock=clock)
    assert [window.hit("a").remaining for _ in range(3)] == [2, 1, 0]
    clock.now += 20
    refused = window.hit("a")
    assert (refused.allowed, refused.remaining, refused.retry_after_seconds) == (False, 0, 40)


def test_keys_do_not_share_a_budget(clock):
    window = SlidingWindow(1, 60, clock=clock)
    assert window.hit("a").allowed
    assert window.hit("b").allowed
    assert not window.hit("a").allowed


def test_no_edge_of_a_window_gives_a_second_budget(clock):
    window = SlidingWindow(10, 60, clock=clock)
    clock.now = 1079.9  # just before a multiple of 60 s
    assert all(window.hit("a").allowed for _ in range(10))
    clock.now = 1080.1
    assert not any(window.hit("a").allowed for _ in range(10))
    clock.now = 1139.8
    assert not window.hit("a").allowed
    clock.now = 1139.9
    assert all(window.hit("a").allowed for _ in range(10))


def test_refused_hits_do_not_prolong_the_wait(clock):
    window = SlidingWindow(1, 60, clock=clock)
    window.hit("a")
    for _ in range(59):
        clock.now += 1
        assert not window.hit("a").allowed
    clock.now += 1
    assert window.hit("a").allowed


@pytest.mark.parametrize("limit", [7, 1000])
def test_no_span_of_the_window_ever_holds_more_than_the_limit(clock, limit):
    window, chance = SlidingWindow(limit, 10, clock=clock), random.Random(5)
    allowed = []
    for _ in range(limit * 20):
        clock.now += chance.expovariate(limit / 4)
        if window.hit("a").allowed:
            allowed.append(clock.now)
    for first, last in zip(allowed, allowed[limit:], strict=False):
        assert last - first >= 10
    assert len(allowed) > 1.8 * limit * (clock.now - 1000) / 10 / 2  # and close to all of it is given


def test_a_hit_may_cost_more_or_nothing(clock):
    window = SlidingWindow(10, 60, clock=clock)
    assert window.hit("a", 7.5).remaining == 2
    assert not window.hit("a", 3).allowed
    assert window.hit("a", 0).allowed
    assert window.hit("a", 2.5).remaining == 0
    assert window.hit("b", 11).retry_after_seconds == 60


def test_a_refund_gives_back_what_was_charged(clock):
    window = SlidingWindow(2, 60, clock=clock)
    window.hit("a")
    window.hit("a")
    window.refund("a")
    assert window.hit("a").allowed
    assert not window.hit("a").allowed
    window.refund("a", 99)
    window.refund("unknown")
    assert len(window) == 0


def test_a_hundred_thousand_addresses_stay_within_the_number_of_keys(clock):
    window = SlidingWindow(5, 60, clock=clock, max_keys=1000)
    for number in range(100_000):
        window.hit(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        if number % 300 == 0:  # less often than it would take to be refused, were it forgotten in between
            window.hit("the one that keeps trying")
    assert len(window) == 1000
    assert not window.hit("the one that keeps trying").allowed  # whoever is busy is not forgotten


def test_one_key_keeps_a_bounded_number_of_entries(clock):
    window = SlidingWindow(1_000_000, 60, clock=clock)
    for _ in range(50_000):
        clock.now += 0.001
        window.hit("a")
    assert len(window._logs["a"].entries) <= 2 * EXACT_ENTRIES + 1
    assert window.hit("a", 0).remaining == 950_000


def test_many_threads_never_get_more_than_the_limit():
    window, allowed = SlidingWindow(500, 60, clock=lambda: 0.0), []

    def work():
        mine = sum(window.hit("a").allowed for _ in range(200))
        allowed.append(mine)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 500


@pytest.mark.parametrize("wrong", [(0, 60), (1, 0), (1, float("inf")), (-1, 60)])
def test_an_impossible_limit_is_refused(wrong):
    with pytest.raises(ConfigError):
        SlidingWindow(*wrong)
