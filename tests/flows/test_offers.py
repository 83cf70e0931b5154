"""What is within reach is offered and never switched on by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine import registry
from engine.errors import NotFound
from engine.testing import ADMIN
from engine.workbench import Workbench
from tests.upstreams import ollama
from tests.upstreams.server import KEY

NAMES = ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key in the environment, and nobody at Ollama's usual address."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    away = replace(registry.GENERATORS["ollama"], url="http://127.0.0.1:9")
    monkeypatch.setitem(registry.GENERATORS, "ollama", away)  # type: ignore[arg-type]


async def test_nothing_within_reach_is_no_offer(workbench: Workbench) -> None:
    assert await workbench.offers(ADMIN) == []
    with pytest.raises(NotFound):
        await workbench.accept_offer(ADMIN, "server:ollama")


async def test_an_ollama_on_this_machine_is_offered_with_its_models(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ollama.upstream() as running:
        here = replace(registry.GENERATORS["ollama"], url=running.url)
        monkeypatch.setitem(registry.GENERATORS, "ollama", here)  # type: ignore[arg-type]
        [offer] = await workbench.offers(ADMIN)
        assert offer.kind == "ollama"
        assert offer.models
        assert f"{len(offer.models)} model" in offer.text
        before = await workbench.choices(ADMIN)
        info = await workbench.accept_offer(ADMIN, offer.id)
        assert (info.name, info.base_url) == ("ollama", running.url)
        after = await workbench.choices(ADMIN)
        assert (after.chain, after.embedding) == (before.chain, before.embedding)  # added, not chosen
        assert await workbench.offers(ADMIN) == []
        with pytest.raises(NotFound):
            await workbench.accept_offer(ADMIN, offer.id)


async def test_a_key_in_the_environment_is_offered_by_name_and_never_shown(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-another-canary-000000000000")
    offers = {one.kind: one for one in await workbench.offers(ADMIN)}
    assert set(offers) == {"openai", "gemini"}  # not the former SDK as well, which reads the same variable
    assert "OPENAI_API_KEY" in offers["openai"].text
    assert KEY not in repr(offers)
    info = await workbench.accept_offer(ADMIN, offers["openai"].id)
    assert info.key_last4 == KEY[-4:]
    assert {one.kind for one in await workbench.offers(ADMIN)} == {"gemini"}
