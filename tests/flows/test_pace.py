"""Nobody's script takes the models from everybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import TooMany
from engine.services.pace import Pace
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from tests.flows.conftest import add


def test_a_fair_share_of_questions_and_then_a_wait() -> None:
    moment = [0.0]
    pace, other = Pace(2, clock=lambda: moment[0]), Principal(user_id="b" * 32, name="bob", role=Role.ANALYST)
    pace.question(ADMIN)
    pace.question(ADMIN)
    with pytest.raises(TooMany) as refusal:
        pace.question(ADMIN)
    assert 0 < refusal.value.retry_after_seconds <= 60
    pace.question(other)
    moment[0] = 60.1
    pace.question(ADMIN)


async def test_a_conversation_and_the_facade_share_one_budget(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, limits={"questions_per_minute": 2}) as workbench:
        collection = (await workbench.create_collection(ADMIN, "handbook")).id
        await add(workbench, collection, "a.txt", "The quokka is a small wallaby.")
        await workbench.ask(ADMIN, "What is the quokka?", collections=[collection])
        conversation = await workbench.create_conversation(ADMIN, [collection])
        await workbench.send(ADMIN, conversation.id, "What is the quokka?")
        with pytest.raises(TooMany, match="2 questions within a minute"):
            await workbench.ask(ADMIN, "What is the quokka?", collections=[collection])
