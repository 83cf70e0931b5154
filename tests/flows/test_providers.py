"""Providers: switched while people work, replaced when they fail, and never telling their keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from engine.database.audit_models import Audit
from engine.errors import AccessDenied, InputError, NotFound, ProviderUnavailable, StoreError
from engine.provider_views import Choice
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_ask import LEAVE, settled
from tests.upstreams import openai
from tests.upstreams.server import KEY, Upstream

ANALYST = Principal(user_id="b" * 32, name="bo", role=Role.ANALYST)
QUESTION = "How many days of paid leave does an employee have?"
EXTRACTIVE = Choice(provider="extractive")


@pytest.fixture
async def workbench(tmp_path: Path) -> AsyncIterator[Workbench]:
    """What happens when a call has failed for good: trying again is tested in test_breakers.py."""
    async with offline_workbench(tmp_path, resilience={"attempts": 1}) as workbench:
        yield workbench


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with openai.upstream() as running:
        running.text = "Every employee has thirty days of paid leave [1]. Unused leave expires in March [1]."
        yield running


@pytest.fixture
async def box(workbench: Workbench, upstream: Upstream) -> str:
    """The name of a provider that answers first, before extractive."""
    await workbench.add_provider(ADMIN, "openai", name="box", base_url=upstream.url, key=KEY, timeout_seconds=5)
    await chain(workbench, Choice(provider="box", model="m-1"), EXTRACTIVE)
    return "box"


async def chain(workbench: Workbench, *links: Choice) -> None:
    await workbench.choose(ADMIN, expected_version=(await workbench.choices(ADMIN)).version, chain=links)


@pytest.fixture
async def leave(workbench: Workbench, handbook: str) -> str:
    await add(workbench, handbook, "leave.txt", LEAVE)
    return handbook


# --- answering -----------------------------------------------------------------------------------------------------------


async def test_a_switch_takes_effect_for_the_next_question(workbench: Workbench, leave: str, upstream: Upstream) -> None:
    before = await workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert (before.provider, before.serving.outages) == ("extractive", ())
    await workbench.add_provider(ADMIN, "openai", name="box", base_url=upstream.url, key=KEY)
    assert (await workbench.ask(ADMIN, QUESTION, collections=[leave])).provider == "extractive"
    await chain(workbench, Choice(provider="box", model="m-1"), EXTRACTIVE)
    after = await workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert (after.provider, after.model) == ("box", "m-1")
    assert after.citations
    assert (after.usage.input_tokens, after.usage.output_tokens) == upstream.usage
    assert after.serving.seconds > 0


@pytest.mark.parametrize("fault", ["reset", "503", "401", "garbage", "429", "cut"])
async def test_when_a_provider_fails_the_next_link_answers_and_says_so(
    workbench: Workbench, leave: str, upstream: Upstream, box: str, fault: str
) -> None:
    upstream.text = "Zebras have stripes [1]. Nobody knows why."
    upstream.fail(fault)
    answer = await workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert answer.provider == "extractive"
    assert "thirty days" in answer.text
    [outage] = answer.serving.outages
    assert (outage.provider, outage.model) == ("box", "m-1")
    assert outage.reason
    assert KEY not in repr(answer)
    assert "Zebras" not in answer.text  # nothing of the broken stream is left
    assert (await workbench.ask(ADMIN, QUESTION, collections=[leave])).provider == "box"


async def test_a_killed_upstream_in_a_conversation_keeps_question_and_label(workbench: Workbench, leave: str) -> None:
    with openai.upstream() as running:
        await workbench.add_provider(ADMIN, "openai", name="box", base_url=running.url, key=KEY)
        await chain(workbench, Choice(provider="box", model="m-1"), EXTRACTIVE)
    talk = await workbench.create_conversation(ADMIN, [leave])
    reply = await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, QUESTION)).id)
    assert reply.state == "done"
    assert reply.answer is not None
    assert reply.answer.provider == "extractive"
    assert [one.provider for one in reply.answer.serving.outages] == ["box"]


async def test_when_nobody_can_answer_the_error_names_them_all(
    workbench: Workbench, leave: str, upstream: Upstream, box: str
) -> None:
    await workbench.add_provider(ADMIN, "openai", name="other", base_url=upstream.url, key=KEY)
    await chain(workbench, Choice(provider="box", model="m-1"), Choice(provider="other", model="m-2"))
    upstream.fail("503", times=2)
    talk = await workbench.create_conversation(ADMIN, [leave])
    reply = await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, QUESTION)).id)
    assert reply.state == "failed"
    assert "box" in reply.error
    assert "other" in reply.error
    assert reply.hint
    assert KEY not in reply.error


async def test_stop_ends_the_request_upstream_and_is_billed(
    workbench: Workbench, leave: str, upstream: Upstream, box: str
) -> None:
    upstream.slow = 0.2
    talk = await workbench.create_conversation(ADMIN, [leave])
    reply = await workbench.send(ADMIN, talk.id, QUESTION)
    async with asyncio.timeout(20):
        while not (await workbench.message(ADMIN, reply.id)).text:
            await asyncio.sleep(0.02)
    await workbench.stop(ADMIN, reply.id)
    assert await asyncio.to_thread(upstream.wait_until_no_stream)
    assert (await workbench.message(ADMIN, reply.id)).state == "stopped"
    assert sum(one.calls for one in await workbench.usage(ADMIN) if one.provider == "box") == 1


async def test_a_model_may_rewrite_follow_up_questions_and_rules_do_when_it_fails(
    workbench: Workbench, leave: str, upstream: Upstream, box: str
) -> None:
    await chain(workbench, EXTRACTIVE)
    version = (await workbench.choices(ADMIN)).version
    await workbench.choose(ADMIN, expected_version=version, rewrite=Choice(provider="box", model="small"))
    talk = await workbench.create_conversation(ADMIN, [leave])
    await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, QUESTION)).id)
    assert not upstream.calls  # a first question leans on nothing
    upstream.text = "When does unused paid leave expire?"
    reply = await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, "And when does it expire?")).id)
    assert reply.answer is not None
    assert reply.answer.query == "When does unused paid leave expire?"
    assert "passage" not in str(upstream.calls[-1].body["messages"][-1])
    upstream.fail("503")
    reply = await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, "And who gets it?")).id)
    assert reply.answer is not None
    assert "leave" in reply.answer.query
    assert {one.job for one in await workbench.usage(ADMIN) if one.provider == "box"} == {"rewrite"}


# --- choosing ------------------------------------------------------------------------------------------------------------


async def test_another_replica_follows_within_two_seconds(
    workbench: Workbench, leave: str, upstream: Upstream, tmp_path: Path
) -> None:
    async with offline_workbench(tmp_path) as replica:
        assert (await replica.ask(ADMIN, QUESTION, collections=[leave])).provider == "extractive"
        await workbench.add_provider(ADMIN, "openai", name="box", base_url=upstream.url, key=KEY)
        await chain(workbench, Choice(provider="box", model="m-1"), EXTRACTIVE)
        await asyncio.sleep(1.5)
        assert (await replica.ask(ADMIN, QUESTION, collections=[leave])).provider == "box"


async def test_of_two_admins_the_second_sees_that_something_changed(workbench: Workbench) -> None:
    seen = (await workbench.choices(ADMIN)).version
    await workbench.choose(ADMIN, expected_version=seen, store="memory")
    with pytest.raises(InputError, match="somebody else changed"):
        await workbench.choose(ADMIN, expected_version=seen, store="faiss")
    assert (await workbench.choices(ADMIN)).store == "memory"


async def test_two_changes_at_the_same_moment_are_one_change(workbench: Workbench) -> None:
    seen = (await workbench.choices(ADMIN)).version
    done = await asyncio.gather(
        *(
            workbench.choose(ADMIN, expected_version=seen, rerank=Choice(provider="cross-encoder", model=f"m{n}"))
            for n in range(5)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, InputError) for one in done) == 4
    assert (await workbench.choices(ADMIN)).version == seen + 1


@pytest.mark.parametrize(
    "links",
    [(), (Choice(provider="nobody"),), (Choice(provider="openai", model="m"),), (EXTRACTIVE, EXTRACTIVE), (Choice(provider="faiss"),),
     (Choice(provider="transformers", model="a\nb\x00"),)],
)  # fmt: skip
async def test_chains_that_cannot_work_are_refused(workbench: Workbench, links: tuple[Choice, ...]) -> None:
    before = await workbench.choices(ADMIN)
    with pytest.raises(InputError) as caught:
        await workbench.choose(ADMIN, expected_version=before.version, chain=links)
    assert caught.value.hint
    assert await workbench.choices(ADMIN) == before


async def test_impact_and_simulation_come_before_the_change(
    workbench: Workbench, leave: str, box: str, upstream: Upstream
) -> None:
    links = (Choice(provider="box", model="m-1"), EXTRACTIVE)
    told = " ".join(await workbench.impact(ADMIN, "chat", links))
    assert upstream.url in told
    assert "extractive" in told
    assert "No link works without a network" in " ".join(await workbench.impact(ADMIN, "chat", links[:1]))
    assert [one.state for one in await workbench.simulate(ADMIN, links, {"box"})] == ["out", "answers"]
    assert [one.state for one in await workbench.simulate(ADMIN, links, set())] == ["answers", "not reached"]
    assert [one.state for one in await workbench.simulate(ADMIN, links, {"box", "extractive"})] == ["out", "out"]
    embedding = " ".join(await workbench.impact(ADMIN, "embedding", Choice(provider="box", model="e")))
    assert "nothing of the live indexes is touched" in embedding


async def test_changes_are_audited_with_before_and_after_but_without_keys(
    workbench: Workbench, box: str, upstream: Upstream
) -> None:
    await workbench.edit_provider(ADMIN, box, timeout_seconds=9)
    await workbench.edit_provider(ADMIN, box, key="sk-another-secret-key-0000")
    async with workbench.database.read() as session:
        rows = {row.action: row.details for row in await session.scalars(select(Audit).order_by(Audit.seq))}
    assert rows["providers.choose"]["before"]["chain"] == [{"provider": "extractive", "model": ""}]
    assert rows["providers.choose"]["after"]["chain"][0] == {"provider": "box", "model": "m-1"}
    assert rows["provider.edit"]["key"] == "changed"
    assert rows["provider.edit"]["before"]["timeout_seconds"] == 9
    assert KEY not in str(rows)
    assert "another-secret" not in str(rows)


@pytest.mark.parametrize("who", [ANALYST, Principal(user_id="c" * 32, name="op", role=Role.OPERATOR)])
async def test_only_admins_see_or_change_any_of_it(workbench: Workbench, who: Principal) -> None:
    calls = [
        workbench.provider_kinds(who), workbench.providers(who), workbench.add_provider(who, "openai", name="x"),
        workbench.edit_provider(who, "x"), workbench.remove_provider(who, "x"), workbench.test_provider(who, "extractive", "chat"),
        workbench.provider_models(who, "extractive", "chat"), workbench.choices(who), workbench.impact(who, "chat", ()),
        workbench.choose(who, expected_version=0, store="memory"), workbench.simulate(who, (EXTRACTIVE,), set()),
        workbench.prices(who), workbench.set_price(who, "x", "y", 1.0, 1.0), workbench.offers(who),
        workbench.accept_offer(who, "key:openai"), workbench.usage(who),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(AccessDenied):
            await call


# --- keys ----------------------------------------------------------------------------------------------------------------


async def test_a_key_goes_in_and_never_comes_out(
    workbench: Workbench, leave: str, upstream: Upstream, box: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [await workbench.providers(ADMIN), await workbench.provider_kinds(ADMIN), await workbench.choices(ADMIN)]
    for fault in ("401", "500", "garbage", "reset"):
        upstream.fail(fault, times=2)
        shown += [await workbench.test_provider(ADMIN, box, "chat"), await workbench.test_provider(ADMIN, box, "embedding")]
        upstream.heal()
    shown += [await workbench.test_provider(ADMIN, box, "chat"), await workbench.ask(ADMIN, QUESTION, collections=[leave])]
    shown += [
        await workbench.audit(ADMIN),
        await workbench.usage(ADMIN),
        await workbench.providers(ADMIN),
        await workbench.health(ADMIN),
    ]
    assert any(call.headers.get("authorization") == f"Bearer {KEY}" for call in upstream.calls)  # it was really used
    assert KEY not in repr(shown)
    assert KEY not in caplog.text
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    card = next(one for one in await workbench.providers(ADMIN) if one.name == box)
    assert card.key_last4 == KEY[-4:]


async def test_another_host_drops_the_key_and_another_path_does_not(workbench: Workbench, upstream: Upstream, box: str) -> None:
    info, dropped = await workbench.edit_provider(ADMIN, box, base_url=upstream.url + "/v1")
    assert (dropped, info.key_last4) == (False, KEY[-4:])
    info, dropped = await workbench.edit_provider(ADMIN, box, base_url="http://127.0.0.1:9/v1")
    assert (dropped, info.key_last4) == (True, "")
    info, dropped = await workbench.edit_provider(ADMIN, box, base_url=upstream.url, key=KEY)
    assert (dropped, info.key_last4) == (False, KEY[-4:])
    _, dropped = await workbench.edit_provider(ADMIN, box, base_url="")  # the vendor's own address is another host too
    assert dropped


async def test_a_rotated_key_is_used_at_once(workbench: Workbench, leave: str, upstream: Upstream, box: str) -> None:
    await workbench.edit_provider(ADMIN, box, key="sk-wrong-0123456789")
    assert (await workbench.ask(ADMIN, QUESTION, collections=[leave])).provider == "extractive"
    await workbench.edit_provider(ADMIN, box, key=KEY)
    assert (await workbench.ask(ADMIN, QUESTION, collections=[leave])).provider == "box"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"name": "Bad Name!"}, "small letters"),
        ({"name": "faiss"}, "another kind"),
        ({"base_url": "ftp://host"}, "no URL"),
        ({"base_url": "http://"}, "no URL"),
        ({"base_url": "http://user:pass@host"}, "holds a user, a password"),
        ({"base_url": "http://[::1"}, "no URL"),
        ({"base_url": "javascript:alert(1)"}, "no URL"),
        ({"base_url": "file:///etc/passwd"}, "no URL"),
        ({"key": "two words"}, "no spaces"),
        ({"options": {"colour": "red"}}, "unknown options"),
        ({"options": {"context_tokens": "many"}}, "whole number"),
        ({"timeout_seconds": 0}, "1 to 600"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_added(workbench: Workbench, change: dict, what: str) -> None:
    given = {"name": "box", "base_url": "http://127.0.0.1:9", "key": "sk-0123456789abcdef"} | change
    with pytest.raises(InputError, match=what) as caught:
        await workbench.add_provider(ADMIN, "openai", **given)
    assert "sk-0123456789abcdef" not in str(caught.value)
    assert all(one.built_in for one in await workbench.providers(ADMIN))


async def test_what_is_in_use_cannot_be_removed(workbench: Workbench, box: str) -> None:
    with pytest.raises(InputError, match="answers: number 1 of 2"):
        await workbench.remove_provider(ADMIN, box)
    await chain(workbench, EXTRACTIVE)
    await workbench.remove_provider(ADMIN, box)
    with pytest.raises(NotFound):
        await workbench.edit_provider(ADMIN, box, key="x")


# --- costs ---------------------------------------------------------------------------------------------------------------


async def test_costs_are_known_where_prices_are(workbench: Workbench, leave: str, upstream: Upstream, box: str) -> None:
    upstream.usage = (1_000_000, 500_000)
    free = await workbench.ask(ADMIN, QUESTION, collections=[leave])
    assert free.serving.cost_usd is None
    assert [(one.provider, one.input_usd) for one in await workbench.prices(ADMIN)] == [("box", None)]
    await workbench.set_price(ADMIN, box, "m-1", 2.0, 8.0)
    assert (await workbench.ask(ADMIN, QUESTION, collections=[leave])).serving.cost_usd == pytest.approx(6.0)
    [row] = [one for one in await workbench.usage(ADMIN) if one.provider == box]
    assert (row.user, row.job, row.calls, row.failures, row.input_tokens) == ("a former user", "chat", 2, 0, 2_000_000)
    assert row.cost_usd is None  # one of the two calls had no price
    upstream.fail("500")
    answer = await workbench.ask(ADMIN, QUESTION, collections=[leave], fresh=True)
    assert answer.serving.cost_usd == 0.0
    assert next(one for one in await workbench.usage(ADMIN) if one.provider == box).failures == 1
    card = next(one for one in await workbench.providers(ADMIN) if one.name == box)
    assert (card.calls_today, card.failures_today, card.state) == (3, 1, "failing")
    await workbench.set_price(ADMIN, box, "m-1", None, None)
    assert (await workbench.ask(ADMIN, QUESTION, collections=[leave])).serving.cost_usd is None
    with pytest.raises(InputError):
        await workbench.set_price(ADMIN, box, "m-1", -1.0, 1.0)


# --- embedding -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def remote(workbench: Workbench, box: str) -> str:
    """A collection that is embedded by the provider `box`."""
    await chain(workbench, EXTRACTIVE)
    version = (await workbench.choices(ADMIN)).version
    await workbench.choose(ADMIN, expected_version=version, embedding=Choice(provider="box", model="e-1"))
    return (await workbench.create_collection(ADMIN, "remote")).id


async def test_another_embedder_is_for_new_collections_only(
    workbench: Workbench, leave: str, remote: str, upstream: Upstream
) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)
    infos = {one.name: one.embedder for one in await workbench.collections(ADMIN)}
    assert infos["handbook"] == "hashed-words-1"
    assert "e-1" in infos["remote"]
    answer = await workbench.ask(ADMIN, QUESTION, collections=[leave, remote])  # two spaces, one answer
    assert "thirty days" in answer.text
    assert {one.job for one in await workbench.usage(ADMIN)} >= {"embedding", "chat"}


async def test_a_space_cannot_be_mixed(workbench: Workbench, remote: str, upstream: Upstream) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)

    def other(body: dict) -> dict:  # the same name now stands for other weights
        for one in body["data"]:
            one["embedding"] = one["embedding"][::-1]
        return body

    upstream.spoil = other
    await workbench.edit_provider(ADMIN, "box", timeout_seconds=6)
    hits = await workbench.search(ADMIN, QUESTION, collections=[remote])
    assert all("dense" not in hit.scores for hit in hits)  # by words, never against foreign vectors
    with pytest.raises(StoreError, match="now makes others"):
        await workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense")


async def test_the_same_model_at_another_address_is_the_same_space(workbench: Workbench, remote: str) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)
    with openai.upstream() as elsewhere:
        await workbench.edit_provider(ADMIN, "box", base_url=elsewhere.url, key=KEY)
        await add(workbench, remote, "more.txt", LEAVE.replace("Parking", "Lunch"))
        hits = await workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense")
        assert {hit.chunk.document_name for hit in hits} == {"leave.txt", "more.txt"}


async def test_when_embedding_is_away_words_still_find(workbench: Workbench, remote: str, upstream: Upstream) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)
    upstream.fail("503", times=5)
    answer = await workbench.ask(ADMIN, QUESTION, collections=[remote])
    assert "thirty days" in answer.text
    [note] = answer.serving.notes
    assert "searched by words only" in note
    assert KEY not in note


async def test_a_collection_is_not_made_when_its_embedder_cannot_be_asked(
    workbench: Workbench, remote: str, upstream: Upstream
) -> None:
    upstream.fail("503")
    with pytest.raises(ProviderUnavailable):
        await workbench.create_collection(ADMIN, "next")
    assert "next" not in {one.name for one in await workbench.collections(ADMIN)}
