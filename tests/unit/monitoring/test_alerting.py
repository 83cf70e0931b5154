"""When a rule fires and resolves, on a clock of our own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.monitoring.alerting import FIRE, RESOLVE, Watch, breaches
from engine.operations_views import AlertRule

RULE = AlertRule(name="errors", metric="error_rate", threshold=5.0, for_minutes=2.0, cooldown_minutes=10.0)


def looks(rule: AlertRule, *values: tuple[float, float | None]) -> list[str]:
    watch = Watch()
    return [watch.look(rule, value, at * 60) for at, value in values]


def test_a_breach_that_lasts_fires_once_and_resolves_once() -> None:
    assert looks(RULE, (0, 9), (1, 9), (2, 9), (3, 9), (4, 1), (5, 1)) == ["", "", FIRE, "", RESOLVE, ""]


def test_a_breach_that_is_interrupted_begins_anew() -> None:
    assert looks(RULE, (0, 9), (1, 1), (2, 9), (3, 9), (4, 9)) == ["", "", "", "", FIRE]


def test_the_threshold_itself_is_no_breach() -> None:
    assert not breaches(RULE, 5.0)
    assert breaches(RULE, 5.01)
    below = replace(RULE, above=False)
    assert not breaches(below, 5.0)
    assert breaches(below, 4.99)


def test_nothing_to_measure_resolves_and_never_fires() -> None:
    assert looks(RULE, (0, None), (5, None)) == ["", ""]
    assert looks(RULE, (0, 9), (2, 9), (3, None)) == ["", FIRE, RESOLVE]


def test_the_cooldown_keeps_a_rule_quiet_and_a_breach_that_lasts_fires_after_it() -> None:
    told = looks(RULE, (0, 9), (2, 9), (3, 1), (4, 9), (6, 9), (12.9, 9), (13, 9))
    assert told == ["", FIRE, RESOLVE, "", "", "", FIRE]


def test_a_clock_that_is_set_back_delays_by_no_more_than_the_duration_and_the_cooldown() -> None:
    assert looks(RULE, (60, 9), (0, 9), (1, 9), (2, 9)) == ["", "", "", FIRE]
    told = looks(RULE, (60, 9), (62, 9), (63, 1), (0, 9), (9, 9), (10, 9))
    assert told == ["", FIRE, RESOLVE, "", "", FIRE]


def test_a_rule_that_is_switched_off_resolves_what_it_fired() -> None:
    watch = Watch(firing=True)
    assert watch.look(replace(RULE, enabled=False), 9.0, 0.0) == RESOLVE


def test_without_a_duration_it_fires_at_the_first_look() -> None:
    assert looks(replace(RULE, for_minutes=0.0), (0, 9)) == [FIRE]


@pytest.mark.parametrize("above", [True, False])
@given(values=st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=60))
def test_firing_and_resolving_alternate_whatever_the_values_do(above: bool, values: list[float | None]) -> None:
    told = [one for one in looks(replace(RULE, above=above), *enumerate(values)) if one]
    assert told == [FIRE, RESOLVE] * (len(told) // 2) + [FIRE] * (len(told) % 2)
