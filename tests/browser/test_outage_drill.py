"""A drill: a provider breaks while somebody asks, is left alone, and comes back. Seen in a real browser by an admin.

With the environment variable DRILL_SCREENSHOTS the pictures of each stage are kept in that folder.
"""

import asyncio
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine.assembly import Assembly
from engine.operations_views import AlertChannel
from engine.provider_views import Choice
from engine.settings import load_settings
from engine.types import Principal, Role
from tests.browser.test_main_job import LINES, NAME, PASSWORD, pdf
from tests.browser.test_switching import ask
from tests.servers.receivers import web_receiver
from tests.upstreams import openai
from tests.upstreams.server import KEY

pytestmark = pytest.mark.browser
ADMIN = Principal(user_id="local", name="test", role=Role.ADMIN)
RULE = "A model or store is left alone"
OPEN_SECONDS = 20
QUESTIONS = [f"How many visitors were there in {year}?" for year in ("2023", "the year 2023", "2023 in all", "total in 2023")]


async def prepare(folder, upstream, hook):
    """An admin, a document, a provider before the extractive answerer, and a webhook for the rule about breakers."""
    settings = load_settings(data_dir=folder, alerting={"webhooks": ["loopback"]})
    async with Assembly(settings).opened(serve=False) as workbench:
        await workbench.create_user(ADMIN, NAME, PASSWORD, Role.ADMIN)
        collection = await workbench.create_collection(ADMIN, "Museum")
        await workbench.upload(ADMIN, collection.id, "museum.pdf", pdf(LINES))
        await workbench.process(ADMIN, collection.id)
        await workbench.add_provider(ADMIN, "openai", name="box", base_url=upstream.url, key=KEY)
        chain = (Choice(provider="box", model="gpt-5-mini"), Choice(provider="extractive"))
        version = (await workbench.choices(ADMIN)).version
        await workbench.choose(ADMIN, expected_version=version, chain=chain)
        channel = await workbench.save_alert_channel(ADMIN, AlertChannel(name="pager", kind="webhook", target=hook))
        (rule,) = [one for one in await workbench.alert_rules(ADMIN) if one.name == RULE]
        await workbench.save_alert_rule(ADMIN, type(rule)(**{**_fields(rule), "channels": (channel.id,)}))


def _fields(rule):
    return {name: getattr(rule, name) for name in rule.__dataclass_fields__}


@pytest.fixture
def prepared(tmp_path):
    with openai.upstream() as upstream, web_receiver() as hooks:
        upstream.text = "In 2023 the museum counted 48,210 visitors [1]."
        asyncio.run(prepare(tmp_path, upstream, hooks.url))  # before Playwright's own loop runs in this thread
        upstream.calls.clear()
        yield tmp_path, upstream, hooks


def shoot(page, name):
    folder = os.environ.get("DRILL_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder) / f"{name}.png")


def answers(upstream):
    """How many answers the provider was asked for."""
    return sum(call.path.endswith("/chat/completions") for call in upstream.calls)


def go(page, name):
    page.get_by_role("link", name=name).first.click()


@pytest.mark.timeout(600)
def test_an_outage_costs_a_label_and_everybody_sees_it(prepared, serve, page):
    folder, upstream, hooks = prepared
    server = serve(
        "app.py",
        WORKBENCH_DATA_DIR=str(folder),
        OMP_NUM_THREADS="1",
        WORKBENCH_ALERTING__WEBHOOKS='["loopback"]',
        WORKBENCH_ALERTING__EVERY_SECONDS="1",
        WORKBENCH_RESILIENCE__WINDOW_CALLS="4",
        WORKBENCH_RESILIENCE__MINIMUM_CALLS="4",
        WORKBENCH_RESILIENCE__ATTEMPTS="1",
        WORKBENCH_RESILIENCE__PROBES="1",
        WORKBENCH_RESILIENCE__OPEN_SECONDS=str(OPEN_SECONDS),
    )
    server.wait_for("URL: http")
    page.goto(f"{server.url}/login")
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    answered = ask(page, QUESTIONS[0])
    expect(answered).to_contain_text("box")
    shoot(page, "1-box-answers")

    upstream.fail("500", times=1000)
    for question in QUESTIONS[1:3]:
        rescued = ask(page, question)
        expect(rescued).to_contain_text("could not answer")
        expect(rescued).to_contain_text("48,210")
    reached = answers(upstream)
    assert reached == 3  # one that went well and two that failed: three calls, below the minimum of four
    expect(ask(page, QUESTIONS[3])).to_contain_text("could not answer")
    assert answers(upstream) == 4  # now three of four failed: at least the half, so it opens
    for question in ("And how many visitors came?", "How many visitors did it count?"):
        label = ask(page, question)
        expect(label).to_contain_text("is left alone")
        expect(label).to_contain_text("extractive")
    assert answers(upstream) == 4  # nothing reached it any more
    shoot(page, "2-left-alone")

    go(page, "Health")
    expect(page.get_by_text("Firing").first).to_be_visible()
    expect(page.get_by_text(RULE).first).to_be_visible()
    expect(page.get_by_text("Degraded").first).to_be_visible()  # not what a check found before the breaker opened
    shoot(page, "3-health-alert")
    board = page.locator('[class*="st-key-health_breaker_"]').filter(has_text="box").filter(has_text="chat").first
    expect(board).to_contain_text("open")
    board.scroll_into_view_if_needed()
    shoot(page, "4-breaker-open")

    upstream.heal()
    page.wait_for_timeout(OPEN_SECONDS * 1000)
    go(page, "Chat")
    back = ask(page, "How many visitors were counted in 2023?")
    expect(back).to_contain_text("box")
    expect(back).not_to_contain_text("could not answer")
    assert answers(upstream) == 5  # the probe
    shoot(page, "5-box-answers-again")

    go(page, "Health")
    board = page.locator('[class*="st-key-health_breaker_"]').filter(has_text="box").filter(has_text="chat").first
    expect(board).to_contain_text("closed")
    expect(page.get_by_text("Firing")).to_have_count(0, timeout=60_000)
    page.get_by_text("Timeline", exact=True).last.click()
    for line in ("Breaker opened", "Alert fired", "Breaker is probing", "Breaker closed", "Alert resolved"):
        expect(page.get_by_text(line).first).to_be_visible()
    shoot(page, "6-timeline")
    page.get_by_text("Traffic", exact=True).last.click()
    page.wait_for_timeout(3000)
    shoot(page, "7-traffic")
    assert [body["event"] for body in hooks.bodies] == ["fired", "resolved"]

    go(page, "Audit")
    for action in ("breaker.open", "breaker.probe", "breaker.close", "alert.fire", "alert.resolve"):
        expect(page.get_by_text(action).first).to_be_attached()
    shoot(page, "8-audit")
    assert KEY not in "".join(server.output)
