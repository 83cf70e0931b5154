"""What is escaped stays text in Streamlit's own renderer, which replaces more than a Markdown parser does."""

import pytest

from tests.ui.test_safe_text import NASTY

pytestmark = pytest.mark.browser

SCRIPT = """
import streamlit as st
from tests.ui.test_safe_text import NASTY
from ui.components.safe_text import escape
for text in NASTY:
    st.markdown(escape(text))
    st.button(escape(text), key=text)
st.text("the end")
"""
MEANING = (
    "a, img, em, strong, code, pre, h1, h2, ul, ol, blockquote, table, script, del, hr, .katex, [data-testid=stIconMaterial]"
)


@pytest.mark.timeout(300)
def test_nothing_of_a_hostile_text_is_interpreted(serve, page, tmp_path):
    script = tmp_path / "shown.py"
    script.write_text(SCRIPT, encoding="utf-8")
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    server = serve(script, PYTHONPATH=".", STREAMLIT_SERVER_COOKIE_SECRET="only-for-this-test")
    server.wait_for("URL:")
    page.goto(server.url)
    page.get_by_text("the end").wait_for()
    main = page.get_by_test_id("stMainBlockContainer")
    expected = [" ".join(text.split()) for text in NASTY]
    for kind in ("stMarkdown", "stButton"):
        shown = [text.replace("\u200b", "") for text in main.get_by_test_id(kind).all_inner_texts()]
        assert shown == expected
        assert main.get_by_test_id(kind).locator(MEANING).count() == 0
    assert not [url for url in requests if "evil.example" in url]
