"""Switching models while people work, in a real browser: extractive, then a model server, then that server is killed."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def asked(page, question):
    """Ask and return the text of the answer that is complete."""
    box = page.locator("textarea").last
    box.fill(question)
    box.press("Enter")
    message = page.locator('[data-testid="stChatMessage"]').last
    expect(message).to_contain_text("p. 1", timeout=120_000)
    return message
