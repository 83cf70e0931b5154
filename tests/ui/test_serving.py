"""The label of an answer: who wrote it, in which time, at which cost, and who could not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.types import Answer, Outage, Serving, Usage
from tests.ui.looking import button, texts
from ui.components.serving import kept_badge, money, outage_line, serving_label

ANSWER = Answer(
    text="x", refused=False, sentences=(), citations=(), provider="main", model="gpt-5-mini",
    usage=Usage(input_tokens=1200, output_tokens=34), serving=Serving(seconds=3.21, cost_usd=0.0042),
)  # fmt: skip
DOWN = (Outage(provider="lab", model="m*1", reason="connection *refused*."), Outage(provider="two", model="", reason="no"))


def priced(cost, **changes):
    return serving_label(replace(ANSWER, serving=Serving(seconds=3.21, cost_usd=cost), **changes))


def test_the_label_names_all_that_is_known():
    assert serving_label(ANSWER) == "main · gpt\\-5\\-mini · 3.2 s · 1,234 tokens · \\$0\\.0042"


def test_an_unknown_price_is_said_only_where_there_is_one():
    assert priced(None).endswith("price unknown")
    assert priced(0.0).endswith("tokens")
    assert priced(None, usage=Usage()) == "main · gpt\\-5\\-mini · 3.2 s"
    assert priced(None, provider="extractive", model="extractive") == "extractive · 3.2 s · 1,234 tokens"
    assert priced(None, provider="transformers", model="").endswith("tokens")


def test_an_answer_without_measures_has_only_its_origin():
    assert serving_label(replace(ANSWER, usage=Usage(), serving=Serving())) == "main · gpt\\-5\\-mini"


def test_an_outage_is_told_with_its_reason():
    assert outage_line(ANSWER) == ""
    told = outage_line(replace(ANSWER, serving=Serving(outages=DOWN)))
    assert told == "**lab · m\\*1** could not answer (connection \\*refused\\*), so **main · gpt\\-5\\-mini** did."


def test_a_link_that_was_taken_out_is_named_once():
    out = (replace(DOWN[0], reason=f"chat · {DOWN[0].provider} · {DOWN[0].model} was taken out of use by an operator"),)
    told = outage_line(replace(ANSWER, serving=Serving(outages=out)))
    assert "could not answer (it was taken out of use by an operator), so" in told


@pytest.mark.parametrize(
    ("usd", "shown"), [(0, "$0.00"), (0.00001, "< $0.0001"), (0.0042, "$0.0042"), (0.25, "$0.25"), (1234.5, "$1,234.50")]
)
def test_amounts_are_for_people(usd, shown):
    assert money(usd) == shown


def test_the_thread_shows_the_label_below_and_the_outage_above(visit, workbench):
    for messages in workbench.stored_messages.values():
        served = {"provider": "<b>main", "model": "m", "serving": Serving(seconds=1.0, outages=DOWN)}
        messages[:] = [replace(one, answer=replace(one.answer, **served)) if one.answer else one for one in messages]
    test = button(visit("pages/chat.py", "analyst"), "chat_open_").click().run()
    assert [one.value for one in test.info] == [
        "**lab · m\\*1** could not answer (connection \\*refused\\*), so **\\<b\\>main · m** did."
    ]
    assert "\\<b\\>main · m · 1.0 s" in texts(test)


def test_a_kept_answer_tells_its_age_at_the_time_of_the_question():
    asked = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
    for age, shown in ((5, "under a minute"), (185, "3 min"), (7300, "2 h"), (200_000, "2 d")):
        answer = replace(ANSWER, serving=Serving(cached_at=(asked - timedelta(seconds=age)).isoformat()))
        assert kept_badge(answer, asked) == f":violet-badge[:material/history: Kept answer · {shown} old]"
    assert kept_badge(ANSWER, asked) == ""


def ask_kept(visit):
    test = button(visit("pages/chat.py", "analyst"), "chat_open_").click().run()
    return test.chat_input[0].set_value("What was kept of revenue?").run()


def test_a_kept_answer_can_be_had_anew(visit, workbench):
    test = ask_kept(visit)
    assert any("Kept answer · 3 min old" in one.value for one in test.markdown)
    refresh = button(test, "chat_refresh_")
    assert "written anew" in refresh.help
    test = refresh.click().run()
    assert workbench.fresh[-2:] == [False, True]
    [*_, asked, answer] = next(iter(workbench.stored_messages.values()))
    assert (asked.text, answer.answer.serving.cached_at) == ("What was kept of revenue?", "")
    # What is typed next is an ordinary question again.
    test.chat_input[0].set_value("And the margin?").run()
    assert workbench.fresh[-1] is False


def test_an_answer_of_just_now_has_no_badge(visit):
    test = button(visit("pages/chat.py", "analyst"), "chat_open_").click().run()
    assert not any("Kept answer" in one.value for one in test.markdown)
    assert not [one for one in test.button if one.key.startswith("chat_refresh_")]
