"""What a workbench tells Prometheus, to whom, and how much of it there can be."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from engine.access_views import Scope
from engine.database.models import DocumentRow, User
from engine.errors import AccessDenied, ProviderUnavailable, TooMany
from engine.settings import load_settings
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Prompt, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.people import FROM, PASSWORD, opened, person, signed_in
from tests.flows.test_ask import LEAVE, Slow, settled
from tests.unit.monitoring.test_hub import free_port
from tests.upstreams.collector import collecting
from ui import server, start

ANSWERED = "How many days of paid leave does an employee have?"
REFUSED = "Which telescope discovered the moons of Jupiter?"


def parsed(text: bytes | str) -> dict[tuple[str, ...], float]:
    """Return (name, values of its labels) -> value."""
    text = text if isinstance(text, str) else text.decode()
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


async def told(workbench: Workbench) -> dict[tuple[str, ...], float]:
    found = parsed(await workbench.metrics(ADMIN))
    return {(name.removeprefix("workbench_"), *labels): value for (name, *labels), value in found.items()}


async def test_documents_and_questions_are_told_with_their_stages(workbench: Workbench, handbook: str) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    await add(workbench, handbook, "empty.txt", "   \n")
    answer = await workbench.ask(ADMIN, ANSWERED, collections=[handbook])
    await workbench.ask(ADMIN, REFUSED, collections=[handbook])
    found = await told(workbench)
    assert {step: found["ingest_seconds_count", step] for step in ("parse", "chunk", "embed", "live")} == {
        "parse": 2, "chunk": 1, "embed": 1, "live": 1
    }  # fmt: skip
    assert found["ingest_failures_total", "parse"] == 1
    assert (found["documents_total", "live"], found["documents_total", "failed"]) == (1, 1)
    assert found["errors_total", "EmptyDocument"] == 1
    assert (found["questions_total", "answered"], found["questions_total", "refused"]) == (1, 1)
    assert found["answers_total", "extractive"] == 1
    assert found["sentences_total", "supported"] == len(answer.sentences)
    for stage in ("rewrite", "embed", "search", "first_token", "generate", "ground", "total"):
        assert found["stage_seconds_count", stage] == 2, stage
    assert 0 < found["stage_seconds_sum", "ground"] <= found["stage_seconds_sum", "total"] + 0.02  # that one is rounded


class Away:
    provider, model, context_tokens = "away", "away-1", 4000

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    async def close(self) -> None:
        pass

    async def stream(self, _prompt: Prompt) -> AsyncIterator[Any]:
        raise ProviderUnavailable("away cannot be reached: secret", hint="")
        yield


async def test_a_question_that_fails_and_one_that_is_stopped_are_each_told_once(workbench: Workbench, handbook: str) -> None:
    await add(workbench, handbook, "leave.txt", LEAVE)
    workbench._ask._chain._parts.use("chat", "extractive", Away())
    with pytest.raises(ProviderUnavailable):
        await workbench.ask(ADMIN, ANSWERED, collections=[handbook])
    talk = await workbench.create_conversation(ADMIN, [handbook])
    await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, ANSWERED)).id)
    slow = Slow()
    workbench._ask._chain._parts.use("chat", "extractive", slow)
    reply = await workbench.send(ADMIN, talk.id, ANSWERED)
    await asyncio.wait_for(slow.said.wait(), 30)
    await workbench.stop(ADMIN, reply.id)
    found = await told(workbench)
    assert {key[1]: value for key, value in found.items() if key[0] == "questions_total"} == {"failed": 2, "stopped": 1}
    assert found["errors_total", "ProviderUnavailable"] == 2
    assert found["stage_failures_total", "total"] == 2
    assert "secret" not in str(found)


async def test_sign_ins_and_what_is_slowed_down_are_told(tmp_path: Path) -> None:
    async with opened(tmp_path, limits={"questions_per_minute": 1}) as workbench:
        await person(workbench, "bob")
        bob = await signed_in(workbench, "bob")
        with pytest.raises(AccessDenied):
            await workbench.sign_in("bob", "wrong", **FROM)
        collection = (await workbench.create_collection(bob, "c")).id
        await workbench.ask(bob, "How many?", collections=[collection])
        with pytest.raises(TooMany):
            await workbench.ask(bob, "How many?", collections=[collection])
        found = await told(workbench)
    assert (found["sign_ins_total", "success"], found["sign_ins_total", "denied"]) == (1, 1)
    assert found["limited_total", "ask"] == 1
    assert (found["errors_total", "AccessDenied"], found["errors_total", "TooMany"]) == (1, 1)


async def test_only_operators_and_admins_read_metrics(workbench: Workbench) -> None:
    for role in (Role.OPERATOR, Role.ADMIN):
        assert await workbench.metrics(Principal(user_id="o" * 32, name="o", role=role, session_id="s"))
    with pytest.raises(AccessDenied):
        await workbench.metrics(Principal(user_id="b" * 32, name="b", role=Role.ANALYST, session_id="s"))


async def test_a_thousand_users_and_documents_and_many_models_make_no_more_series(workbench: Workbench, handbook: str) -> None:
    async with workbench.database.write() as session:
        users = [User(name=f"user{n}", password_hash="", role=Role.ANALYST) for n in range(1_000)]
        documents = [DocumentRow(collection_id=handbook, name=f"d{n}.pdf", created_by="u") for n in range(1_000)]
        session.add_all([*users, *documents])
        await session.flush()
        ids, names = [one.id for one in users], [one.name for one in documents]
    await add(workbench, handbook, "leave.txt", LEAVE)
    meter = workbench.meter
    for n in range(20):
        who = Principal(user_id=ids[n], name=f"user{n}", role=Role.ANALYST, session_id="s")
        with pytest.raises(Exception, match="collection"):
            await workbench.ask(who, ANSWERED, collections=[handbook])
        await workbench.ask(ADMIN, ANSWERED, collections=[handbook])
    for n in range(5_000):  # what as many questions of as many people with ever new models tell
        dependency = ("chat", f"provider{n % 50}", f"model-{n % 500}")
        for stage in ("rewrite", "cache", "embed", "search", "rerank", "first_token", "generate", "ground", "total"):
            meter.timed("stage_seconds", (stage,), 0.1)
        meter.timed("dependency_seconds", dependency, 0.5, ok=n % 9 > 0)
        for result in ("success", "failure", "neutral"):
            meter.counted("dependency_calls_total", (*dependency, result))
        for name in ("slow_calls_total", "breaker_state", "bulkhead_in_use"):
            meter.gauged(name, dependency, n % 3) if "total" not in name else meter.counted(name, dependency)
        meter.counted("not_permitted_total", (*dependency, "open"))
        meter.counted("tokens_total", (*dependency[1:], "input"), 100)
        meter.counted("cost_usd_total", dependency[1:], 0.01)
        meter.timed("operation_seconds", (names[n % 1_000], ids[n % 1_000]), 0.1)  # by somebody who did not think
    text = await workbench.metrics(ADMIN)
    found = parsed(text)
    print(f"{len(found)} series in {len(text)} bytes")
    assert len(found) < 2_000
    assert found["workbench_tokens_total", "other", "other", "other"] > 100_000
    assert found["workbench_questions_total", "answered"] == 20
    assert not [one for one in ids if one in text.decode()]


@asynccontextmanager
async def served(folder: Path, **settings: Any) -> AsyncIterator[tuple[Workbench, httpx.AsyncClient]]:
    """The routes behind what stands in front of them in app.py."""
    async with opened(folder, **settings) as workbench:
        server.connect(workbench, BlockingPortal())
        options = start.app_options(load_settings(data_dir=folder), lambda: opened(folder))
        app = Starlette(routes=options["routes"], middleware=options["middleware"])
        transport = httpx.ASGITransport(app, client=("10.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501") as client:
            yield workbench, client
        server.disconnect()


@pytest.fixture
def safe_streamlit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "check_streamlit", lambda: None)  # the settings of the test's own process are not asked about


@pytest.mark.usefixtures("safe_streamlit")
async def test_prometheus_comes_with_a_key_that_operates_and_nothing_else_lets_in(tmp_path: Path) -> None:
    async with served(tmp_path) as (workbench, client):
        await person(workbench, "olga", Role.OPERATOR)
        olga = await signed_in(workbench, "olga")
        keys = {scope: (await workbench.create_api_key(olga, scope, [scope])).text for scope in (Scope.READ, Scope.OPERATE)}
        form = await client.get("/login")
        csrf = re.search(r'name="csrf" value="([^"]+)"', form.text)
        assert csrf
        posted = await client.post("/login", data={"csrf": csrf[1], "name": "olga", "password": PASSWORD})
        assert (posted.status_code, posted.headers["location"]) == (303, "/")
        assert (await client.get("/metrics")).status_code == 401  # the cookie of an operator is none of its business
        client.cookies.clear()
        assert (await client.get("/metrics")).status_code == 401
        for key, status in ((keys[Scope.READ], 403), ("x" * 40, 401), (keys[Scope.OPERATE], 200)):
            answer = await client.get("/metrics", headers={"authorization": f"Bearer {key}"})
            assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        await client.get("/healthz/live")
        found = parsed((await client.get("/metrics", headers={"authorization": f"Bearer {keys[Scope.OPERATE]}"})).text)
        assert not (set(keys.values()) | {"olga", PASSWORD}) & {label for key in found for label in key}
    assert found["workbench_http_seconds_count", "login", "2xx"] == 1
    assert found["workbench_http_seconds_count", "login", "3xx"] == 1
    assert found["workbench_http_seconds_count", "health", "4xx"] == 4
    assert found["workbench_http_seconds_count", "health", "2xx"] >= 1


@pytest.mark.usefixtures("safe_streamlit")
async def test_a_callers_trace_goes_on_through_the_api(tmp_path: Path) -> None:
    with collecting() as collector:
        async with served(tmp_path, monitoring={"otlp_endpoint": collector.url}) as (workbench, client):
            await person(workbench, "bob")
            bob = await signed_in(workbench, "bob")
            collection = (await workbench.create_collection(bob, "c")).id
            headers = {"authorization": f"Bearer {(await workbench.create_api_key(bob, 'k', [Scope.ASK])).text}"}
            headers["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            body = {"question": ANSWERED, "collections": [collection]}
            answer = await client.post("/api/v1/ask", json=body, headers=headers)
    assert answer.status_code == 200
    (question,) = [span for span in collector.spans if span.name == "question"]
    assert (question.trace_id.hex(), question.parent_span_id.hex()) == tuple(headers["traceparent"].split("-")[1:3])
    (told_id,) = [one.value.string_value for one in question.attributes if one.key == "request_id"]
    assert told_id == answer.headers["x-request-id"]


async def test_a_port_of_its_own_opens_with_the_server_and_closes_with_it(tmp_path: Path) -> None:
    port = free_port()
    async with offline_workbench(tmp_path, serve=True, monitoring={"metrics_port": port}):
        text = await asyncio.to_thread(fetched, port)
        assert "workbench_questions_total" in text
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/metrics")


async def test_a_port_that_is_taken_costs_only_the_metrics_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with offline_workbench(tmp_path, serve=True, monitoring={"metrics_port": port}) as workbench:
        async with asyncio.timeout(30):
            while "are not served" not in caplog.text:
                await asyncio.sleep(0.01)
        assert await workbench.metrics(ADMIN)
    (line,) = [one for one in caplog.records if "are not served" in one.getMessage()]
    assert (line.levelno, f"127.0.0.1:{port}" in line.getMessage(), line.exc_info) == (logging.WARNING, True, None)
    taken.close()


async def test_a_question_and_an_upload_leave_traces_without_their_words(tmp_path: Path) -> None:
    with collecting() as collector:
        async with offline_workbench(tmp_path, monitoring={"otlp_endpoint": collector.url}) as workbench:
            handbook = (await workbench.create_collection(ADMIN, "handbook")).id
            await add(workbench, handbook, "leave.txt", LEAVE)
            talk = await workbench.create_conversation(ADMIN, [handbook])
            await settled(workbench, ADMIN, (await workbench.send(ADMIN, talk.id, ANSWERED)).id)
    roots = {span.name: span for span in collector.spans if not span.parent_span_id}
    assert set(roots) == {"ingestion", "question"}
    names = {root: {one.name for one in collector.spans if one.parent_span_id == span.span_id} for root, span in roots.items()}
    assert names["ingestion"] >= {f"ingest {step}" for step in ("parse", "chunk", "embed", "live")}
    assert names["question"] >= {
        f"stage {stage}" for stage in ("rewrite", "embed", "search", "first_token", "generate", "ground")
    }
    sent = b"".join(collector.raw)
    for word in ("paid leave", "leave.txt", "thirty", "handbook", ADMIN.name):
        assert not re.search(rb"\b" + word.encode() + rb"\b", sent), word


def fetched(port: int) -> str:
    for _ in range(500):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:  # the server is on its way
            time.sleep(0.02)
    raise AssertionError("no metrics came")
