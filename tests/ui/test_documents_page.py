"""The main moves of the documents page."""

import asyncio

from engine.types import Principal, Role
from tests.ui.looking import button, texts
from ui.components.documents.words import size

ANNA = Principal(user_id="u-analyst", name="analyst", role=Role.ANALYST)


def test_documents_show_state_trouble_and_coverage(visit):
    shown = texts(visit("pages/documents.py", "analyst"))
    assert "report\\.pdf" in shown
    assert shown.count("3 of 6 pages have no text") == 1
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
    assert test.query_params["page"] == "3"
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
    button(test, "documents_unlock_").click().run()
    test.text_input(key="documents_password").set_value("open sesame")
    button(test, "documents_again_now").click().run()
    assert workbench.given_password == "open sesame"


def test_a_search_without_a_hit_says_so(visit):
    test = visit("pages/documents.py", "analyst")
    test.file_uploader[0].set_value([(f"{n}.pdf", str(n).encode(), "application/pdf") for n in range(4)]).run()
    test.text_input(key="documents_find").set_value("nowhere").run()
    assert "None of the 7 documents has this in its name" in texts(test)


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
