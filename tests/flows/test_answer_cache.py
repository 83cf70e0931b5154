"""Kept answers, and everything that must end them. A kept answer is known by `serving.cached_at`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.access_views import Scope
from engine.database import content
from engine.errors import AccessDenied, NotFound
from engine.pipelines import helpers
from engine.provider_views import Choice
from engine.services import answer_cache
from engine.testing import ADMIN, offline_workbench
from engine.types import Answer, Condition, Message, Principal, Right, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.people import audited, person, signed_in
from tests.flows.people import opened as opened_for_people
from tests.flows.test_ask import LEAVE
from tests.flows.test_providers import EXTRACTIVE, QUESTION, box, chain, leave, upstream
from tests.upstreams.server import KEY, Upstream

__all__ = ["box", "leave", "upstream"]


async def ask(workbench: Workbench, collection: str, question: str = QUESTION, *, who: Principal = ADMIN, **how: Any) -> Answer:
    return await workbench.ask(who, question, collections=[collection], **how)


def kept(answer: Answer) -> bool:
    return bool(answer.serving.cached_at)


async def now_kept(workbench: Workbench, collection: str, **how: Any) -> bool:
    """Whether the next answer is a kept one; the one after it is, in any case."""
    first = await ask(workbench, collection, **how)
    assert kept(await ask(workbench, collection, **how))
    return kept(first)


async def test_the_same_question_is_answered_from_what_was_kept(workbench: Workbench, leave: str) -> None:
    written = await ask(workbench, leave)
    again = await ask(workbench, leave, f"  {QUESTION.replace(' ', '   ')}\n")
    assert (kept(written), kept(again)) == (False, True)
    assert (again.text, again.sentences, again.citations) == (written.text, written.sentences, written.citations)
    assert (again.usage.input_tokens, again.usage.output_tokens, again.serving.cost_usd) == (0, 0, 0.0)
    assert [step["name"] for step in again.trace["steps"]] == ["rewrite", "cache"]
    assert again.trace["steps"][1]["ms"] >= 0
    assert again.trace["former_steps"] == written.trace["steps"][: len(again.trace["former_steps"])]
    rows = await audited(workbench, "question.ask")
    assert [row.details.get("cached", "") for row in rows] == ["", again.serving.cached_at]
    assert rows[1].details["sources"]
    assert not kept(await ask(workbench, leave, QUESTION.lower()))  # letters keep their case


async def test_a_fresh_answer_takes_the_place_of_the_kept_one(workbench: Workbench, leave: str) -> None:
    first = await ask(workbench, leave)
    fresh = await ask(workbench, leave, fresh=True)
    again = await ask(workbench, leave)
    assert (kept(first), kept(fresh), kept(again)) == (False, False, True)
    assert again.trace["former_steps"] != first.trace["steps"]
    assert again.trace["former_steps"] == fresh.trace["steps"][: len(again.trace["former_steps"])]


async def test_whatever_changes_the_content_ends_an_answer(workbench: Workbench, handbook: str) -> None:
    info = await add(workbench, handbook, "leave.txt", LEAVE)
    other = (await workbench.create_collection(ADMIN, "other")).id
    assert not await now_kept(workbench, handbook)
    await add(workbench, other, "leave.txt", LEAVE)
    assert await now_kept(workbench, handbook)  # what happens elsewhere does not matter
    await add(workbench, handbook, "cars.txt", "Cars are parked in the yard.")
    assert not await now_kept(workbench, handbook)
    await add(workbench, handbook, "leave.txt", LEAVE.replace("thirty", "forty"))
    answer = await ask(workbench, handbook)
    assert "forty days" in answer.text
    assert not kept(answer)
    await workbench.delete_document(ADMIN, info.id)
    assert not (await ask(workbench, handbook)).citations
    await workbench.restore_document(ADMIN, info.id)
    assert not await now_kept(workbench, handbook)  # back again, and still not what was kept before
    await workbench.reprocess(ADMIN, info.id)
    await workbench.process(ADMIN, handbook)
    assert not await now_kept(workbench, handbook)
    [passage, *_] = await workbench.chunks(ADMIN, info.id)
    await workbench.hold_passage(ADMIN, passage.id)
    assert not (await ask(workbench, handbook)).citations
    await workbench.release_passage(ADMIN, passage.id)
    assert not await now_kept(workbench, handbook)
    await workbench.delete_collection(ADMIN, handbook)
    with pytest.raises(NotFound):
        await ask(workbench, handbook)


@pytest.mark.parametrize("change", ["deleted", "held", "purged"])
async def test_what_an_answer_shows_is_looked_up_once_more_before_it_is_given(
    workbench: Workbench, handbook: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The second line: even if nothing in the name moved."""

    async def unmoved(_session: object, ids: list[str]) -> dict[str, tuple[int, int, tuple[str, ...]]]:
        return dict.fromkeys(ids, (1, 0, ()))

    monkeypatch.setattr(content, "moved", unmoved)
    info = await add(workbench, handbook, "leave.txt", LEAVE)
    assert not await now_kept(workbench, handbook)
    if change == "held":
        await workbench.hold_passage(ADMIN, (await workbench.chunks(ADMIN, info.id))[0].id)
    else:
        await workbench.delete_document(ADMIN, info.id)
    if change == "purged":
        await workbench.purge(older_than_seconds=-1)
    answer = await ask(workbench, handbook)
    assert (kept(answer), answer.citations) == (False, ())
    assert workbench._ask._answers._cache.status().memory_entries == 1  # the vector of the question; the answer is forgotten


async def test_whatever_admins_choose_ends_an_answer(
    workbench: Workbench, leave: str, box: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workbench.set_price(ADMIN, box, "m-1", 10.0, 10.0)
    paid = await ask(workbench, leave)
    assert paid.serving.cost_usd
    calls = len(upstream.calls)
    assert (await ask(workbench, leave)).serving.cost_usd == 0.0
    assert len(upstream.calls) == calls
    for change in (
        lambda: workbench.set_price(ADMIN, box, "m-1", 20.0, 20.0),
        lambda: chain(workbench, Choice(provider="box", model="m-2"), EXTRACTIVE),
        lambda: chain(workbench, EXTRACTIVE, Choice(provider="box", model="m-2")),
        lambda: workbench.edit_provider(ADMIN, box, base_url=upstream.url, key=KEY, timeout_seconds=6),
    ):
        await change()
        assert not await now_kept(workbench, leave)
    monkeypatch.setattr(answer_cache, "PROMPT_VERSION", 99)
    assert not await now_kept(workbench, leave)


async def test_another_conversation_and_another_filter_are_other_questions(workbench: Workbench, leave: str) -> None:
    assert not await now_kept(workbench, leave)
    talk = (Message(role="user", text="Is there parking?"), Message(role="assistant", text="Parking is free [1]."))
    assert not await now_kept(workbench, leave, history=talk)
    assert not await now_kept(workbench, leave, history=talk[:1])
    assert not await now_kept(workbench, leave, where=(Condition(field="page", op="lte", value=1),))


async def test_only_whole_answers_are_kept(
    workbench: Workbench, leave: str, box: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.fail("503", times=2)  # it is tried twice
    by_another = await ask(workbench, leave)
    assert by_another.serving.outages
    assert not await now_kept(workbench, leave)
    upstream.text = "The documents do not answer this question."
    for _ in range(2):
        refusal = await ask(workbench, leave, "Which telescope discovered the moons of Jupiter?")
        assert refusal.refused
        assert not kept(refusal)
    upstream.text = "Every employee has thirty days of paid leave [1]."
    version = (await workbench.choices(ADMIN)).version
    await workbench.choose(ADMIN, expected_version=version, rewrite=Choice(provider="box", model="small"))
    talk = (Message(role="user", text=QUESTION), Message(role="assistant", text="Thirty days [1]."))

    async def away(*_: object) -> None:
        raise helpers.ConfigError("away")

    with monkeypatch.context() as patched:  # rewritten by rules, because the model for it failed
        patched.setattr(helpers, "rewritten", away)
        for _ in range(2):
            assert not kept(await ask(workbench, leave, "And how many days of leave are unused?", history=talk))


async def test_nothing_is_kept_where_an_operator_wants_none(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, caching={"answers": False}) as workbench:
        collection = (await workbench.create_collection(ADMIN, "handbook")).id
        await add(workbench, collection, "leave.txt", LEAVE)
        assert [kept(await ask(workbench, collection)) for _ in range(2)] == [False, False]


# --- people --------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def people(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Workbench]:
    async with opened_for_people(tmp_path, caching={"share_answers": getattr(request, "param", False)}) as workbench:
        yield workbench


async def filled(workbench: Workbench, name: str = "handbook") -> str:
    collection = (await workbench.create_collection(ADMIN, name)).id
    await add(workbench, collection, "leave.txt", LEAVE)
    return collection


async def two(workbench: Workbench, *collections: str) -> tuple[Principal, Principal]:
    for name in ("anna", "ben"):
        await person(workbench, name)
        for collection in collections:
            await workbench.grant(ADMIN, collection, name, Right.READ)
    return await signed_in(workbench, "anna"), await signed_in(workbench, "ben")


async def test_nobody_gets_an_answer_of_another(people: Workbench) -> None:
    handbook = await filled(people)
    anna, ben = await two(people, handbook)
    assert not await now_kept(people, handbook, who=anna)
    assert not await now_kept(people, handbook, who=ben)
    assert not await now_kept(people, handbook)
    made = await people.create_api_key(anna, "script", [Scope.ASK])
    key = await people.authenticate_bearer(made.text, ip="127.0.0.1")
    assert key is not None
    assert kept(await ask(people, handbook, who=key))  # it is hers
    preview = await people.view_as(await _admin(people), anna.user_id)
    with pytest.raises(AccessDenied):
        await ask(people, handbook, who=preview)


@pytest.mark.parametrize("people", [True], indirect=True)
@pytest.mark.parametrize(
    "spoilt", [QUESTION.replace(" ", "\n" * 400), f"{QUESTION}\u2028", f" {QUESTION.replace(' ', chr(0x1C))}"]
)
async def test_nobody_spoils_the_answer_that_others_share_by_white_space(people: Workbench, spoilt: str) -> None:
    handbook = await filled(people)
    anna, ben = await two(people, handbook)
    assert not kept(await ask(people, handbook, spoilt, who=anna))
    assert not kept(await ask(people, handbook, who=ben))
    assert kept(await ask(people, handbook, who=anna))


@pytest.mark.parametrize("people", [True], indirect=True)
async def test_shared_answers_are_shared_among_those_who_may_read_all_of_the_same(people: Workbench) -> None:
    handbook, second = await filled(people), await filled(people, "second")
    anna, ben = await two(people, handbook)
    await people.grant(ADMIN, second, "anna", Right.READ)
    assert not await now_kept(people, handbook, who=anna)
    assert kept(await ask(people, handbook, who=ben))
    both = [second, handbook]
    assert not kept(await people.ask(anna, QUESTION, collections=both))
    assert kept(await people.ask(anna, QUESTION, collections=both[::-1]))
    with pytest.raises(NotFound):
        await people.ask(ben, QUESTION, collections=both)
    await people.grant(ADMIN, handbook, "ben", None)
    with pytest.raises(NotFound):
        await ask(people, handbook, who=ben)


async def test_a_right_that_is_taken_away_takes_the_kept_answers_along(people: Workbench) -> None:
    handbook = await filled(people)
    anna, ben = await two(people, handbook)
    assert not await now_kept(people, handbook, who=anna)
    await people.grant(ADMIN, handbook, "anna", None)
    with pytest.raises(NotFound):
        await ask(people, handbook, who=anna)
    await people.grant(ADMIN, handbook, "anna", Right.READ)
    assert kept(await ask(people, handbook, who=anna))
    group = await people.create_group(ADMIN, "staff")
    await people.set_members(ADMIN, group.id, [ben.user_id])
    await people.grant_group(ADMIN, handbook, "staff", Right.READ)
    await people.grant(ADMIN, handbook, "ben", None)
    assert not await now_kept(people, handbook, who=ben)
    await people.set_members(ADMIN, group.id, [])
    with pytest.raises(NotFound):
        await ask(people, handbook, who=ben)


async def test_only_an_admin_throws_kept_things_away(people: Workbench) -> None:
    handbook = await filled(people)
    anna, _ = await two(people, handbook)
    await ask(people, handbook, who=anna)
    with pytest.raises(AccessDenied):
        await people.clear_cache(anna)
    assert kept(await ask(people, handbook, who=anna))
    assert await people.clear_cache(ADMIN) == 2
    assert not kept(await ask(people, handbook, who=anna))
    [row] = await audited(people, "cache.clear")
    assert (row.details["answers"], row.details["embeddings"]) == (1, 1)


async def _admin(workbench: Workbench) -> Principal:
    await person(workbench, "root", Role.ADMIN)
    return await signed_in(workbench, "root")
