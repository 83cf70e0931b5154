"""The upkeep page: backups, agreement, retention and holds, by role."""

import pytest

from engine.keeping_views import RetentionKind, RetentionRule
from tests.ui.looking import button, texts

PAGE = "pages/upkeep.py"


@pytest.fixture
def page(visit):
    return visit(PAGE, "admin")


def go(test, section):
    return test.segmented_control(key="upkeep_section").set_value(section).run()


def test_operators_see_what_runs_and_neither_rules_nor_holds(visit):
    test = visit(PAGE, "operator")
    assert list(test.segmented_control(key="upkeep_section").options) == ["Backups", "Agreement"]
    assert not [one for one in test.button if one.key == "upkeep_backup"]
    assert "This page is for the role" in texts(visit(PAGE, "analyst"))


def test_a_backup_is_made_and_its_restore_is_tried(page):
    assert "There is no backup yet" in texts(page)
    button(page, "upkeep_backup").click().run()
    assert "workbench\\-1" in texts(page)
    button(page, "upkeep_test").click().run()
    assert "came back" in texts(page)


def test_differences_are_shown_and_mended_and_names_stay_text(page):
    go(page, "Agreement")
    button(page, "upkeep_compare").click().run()
    assert "3 missing, 1 too many" in texts(page)
    assert "<b>" not in texts(page).replace("\\<b\\>", "")
    button(page, "upkeep_mend").click().run()
    assert "What differed is mended" in texts(page)
    button(page, "upkeep_compare").click().run()
    assert "Everything agrees" in texts(page)


def test_a_new_rule_is_off_until_somebody_turns_it_on(page, workbench):
    go(page, "Retention")
    assert "There is no rule" in texts(page)
    button(page, "upkeep_make").click().run()
    assert [(one.kind, one.enabled) for one in workbench.stored_rules] == [(RetentionKind.CHATS, False)]
    assert "4 would go now · 1 kept by a legal hold" in texts(page)
    button(page, "upkeep_turn").click().run()
    assert [one.enabled for one in workbench.stored_rules] == [True]
    button(page, "upkeep_apply").click().run()
    assert workbench.applied_rules == ["r-1"]
    button(page, "upkeep_remove").click().run()
    assert "There is no rule" in texts(page)


def test_a_rule_that_is_refused_says_why(page, workbench):
    go(page, "Retention")
    next(one for one in page.selectbox if one.key.startswith("upkeep_kind")).set_value(RetentionKind.AUDIT).run()
    next(one for one in page.number_input if one.key.startswith("upkeep_days")).set_value(30).run()
    button(page, "upkeep_make").click().run()
    assert "takes 365" in texts(page)
    assert workbench.stored_rules == []


def test_names_of_files_stay_text(page, workbench):
    workbench.stored_rules = [RetentionRule(id="r-1", kind=RetentionKind.FILES, days=9)]
    go(page, "Retention")
    assert "old \\*report\\*" in texts(page)


def test_a_hold_needs_a_reason_and_can_be_released(page, workbench):
    go(page, "Legal holds")
    assert button(page, "upkeep_set_hold").disabled
    which = next(one for one in page.selectbox if one.key.startswith("upkeep_which"))
    which.select_index(0).run()
    next(one for one in page.text_input if one.key.startswith("upkeep_why")).set_value("case 7").run()
    button(page, "upkeep_set_hold").click().run()
    assert [one.reason for one in workbench.stored_holds] == ["case 7"]
    button(page, "upkeep_release").click().run()
    assert workbench.stored_holds[0].released_at
