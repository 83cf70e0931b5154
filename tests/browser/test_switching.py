"""Switching who answers while people work, in a real browser: extractive, then a model server, then that server dies."""

import asyncio
import re

import pytest
from playwright.sync_api import expect

from engine.assembly import Assembly
from engine.settings import load_settings
from engine.types import Principal, Role
from tests.browser.test_main_job import LINES, NAME, PASSWORD, QUESTION, pdf
from tests.upstreams import openai
from tests.upstreams.server import KEY

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
ADMIN = Principal(user_id="local", name="test", role=Role.ADMIN)


async def prepare(folder):
    """Make an admin, and a collection with one document that is ready."""
    async with Assembly(load_settings(data_dir=folder)).opened(serve=False) as workbench:
        await workbench.create_user(ADMIN, NAME, PASSWORD, Role.ADMIN)
        collection = await workbench.create_collection(ADMIN, "Museum")
        await workbench.upload(ADMIN, collection.id, "museum.pdf", pdf(LINES))
        await workbench.process(ADMIN, collection.id)


def button(page, key):
    return page.locator(f".st-key-{key} button:visible").last


def ask(page, question=QUESTION):
    """Ask, wait for the end of the answer, and return its message."""
    messages = page.get_by_test_id("stChatMessage")
    page.get_by_test_id("stChatInputTextArea").wait_for()
    page.wait_for_timeout(1000)  # earlier messages of the conversation are drawn
    before = messages.count()
    page.get_by_test_id("stChatInputTextArea").fill(question)
    page.keyboard.press("Enter")
    expect(messages).to_have_count(before + 2)
    message = messages.last
    expect(message).to_contain_text("How this answer was made", timeout=120_000)
    return message


@pytest.fixture
def prepared(tmp_path):
    asyncio.run(prepare(tmp_path))  # before Playwright's own loop runs in this thread
    return tmp_path


@pytest.mark.timeout(600)
def test_a_switch_bites_at_once_and_a_dead_server_costs_a_label(prepared, serve, page):
    server = serve("app.py", WORKBENCH_DATA_DIR=str(prepared), OMP_NUM_THREADS="1")
    server.wait_for("URL: http")
    with openai.upstream() as upstream:
        upstream.text = "In 2023 the museum counted 48,210 visitors [1]."
        page.goto(f"{server.url}/login")
        page.get_by_label("User name").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(ask(page)).to_contain_text("extractive")

        page.get_by_role("link", name="Providers").click()
        expect(page.locator(".st-key-providers_now")).to_contain_text("extractive")
        page.get_by_text("Providers", exact=True).last.click()
        button(page, "providers_add").click()
        page.get_by_role("combobox", name=re.compile("Kind")).click()
        page.get_by_role("option", name=re.compile("^OpenAI")).click()
        name = page.locator('[class*="st-key-providers_add_name_openai"] input')  # of the form of that kind
        expect(name).to_have_value("openai")
        name.fill("box")
        page.get_by_role("textbox", name="Address").fill(upstream.url)
        page.locator("input[type=password]").fill(KEY)
        button(page, "providers_add_save").click()
        expect(page.locator(".st-key-providers_notices")).to_contain_text("was added", timeout=60_000)
        expect(page.locator(".st-key-providers_box_box")).to_contain_text(KEY[-4:])

        page.get_by_text("Answers", exact=True).last.click()
        button(page, "providers_add_link").click()
        button(page, "providers_link_add").click()
        expect(page.locator(".st-key-providers_adding")).to_have_count(0)
        if "box" not in page.locator(".st-key-providers_link_0").inner_text():
            button(page, "providers_up_1").click()
            expect(page.locator(".st-key-providers_link_0")).to_contain_text("box")
        button(page, "providers_use_chain").click()
        expect(page.locator(".st-key-providers_impact_chain")).to_contain_text(upstream.url)
        button(page, "providers_apply_chain").click()
        expect(page.locator(".st-key-providers_now")).to_contain_text("box")

        page.get_by_role("link", name="Chat").click()
        answered = ask(page, "How many visitors were there in the year 2023?")
        expect(answered).to_contain_text("box")
        expect(answered).to_contain_text("48,210 visitors")
        assert any(call.path.endswith("/chat/completions") for call in upstream.calls)

    rescued = ask(page, "How many visitors did the museum have in 2023?")  # the server is gone
    expect(rescued).to_contain_text("could not answer")
    expect(rescued).to_contain_text("extractive")
    expect(rescued).to_contain_text("48,210")

    # The key is nowhere: not in any page, not in the log, not in a file.
    for path in ("", "providers", "audit", "health", "users", "documents"):
        page.goto(f"{server.url}/{path}")
        page.get_by_role("heading").or_(page.get_by_test_id("stChatInput")).first.wait_for()
        page.wait_for_timeout(1500)
        assert KEY not in page.content()
    assert KEY not in "".join(server.output)
    assert not [file for file in prepared.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
