"""Providers, choices, prices and usage of the workbench in memory. It keeps keys, so that tests can look for them elsewhere."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from engine.errors import AccessDenied, InputError, NotFound, ProviderUnavailable
from engine.provider_views import (
    KEEP,
    Choice,
    Choices,
    KindInfo,
    Offer,
    Price,
    ProviderInfo,
    Simulated,
    TestResult,
    Usage,
)  # fmt: skip
from engine.registry import Field
from engine.types import Role

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
FIELDS = (
    Field("context_tokens", "Tokens of prompt it reads", 32_000, "The prompt is assembled within this budget."),
    Field("query_prefix", "Text before a question", "", "Some models want one, for example 'query: '."),
    Field("half", "Half precision", False),
)
KINDS = [
    KindInfo(kind="chroma", label="Chroma", roles=("store",), key_name="CHROMA_API_KEY", url="vendor", embedded=True, fields=(),
             models={}, installed=True, needs="chromadb"),
    KindInfo(kind="gemini", label="Google Gemini", roles=("chat", "embedding"), key_name="GEMINI_API_KEY", url="vendor",
             embedded=False, fields=(), models={"chat": "gemini-2.5-flash", "embedding": "gemini-embedding-001"}, installed=False,
             needs="google-genai"),
    KindInfo(kind="ollama", label="Ollama", roles=("chat", "embedding"), key_name="", url="http://127.0.0.1:11434", embedded=False,
             fields=FIELDS[:1], models={"chat": "llama3.2", "embedding": "nomic-embed-text"}, installed=True, needs="ollama"),
    KindInfo(kind="openai", label="OpenAI, or any server that speaks its API", roles=("chat", "embedding"),
             key_name="OPENAI_API_KEY", url="vendor", embedded=False, fields=FIELDS,
             models={"chat": "gpt-5-mini", "embedding": "text-embedding-3-small"}, installed=True, needs="openai"),
]  # fmt: skip
BUILT_IN = [("extractive", "Extractive (quotes, never invents)", ("chat",)), ("local", "Local (all-MiniLM-L6-v2)", ("embedding",)),
            ("faiss", "FAISS", ("store",)), ("memory", "Memory (exact, numpy)", ("store",))]  # fmt: skip


class FakeProviders:
    """Providers in a dictionary; a provider whose address contains "down" does not answer."""

    def start_providers(self):
        self.infos, self.keys, self.called, self.chosen = {}, {}, [], {}
        self.now = Choices(version=1, chain=(Choice(provider="extractive"),), embedding=Choice(provider="local"), store="faiss")
        self.found, self.spent, self.priced = {}, [], {}
        self.sentences = ("3 users who ask questions, from their next question on.",)
        for name, label, roles in BUILT_IN:
            self.infos[name] = ProviderInfo(
                name=name, kind=name, label=label, roles=roles, built_in=True, state="ready", base_url="", key_last4="", key_name="",
                url="", fields=(), options={}, models={}, used_for=(),
            )  # fmt: skip

    def _admin(self, p):
        if p.role is not Role.ADMIN:
            raise AccessDenied("only admins may do this")

    def _one(self, name):
        if name not in self.infos:
            raise NotFound(f"there is no provider {name!r}")
        return self.infos[name]

    async def provider_kinds(self, p):
        self._admin(p)
        return KINDS

    async def providers(self, p):
        self._admin(p)
        used = {**{one.provider: ("answers",) for one in self.now.chain}, self.now.embedding.provider: ("new collections",)}
        return [
            replace(one, used_for=used.get(one.name, ()))
            for one in sorted(self.infos.values(), key=lambda one: not one.built_in)
        ]

    async def add_provider(self, p, kind, *, name, base_url="", key="", options=None, timeout_seconds=60.0):
        self._admin(p)
        if not name.strip() or name in self.infos:
            raise InputError(f"a provider named {name!r} exists", hint="choose another name")
        row = next(one for one in KINDS if one.kind == kind)
        self.keys[name] = key
        self.infos[name] = ProviderInfo(
            name=name, kind=kind, label=row.label, roles=row.roles, built_in=False, state="untested", base_url=base_url,
            key_last4=key[-4:], key_name=row.key_name, url=row.url, fields=row.fields, options=options or {}, models=row.models,
            used_for=(), timeout_seconds=timeout_seconds,
        )  # fmt: skip
        return self.infos[name]

    async def edit_provider(self, p, name, *, base_url=None, key=None, options=None, timeout_seconds=None):
        self._admin(p)
        one = self._one(name)
        if base_url is not None and " " in base_url:
            raise InputError(f"{base_url!r} is not an address", hint="it begins with http:// or https://")
        moved = base_url is not None and urlsplit(base_url).netloc != urlsplit(one.base_url).netloc
        dropped = bool(moved and self.keys.get(name) and key is None)
        if dropped or key is not None:
            self.keys[name] = key or ""
        self.infos[name] = replace(
            one,
            base_url=one.base_url if base_url is None else base_url,
            key_last4=self.keys.get(name, "")[-4:],
            options=one.options if options is None else options,
            timeout_seconds=timeout_seconds or one.timeout_seconds,
        )
        return self.infos[name], dropped

    async def remove_provider(self, p, name):
        self._admin(p)
        if any(one.provider == name for one in self.now.chain):
            raise InputError(f"{name} is still used: it answers questions", hint="take it out of the order first")
        del self.infos[name]
        self.keys.pop(name, None)

    async def test_provider(self, p, name, role, model=""):
        self._admin(p)
        one = self._one(name)
        self.called.append(("test", name, role, model))
        good = "down" not in one.base_url
        result = TestResult(
            role=role, model=model, ok=good, detail="It says: ready." if good else "connection refused", at=NOW, elapsed_ms=412.0,
            hint="" if good else "start the server, or correct the address",
        )  # fmt: skip
        tests = (result, *(t for t in one.tests if t.role != role))
        self.infos[name] = replace(
            one, tests=tests, state="ready" if good else "failing", last_error="" if good else "connection refused"
        )
        return result

    async def provider_models(self, p, name, role):
        self._admin(p)
        self.called.append(("models", name, role, ""))
        one = self._one(name)
        if "down" in one.base_url:
            raise ProviderUnavailable("connection refused", hint="start the server")
        return list(self.chosen.get(name, ["gpt-5", "gpt-5-mini", "gpt-5-nano"]))

    async def choices(self, p):
        self._admin(p)
        return self.now

    async def impact(self, p, job, choice):
        self._admin(p)
        return self.sentences

    async def choose(self, p, *, expected_version, chain=None, embedding=None, store=None, rewrite=KEEP, rerank=KEEP):
        self._admin(p)
        if expected_version != self.now.version:
            raise InputError("somebody else changed the choices meanwhile", hint="load them again and repeat your change")
        now = replace(self.now, version=self.now.version + 1, changed_at=NOW, changed_by=p.name)
        given = {"chain": chain, "embedding": embedding, "store": store}
        now = replace(now, **{name: value for name, value in given.items() if value is not None})
        given = {"rewrite": rewrite, "rerank": rerank}
        self.now = replace(now, **{name: value for name, value in given.items() if value is not KEEP})
        return self.now

    async def simulate(self, p, chain, out):
        self._admin(p)
        steps, answered = [], False
        for one in chain:
            state = "not reached" if answered else "out" if one.provider in out else "answers"
            answered = answered or state == "answers"
            steps.append(Simulated(choice=one, state=state))
        return steps

    async def prices(self, p):
        self._admin(p)
        return [Price(provider=a, model=b, input_usd=c[0], output_usd=c[1]) for (a, b), c in sorted(self.priced.items())]

    async def set_price(self, p, provider, model, input_usd, output_usd):
        self._admin(p)
        if (input_usd is None) != (output_usd is None):
            raise InputError("give both prices or none", hint="0 means that it costs nothing")
        self.priced[provider, model] = (input_usd, output_usd)

    async def offers(self, p):
        self._admin(p)
        self.called.append(("offers", "", "", ""))
        return list(self.found.values())

    async def accept_offer(self, p, offer_id):
        self._admin(p)
        offer = self.found.pop(offer_id)
        return await self.add_provider(p, offer.kind, name=offer.name, base_url="http://127.0.0.1:11434")

    async def usage(self, p, *, days=30):
        self._admin(p)
        return [one for one in self.spent if one.day > date(2026, 3, 2) - timedelta(days=days)]


async def fill_providers(workbench, p):
    """Add providers in every state, prices, usage and an offer."""
    await workbench.add_provider(p, "openai", name="openai", key="sk-first-0000001a2b", options={"context_tokens": 64_000})
    await workbench.add_provider(p, "openai", name="lab-server", base_url="http://lab.example:8000/v1", key="lab-key-77x9")
    await workbench.add_provider(p, "ollama", name="ollama-old", base_url="http://down.example:11434")
    await workbench.add_provider(p, "chroma", name="chroma")
    await workbench.test_provider(p, "openai", "chat", "gpt-5-mini")
    await workbench.test_provider(p, "ollama-old", "chat", "llama3.2")
    workbench.infos["openai"] = replace(workbench.infos["openai"], calls_today=42, tokens_today=31_200, cost_today=0.0213)
    workbench.infos["lab-server"] = replace(
        workbench.infos["lab-server"], calls_today=3, failures_today=1, tokens_today=900, cost_today=None
    )
    chain = (
        Choice(provider="openai", model="gpt-5-mini"),
        Choice(provider="ollama-old", model="llama3.2"),
        Choice(provider="extractive"),
    )
    await workbench.choose(p, expected_version=1, chain=chain)
    workbench.found["ollama"] = Offer(
        id="ollama", kind="ollama", name="ollama", text="Ollama with 3 models at http://127.0.0.1:11434",
        models=("llama3.2", "qwen3:8b", "nomic-embed-text"),
    )  # fmt: skip
    workbench.priced = {("openai", "gpt-5-mini"): (0.25, 2.0), ("lab-server", "mistral-small"): (None, None)}
    for back in range(12):
        day, busy = date(2026, 3, 2) - timedelta(days=back), (back * 7) % 5 + 1
        workbench.spent += [
            Usage(day=day, user="anna", provider="openai", model="gpt-5-mini", job="chat", calls=9 * busy, failures=back % 2,
                  input_tokens=21_000 * busy, output_tokens=2_500 * busy, cost_usd=0.0103 * busy, mean_ms=1840.0),
            Usage(day=day, user="ben", provider="extractive", model="", job="chat", calls=4, failures=0, input_tokens=0,
                  output_tokens=0, cost_usd=0.0, mean_ms=35.0),
        ]  # fmt: skip
    workbench.spent.append(
        Usage(day=date(2026, 3, 1), user="ben", provider="lab-server", model="mistral-small", job="rewrite", calls=3, failures=1,
              input_tokens=800, output_tokens=100, cost_usd=None, mean_ms=700.0)
    )  # fmt: skip
