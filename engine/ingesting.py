"""What takes documents in and keeps them: the library, the worker, indexes, generations, backups."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from typing import Any

from engine import registry
from engine.database.models import Collection
from engine.loading import preview, sandbox
from engine.operating import Operating
from engine.pipelines.ingest import Ingest
from engine.protocols import Chunker, Embedder
from engine.retrieval.lexical import TantivyIndex
from engine.security.passwords import Hasher
from engine.services.backlog import Follower
from engine.services.collections import Collections
from engine.services.index_files import IndexFiles
from engine.services.indexes import Indexes
from engine.services.keeping import Keeping
from engine.services.library import Library
from engine.services.reconciler import Reconciler
from engine.services.url_ingestion import UrlIngestion
from engine.settings import Settings
from engine.stores.snapshot import fingerprint
from engine.worker import Worker


class Ingesting(Operating):
    """The part of `engine.assembly.Assembly` about documents."""

    def __init__(self, settings: Settings, *, hasher: Hasher | None = None) -> None:
        super().__init__(settings, hasher=hasher)
        self._news = asyncio.Event()

    async def chunker_of(self, collection: Collection) -> Chunker:
        """Return the chunker that a collection was made with; it counts in the tokens of the collection's embedder."""
        model = await self.parts.embedder_of(collection)
        return chunker(collection.chunker, embedder=model, overlap_tokens=collection.overlap_tokens)

    @cached_property
    def indexes(self) -> Indexes:
        """The projections of this process."""
        return Indexes(
            self.database,
            folder=self.settings.data_dir / "indexes",
            make_vectors=lambda name, size: registry.build(registry.STORES, "store", name, dimension=size),
            make_words=lambda path: TantivyIndex(path=path),
            fingerprint=fingerprint,
            spaces=self.spaces,
        )

    @cached_property
    def ingest(self) -> Ingest:
        """The story of an upload."""
        return Ingest(
            database=self.database,
            blobs=self.blobs,
            sealer=self.sealer,
            parse=partial(sandbox.parse, limits=self.settings.limits),
            embedders=self.parts.embedder_of,
            chunkers=self.chunker_of,
            bill=self.ledger.bill_embedding,
            injection=self.settings.injection,
            meter=self.meter,
        )

    @cached_property
    def worker(self) -> Worker:
        """Who runs it."""
        return Worker(
            database=self.database,
            ingest=self.ingest,
            meter=self.meter,
            traces=self.traces,
            slots=self.settings.ingest_workers,
            finished=lambda _: self._news.set(),
        )

    @cached_property
    def collections(self) -> Collections:
        """Sets of documents, and who may do what with them."""
        return Collections(
            database=self.database,
            blobs=self.blobs,
            indexes=self.indexes,
            spaces=self.spaces,
            parts=self.parts,
            configured=self.configured,
            settings=self.settings,
        )

    @cached_property
    def library(self) -> Library:
        """The documents."""
        return Library(
            database=self.database,
            blobs=self.blobs,
            sealer=self.sealer,
            render=partial(preview.render, limits=self.settings.limits),
            settings=self.settings,
            quotas=self.quotas,
            wake=self.worker.wake,
        )

    @cached_property
    def urls(self) -> UrlIngestion:
        """Documents by their web address."""
        return UrlIngestion(database=self.database, library=self.library, rules=self.url_rules, limits=self.settings.egress)

    @cached_property
    def keeping(self) -> Keeping:
        """What the facade hands on to."""
        return Keeping(reconciler=self.reconciler)

    @cached_property
    def reconciler(self) -> Reconciler:
        """Who compares with SQL."""
        return Reconciler(
            database=self.database,
            blobs=self.blobs,
            indexes=self.indexes,
            files=IndexFiles(database=self.database, folder=self.settings.data_dir / "indexes"),
            spaces=self.spaces,
            parts=self.parts,
            every_minutes=self.settings.ingestion.reconcile_minutes,
        )

    def ingesting_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background while the server serves; each runs until it is cancelled."""
        return (self.reconciler.run, Follower(database=self.database, spaces=self.spaces).run)


def chunker(name: str, *, embedder: Embedder, overlap_tokens: int) -> Chunker:
    """Return a chunker that counts in the tokens of an embedder. Raises UnknownComponent, MissingDependency."""
    made: Chunker = registry.build(
        registry.CHUNKERS, "chunker", name, tokens=embedder.tokens, embedder=embedder, overlap_tokens=overlap_tokens
    )
    return made
