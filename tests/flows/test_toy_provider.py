"""A provider is one file and one registry row: everything else reads the tables."""

from __future__ import annotations

import pytest

from engine import registry
from engine.provider_views import Choice
from engine.specs import Spec
from engine.testing import ADMIN
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_ask import LEAVE


@pytest.fixture(params=["in this process", "with a key"])
def toy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Spec:
    secret = "TOY_KEY" if request.param == "with a key" else ""
    row = Spec("tests.toy_provider:ToyGenerator", label="Toy", model="toy-1", secret=secret, url="vendor" if secret else "")
    monkeypatch.setitem(registry.GENERATORS, "toy", row)  # type: ignore[arg-type]
    return row


async def test_it_shows_up_in_page_doctor_and_chain_and_answers(workbench: Workbench, handbook: str, toy: Spec) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    if toy.secret:
        assert "toy" in {one.kind for one in await workbench.provider_kinds(ADMIN)}
        await workbench.add_provider(ADMIN, "toy", name="toy", key="toy-secret-0123456789")
    card = next(one for one in await workbench.providers(ADMIN) if one.name == "toy")
    assert (card.label, card.roles, card.built_in) == ("Toy", ("chat",), not toy.secret)
    assert f"{len(registry.GENERATORS)} that answer" in {one.name: one for one in await workbench.health(ADMIN)}["parts"].detail
    assert await workbench.provider_models(ADMIN, "toy", "chat") == ["toy-1", "toy-2"]
    assert (await workbench.test_provider(ADMIN, "toy", "chat")).ok
    version = (await workbench.choices(ADMIN)).version
    await workbench.choose(ADMIN, expected_version=version, chain=(Choice(provider="toy"), Choice(provider="extractive")))
    answer = await workbench.ask(ADMIN, "How many days of paid leave are there?", collections=[handbook])
    assert (answer.provider, answer.model) == ("toy", "toy-1")
    assert answer.citations
