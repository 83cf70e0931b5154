"""The main moves of the documents page."""

import asyncio
import io
import zipfile
from dataclasses import replace

import pytest
import streamlit as st

from engine.errors import BrokenFile, EmptyDocument, FileTooLarge, InputError, PasswordNeeded, StoreUnavailable, UnsupportedFile
from engine.ingestion_views import BulkAction, JobState, OnDuplicate
from engine.types import Principal, Right, Role
from tests.ui.looking import button, texts
from ui import server
from ui.components.documents.attention import CALM
from ui.components.documents.table import EVERY_SECONDS, _watched
from ui.components.documents.words import is_hopeless, size

ANNA = Principal(user_id="u-analyst", name="analyst", role=Role.ANALYST)


def section(test, name):
    """Go to a section of the page."""
    return test.segmented_control[-1].set_value(name).run()


def rows(test):
    """Return the table as dictionaries, a row each."""
    return test.dataframe[0].value.to_dict("records")


def tick(test, *names):
    """Select the documents of these names in the table."""
    found = asyncio.run(server.connection().workbench.documents(ANNA))
    by_name = {one.name: one.id for one in found}
    ids = [by_name[row["Name"]] for row in rows(test)]
    number = test.session_state["documents"].number
    test.session_state[f"documents_table_{number}_{hash(tuple(ids))}"] = {
        "selection": {"rows": [ids.index(by_name[name]) for name in names], "columns": [], "cells": []}
    }
    return test.run()


def test_the_table_shows_each_document_with_its_state_and_how_much_of_it_is_text(visit):
    test = visit("pages/documents.py", "analyst")
    assert not test.exception
    found = {row["Name"]: row for row in rows(test)}
    assert {name: list(row["Status"]) for name, row in found.items()} == {
        "report.pdf": ["ready"],
        "scan.pdf": ["ready"],
        "broken.pdf": ["failed"],
    }
    assert found["scan.pdf"]["Text"] == 0.5
    assert "3 documents · 24 passages" in texts(test)
    assert "3 of 6 pages have no text" in texts(tick(test, "scan.pdf"))


def test_a_new_tab_opens_the_collection_that_was_open_last(visit, workbench):
    def picker(test):
        return next(one for one in test.selectbox if one.key.startswith("documents_collection"))

    asyncio.run(workbench.create_collection(ANNA, "Contracts"))
    test = visit("pages/documents.py", "analyst")
    first = picker(test).value
    other = picker(test).select_index(1).run()
    assert picker(other).value != first
    assert picker(visit("pages/documents.py", "analyst")).value == picker(other).value


def test_the_table_keeps_its_order_and_its_selection_while_states_change(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    before = [row["Name"] for row in rows(test)]
    workbench.job("report.pdf", stage="embed")
    test.run()
    tick(test, "report.pdf")
    assert "310 of 500 passages · 12.4 passages in a second · 2 min left" in texts(test)
    workbench.job("report.pdf", JobState.DONE)
    test.run()
    assert [row["Name"] for row in rows(test)] == before
    assert "**report\\.pdf**" in texts(test)


def test_a_job_shows_its_log_when_asked(visit, workbench):
    workbench.job("report.pdf", stage="recognise")
    test = tick(visit("pages/documents.py", "analyst"), "report.pdf")
    assert "hardly legible" not in texts(test)
    test.toggle[0].set_value(True).run()
    assert "page 7: hardly legible" in texts(test).replace("\\", "").replace("\u200b", "")


def test_what_needs_attention_has_its_reason_and_its_fix(visit, workbench):
    workbench.job("report.pdf", JobState.STALLED)
    test = section(visit("pages/documents.py", "analyst"), "attention")
    assert not test.exception
    assert "Nobody works on it any more" in texts(test)
    assert "The file ends in the middle of a table" in texts(test)
    button(test, "documents_requeue_").click().run()
    job = next(iter(workbench.stored_jobs.values()))
    assert job.state is JobState.QUEUED
    button(test, "documents_retry_").click().run()
    assert workbench.bulks[-1][0] is BulkAction.RETRY


def test_fixing_all_that_is_stuck_goes_on_after_one_that_cannot_be_fixed(visit, workbench):
    stuck = [workbench.job(name, JobState.STALLED) for name in ("report.pdf", "scan.pdf")]
    requeue = workbench.requeue

    async def refuse_the_first(p, document_id):
        if document_id == stuck[0].document_id:
            raise InputError("its file is gone", hint="upload it again")
        await requeue(p, document_id)

    workbench.requeue = refuse_the_first
    test = section(visit("pages/documents.py", "analyst"), "attention")
    button(test, "documents_requeue_all").click().run()
    assert [one.state for one in workbench.stored_jobs.values()] == [JobState.STALLED, JobState.QUEUED]
    assert "Its file is gone" in texts(test)


def test_nothing_to_fix_says_so(visit, workbench):
    for key, one in workbench.stored_documents.items():
        workbench.stored_documents[key] = replace(one, state="live")
    assert CALM in texts(section(visit("pages/documents.py", "analyst"), "attention"))


def test_readers_see_no_action_that_writes(visit, workbench):
    for key, one in workbench.stored_collections.items():
        workbench.stored_collections[key] = replace(one, right=Right.READ)
    workbench.job("report.pdf", JobState.STALLED)
    test = tick(visit("pages/documents.py", "analyst"), "scan.pdf")
    assert not test.file_uploader
    offered = [word for one in test.get("menu_button") for word in one.proto.options]
    assert offered
    assert all("Versions" in word or "Download" in word for word in offered)
    test = section(test, "attention")
    assert "Nobody works on it any more" in texts(test)
    assert not [one.key for one in test.button if one.key and one.key.startswith(("documents_re", "documents_de"))]


def test_what_is_known_already_is_asked_about_and_what_is_new_is_taken_at_once(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    files = [("new.pdf", b"one", ""), ("scan.pdf", b"other", ""), ("copy.pdf", b"report.pdf", "")]
    test.file_uploader[0].set_value(files).run()
    assert not test.exception
    shown = texts(test)
    assert [name for name, _ in workbench.uploaded_as if name == "new.pdf"]
    assert "is there with other content" in shown
    assert "has exactly the content of **report\\.pdf**" in shown
    before = len(workbench.uploaded_as)
    button(test, "documents_decide").click().run()
    assert workbench.uploaded_as[before:] == [("scan.pdf", OnDuplicate.VERSION)]
    assert "1 new version of a known document" in texts(test)
    assert "What shall become" not in texts(test)


def test_a_choice_for_a_known_file_is_what_the_engine_is_told(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    test.file_uploader[0].set_value([("scan.pdf", b"other", "")]).run()
    next(one for one in test.selectbox if (one.key or "").startswith("documents_choice_")).select(OnDuplicate.REPLACE).run()
    button(test, "documents_decide").click().run()
    assert workbench.uploaded_as[-1] == ("scan.pdf", OnDuplicate.REPLACE)


def test_an_archive_becomes_a_document_for_each_file_in_it(visit, workbench):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("one.pdf", "1")
        archive.writestr("tool.exe", "2")
    test = visit("pages/documents.py", "analyst")
    test.file_uploader[0].set_value([("pack.zip", data.getvalue(), "application/zip")]).run()
    assert "pack.zip/one.pdf" in {one.name for one in workbench.stored_documents.values()}
    assert "1 accepted" in texts(test)
    assert "1 refused" in texts(test)


def test_an_older_version_is_looked_at_and_made_the_active_one(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    document = next(one for one in workbench.stored_documents.values() if one.name == "report.pdf")
    workbench.older_version(document.id)
    test.session_state["workbench"].pending = ("versions", document.id)
    test.run()
    assert not test.exception
    assert "answers questions" in texts(test)
    button(test, "documents_activate_1").click().run()
    assert workbench.stored_documents[document.id].version == 1
    test.session_state["workbench"].pending = None
    test.query_params.update({"document": document.id, "version": "2"})
    assert "This is **version 2**" in texts(test.run())


def test_a_document_moves_to_a_collection_that_may_be_written(visit, workbench):
    other = asyncio.run(workbench.create_collection(ANNA, "Contracts"))
    test = visit("pages/documents.py", "analyst")
    document = next(one for one in workbench.stored_documents.values() if one.name == "report.pdf")
    test.session_state["workbench"].pending = ("move", document.id)
    test.run()
    button(test, "documents_move_now").click().run()
    assert workbench.stored_documents[document.id].collection_id == other.id


def test_uploads_get_a_verdict_each_and_one_bad_file_stops_nothing(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    files = [("new.pdf", b"one", "application/pdf"), ("bad.exe", b"two", ""), ("again.pdf", b"report.pdf", "application/pdf")]
    test.file_uploader[0].set_value(files).run()
    assert not test.exception
    shown = texts(test)
    assert "1 accepted" in shown
    assert "has exactly the content of **report\\.pdf**" in shown
    assert "1 refused" in shown
    assert "which no loader reads" in shown
    assert "new.pdf" in {one.name for one in workbench.stored_documents.values()}


def test_the_first_collection_is_made_on_the_spot(visit, workbench):
    workbench.stored_documents.clear()
    workbench.stored_collections.clear()
    test = visit("pages/documents.py", "analyst")
    assert "A collection is a shelf" in texts(test)
    test.text_input[0].set_value("Contracts")
    button(test, "FormSubmitter:documents_create").click().run()
    assert [one.name for one in workbench.stored_collections.values()] == ["Contracts"]
    assert test.file_uploader


def test_a_document_opens_at_its_pages_and_marks_a_chosen_passage(visit):
    test = visit("pages/documents.py", "analyst")
    button(tick(test, "report.pdf"), "documents_open").click().run()
    assert not test.exception
    assert len(test.image) == 1
    assert "**2 passages on this page**" in texts(test)
    button(test, "documents_chunk_").click().run()
    assert test.session_state["workbench"].chunk_id
    test.number_input[0].set_value(3).run()
    assert test.query_params["page"] == "3"
    button(test, "documents_back").click().run()
    assert test.title[0].value == "Documents"


def test_what_is_deleted_can_be_brought_back_and_what_could_not_be_deleted_is_named(visit, workbench):
    test = section(visit("pages/documents.py", "analyst"), "attention")
    document = next(one for one in workbench.stored_documents.values() if one.name == "broken.pdf")
    button(test, "documents_delete_").click().run()
    assert workbench.stored_documents[document.id].state == "deleted"
    assert "broken\\.pdf: deleted" in texts(test)
    button(test, "documents_undo_").click().run()
    assert workbench.stored_documents[document.id].state == "live"
    assert "back again" in texts(test)


def test_a_new_collection_is_chosen_and_gets_the_uploads(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    picker = test.selectbox[0]
    picker.select_index(0).run()
    test.text_input[0].set_value("Contracts")
    button(test, "FormSubmitter:documents_create").click().run()
    made = next(one.id for one in workbench.stored_collections.values() if one.name == "Contracts")
    assert test.selectbox[0].value == made
    assert test.selectbox[0].key != picker.key
    assert test.text_input[0].value == ""
    assert "This collection is empty" in texts(test)
    test.file_uploader[0].set_value([("lease.pdf", b"lease", "application/pdf")]).run()
    assert {one.name: one.collection_id for one in workbench.stored_documents.values()}["lease.pdf"] == made


def test_an_address_opens_a_document_at_its_page(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    document = next(one for one in workbench.stored_documents.values() if one.name == "report.pdf")
    for page, shown in (("3", 3), ("99", 6), ("-1", 1), ("x", 1)):
        test.query_params.update({"document": document.id, "page": page})
        assert test.run().number_input[0].value == shown
    test.query_params.clear()
    assert test.run().title[0].value == "Documents"
    test.query_params["document"] = "d-none"
    test.run()
    assert "There is no such document" in test.error[0].value
    button(test, "documents_back").click().run()
    assert test.title[0].value == "Documents"


def test_an_encrypted_file_asks_for_its_password_in_its_row(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    test.file_uploader[0].set_value([("secret.pdf", b"secret", "application/pdf")]).run()
    button(section(test, "attention"), "documents_unlock_").click().run()
    box = test.text_input(key="documents_password")
    assert (box.label, "is protected" in texts(test)) == ("Password of the file", True)
    box.set_value("open sesame")
    button(test, "documents_again_now").click().run()
    assert workbench.given_password == "open sesame"


def test_a_search_without_a_hit_says_so(visit):
    test = visit("pages/documents.py", "analyst")
    test.file_uploader[0].set_value([(f"{n}.pdf", str(n).encode(), "application/pdf") for n in range(4)]).run()
    test.text_input(key="documents_find").set_value("nowhere").run()
    assert "None of the 7 documents fits" in texts(test)
    test.text_input(key="documents_find").set_value("").run()
    test.pills[0].set_value(["failed"]).run()
    assert [row["Name"] for row in rows(test)] == ["broken.pdf"]


def test_what_was_cancelled_is_not_counted_as_failed(visit, workbench):
    for name in ("report.pdf", "scan.pdf"):
        workbench.job(name, JobState.CANCELLED)
    test = visit("pages/documents.py", "analyst")
    test.file_uploader[0].set_value([(f"{n}.pdf", str(n).encode(), "application/pdf") for n in range(4)]).run()
    assert {"cancelled 2", "failed 1"} <= set(test.pills[0].options)


def test_sizes_are_for_people():
    assert [size(count) for count in (0, 1, 999, 1000, 2_500_000)] == ["0 bytes", "1 byte", "999 bytes", "1 kB", "2.5 MB"]


def test_a_document_is_added_by_its_web_address(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    test.segmented_control(key="documents_how").set_value("A web address").run()
    assert not test.file_uploader
    box = next(one for one in test.text_input if one.label == "Address of the file")
    box.set_value("https://example.com/terms.pdf")
    button(test, "FormSubmitter:documents_address_").click().run()
    assert not test.exception
    assert "1 accepted" in texts(test)
    assert "terms.pdf" in {one.name for one in workbench.stored_documents.values()}
    assert next(one for one in test.text_input if one.label == "Address of the file").value == ""


def test_an_address_that_is_refused_says_so_and_stays_to_be_corrected(visit, workbench):
    before = len(workbench.stored_documents)
    test = visit("pages/documents.py", "analyst")
    test.segmented_control(key="documents_how").set_value("A web address").run()
    next(one for one in test.text_input if one.label == "Address of the file").set_value("http://127.0.0.1/*x*")
    button(test, "FormSubmitter:documents_address_").click().run()
    assert not test.exception
    shown = texts(test)
    assert "1 refused" in shown
    assert "This address cannot be reached from here" in shown
    assert "\\*x\\*" in shown
    assert next(one for one in test.text_input if one.label == "Address of the file").value == "http://127.0.0.1/*x*"
    assert len(workbench.stored_documents) == before


def test_open_shows_the_version_that_answers_while_a_newer_one_is_read(visit, workbench):
    key, one = next((key, one) for key, one in workbench.stored_documents.items() if one.name == "report.pdf")
    workbench.stored_documents[key] = replace(
        one, version=2, versions=2, state="stored", pages=0, chunks=0, live_version=1, live_pages=6
    )
    test = tick(visit("pages/documents.py", "analyst"), "report.pdf")
    assert next(row["Open"] for row in rows(test) if row["Name"] == "report.pdf") == "Open"
    button(test, "documents_open").click().run()
    assert not test.exception
    assert "A newer version (2) is on its way. **Version 1** answers questions meanwhile" in texts(test)
    assert "of 6" in texts(test)


def test_a_failure_that_the_same_file_repeats_is_not_offered_again(visit, workbench):
    key, one = next((key, one) for key, one in workbench.stored_documents.items() if one.state == "failed")
    workbench.stored_documents[key] = replace(one, error="UnsupportedFile")
    test = section(visit("pages/documents.py", "analyst"), "attention")
    assert not any(one.key.startswith("documents_retry_") for one in test.button if one.key)
    button(test, "documents_other_").click().run()
    assert next(one for one in test.expander if one.label == "Add documents").proto.expanded
    workbench.stored_documents[key] = replace(one, error="FileTooLarge")
    assert button(test.run(), "documents_retry_")


@pytest.mark.parametrize(
    ("error", "hopeless"),
    [
        (UnsupportedFile("x"), True),
        (BrokenFile("x"), True),
        (EmptyDocument("x"), True),
        (EmptyDocument("x", hint="Text recognition is not installed"), False),
        (EmptyDocument("x", hint="Look whether it is the file that you meant."), True),
        (PasswordNeeded("x"), False),
        (PasswordNeeded("x", hint="Save a copy without one."), True),
        (FileTooLarge("x"), False),
        (StoreUnavailable("x"), False),
    ],
)
def test_another_try_is_offered_where_it_can_help(workbench, error, hopeless):
    one = next(iter(workbench.stored_documents.values()))
    assert is_hopeless(replace(one, state="failed", error=type(error).__name__, hint=error.hint)) is hopeless


@pytest.mark.parametrize(("state", "watched"), [(JobState.QUEUED, [EVERY_SECONDS]), (JobState.FAILED, [])])
def test_the_list_of_failures_looks_for_news_while_something_is_tried_again(visit, workbench, monkeypatch, state, watched):
    found, fragment = [], st.fragment
    monkeypatch.setattr(st, "fragment", lambda body, run_every=None: found.append((body, run_every)) or fragment(body))
    workbench.job("broken.pdf", state)
    section(visit("pages/documents.py", "analyst"), "attention")
    assert [every for body, every in found if body is _watched] == watched
