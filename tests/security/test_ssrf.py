"""From the facade to real sockets: nothing inside is reached by an address that somebody gives, whatever it looks like."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.assembly import Assembly
from engine.audit_views import AuditEntry
from engine.errors import AccessDenied, AddressDenied, EngineError, InputError, NotFound, ProviderDenied
from engine.provider_views import Choice
from engine.security.egress import Egress
from engine.testing import ADMIN, HashedWords, offline_settings
from engine.types import Endpoint, Principal, Right, Role
from engine.views import UploadVerdict
from engine.workbench import Workbench
from tests.fixtures.addresses import HOSTILE, NAMES, PUBLIC, resolve
from tests.upstreams.google import service_account
from tests.upstreams.server import KEY, Reply, Upstream, serving

SENTENCE = b"Holidays: every employee has thirty days of paid leave."
REMOTE = ["openai", "ollama", "gemini", "vertex", "gemini-legacy", "chroma", "qdrant", "pinecone", "pgvector"]
BO = Principal(user_id="b" * 32, name="bo", role=Role.ANALYST)


@pytest.fixture
def inside() -> Iterator[Upstream]:
    """A server of the inner network, which nobody must reach."""
    with serving(Upstream(), lambda url: Endpoint(base_url=url)) as running:
        running.routes = lambda call: Reply(body=SENTENCE, content_type="text/plain")
        yield running


class Lookup:
    """A name server whose answers a test changes as it goes."""

    def __init__(self) -> None:
        self.now: Callable[..., Any] = resolve

    def __call__(self, host: str, port: int, **options: Any) -> Any:
        return self.now(host, port, **options)

    def says(self, *addresses: str) -> None:
        self.now = lambda host, port, **_: [(0, 0, 0, "", (one, port)) for one in addresses]


@pytest.fixture
def lookup() -> Lookup:
    return Lookup()


@pytest.fixture
def opened(tmp_path: Path, lookup: Lookup):
    @asynccontextmanager
    async def made(**egress: Any) -> AsyncIterator[Workbench]:
        assembly = Assembly(offline_settings(tmp_path, egress=egress))
        limits = assembly.settings.egress
        assembly.url_rules = Egress(limits.urls, ports=limits.url_ports, resolve=lookup)
        assembly.provider_rules = Egress(limits.providers, resolve=lookup)
        assembly.use_embedder("local", HashedWords())
        async with assembly.opened(serve=False) as workbench:
            yield workbench

    return made


def at(server: Upstream, url: str) -> str:
    """Return a hostile address with the port of a server that listens, where it has a place for one."""
    port = server.url.rpartition(":")[2]
    return re.sub(r"^(https?://(?:[^/?#@:\[\]]*@)?(?:[^/?#:@\[\]\\]+|\[[^\]]*\]))(?::80)?(?=[/?#]|$)", rf"\1:{port}", url)


async def refusals(workbench: Workbench) -> list[AuditEntry]:
    return [row for row in await workbench.audit(ADMIN, limit=2000) if row.action == "egress.refused"]


# --- documents by address ------------------------------------------------------------------------------------------------


async def test_no_hostile_address_reaches_the_inside_by_way_of_a_document(opened, inside) -> None:
    port = int(inside.url.rpartition(":")[2])
    async with opened(url_ports=(80, 443, port)) as workbench:
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        tried = [(url, at(inside, url)) for url in HOSTILE if "public.example" not in url]
        assert sum(f":{port}" in changed for _, changed in tried) > 100
        for url in itertools.chain.from_iterable(tried):
            with pytest.raises((InputError, AccessDenied)):
                await workbench.upload_url(ADMIN, shelf, url)
        assert await workbench.documents(ADMIN) == []
        rows = await refusals(workbench)
    assert inside.calls == []
    assert len(rows) > 200
    assert {row.outcome for row in rows} == {"denied"}
    assert {row.actor for row in rows} == {ADMIN.name}


async def test_what_is_allowed_comes_in_and_is_audited_without_its_query(opened, inside) -> None:
    port = int(inside.url.rpartition(":")[2])
    async with opened(urls=("loopback",), url_ports=(port,)) as workbench:
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        address = f"http://localhost:{port}/a/leave.txt?token=canary"
        info, verdict = await workbench.upload_url(ADMIN, shelf, address)
        assert (info.name, verdict, info.sha256 != "") == ("leave.txt", UploadVerdict.ACCEPTED, True)
        await workbench.process(ADMIN, shelf)
        assert SENTENCE.decode() in (await workbench.page(ADMIN, info.id, 1)).text
        assert (await workbench.upload_url(ADMIN, shelf, address))[1] is UploadVerdict.DUPLICATE
        rows = [row for row in await workbench.audit(ADMIN) if row.action == "document.fetch"]
        assert [row.details["verdict"] for row in rows] == ["duplicate", "accepted"]
        assert rows[1].details["host"] == rows[1].details["final_host"] == "localhost"
        assert rows[1].details["sha256"] == info.sha256
        assert "canary" not in repr(await workbench.audit(ADMIN, limit=500))


async def test_a_redirect_to_the_inside_is_refused_and_audited(opened, inside) -> None:
    port = int(inside.url.rpartition(":")[2])
    inside.routes = lambda call: Reply(status=302, headers={"Location": "http://10.0.0.5/latest/"}, body=b"")
    async with opened(urls=("loopback",), url_ports=(80, port)) as workbench:
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        with pytest.raises(AddressDenied):
            await workbench.upload_url(ADMIN, shelf, f"http://localhost:{port}/")
        assert [(row.details["host"], row.object) for row in await refusals(workbench)] == [("10.0.0.5", shelf)]
    assert len(inside.calls) == 1


async def test_only_who_may_write_has_anything_fetched(opened, inside) -> None:
    port = int(inside.url.rpartition(":")[2])
    async with opened(urls=("loopback",), url_ports=(port,)) as workbench:
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        with pytest.raises(NotFound):
            await workbench.upload_url(BO, shelf, inside.url)
        made = await workbench.create_user(ADMIN, "bo", "a long password for bo", Role.ANALYST)
        reader = Principal(user_id=made.id, name="bo", role=Role.ANALYST)
        await workbench.grant(ADMIN, shelf, "bo", Right.READ)
        with pytest.raises(AccessDenied):
            await workbench.upload_url(reader, shelf, inside.url)
        assert await refusals(workbench) == []
    assert inside.calls == []


async def test_unknown_closed_and_refused_read_the_same(opened) -> None:
    async with opened() as workbench:
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        texts = set()
        for url in (
            "http://10.0.0.5/",
            "http://lan.example/",
            "http://nowhere.example/",
            "http://127.0.0.1:9/",
            "http://meta.example/",
        ):
            with pytest.raises(AddressDenied) as caught:
                await workbench.upload_url(ADMIN, shelf, url)
            texts.add((type(caught.value), str(caught.value), caught.value.hint))
    assert len(texts) == 1


# --- providers -----------------------------------------------------------------------------------------------------------


def provider(kind: str, host: str, port: int) -> dict[str, Any]:
    url = f"postgresql://u@{host}:{port}/db" if kind == "pgvector" else f"http://{host}:{port}"
    return {"base_url": url, "key": "" if kind == "ollama" else KEY, "timeout_seconds": 3}


@pytest.mark.parametrize("kind", REMOTE)
async def test_a_provider_at_a_refused_address_is_not_added_and_not_changed_to_it(opened, inside, kind) -> None:
    port = int(inside.url.rpartition(":")[2])
    async with opened(providers=("public",)) as workbench:
        hosts = ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "10.0.0.5", "[::ffff:127.0.0.1]", "LOCALHOST.",
                 "[64:ff9b::7f00:1]", *(name for name in NAMES if name.endswith(".example") and PUBLIC not in NAMES[name][:2])]  # fmt: skip
        hosts = [host for host in hosts if host not in ("other.example",)]
        for host in hosts:
            with pytest.raises((AddressDenied, InputError)):
                await workbench.add_provider(ADMIN, kind, name="inner", **provider(kind, host, port))
        assert "inner" not in [one.name for one in await workbench.providers(ADMIN)]
        await workbench.add_provider(ADMIN, kind, name="outer", **provider(kind, "public.example", port))
        with pytest.raises(AddressDenied):
            await workbench.edit_provider(ADMIN, "outer", base_url=provider(kind, "lan.example", port)["base_url"])
        rows = await refusals(workbench)
        assert len(rows) == len(hosts) + 1
        assert {(row.details["purpose"], row.actor) for row in rows} == {("provider", ADMIN.name)}
        assert KEY not in repr(rows)
    assert inside.calls == []
    assert inside.connections == []


@pytest.mark.parametrize("kind", REMOTE)
async def test_a_provider_whose_name_moves_inside_is_not_called(opened, inside, lookup, kind) -> None:
    port = int(inside.url.rpartition(":")[2])
    async with opened(providers=("public",)) as workbench:
        lookup.says(PUBLIC)
        info = await workbench.add_provider(ADMIN, kind, name="moving", **provider(kind, "localhost", port))
        lookup.says("127.0.0.1")
        for role in info.roles:
            result = await workbench.test_provider(ADMIN, "moving", role)
            assert not result.ok
            assert "may not connect to" in result.detail, result
            assert "egress.providers" in result.hint
        for role in set(info.roles) & {"chat", "embedding"}:
            with pytest.raises(EngineError):
                await workbench.provider_models(ADMIN, "moving", role)
        rows = [row for row in await refusals(workbench) if row.object == "moving"]
        assert [row.details["host"] for row in rows] == ["localhost"]  # once a minute
    assert inside.calls == []
    assert inside.connections == []


async def test_a_name_that_moves_between_check_and_call_is_not_spoken_to(opened, inside, lookup) -> None:
    # The former SDK of Google looks names up by itself: what it connected to is compared before a byte is sent.
    port = int(inside.url.rpartition(":")[2])
    async with opened(providers=("public",)) as workbench:
        lookup.says(PUBLIC)  # while the system's own look-up says 127.0.0.1
        await workbench.add_provider(ADMIN, "gemini-legacy", name="moving", **provider("gemini-legacy", "localhost", port))
        result = await workbench.test_provider(ADMIN, "moving", "chat")
        assert not result.ok
        assert "changed its address" in result.detail
    assert inside.calls == []


async def test_the_token_address_in_a_service_account_leads_nowhere_inside(opened, inside) -> None:
    async with opened(providers=("public",)) as workbench:
        await workbench.add_provider(
            ADMIN, "vertex", name="vertex", base_url="http://public.example", key=service_account(inside.url), timeout_seconds=3
        )
        result = await workbench.test_provider(ADMIN, "vertex", "chat")
        assert not result.ok
        assert "may not connect to" in result.detail
    assert inside.connections == []


async def test_a_refused_link_of_the_chain_is_passed_over_and_named(opened, inside, lookup) -> None:
    port = int(inside.url.rpartition(":")[2])
    async with opened(providers=("public",)) as workbench:
        lookup.says(PUBLIC)
        await workbench.add_provider(ADMIN, "openai", name="moving", **provider("openai", "localhost", port))
        lookup.says("127.0.0.1")
        version = (await workbench.choices(ADMIN)).version
        links = (Choice(provider="moving", model="m"), Choice(provider="extractive"))
        await workbench.choose(ADMIN, expected_version=version, chain=links)
        shelf = (await workbench.create_collection(ADMIN, "shelf")).id
        await workbench.upload(ADMIN, shelf, "leave.txt", SENTENCE)
        await workbench.process(ADMIN, shelf)
        answer = await workbench.ask(ADMIN, "How many days of paid leave?", collections=[shelf])
        assert answer.provider == "extractive"
    assert inside.connections == []


async def test_a_host_that_cannot_be_found_now_may_be_added_and_is_unavailable(opened) -> None:
    async with opened() as workbench:
        await workbench.add_provider(ADMIN, "openai", name="later", **provider("openai", "nowhere.example", 80))
        result = await workbench.test_provider(ADMIN, "later", "chat")
        assert not result.ok
        assert "cannot be found" in result.detail
        assert await refusals(workbench) == []


async def test_in_a_closed_installation_the_vendor_itself_is_not_called(opened) -> None:
    async with opened(providers=("loopback",)) as workbench:
        for kind in ("openai", "gemini", "pinecone", "gemini-legacy"):
            info = await workbench.add_provider(ADMIN, kind, name=kind, key=KEY, timeout_seconds=3)
            result = await workbench.test_provider(ADMIN, kind, info.roles[0])
            assert not result.ok
            assert "may not connect to" in result.detail or "cannot be found" in result.detail


async def test_every_endpoint_that_parts_make_carries_the_guard(tmp_path: Path) -> None:
    assembly = Assembly(offline_settings(tmp_path, egress={"providers": ("loopback",)}))
    async with assembly.opened(serve=False) as workbench:
        await workbench.add_provider(ADMIN, "ollama", name="ollama", key="")
        for role, name in (
            ("chat", "ollama"),
            ("chat", "transformers"),
            ("embedding", "sentence-transformers"),
            ("store", "faiss"),
        ):
            _, endpoint, _ = await assembly.parts._row(role, Choice(provider=name, model="owner/model"))
            with pytest.raises(AddressDenied):
                endpoint.guard.addresses("8.8.8.8", 443)
        # A model is not fetched from the hub either.
        embedder = await assembly.parts.embedder(Choice(provider="sentence-transformers", model="owner/no-such-model"))
        with pytest.raises(EngineError) as caught:
            embedder.discover()
        assert isinstance(caught.value, ProviderDenied) or "cannot be found" in str(caught.value)
