"""The audit page: filters, details, older entries, verification, kept filters, export, sources of answers."""

from datetime import UTC, datetime

import pytest

from engine.audit_views import AuditQuery
from engine.errors import StoreError
from tests.ui.looking import button, texts
from ui.components.audit.entries import changes, rows
from ui.components.audit.filters import actions

PAGE = "pages/audit.py"


@pytest.fixture
def page(visit):
    return visit(PAGE, "admin")


def select(test, key):
    return next(one for one in test.selectbox if one.key.startswith(key))


def numbers(test):
    return list(test.dataframe[0].value["No."])


def test_the_newest_entries_come_first_and_older_ones_follow(page):
    assert numbers(page)[:2] == [250, 249]
    button(page, "audit_older").click().run()
    assert numbers(page)[0] == 150
    button(page, "audit_older").click().run()
    assert numbers(page)[-1] == 1
    assert button(page, "audit_older").disabled
    button(page, "audit_newer").click().run()
    assert numbers(page)[0] == 150
    button(page, "audit_newest").click().run()
    assert numbers(page)[0] == 250


def test_filters_narrow_and_can_be_cleared(page):
    select(page, "audit_action").set_value("auth.").run()
    assert set(page.dataframe[0].value["Action"]) == {"auth.login"}
    select(page, "audit_outcome").set_value("failure").run()
    assert set(page.dataframe[0].value["Outcome"]) == {"failure"}
    next(one for one in page.text_input if one.key.startswith("audit_text")).set_value("nowhere").run()
    assert not page.dataframe
    assert "fits this filter" in texts(page)
    button(page, "audit_clear").click().run()
    assert numbers(page)[0] == 250


def test_a_filter_is_kept_under_a_name_and_comes_back(page, workbench):
    select(page, "audit_outcome").set_value("denied").run()
    next(one for one in page.text_input if one.key.startswith("audit_view_name")).set_value("refused *things*").run()
    button(page, "audit_view_save").click().run()
    assert workbench.saved_audit_views == {"refused *things*": AuditQuery(outcome="denied")}
    button(page, "audit_clear").click().run()
    assert len(set(page.dataframe[0].value["Outcome"])) == 3
    kept = button(page, "audit_view_0")
    assert kept.label == "refused \\*things\\*"
    kept.click().run()
    assert set(page.dataframe[0].value["Outcome"]) == {"denied"}
    button(page, "audit_view_off_0").click().run()
    assert not workbench.saved_audit_views


def test_a_whole_chain_is_said_to_be_whole_and_a_broken_one_names_the_entry(page, workbench):
    button(page, "audit_verify").click().run()
    assert "250 entries checked; 3 checkpoints" in texts(page)
    workbench.broken = 17
    button(page, "audit_verify").click().run()
    assert "First at entry 17" in texts(page)
    assert "not as it was written" in texts(page)
    workbench.fail["audit_verify"] = StoreError("the database is locked", hint="try again")
    button(page, "audit_verify").click().run()
    assert "The database is locked" in texts(page)


def test_an_export_asks_for_what_the_filter_shows(page, workbench):
    select(page, "audit_action").set_value("question.ask").run()
    button(page, "audit_export_csv").click().run()
    assert workbench.exported == [(AuditQuery(action="question.ask"), "csv")]
    assert [one.label for one in page.get("download_button")] == ["Download audit.csv"]


def test_sources_of_answers_by_document_and_user(page, workbench):
    page.segmented_control[0].set_value("Sources of answers").run()
    table = page.dataframe[0].value
    assert set(table["To whom"]) == {"analyst", "admin"}
    select(page, "audit_sources_user").set_value("analyst").run()
    select(page, "audit_sources_document").set_value(next(iter(workbench.stored_documents))).run()
    assert list(page.dataframe[0].value["To whom"]) == ["analyst"]
    assert "1 answer to 1 user, from 1 document." in texts(page)


def test_a_change_is_told_as_before_and_after():
    before, after = {"base_url": "http://a", "timeout": 60, "gone": 1}, {"base_url": "http://b", "timeout": 60, "new": None}
    assert changes(before, after) == [
        {"What": "base_url", "Before": "http://a", "After": "http://b"},
        {"What": "gone", "Before": "1", "After": ""},
        {"What": "new", "Before": "", "After": ""},
    ]
    assert changes("", "read") == [{"What": "value", "Before": "", "After": "read"}]


def test_a_domain_stands_before_its_actions():
    assert actions(["auth.login", "user.create", "auth.logout"]) == [
        "auth.",
        "auth.login",
        "auth.logout",
        "user.",
        "user.create",
    ]


def test_cells_hold_words_as_they_are(workbench):
    entry = workbench.entries[2]
    assert rows([entry])[0]["Time"] == datetime(2026, 1, 5, 9, 3, tzinfo=UTC)
    assert rows([entry])[0]["Who"] == "the system"
