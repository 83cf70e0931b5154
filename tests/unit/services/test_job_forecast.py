"""When files on their way will answer."""

from __future__ import annotations

import pytest

from engine.services.job_forecast import MB, Open, Took, expected


def waits(name: str, megabytes: float, kind: str = "pdf") -> Open:
    return Open(name, kind, int(megabytes * MB), None, None)


TOOK = [Took("pdf", MB, 10.0), Took("pdf", 3 * MB, 30.0), Took("txt", MB, 1.0)]


def test_files_cost_what_their_kind_cost_and_wait_for_those_before_them() -> None:
    running = Open("a", "pdf", 2 * MB, 5.0, None)
    found = expected([running, waits("b", 1), waits("c", 1, "txt")], TOOK, slots=1).seconds
    assert found == pytest.approx({"a": 15.0, "b": 25.0, "c": 26.0})
    assert expected([running, waits("b", 1)], TOOK, slots=2).seconds["b"] == pytest.approx(17.5)


def test_a_kind_that_nobody_has_seen_costs_what_all_others_did() -> None:
    assert expected([waits("a", 1, "odt")], TOOK, slots=1).seconds["a"] == pytest.approx(41 / 5)


def test_the_pace_of_the_present_stage_counts_when_it_is_slower_than_expected() -> None:
    assert expected([Open("a", "pdf", MB, 9.0, 60.0)], TOOK, slots=1).seconds["a"] == 60.0
    assert expected([Open("a", "pdf", MB, 1.0, 2.0)], TOOK, slots=1).seconds["a"] == pytest.approx(9.0)


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert expected([waits("a", 1), waits("b", 1)], [], slots=1).seconds == {}
    assert expected([Open("a", "pdf", MB, 1.0, 4.0), waits("b", 1)], [], slots=1).seconds == {"a": 4.0}


def test_small_files_do_not_make_large_ones_look_endless() -> None:
    took = [Took("txt", 12_000, 20.0), Took("xlsx", 48_000, 30.0)]
    assert expected([waits("a", 1)], took, slots=1).seconds["a"] == pytest.approx(100.0)
    assert expected([waits("a", 0.01)], took, slots=1).seconds["a"] == pytest.approx(25.0)
