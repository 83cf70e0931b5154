"""The tray in the frame: quiet when nothing is in work, and never in the way of a page."""

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine.errors import StoreUnavailable
from engine.ingestion_views import JobState, Tray
from tests.ui.looking import texts
from ui.components.tray import headline

SCRIPT = """
from ui.components.tray import tray
from ui.session import open_page
import streamlit as st

tray(open_page())
st.write("the page")
"""


@pytest.fixture
def frame(workbench, monkeypatch):
    token = workbench.session("analyst")
    monkeypatch.setattr("ui.session.session_token", lambda: token)

    def drawn():
        test = AppTest.from_string(SCRIPT, default_timeout=20)
        test.user = {"wb_session": workbench.tokens[token][1]}
        return test.run()

    return drawn


def test_it_is_quiet_when_nothing_is_in_work(frame, workbench):
    assert texts(frame()) == "the page"


def test_it_tells_what_is_in_work_with_its_rate(frame, workbench):
    workbench.job("report.pdf", stage="embed")
    workbench.job("scan.pdf", JobState.DONE)
    test = frame()
    assert not test.exception
    assert "1 file of 2 is on the way" in texts(test)
    assert "12.4 passages in a second" in texts(test)


def test_it_counts_as_more_only_what_waits(frame, workbench):
    workbench.job("report.pdf", stage="embed")
    workbench.job("scan.pdf", JobState.QUEUED)
    workbench.job("broken.pdf", JobState.DONE)
    assert "and 1 file waiting" in texts(frame())


def test_a_page_is_drawn_also_when_the_tray_cannot_be_read(frame, workbench):
    workbench.fail["tray"] = StoreUnavailable("the database does not answer")
    test = frame()
    assert not test.exception
    assert texts(test) == "the page"


def test_the_headline_counts_what_is_done_what_is_left_and_what_is_wrong():
    seen = Tray(working=33, total=40, failed=1, stalled=0, eta_seconds=180.0)
    assert headline(seen) == "7 of 40, 3 min left, 1 failed"
    assert headline(Tray(working=0, total=2, failed=0, stalled=2, eta_seconds=None)) == "2 stalled"


def test_it_leads_to_the_collection_where_something_failed(frame, workbench, monkeypatch):
    monkeypatch.setattr("ui.components.tray.st.switch_page", lambda page: st.write(f"to {page}"))
    failed = workbench.job("broken.pdf", JobState.FAILED)
    test = frame()
    test.session_state["workbench"].collection_id = "another"
    test.button(key="tray_documents").click().run()
    assert "documents.py" in texts(test)
    assert test.session_state["workbench"].collection_id == failed.collection_id
    assert test.session_state["documents"].section == "attention"
