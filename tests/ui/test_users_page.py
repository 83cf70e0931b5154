"""What admins do with people, groups, sessions and keys: the right call, what is told afterwards, and what is refused."""

import pytest

from engine.access_views import ImportedUser
from engine.errors import InputError, StoreError
from engine.types import Role
from tests.ui.fake_access import NASTY, NASTY_BROWSER, SINCE
from tests.ui.looking import button, texts
from ui.components.people.imports import as_csv
from ui.components.people.section import SECTIONS
from ui.components.people.words import ago, browser

PAGE = "pages/users.py"


def opened(visit, section="People"):
    return show(visit(PAGE, "admin"), section)


def show(test, section):
    test.segmented_control(key="users_section").set_value(section).run()
    assert not test.exception
    return test


def act(test, action, name):
    """Open the dialog of an action, as a choice in the menu does."""
    test.session_state["people"].open(action, f"u-{name}")
    return test.run()


def click(test, key):
    button(test, key).click().run()
    assert not test.exception
    return test


def field(widgets, key):
    return next(one for one in widgets if (one.key or "").startswith(key))


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("method", ["users", "groups", "sessions", "api_keys"])
def test_a_failing_call_becomes_one_sentence_and_the_sections_stay(visit, workbench, section, method):
    workbench.fail[method] = StoreError("the database is locked", hint="try again in a minute")
    test = opened(visit, section)
    assert [one.value for one in test.error] in ([], ["The database is locked.  \nTry again in a minute."])
    assert test.segmented_control(key="users_section").value == section


@pytest.mark.parametrize("section", SECTIONS)
def test_names_and_browsers_stay_text_in_every_section(visit, section):
    shown = texts(opened(visit, section))
    for raw in (NASTY, NASTY_BROWSER[:20], "](https:", ":red[x]", "<b>", "<script>"):
        assert raw not in shown


def test_each_person_shows_role_state_groups_and_factor(visit):
    shown = texts(opened(visit))
    assert "**ben\\.ode**  :gray-badge[analyst] :blue-badge[:material/mail: invited]" in shown
    assert "**carla**  :gray-badge[analyst] :orange-badge[:material/lock_clock: locked until" in shown
    assert "**dmitri**  :gray-badge[analyst] :gray-badge[:material/block: disabled]" in shown
    assert "second factor on · in Research · 1 session" in shown


def test_people_are_found_by_part_of_a_name_and_by_state(visit):
    test = opened(visit)
    test.text_input(key="users_find").set_value("CARL").run()
    assert "1 of 7 users" in texts(test)
    test.text_input(key="users_find").set_value("nobody").run()
    assert "None of the 7 users fits" in texts(test)
    test.text_input(key="users_find").set_value("")
    test.selectbox(key="users_state").set_value("locked").run()
    assert "**carla**" in texts(test)
    assert "**analyst**" not in texts(test)


def test_thousands_of_people_are_paged(visit, workbench):
    for n in range(2000):
        workbench.person(f"p{n:04}", Role.ANALYST)
    test = opened(visit)
    assert "2,007 users" in texts(test)
    assert sum("-badge[" in one.value for one in test.markdown) == 25


def test_a_role_is_changed_and_taken_back(visit, workbench):
    test = act(opened(visit), "role", "analyst")
    field(test.radio, "users_role_").set_value(Role.OPERATOR).run()
    click(test, "users_role_now")
    assert workbench.did == [("set_role", "u-analyst", Role.OPERATOR)]
    assert "**analyst** is now operator" in texts(test)
    click(test, "people_undo")
    assert workbench.people["analyst"].role is Role.ANALYST
    assert "is analyst again" in texts(test)


def test_disabling_says_what_happens_and_can_be_undone(visit, workbench):
    test = act(opened(visit), "disable", "carla")
    assert "1 session and all API keys stop working at once" in texts(test)
    click(test, "users_disable_now")
    assert workbench.people["carla"].disabled
    click(test, "people_undo")
    assert workbench.did == [("disable_user", "u-carla"), ("enable_user", "u-carla")]


@pytest.mark.parametrize(("action", "key"), [("role", "users_role_now"), ("reset", "users_reset_now"),
                                             ("disable", "users_disable_now"), ("delete", "users_delete_now")])  # fmt: skip
def test_the_last_admin_is_spared_with_the_reason(visit, workbench, action, key):
    test = act(opened(visit), action, "admin")
    assert "**admin** is the only admin who can sign in" in texts(test)
    assert button(test, key).disabled
    workbench.person("zoe", Role.ADMIN)
    test = act(test, action, "admin")
    assert "the only admin" not in texts(test)


def test_a_reset_shows_its_link_once(visit, workbench):
    test = click(act(opened(visit), "reset", "analyst"), "users_reset_now")
    assert workbench.did == [("reset_password", "u-analyst")]
    link = test.code[0].value
    assert "/invite?token=" in link
    assert "works once, until 05 Feb 2026 08:00 UTC" in texts(test)
    click(test, "users_done")
    assert not test.code
    assert link not in str(test.session_state["people"])


def test_a_shown_link_is_in_no_repr(visit):
    test = click(act(opened(visit), "reset", "analyst"), "users_reset_now")
    assert test.code[0].value.split("token=")[1] not in repr(test.session_state["people"])


def test_deleting_needs_the_name_and_says_what_is_kept(visit, workbench):
    test = act(opened(visit), "delete", "carla")
    assert "**Kept:** documents and collections" in texts(test)
    field(test.text_input, "users_delete_").set_value("carl").run()
    assert button(test, "users_delete_now").disabled
    field(test.text_input, "users_delete_").set_value("carla").run()
    click(test, "users_delete_now")
    assert workbench.did == [("delete_user", "u-carla")]
    assert "**carla** was deleted" in texts(test)


def test_a_refusal_stays_in_the_dialog(visit, workbench):
    workbench.fail["delete_user"] = InputError("the last admin stays", hint="make somebody else an admin first")
    test = act(opened(visit), "delete", "carla")
    field(test.text_input, "users_delete_").set_value("carla").run()
    click(test, "users_delete_now")
    assert [one.value for one in test.error] == ["The last admin stays.  \nMake somebody else an admin first."]
    assert "carla" in workbench.people


def test_sessions_factor_and_groups_of_one_person(visit, workbench):
    test = click(act(opened(visit), "sessions", "carla"), "users_sessions_now")
    assert [one[0] for one in workbench.did] == ["revoke_session"]
    click(act(test, "factor", "carla"), "users_factor_now")
    assert workbench.did[-1] == ("reset_second_factor", "u-carla")
    research, legal = workbench.stored_groups
    act(test, "groups", "carla")
    field(test.multiselect, "users_groups_").set_value([legal]).run()
    click(test, "users_groups_now")
    assert set(workbench.did[-2:]) == {("set_members", legal, (f"u-{NASTY}", "u-carla")),
                                       ("set_members", research, ("u-analyst", "u-ben.ode"))}  # fmt: skip


# --- invite


def test_an_invitation_gives_a_link(visit, workbench):
    test = opened(visit, "Invite")
    field(test.text_input, "users_new_name").set_value(" ana ")
    field(test.radio, "users_new_role").set_value(Role.OPERATOR)
    group = next(iter(workbench.stored_groups))
    field(test.multiselect, "users_new_in").set_value([group])
    click(test, "FormSubmitter:users_new")
    assert workbench.did == [("invite_user", "ana", Role.OPERATOR, (group,))]
    assert "/invite?token=" in test.code[0].value
    click(test, "users_another")
    assert not test.code
    assert field(test.text_input, "users_new_name").value == ""


def test_a_taken_name_is_refused_in_place(visit):
    test = opened(visit, "Invite")
    field(test.text_input, "users_new_name").set_value("analyst")
    click(test, "FormSubmitter:users_new")
    assert test.error[0].value == "A user named 'analyst' exists.  \nChoose another name.".replace("'", "\\'")
    assert not test.code


def test_a_first_password_must_be_changed_and_is_not_kept(visit, workbench):
    test = opened(visit, "Invite")
    test.segmented_control(key="users_how").set_value("With a first password").run()
    field(test.text_input, "users_new_name").set_value("ana")
    field(test.text_input, "users_new_password").set_value("a long password")
    click(test, "FormSubmitter:users_new")
    assert workbench.did == [("create_user", "ana", Role.ANALYST, True)]
    assert "is asked for a new password" in texts(test)
    assert all(one.value != "a long password" for one in test.text_input)


# --- groups


def test_groups_are_made_renamed_filled_and_deleted(visit, workbench):
    test = click(opened(visit, "Groups"), "groups_new")
    test.text_input(key="groups_name").set_value("Sales").run()
    click(test, "groups_new_now")
    assert "**Sales** was made" in texts(test)
    group = next(one.id for one in workbench.stored_groups.values() if one.name == "Sales")
    test.session_state["people"].open("members", group)
    test.run()
    field(test.multiselect, "groups_members_").set_value(["u-carla"]).run()
    click(test, "groups_members_now")
    click(test, "people_undo")
    test.session_state["people"].open("rename", group)
    test.run()
    test.text_input(key=f"groups_name_{group}").set_value("Sellers").run()
    click(test, "groups_rename_now")
    test.session_state["people"].open("delete", group)
    test.run()
    click(test, "groups_delete_now")
    assert workbench.did == [
        ("create_group", "Sales"), ("set_members", group, ("u-carla",)), ("set_members", group, ()),
        ("rename_group", group, "Sellers"), ("delete_group", group),
    ]  # fmt: skip


def test_a_group_shows_members_and_what_is_shared_with_it(visit):
    shown = texts(opened(visit, "Groups"))
    assert "**Research** · 3 members" in shown
    assert "Shared with it: Filings (read)" in shown


def test_no_groups_says_so(visit, workbench):
    workbench.stored_groups.clear()
    assert "There are no groups yet" in texts(opened(visit, "Groups"))


# --- sessions and keys


def test_one_session_or_all_of_a_user_are_ended_but_never_the_own(visit, workbench):
    test = opened(visit, "Sessions")
    assert "Firefox on Linux" in texts(test)
    ids = {name: session_id for name, session_id in workbench.tokens.values()}
    assert not [one for one in test.button if one.key == f"sessions_end_{ids['admin']}"]
    click(test, f"sessions_end_{ids['carla']}")
    assert workbench.did == [("revoke_session", ids["carla"])]
    test.selectbox(key="users_sessions_of").set_value(f"u-{NASTY}").run()
    click(test, "users_end_all")
    assert workbench.did[-1] == ("revoke_session", ids[NASTY])
    assert "admin" in {name for name, _ in workbench.tokens.values()}


def test_a_key_of_anybody_is_revoked(visit, workbench):
    test = opened(visit, "API keys")
    key = next(one for one in workbench.stored_keys.values() if one.user == "analyst")
    click(test, f"keys_revoke_{key.id}")
    assert workbench.did == [("revoke_api_key", key.id)]
    assert "**Notebook** of" not in texts(test)
    test.toggle(key="users_all_keys").set_value(True).run()
    assert "**Notebook** of **analyst** :gray-badge[revoked]" in texts(test)


# --- import


def test_an_import_is_looked_at_first_then_applied_and_gives_links(visit, workbench):
    test = opened(visit, "Import")
    field(test.text_area, "users_list_").set_value("name,role,groups\nana,analyst,\nadmin,admin,\nbo,king,").run()
    click(test, "users_check")
    assert "**Nothing is changed yet.** 1 new · 1 already there · 1 refused" in texts(test)
    assert "'king' is no role" in list(test.dataframe[0].value["Reason"])
    assert workbench.did == [("import_users", False)]
    click(test, "users_import")
    assert "ana" in workbench.people
    assert "/invite?token=" in test.dataframe[0].value["Link"][0]
    click(test, "users_import_done")
    assert not test.dataframe
    assert field(test.text_area, "users_list_").value == ""


def test_what_is_no_list_is_refused_in_place(visit):
    test = opened(visit, "Import")
    field(test.text_area, "users_list_").set_value("hello").run()
    click(test, "users_check")
    assert "Begin with that line" in test.error[0].value


def test_a_file_that_is_no_text_is_refused_in_place(visit, workbench):
    test = opened(visit, "Import")
    field(test.file_uploader, "users_list_file").set_value([("x.csv", b"\xff\xfe\x00n", "text/csv")]).run()
    click(test, "users_check")
    assert "is not UTF\\-8 text" in test.error[0].value
    assert not workbench.did


def test_the_exported_links_hold_no_formula():
    rows = [ImportedUser(line=2, name="=cmd|' /C calc'!A0", role="analyst", outcome="new", path="/invite?token=x")]
    assert as_csv(rows).decode("utf-8-sig").splitlines()[1].startswith("'=cmd")


# --- looking as somebody


def test_a_look_shows_reach_and_searches_as_that_user(visit, workbench):
    test = opened(visit, "View as")
    field(test.selectbox, "users_view_").set_value("u-carla").run()
    click(test, "users_view_now")
    shown = texts(test)
    assert "You are looking as **carla**. Nothing can be changed; this look is recorded" in shown
    assert list(test.dataframe[0].value["Why"]) == ["granted, group Research"]
    assert "report\\.pdf" in shown
    test.text_input(key="users_view_query").set_value("revenue").run()
    assert workbench.did[-1] == ("search", "carla", True, "revenue", tuple(workbench.stored_collections))
    assert "Revenue rose by 1 percent\\. \\*x\\*" in texts(test)
    click(test, "users_preview_end")
    assert "You are looking as" not in texts(test)
    assert workbench.did.count(("view_as", "u-carla")) == 1


def test_leaving_the_section_ends_the_look(visit):
    test = opened(visit, "View as")
    field(test.selectbox, "users_view_").set_value("u-carla").run()
    click(test, "users_view_now")
    show(test, "People")
    assert "You are looking as" not in texts(show(test, "View as"))


def test_times_and_browsers_are_for_people():
    assert ago(None) == "never"
    assert ago(SINCE, now=SINCE.replace(hour=11)) == "3 hours ago"
    assert ago(SINCE, now=SINCE.replace(minute=1)) == "1 minute ago"
    assert browser("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0") == "Edge on Windows"
    assert browser("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1") == "Safari on iPhone"
    assert browser("curl/8.5.0") == "curl"
    assert browser("") == "unknown browser"
