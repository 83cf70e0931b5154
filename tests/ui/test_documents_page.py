"""The main moves of the documents page."""

import asyncio

from engine.types import Principal, Role
from tests.ui.looking import button, texts

ANNA = Principal(user_id="u-analyst", name="analyst", role=Role.ANALYST)


def test_documents_show_state_trouble_and_coverage(visit):
    shown = texts(visit("pages/documents.py", "analyst"))
    assert "report\\.pdf" in shown
    assert "3 of 6 pages have no text: scanned?" in shown
    assert "The file ends in the middle of a table" in shown


def test_uploads_get_a_verdict_each_and_one_bad_file_stops_nothing(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    files = [("new.pdf", b"one", "application/pdf"), ("bad.exe", b"two", ""), ("again.pdf", b"report.pdf", "application/pdf")]
    test.file_uploader[0].set_value(files).run()
    assert not test.exception
    shown = texts(test)
    assert "1 accepted" in shown
    assert "1 already there" in shown
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
    next(one for one in test.button if one.key.startswith("documents_open_") and not one.disabled).click().run()
    assert not test.exception
    assert len(test.image) == 1
    assert "**2 passages on this page**" in texts(test)
    button(test, "documents_chunk_").click().run()
    assert test.session_state["workbench"].chunk_id
    test.number_input[0].set_value(3).run()
    assert test.session_state["workbench"].page == 3
    button(test, "documents_back").click().run()
    assert test.title[0].value == "Documents"


def test_deleting_asks_first_and_can_be_undone(visit, workbench):
    test = visit("pages/documents.py", "analyst")
    document = next(one for one in asyncio.run(workbench.documents(ANNA)) if one.name == "report.pdf")
    test.session_state["workbench"].pending = ("delete", document.id)
    test.run()
    button(test, "documents_delete_now").click().run()
    assert workbench.stored_documents[document.id].state == "deleted"
    assert "report\\.pdf was deleted" in texts(test)
    button(test, "documents_undo_").click().run()
    assert workbench.stored_documents[document.id].state == "live"
