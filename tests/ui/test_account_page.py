"""What everybody does with the own account."""

import pytest
import streamlit as st

from engine.access_views import Scope
from tests.ui.fake_access import CODE
from tests.ui.looking import button, texts

PAGE = "pages/account.py"
OLD, NEW = "correct horse battery", "another long password"


def opened(visit, section="Sign-in", name="analyst"):
    test = visit(PAGE, name)
    test.segmented_control(key="account_section").set_value(section).run()
    assert not test.exception
    return test


def click(test, key):
    button(test, key).click().run()
    assert not test.exception
    return test


def field(widgets, key):
    return next(one for one in widgets if (one.key or "").startswith(key))


def change(test, old, new, again):
    field(test.text_input, "account_old").set_value(old)
    field(test.text_input, "account_new").set_value(new)
    field(test.text_input, "account_again").set_value(again)
    return click(test, "FormSubmitter:account_password")


def test_it_says_who_i_am_and_my_groups(visit):
    assert "**analyst** :gray-badge[analyst] · Groups: Research" in texts(opened(visit))


def test_the_password_is_changed_and_not_kept(visit, workbench):
    test = change(opened(visit), OLD, NEW, NEW)
    assert workbench.did == [("change_password", "u-analyst")]
    assert "All your other sessions have ended" in texts(test)
    assert not [one for one in test.text_input if one.value]


@pytest.mark.parametrize(("old", "new", "again", "said"), [
    (OLD, NEW, "other", "The two new passwords differ"), ("wrong", NEW, NEW, "present password is wrong"),
    (OLD, "short", "short", "fewer than 10 characters"),
])  # fmt: skip
def test_a_refused_password_changes_nothing_and_says_why(visit, workbench, old, new, again, said):
    test = change(opened(visit), old, new, again)
    assert said in test.error[0].value
    assert not workbench.did
    assert not [one for one in test.text_input if one.value]


def test_a_second_factor_is_set_up_confirmed_and_removed(visit, workbench):
    test = click(opened(visit), "account_factor_start")
    assert test.code[0].value.startswith("JBSW Y3DP")
    assert test.code[1].value.startswith("otpauth://totp/")
    assert "JBSWY3DP" not in repr(test.session_state["people"])
    field(test.text_input, "account_code").set_value("000000")
    click(test, "FormSubmitter:account_factor_form")
    assert "The code is wrong" in test.error[0].value
    assert test.code
    field(test.text_input, "account_code").set_value(f"{CODE[:3]} {CODE[3:]}")
    click(test, "FormSubmitter:account_factor_form")
    assert workbench.did == [("confirm_second_factor", CODE)]
    assert not test.code
    field(test.text_input, "account_factor_password").set_value("wrong")
    click(test, "FormSubmitter:account_factor_off")
    assert "The password is wrong" in test.error[0].value
    field(test.text_input, "account_factor_password").set_value(OLD)
    click(test, "FormSubmitter:account_factor_off")
    assert workbench.did[-1] == ("remove_second_factor", "u-analyst")


def test_only_my_sessions_are_listed_and_another_one_is_ended(visit, workbench):
    other = workbench.tokens[workbench.session("analyst")][1]
    test = opened(visit, "Sessions")
    assert "2 open sessions" in texts(test)
    assert ":green-badge[this one]" in texts(test)
    click(test, f"sessions_end_{other}")
    assert workbench.did == [("revoke_session", other)]


def test_signing_out_everywhere_ends_this_session_too(visit, workbench, monkeypatch):
    left = []
    monkeypatch.setattr(st, "logout", lambda: left.append(True))
    test = click(opened(visit, "Sessions"), "account_everywhere_now")
    assert workbench.did == [("sign_out_everywhere", "u-analyst")]
    assert left
    assert "signed out" in texts(test)


def test_a_key_is_shown_once_with_an_example(visit, workbench):
    test = opened(visit, "API keys")
    assert not [one for one in test.checkbox if one.key.startswith("account_scope_admin")]
    field(test.text_input, "account_key_name").set_value(" nightly ")
    field(test.checkbox, "account_scope_ask").set_value(True)
    field(test.selectbox, "account_key_days").set_value(30)
    click(test, "FormSubmitter:account_key")
    assert workbench.did == [("create_api_key", "nightly", (Scope.READ, Scope.ASK), 30)]
    key = test.code[0].value
    assert key.startswith("wb_")
    assert f"Bearer {key}" in test.code[1].value
    assert key not in repr(test.session_state["people"])
    click(test, "account_key_done")
    assert not test.code


def test_a_key_without_a_name_is_refused_in_place(visit, workbench):
    test = click(opened(visit, "API keys"), "FormSubmitter:account_key")
    assert "A key needs a name" in test.error[0].value
    assert not workbench.did


def test_only_admins_are_offered_the_scope_admin(visit):
    test = opened(visit, "API keys", "admin")
    assert [one for one in test.checkbox if one.key.startswith("account_scope_admin")]


def test_only_my_keys_are_listed_and_one_is_revoked(visit, workbench):
    test = opened(visit, "API keys")
    assert "Notebook" in texts(test)
    assert "Nightly upload" not in texts(test)
    key = next(one for one in workbench.stored_keys.values() if one.user == "analyst")
    click(test, f"keys_revoke_{key.id}")
    assert workbench.did == [("revoke_api_key", key.id)]


def test_the_frame_forgets_what_another_page_showed_once(visit):
    test = visit("ui/frame.py", "analyst")
    from ui.components.people.state import PageState

    test.session_state["people"] = PageState("account", test.session_state["workbench"].principal.session_id)
    test.run()
    assert "people" not in test.session_state
