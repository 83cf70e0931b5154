"""Each page as each kind of user, with an engine that fails, and the pages of operators and admins."""

import re
from dataclasses import replace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.errors import AccessDenied, StoreError
from engine.types import Role
from tests.ui.looking import texts
from ui.session import Desk

EVERYBODY = ["analyst", "operator", "admin"]
ALLOWED = {
    "chat": EVERYBODY,
    "documents": EVERYBODY,
    "providers": ["admin"],
    "users": ["admin"],
    "audit": ["admin"],
    "health": ["operator", "admin"],
    "account": EVERYBODY,
}
FIRST_CALL = {
    "chat": "collections",
    "documents": "collections",
    "providers": "choices",
    "users": "users",
    "audit": "audit",
    "health": "health",
    "account": "my_account",
}


@pytest.mark.parametrize("page", ALLOWED)
def test_a_stranger_sees_one_line(visit, page):
    test = visit(f"pages/{page}.py")
    assert not test.exception
    assert [one.value for one in test.info] == ["You are signed out. [Sign in](/login) to go on."]
    assert not test.button
    assert not test.title


@pytest.mark.parametrize("page", ALLOWED)
@pytest.mark.parametrize("name", EVERYBODY)
def test_roles_see_their_pages_and_no_others(visit, page, name):
    test = visit(f"pages/{page}.py", name)
    assert not test.exception
    refused = [one for one in test.error if "This page is for the role" in one.value]
    assert bool(refused) == (name not in ALLOWED[page])
    if refused:
        assert not test.dataframe
        assert not test.button


@pytest.mark.parametrize(("page", "method"), FIRST_CALL.items())
def test_an_engine_error_becomes_words_and_a_way_out(visit, workbench, page, method):
    workbench.fail[method] = StoreError("the database is locked", hint="try again in a minute")
    test = visit(f"pages/{page}.py", "admin")
    assert not test.exception
    assert [one.value for one in test.error] == ["The database is locked.  \nTry again in a minute."]


def test_a_failing_sign_in_check_shows_nothing_of_the_page(visit, workbench):
    workbench.fail["authenticate"] = StoreError("the database is locked")
    test = visit("pages/audit.py", "admin")
    assert len(test.error) == 1
    assert not test.dataframe


def test_a_demoted_admin_loses_the_page_at_the_next_click(visit, workbench):
    test = visit("pages/users.py", "admin")
    assert test.segmented_control
    workbench.people["admin"] = replace(workbench.people["admin"], role=Role.ANALYST)
    test.run()
    assert "This page is for the role admin" in test.error[0].value
    assert not test.segmented_control
    assert ("note_denied", "admin", "a page for the role admin") in workbench.did


def test_a_token_that_is_not_the_gates_session_is_a_stranger(visit, workbench):
    test = visit("pages/users.py", "admin")
    test.user = {"wb_session": "s-other"}
    test.run()
    assert "signed out" in test.info[0].value


def test_the_state_of_another_session_is_thrown_away(visit, workbench, monkeypatch):
    test = visit("pages/chat.py", "analyst")
    test.session_state["workbench"].conversation_id = "k-secret"
    token = workbench.session("operator")
    monkeypatch.setattr("ui.session.session_token", lambda: token)
    test.user = {"wb_session": workbench.tokens[token][1]}
    test.run()
    assert test.session_state["workbench"].conversation_id != "k-secret"


def test_health_says_what_a_failure_means_and_what_to_do(visit):
    shown = texts(visit("pages/health.py", "operator"))
    assert "3 of 8 checks need attention" in shown
    assert "**Effect:** Uploads are refused" in shown
    assert "**Next step:** Free some space" in shown


@pytest.mark.parametrize(("name", "titles"), [("analyst", 2), ("operator", 4), ("admin", 7)])
def test_the_frame_offers_the_pages_of_the_role_and_knows_the_others(visit, monkeypatch, name, titles):
    found, navigation = [], st.navigation
    monkeypatch.setattr(st, "navigation", lambda pages, **options: found.extend(pages) or navigation(pages, **options))
    test = visit("ui/frame.py", name)
    assert not test.exception
    assert (len(found), sum(one.visibility == "visible" for one in found)) == (9, titles)
    # "/chat" would be no page: the default one is at "/" only
    assert [(one.url_path, one.visibility) for one in found if one.title == "Chat"] == [("", "visible"), ("chat", "hidden")]
    assert any(one.key == "frame_sign_out" for one in test.button)


def test_an_unexpected_error_shows_a_number_and_hides_itself(caplog):
    def page():
        from ui.server import on_script_error

        assert on_script_error(ValueError("the secret is 42"))

    test = AppTest.from_function(page).run()
    number = re.search(r"Error number (\w{8})", test.error[0].value)[1]
    assert "42" not in test.error[0].value.replace(number, "")
    assert number in caplog.text
    assert "the secret is 42" in caplog.text


def test_a_fragment_asks_again_who_is_signed_in(visit, workbench, monkeypatch):
    test = visit("pages/chat.py", "analyst")
    desk = Desk(workbench, test.session_state["workbench"])
    assert desk.principal.name == "analyst"
    desk.state.checked_at -= 2
    monkeypatch.setattr("ui.session.current_principal", lambda: None)
    with pytest.raises(AccessDenied, match="ended"):
        desk.call(workbench.collections)
