"""Pages run against the workbench in memory, through a real portal into a real loop."""

from pathlib import Path

import pytest
import streamlit as st
from anyio.from_thread import start_blocking_portal
from streamlit.testing.v1 import AppTest

from tests.ui.fake_workbench import seeded
from ui import server, session

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def clean_caches():
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def workbench():
    made = seeded()
    with start_blocking_portal() as portal:
        server.connect(made, portal)
        yield made
        server.disconnect()


@pytest.fixture
def visit(workbench, monkeypatch):
    """Return a function that opens a page as a user; no name = a stranger."""

    def opened(page, name=""):
        token = workbench.session(name) if name else ""
        monkeypatch.setattr(session, "session_token", lambda: token)
        test = AppTest.from_file(ROOT / page, default_timeout=20)
        test.user = {"wb_session": workbench.tokens[token][1]} if token else {}
        return test.run()

    return opened
