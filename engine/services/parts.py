"""Names of providers -> the parts themselves, made when first needed and made anew when the provider was changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from engine import registry
from engine.database.models import Collection
from engine.errors import ConfigError, EngineError, StoreError
from engine.operations_views import Dependency
from engine.protocols import Embedder, Generator, Reranker, VectorStore
from engine.provider_views import Choice
from engine.resilience.protected import ProtectedGenerator, Protection
from engine.security.sealing import Sealer
from engine.services.configuration import Configured, Live
from engine.services.foreign_vectors import is_foreign
from engine.services.outgoing import Outgoing
from engine.services.provider_input import unbound
from engine.specs import Spec
from engine.types import Endpoint, Space

VERIFY_SECONDS = 300.0  # how often a remote embedder is asked whether it still makes the vectors of a collection
SAME = 0.999  # cosine at which two vectors of the probe text are of one space
LAST_RESORT = frozenset({"extractive", "local"})  # they work while nothing else does, so nothing refuses them
LINGER_SECONDS = 240.0  # an answer that is being written may still use a part that was replaced

T = TypeVar("T")


class Parts:
    """The parts of this process, one instance for each provider, model and role, each behind its guard.

    Without a guard are the parts of `LAST_RESORT`, the stores of this process, and what is asked for with `guarded=False`: an
    admin who tries a provider wants to know what it answers now. Such a try neither opens nor closes a breaker.
    """

    def __init__(
        self,
        *,
        configured: Configured,
        sealer: Sealer,
        outgoing: Outgoing,
        folder: Path,
        threads: int,
        protection: Protection,
    ) -> None:
        self._protection = protection
        self._revisions: dict[str, int] = {}
        self._configured = configured
        self._sealer = sealer
        self._outgoing = outgoing
        self._folder = folder
        self._threads = threads
        self._made: dict[tuple[str, ...], tuple[int, Any]] = {}
        self._given: dict[tuple[str, str], Any] = {}
        self._version = 0
        self._verified: dict[tuple[str, int], float] = {}  # (generation, revision of its provider) -> when
        self._closing: set[asyncio.Task[None]] = set()

    def use(self, role: str, name: str, part: Any) -> None:
        """Put a part in place of a built-in one; for tests."""
        self._given[role, name] = part

    def local(self) -> Embedder:
        """Return the built-in embedder, which grounding and quoting always use: no text leaves for them. Raises ConfigError."""
        given: Embedder | None = self._given.get(("embedding", "local"))
        key = ("embedding", "local", "")
        return given or self._known(key, 0, lambda: registry.EMBEDDERS["local"].load()(threads=self._threads))

    async def embedder(self, choice: Choice, *, guarded: bool = True) -> Embedder:
        """Return the embedder of a choice. Raises ConfigError, StoreError."""
        if choice.provider == "local":
            return self.local()
        made: Embedder = await self._part("embedding", choice, guarded, threads=self._threads)
        return made

    async def embedder_of(self, collection: Collection, *, verify: bool = False) -> Embedder:
        """Return the embedder of a collection, which makes the same space as when the collection began.

        It is asked whether it does when `verify` is set, after its provider was changed, and every five minutes.

        Raises ProviderError when it cannot be asked, StoreError when it makes other vectors than it did.
        """
        embedder = await self.embedder(Choice(provider=collection.embedder, model=collection.embedding_model))
        key = (collection.generation, await self.revision(collection.embedder))
        if collection.probe is None or (collection.embedder == "local" and not is_foreign(collection.model_id)):
            model_id = await asyncio.to_thread(lambda: embedder.model_id)
            _require_same(collection, Space(model_id=model_id, dimension=collection.dimension, max_tokens=0, normalised=True))
        elif verify or time.monotonic() - self._verified.get(key, -VERIFY_SECONDS) >= VERIFY_SECONDS:
            _require_same(collection, await asyncio.to_thread(embedder.discover))
            self._verified[key] = time.monotonic()
        return embedder

    def distrust(self) -> None:
        """Have every embedder asked again before it is next used: one of them was seen to have changed."""
        self._verified.clear()

    async def generator(self, choice: Choice, *, guarded: bool = True, hurried: bool = False) -> Generator:
        """Return the generator of a choice; a `hurried` one is not waited for when another can answer instead.

        Raises ConfigError, StoreError.
        """
        made: Generator = await self._part("chat", choice, guarded, embedder=self.local())
        return made.hurried() if hurried and isinstance(made, ProtectedGenerator) else made

    async def reranker(self, choice: Choice, *, guarded: bool = True) -> Reranker:
        """Return the reranker of a choice. Raises ConfigError, StoreError."""
        made: Reranker = await self._part("rerank", choice, guarded, threads=self._threads)
        return made

    async def store(self, name: str, *, dimension: int, space: str, guarded: bool = True) -> VectorStore:
        """Return a new index object over a space of a store; who asks for it closes it. Raises ConfigError, StoreError."""
        spec, endpoint, _ = await self._row("store", Choice(provider=name))
        load = await asyncio.to_thread(spec.load)
        made: VectorStore = await asyncio.to_thread(load, endpoint, dimension=dimension, space=space)
        if not guarded or not spec.durable:
            return made
        behind: VectorStore = self._protection(Dependency(operation="store", provider=name), made)
        return behind

    async def revision(self, name: str) -> int:
        """Return a number that grows when a provider is changed; 0 for built-in ones."""
        row = (await self._configured.current()).providers.get(name)
        return row.revision if row else 0

    async def keeps_itself(self, store: str) -> bool:
        """Whether the content of a store outlives this process. Raises ConfigError for an unknown one."""
        spec, _, _ = await self._row("store", Choice(provider=store))
        return spec.durable

    async def on_a_server(self, store: str) -> bool:
        """Whether several processes can write to a store at once; so it is with one that is gone, where nobody can write."""
        try:
            spec, endpoint, _ = await self._row("store", Choice(provider=store))
        except ConfigError:
            return True
        return spec.durable and not (spec.embedded and not endpoint.base_url)

    async def close(self) -> None:
        """Release what all parts hold."""
        for task in self._closing:
            task.cancel()
        made, self._made = list(self._made.values()), {}
        for _, part in made:
            await _close(part)

    async def dependency(self, role: str, choice: Choice) -> Dependency | None:
        """Return what stands behind the guard of a choice; None where there is none. Raises ConfigError, StoreError."""
        spec, endpoint, _ = await self._row(role, choice)
        if choice.provider in LAST_RESORT or (role == "store" and not spec.durable):
            return None
        return Dependency(operation=role, provider=choice.provider, model="" if role == "store" else endpoint.model)

    async def _part(self, role: str, choice: Choice, guarded: bool, **options: Any) -> Any:
        given = self._given.get((role, choice.provider))
        if given is not None:
            part, model = given, choice.model
        else:
            spec, endpoint, revision = await self._row(role, choice)
            load = await asyncio.to_thread(spec.load)  # the first import of a vendor's library takes seconds
            model = endpoint.model
            part = self._known((role, choice.provider, model), revision, lambda: load(endpoint, **options))
        if not guarded or choice.provider in LAST_RESORT:
            return part
        return self._protection(Dependency(operation=role, provider=choice.provider, model=model), part)

    def _known(self, key: tuple[str, ...], revision: int, make: Callable[[], T]) -> T:
        known = self._made.get(key)
        if known is not None and known[0] == revision:
            part: T = known[1]
            return part
        made = make()
        self._made[key] = (revision, made)
        if known is not None:
            self._let_go(known[1])
        return made

    def _let_go(self, part: Any) -> None:
        task = asyncio.create_task(_close_later(part))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _tidy(self, live: Live) -> None:
        # Once a change: parts of providers that were changed or removed hold their former key.
        if live.choices.version == self._version:
            return
        self._version = live.choices.version
        revisions = {name: row.revision for name, row in live.providers.items()}
        for name, revision in revisions.items():
            if self._revisions.get(name, revision) != revision:
                self._protection.renewed(name)
        self._revisions |= revisions
        for key, (revision, part) in list(self._made.items()):
            row = live.providers.get(key[1])
            if revision and (row is None or row.revision != revision):
                del self._made[key]
                self._let_go(part)

    async def _row(self, role: str, choice: Choice) -> tuple[Spec, Endpoint, int]:
        live = await self._configured.current()
        self._tidy(live)
        row = live.providers.get(choice.provider)
        kind = row.kind if row else choice.provider
        spec = registry.ROLES[role].get(kind)
        if spec is None or (row is None and not spec.built_in):
            raise ConfigError(
                f"there is no provider {choice.provider!r} for {role}", hint="Add it on the providers page, or choose another."
            )
        model = choice.model or spec.model
        folder = self._folder / choice.provider
        guard = self._outgoing.guard(choice.provider)
        if row is None:
            return spec, Endpoint(model=model, folder=str(folder), guard=guard), 0
        endpoint = Endpoint(
            model=model,
            base_url=row.base_url,
            api_key=unbound(self._sealer.open(row.sealed_key), row.base_url, row.options) if row.sealed_key else "",
            folder=str(folder),
            timeout_seconds=row.timeout_seconds,
            options={one.name: one.default for one in spec.fields} | row.options,
            guard=guard,
        )
        # A spec's own address stands for an empty one, but "vendor" means that the vendor's SDK knows it.
        if not endpoint.base_url and spec.url not in ("", "vendor"):
            raise ConfigError(f"the provider {row.name!r} has no address", hint="Enter it on the providers page.")
        return spec, endpoint, row.revision


def same_space(one: bytes | None, other: bytes | None) -> bool:
    """Whether two vectors of the probe text are of one embedding space."""
    here, there = np.frombuffer(one or b"", dtype="<f4"), np.frombuffer(other or b"", dtype="<f4")
    return 0 < len(here) == len(there) and float(here @ there) >= SAME


def _require_same(collection: Collection, space: Space) -> None:
    if space.probe and collection.probe:
        # The same model behind another address has another name, and another model may have the same: the vectors decide.
        same = same_space(collection.probe, space.probe)
    else:
        same = space.model_id == collection.model_id and space.dimension == collection.dimension
    if not same:
        raise StoreError(
            f"the collection holds vectors of {collection.model_id}, the embedder now makes others ({space.model_id}, "
            f"{space.dimension} dimensions)",
            hint="Bring the former model back, or make a new collection; what is in this one is unchanged.",
        )


async def _close_later(part: Any) -> None:
    await asyncio.sleep(LINGER_SECONDS)
    await _close(part)


async def _close(part: Any) -> None:
    try:
        done = part.close()
        if isinstance(done, Awaitable):
            await done
    except (EngineError, OSError, RuntimeError):
        pass  # it is given up anyway
