"""Sharing a collection on the documents page."""

from dataclasses import replace

from engine.errors import StoreError
from engine.types import Right
from tests.ui.fake_access import NASTY
from tests.ui.looking import button, texts

PAGE = "pages/documents.py"


def opened(visit, name="analyst"):
    test = visit(PAGE, name)
    button(test, "documents_share").click().run()
    assert not test.exception
    return test


def right_of(test, key):
    return next(one for one in test.selectbox if (one.key or "").startswith(f"sharing_{key}"))


def add(test, kind, name, right):
    next(one for one in test.selectbox if (one.key or "").startswith("sharing_who_")).set_value((kind, name))
    next(one for one in test.selectbox if (one.key or "").startswith("sharing_right_")).set_value(right).run()
    button(test, "sharing_add").click().run()
    assert not test.exception
    return test


def test_only_owners_are_offered_to_share(visit, workbench):
    for key, one in workbench.stored_collections.items():
        workbench.stored_collections[key] = replace(one, right=Right.WRITE)
    test = visit(PAGE, "analyst")
    assert not [one for one in test.button if one.key == "documents_share"]


def test_a_user_and_a_group_are_added_changed_and_removed(visit, workbench):
    test = add(opened(visit), "group", "Research", Right.READ)
    assert "**Research** has the right read now" in texts(test)
    add(test, "user", "carla", Right.WRITE)
    right_of(test, "user_u-carla").set_value("read").run()
    right_of(test, "group_g-").set_value("Remove").run()
    assert "It is not shared with **Research** any more" in texts(test)
    assert workbench.did == [
        ("grant", "group", "Research", Right.READ), ("grant", "user", "carla", Right.WRITE),
        ("grant", "user", "carla", Right.READ), ("grant", "group", "Research", None),
    ]  # fmt: skip


def test_nobody_takes_the_own_right_away_by_a_slip(visit):
    test = opened(visit)
    assert right_of(test, "user_u-analyst").disabled
    assert "(you)" in texts(test)


def test_a_refusal_is_told_in_the_dialog_and_shows_what_is_in_force(visit, workbench):
    test = opened(visit, "admin")
    workbench.fail["grant"] = StoreError("the database is locked", hint="try again in a minute")
    right_of(test, "user_u-analyst").set_value("read").run()
    assert "The database is locked" in texts(test)
    assert right_of(test, "user_u-analyst").value == "owner"


def test_names_stay_text(visit, workbench):
    test = add(opened(visit), "user", NASTY, Right.READ)
    assert NASTY not in texts(test)
    assert ":red[x]" not in texts(test)
    assert workbench.did == [("grant", "user", NASTY, Right.READ)]
