"""The main job in a real browser: from the first start to the sentence on the page, and back again after signing out."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

NAME, PASSWORD = "maria", "correct horse battery"
LINES = [
    "Annual report of the Harbour Museum",
    "The museum opened in 1987 in a former customs house.",
    "In 2023 the museum counted 48,210 visitors, 12 percent more than in 2022.",
    "The rise came from the exhibition on lighthouses.",
    "The roof of the west wing was repaired in spring.",
]
QUESTION = "How many visitors did the museum count in 2023?"


def pdf(lines):
    """Return a PDF of one page with a line of text each."""
    shown = "".join(f"({line}) Tj 0 -24 Td " for line in lines)
    content = f"BT /F1 14 Tf 60 720 Td {shown}ET".encode("ascii")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, body)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, rows)
    return data + table + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(data))


@pytest.mark.timeout(600)
def test_from_the_first_start_to_the_sentence_on_the_page(serve, page, alive, tmp_path):
    server = serve("app.py", WORKBENCH_DATA_DIR=str(tmp_path), OMP_NUM_THREADS="1")
    link = server.wait_for("/setup?token=")
    assert alive(server.url)
    problems = []
    page.on("console", lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None)

    # Without a session every page leads to the set-up, and the link makes the first admin.
    page.goto(f"{server.url}/documents")
    expect(page).to_have_url(f"{server.url}/setup")
    page.goto(link)
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the first admin").click()

    page.get_by_role("button", name="Add documents").click()
    page.get_by_label("Name", exact=True).fill("Museum")
    page.get_by_role("button", name="Create collection").click()
    file = {"name": "museum.pdf", "mimeType": "application/pdf", "buffer": pdf(LINES)}
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("1 accepted").first).to_be_visible()
    # The table is a canvas; its cells are in it for whoever cannot see it.
    ready = page.locator('[class*="st-key-documents_table_"] canvas td').filter(has_text="ready")
    ready.first.wait_for(state="attached", timeout=180_000)

    page.get_by_role("link", name="Chat").click()
    page.get_by_test_id("stChatInputTextArea").fill(QUESTION)
    page.keyboard.press("Enter")
    citation = page.locator('[class*="st-key-chat_cite_"] button:visible').first
    citation.click(timeout=180_000)
    panel = page.locator(".st-key-evidence")
    picture = panel.locator("img")
    expect(picture).to_have_attribute("alt", "Page 1 of museum.pdf with the cited passage marked")
    page.wait_for_function("() => document.querySelector('.st-key-evidence img').naturalWidth > 500")
    expect(panel).to_contain_text("48,210 visitors")

    # The cookie is out of reach of scripts; signing out ends the session; the conversation is there the next time.
    assert "wb_session" not in page.evaluate("document.cookie")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto(server.url)
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator('[class*="st-key-chat_open_"] button').filter(has_text="How many visitors").click()
    expect(page.get_by_test_id("stChatMessage").filter(has_text="48,210 visitors").first).to_be_visible()
    assert not problems
