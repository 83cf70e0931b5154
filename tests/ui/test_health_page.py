"""The health page: states, what operators do and what the facade is told, failing parts, hostile names, a first start."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import streamlit as st

from engine.errors import InputError, StoreError
from engine.operations_views import AlertChannel, AlertRule, BreakerState, Range
from tests.ui.fake_operations import CHAT, NASTY, busy
from tests.ui.looking import button, texts
from ui.components.health import figures
from ui.components.health.charts import complete
from ui.components.health.rules import SILENCES, _silence, standing
from ui.components.health.section import SECTIONS
from ui.components.health.state import HealthState
from ui.components.health.words import duration, percent, quantity, span
from ui.components.safe_text import escape
from ui.session import Desk

PAGE = "pages/health.py"
LOCKED = StoreError("the database is locked", hint="try again in a minute")
SAID = "The database is locked.  \nTry again in a minute."


def opened(visit, section="Now", name="operator"):
    return show(visit(PAGE, name), section)


def show(test, section):
    test.segmented_control(key="health_section").set_value(section).run()
    assert not test.exception
    return test


def click(test, key):
    button(test, key).click().run()
    assert not test.exception
    return test


def field(widgets, key):
    return next(one for one in widgets if (one.key or "").startswith(key))


def did(workbench, name):
    return [one[1:] for one in workbench.did if one[0] == name]


# --- what is shown


def test_the_state_is_one_word_and_the_worst_part_comes_first(visit, workbench):
    shown = texts(opened(visit))
    assert "Failing" in shown
    assert "3 of 8 checks need attention" in shown
    assert shown.index("**Disk**") < shown.index("**Embedder**") < shown.index("**Database**")
    workbench.show("quiet")
    shown = texts(opened(visit))
    assert "Healthy" in shown
    assert "all 3 checks are fine" in shown


def test_a_bad_part_says_what_it_means_and_leads_to_its_breaker(visit, workbench):
    test = opened(visit, name="admin")
    place = next(n for n in range(8) if any(one.key == f"health_to_breaker_{n}" for one in test.button))
    click(test, f"health_to_breaker_{place}")
    assert any((one.key or "").startswith("health_trip_dialog_") for one in test.button)
    assert "Questions are answered by the next model" in texts(test)


def test_the_way_to_the_providers_is_for_admins(visit):
    assert any((one.key or "").startswith("health_to_providers") for one in opened(visit, name="admin").button)
    assert not any((one.key or "").startswith("health_to_providers") for one in opened(visit).button)


def test_the_details_of_a_part_hold_latency_and_breaker(visit):
    test = click(opened(visit), "health_check_1")
    shown = texts(test)
    assert "p99" in shown
    assert str(CHAT).replace(" · ", "")[:4] in shown
    assert "not since the start" not in shown


def test_every_state_of_a_breaker_is_a_word_with_what_explains_it(visit):
    test = opened(visit)
    shown = texts(test)
    for word in ("65.0 %", "too few calls to judge", "tries again in", "Another process", "slow calls are expected"):
        assert word in shown
    for state in BreakerState:
        if state is not BreakerState.DRAINING:
            assert escape(state.value) in shown


def test_check_now_asks_for_fresh_results(visit, workbench):
    click(opened(visit), "health_again")
    assert did(workbench, "health") == [("fresh",)]


def test_a_first_start_says_what_is_missing_and_what_fills_it(visit, workbench):
    workbench.show("empty")
    for section in ("Now", "Traffic", "Usage"):
        assert "No numbers yet" in texts(opened(visit, section))
    assert "No model and no store was called" in texts(opened(visit))
    assert "Nobody is told yet" in texts(opened(visit, "Alerts"))
    assert "Nothing happened in the last 1 h" in texts(opened(visit, "Timeline"))


def test_the_timeline_can_be_narrowed_to_a_kind(visit, workbench):
    test = opened(visit, "Timeline")
    assert "provider\\.edit" in texts(test)
    field(test.pills, "health_kinds").set_value(["alert"]).run()
    assert "provider\\.edit" not in texts(test)
    assert "Too many failures" in texts(test)


def test_charts_leave_the_step_out_that_is_not_over():
    found = busy(Range.HOUR)
    assert complete(found.traffic, 60) in (list(found.traffic), list(found.traffic[:-1]))
    assert complete(found.traffic, 7200) == list(found.traffic)
    assert len(complete(found.traffic, 600)) < 56


def test_the_numbers_of_a_chart_are_a_table_too(visit, workbench):
    test = opened(visit, "Traffic")
    before = len(test.dataframe)
    test.session_state["health_table_shares"] = True
    test.run()
    assert not test.exception
    tables = [one.value for one in test.dataframe]
    assert len(tables) == before + 1
    assert any({"Time", "Fallback"} <= set(one.columns) for one in tables)


def test_held_charts_stay_while_new_numbers_come(visit, workbench):
    test = opened(visit, "Traffic")
    test.toggle(key="health_hold").set_value(True).run()
    held = dict(test.session_state["health"].held)
    assert len(held) == 4
    test.run()
    assert all(test.session_state["health"].held[name] is figure for name, figure in held.items())
    test.toggle(key="health_hold").set_value(False).run()
    assert not test.session_state["health"].held


# --- hostile text, strangers, failures


@pytest.mark.parametrize("section", SECTIONS)
def test_names_stay_text_in_every_section(visit, section):
    test = opened(visit, section, name="admin")
    test.segmented_control(key="health_range").set_value("24 h").run()
    shown = texts(test) + "\n".join(one.label for one in test.button)
    for raw in (NASTY, "](https:", ":red[x]", "<b>", "</script>", "$x^2$"):
        assert raw not in shown


def test_names_in_charts_are_letters_and_not_tags():
    figure = figures.spending([("<a href='https://evil.example'>x</a>", 1.0), (NASTY, 2.0)], "1 h")
    assert "<" not in figure.to_json().replace("<extra></extra>", "").replace("\\u003cextra\\u003e\\u003c/extra\\u003e", "")
    assert figure.layout.uirevision == "1 h"


def test_analysts_get_nothing_of_the_page(visit, workbench):
    test = visit(PAGE, "analyst")
    assert "This page is for the role operator or admin" in test.error[0].value
    assert not test.button
    assert not test.metric


PARTS = {
    "breakers": ("Now", "**Disk**"),
    "measurements": ("Now", "**Disk**"),
    "health": ("Now", "chat"),
    "alerts": ("Now", "**Disk**"),
    "alert_rules": ("Alerts", "On call"),
    "alert_channels": ("Alerts", "Slow model"),
    "alert_metrics": ("Alerts", "On call"),
    "incidents": ("Timeline", "Failing"),
}


@pytest.mark.parametrize(("method", "found"), PARTS.items(), ids=PARTS)
def test_what_fails_is_told_in_its_part_and_the_others_go_on(visit, workbench, method, found):
    section, other = found
    workbench.fail[method] = LOCKED
    test = opened(visit, section)
    assert {one.value for one in test.error} == {SAID}
    assert other in texts(test)


def test_choices_that_cannot_be_read_leave_the_page_as_it_begins(visit, workbench):
    workbench.fail["preference"] = workbench.fail["set_preference"] = LOCKED
    test = visit(PAGE, "operator")
    assert {one.value for one in test.error} == {SAID}
    test.segmented_control(key="health_range").set_value("24 h").run()
    assert workbench.asked_range is Range.DAY
    assert "**Disk**" in texts(test)


def test_an_ended_session_is_told_once(visit, workbench, monkeypatch):
    test = opened(visit)
    monkeypatch.setattr(Desk, "principal", property(lambda desk: (_ for _ in ()).throw(InputError("your session has ended"))))
    test.run()
    assert not test.exception
    assert "Parts" not in [one.value for one in test.subheader]


# --- choices


def test_range_and_refresh_are_kept_for_the_user(visit, workbench):
    test = opened(visit, "Traffic")
    assert workbench.asked_range is Range.HOUR
    test.segmented_control(key="health_range").set_value("7 days").run()
    test.segmented_control(key="health_refresh").set_value("10 s").run()
    assert workbench.asked_range is Range.WEEK
    assert workbench.preferences == {("u-operator", "health_range"): "7 days", ("u-operator", "health_refresh"): "10 s"}
    again = opened(visit, "Traffic")
    assert again.segmented_control(key="health_range").value == "7 days"
    assert opened(visit, "Traffic", name="admin").segmented_control(key="health_range").value == "1 h"


def test_a_kept_choice_that_no_longer_exists_is_ignored(visit, workbench):
    workbench.preferences["u-operator", "health_range"] = "2 centuries"
    assert opened(visit).segmented_control(key="health_range").value == "1 h"


# --- breakers


@pytest.mark.parametrize("command", ["trip", "drain", "hold"])
def test_forcing_a_breaker_takes_a_reason_and_says_what_it_means(visit, workbench, command):
    test = click(opened(visit), f"health_{command}_board_{1:016x}")
    assert "restart" in texts(test)
    assert button(test, "health_command_now").disabled
    field(test.text_input, "health_reason").set_value("  ").run()
    assert button(test, "health_command_now").disabled
    field(test.text_input, "health_reason").set_value(" vendor *maintenance* ").run()
    click(test, "health_command_now")
    assert did(workbench, "command_breaker") == [(f"{1:016x}", command, "vendor *maintenance*")]
    assert "health_command_now" not in [one.key for one in test.button]
    assert "vendor \\*maintenance\\*" in texts(test)


def test_a_reset_needs_no_reason(visit, workbench):
    test = click(opened(visit), f"health_reset_board_{2:016x}")
    click(test, "health_command_now")
    assert did(workbench, "command_breaker") == [(f"{2:016x}", "reset", "")]


def test_a_refused_command_keeps_the_dialog_and_what_was_typed(visit, workbench):
    test = click(opened(visit), f"health_trip_board_{1:016x}")
    workbench.fail["command_breaker"] = LOCKED
    field(test.text_input, "health_reason").set_value("maintenance").run()
    click(test, "health_command_now")
    assert SAID in [one.value for one in test.error]
    assert field(test.text_input, "health_reason").value == "maintenance"
    del workbench.fail["command_breaker"]
    click(test, "health_command_now")
    assert len(did(workbench, "command_breaker")) == 1


def test_a_breaker_that_is_gone_is_told(visit, workbench):
    test = click(opened(visit), f"health_trip_board_{1:016x}")
    workbench.board = []
    test.run()
    assert "This breaker is gone" in texts(test)


# --- documents, caches, files


def test_a_stalled_document_is_processed_again(visit, workbench):
    test = opened(visit, "Usage")
    click(test, "health_again_d-0003")
    assert workbench.stored_documents
    assert "waits to be processed again" in texts(test) or "There is no such document" in texts(test)
    workbench.fail["reprocess"] = InputError("this document is being processed already", hint="wait until it is done")
    click(test, "health_again_d-0003")
    assert "This document is being processed already" in texts(test)


def test_only_admins_throw_kept_answers_away_after_a_second_click(visit, workbench):
    assert not any(one.key == "health_clear" for one in opened(visit, "Usage").button)
    test = click(opened(visit, "Usage", name="admin"), "health_clear")
    assert did(workbench, "clear_cache") == []
    click(test, "health_clear_now")
    assert did(workbench, "clear_cache") == [()]
    assert "412 kept answers were thrown away" in texts(test)


def test_files_are_made_when_asked_for(visit, workbench):
    test = opened(visit)
    assert not test.get("download_button")
    click(test, "health_csv")
    click(test, "health_bundle")
    assert did(workbench, "measurements_csv") == [(Range.HOUR,)]
    assert did(workbench, "support_bundle") == [()]
    assert {one.label for one in test.get("download_button")} == {"Download measurements-1h.csv", "Download support-bundle.zip"}


# --- alerts


def test_a_firing_alert_stands_above_every_section_until_somebody_takes_it(visit, workbench):
    for section in SECTIONS:
        assert "**Firing**" in texts(opened(visit, section))
    test = opened(visit)
    click(test, "health_acknowledge_a-1")
    assert did(workbench, "acknowledge_alert") == [("a-1",)]
    assert "Acknowledged by operator" in texts(test)


def test_a_new_rule_is_saved_as_it_was_filled_in(visit, workbench):
    test = click(opened(visit, "Alerts"), "health_rule_new")
    assert button(test, "health_rule_save").disabled
    field(test.text_input, "health_rule_name").set_value("Slow *reranker*").run()
    field(test.selectbox, "health_rule_metric").set_value("dependency_p95").run()
    field(test.selectbox, "health_rule_label").set_value(str(CHAT)).run()
    field(test.segmented_control, "health_rule_side").set_value("below").run()
    field(test.number_input, "health_rule_limit").set_value(750.0).run()
    field(test.number_input, "health_rule_for").set_value(3.0).run()
    field(test.number_input, "health_rule_rest").set_value(20.0).run()
    field(test.multiselect, "health_rule_channels").set_value(["c-1"]).run()
    assert "below 750 ms for 3 min" in texts(test)
    click(test, "health_rule_save")
    assert did(workbench, "save_alert_rule") == [
        (
            AlertRule(
                name="Slow *reranker*", metric="dependency_p95", label=str(CHAT), above=False, threshold=750.0, for_minutes=3.0,
                cooldown_minutes=20.0, channels=("c-1",),
            ),
        )
    ]  # fmt: skip
    assert "Slow \\*reranker\\*" in texts(test)


def test_editing_a_rule_begins_from_what_it_is(visit, workbench):
    before = next(one for one in workbench.rules if one.id == "r-2")
    test = click(opened(visit, "Alerts"), "health_rule_edit_r-2")
    click(test, "health_rule_save")
    assert did(workbench, "save_alert_rule") == [(replace(before, value=None, changed_by=""),)]


def test_a_deleted_rule_comes_back_with_undo(visit, workbench):
    test = opened(visit, "Alerts")
    click(test, "health_rule_off_r-1")
    assert did(workbench, "delete_alert_rule") == [("r-1",)]
    click(test, "health_undo")
    assert did(workbench, "save_alert_rule")[0][0].name == "Too many failures"
    assert "is back" in texts(test)


@pytest.mark.parametrize(("choice", "minutes"), [*SILENCES.items(), ("End the silence", 0)])
def test_a_rule_is_silenced_and_speaks_again(visit, workbench, monkeypatch, choice, minutes):
    test = opened(visit, "Alerts")
    desk, rule, state = Desk(workbench, test.session_state["workbench"]), workbench.rules[0], HealthState("s")
    monkeypatch.setattr("streamlit.session_state", {f"health_silence_{rule.id}": choice})
    _silence(desk, state, rule)
    assert did(workbench, "silence_alert_rule") == [(rule.id, minutes)]
    assert state.notice.well


def test_a_rule_says_how_it_stands():
    rule = AlertRule(name="x", metric="m", threshold=5)
    assert standing(replace(rule, value=7.0))[0] == "beyond the limit"
    assert standing(replace(rule, value=7.0, above=False))[0] == "within the limit"
    assert standing(rule)[0] == "nothing measured"
    assert standing(replace(rule, enabled=False))[0] == "off"
    assert standing(replace(rule, silenced_until=datetime(2099, 1, 1, tzinfo=UTC)))[0].startswith("silent for")


def test_a_channel_is_added_and_its_address_is_never_shown(visit, workbench):
    test = click(opened(visit, "Alerts"), "health_channel_new")
    field(test.text_input, "health_channel_name").set_value("Pager").run()
    assert button(test, "health_channel_save").disabled
    field(test.text_input, "health_channel_target").set_value("http://hooks.example.com/s3cret").run()
    click(test, "health_channel_save")
    assert "This is not an address of a webhook" in texts(test)
    field(test.text_input, "health_channel_target").set_value("https://hooks.example.com/s3cret").run()
    click(test, "health_channel_save")
    saved = AlertChannel(name="Pager", kind="webhook", target="https://hooks.example.com/s3cret")
    assert did(workbench, "save_alert_channel") == [(saved, "https://hooks.example.com/s3cret")]
    assert "s3cret" not in texts(test)
    assert "s3cret" not in str(test.session_state)


def test_an_edited_channel_keeps_its_address_when_none_is_given(visit, workbench):
    test = click(opened(visit, "Alerts"), "health_channel_edit_c-1")
    assert field(test.text_input, "health_channel_target").value == ""
    field(test.text_input, "health_channel_name").set_value("Night watch").run()
    click(test, "health_channel_save")
    assert did(workbench, "save_alert_channel") == [(AlertChannel(id="c-1", name="Night watch", kind="webhook"), "")]


def test_a_test_of_a_channel_shows_what_really_happened(visit, workbench):
    test = opened(visit, "Alerts")
    click(test, "health_channel_test_c-1")
    assert "the receiver answered 200 in 84 ms" in texts(test)
    click(test, "health_channel_test_c-2")
    assert "The mail server refused" in texts(test)
    assert NASTY not in texts(test)


def test_deleting_a_channel_names_the_rules_that_lose_it(visit, workbench):
    test = click(opened(visit, "Alerts"), "health_channel_off_c-1")
    assert "**Too many failures**" in texts(test)
    assert did(workbench, "delete_alert_channel") == []
    click(test, "health_channel_off_now")
    assert did(workbench, "delete_alert_channel") == [("c-1",)]


# --- the bell, and words


@pytest.mark.parametrize(("name", "asked"), [("operator", 1), ("admin", 1), ("analyst", 0)])
def test_the_navigation_counts_firing_alerts_and_asks_rarely(visit, workbench, monkeypatch, name, asked):
    titles, calls = [], []
    page, real = st.Page, workbench.alerts

    async def counting(p, **options):
        calls.append(p.name)
        return await real(p, **options)

    monkeypatch.setattr(workbench, "alerts", counting)
    monkeypatch.setattr(st, "Page", lambda *args, **options: titles.append(options["title"]) or page(*args, **options))
    test = visit("ui/frame.py", name)
    test.run()
    assert not test.exception
    assert len(calls) == asked
    assert ("Health (2)" in titles) == bool(asked)


def test_a_failing_count_of_alerts_breaks_no_page(visit, workbench):
    workbench.fail["alerts"] = LOCKED
    test = visit("ui/frame.py", "admin")
    assert not test.exception
    assert not test.error


def test_numbers_have_readable_units():
    assert [span(one) for one in (0, 59.4, 60, 3600, 5400, 90_000)] == ["0 s", "59 s", "1 min", "1 h", "1 h 30 min", "1 d 1 h"]
    assert [duration(one) for one in (0, 1.44, 31.2, 2900)] == ["0 ms", "1.4 ms", "31 ms", "2.9 s"]
    assert [percent(one) for one in (None, 0, 0.034, 1)] == ["–", "0 %", "3.4 %", "100 %"]
    assert [quantity(7.25, "%"), quantity(8000, "ms"), quantity(600, "s"), quantity(2.5, "US$"), quantity(3, ""), quantity(None, "%")] == [
        "7.25 %", "8.0 s", "10 min", "$2.50", "3", "–",
    ]  # fmt: skip


@pytest.mark.parametrize("range_", Range)
def test_every_range_has_figures(range_):
    found = busy(range_)
    for figure in (
        figures.percentiles(found.stage_points, "total", range_.value),
        figures.stacked_stages(found.stage_points, found.step_seconds, range_.value),
        figures.questions(found.traffic, found.step_seconds, range_.value),
        figures.shares(found.traffic, range_.value),
        figures.documents(found.traffic, range_.value),
    ):
        assert figure.data
        assert figure.layout.uirevision.startswith(range_.value)


def test_a_value_between_two_gaps_shows_in_a_chart_of_lines():
    found = figures.shares([], "1 h")
    assert {one.mode for one in found.data} == {"lines+markers"}
