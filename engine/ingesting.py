"""What takes documents in and keeps them: the library, the worker, indexes, generations, backups."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from typing import Any

from engine import registry
from engine.database.models import Collection
from engine.ingestion_views import BulkAction
from engine.loading import preview, sandbox
from engine.operating import Operating
from engine.pipelines.ingest import Ingest
from engine.protocols import Chunker, Embedder
from engine.retrieval.lexical import TantivyIndex
from engine.retrieval.search import HybridSearch
from engine.security.passwords import Hasher
from engine.services.archives import Archives
from engine.services.bulk import Action, Bulk
from engine.services.collections import Collections
from engine.services.cutting import Cutting
from engine.services.folder_sync import FolderSync
from engine.services.generation_builder import GenerationBuilder
from engine.services.generation_plan import GenerationPlanner
from engine.services.generation_recall import GenerationRecall
from engine.services.generation_removal import GenerationRemoval
from engine.services.generations import Generations
from engine.services.indexes import Indexes
from engine.services.keeping import Keeping
from engine.services.legal_holds import LegalHolds
from engine.services.library import Library
from engine.services.moving import Moving
from engine.services.retention import RetentionRules
from engine.services.upload_checks import UploadChecks
from engine.services.url_ingestion import UrlIngestion
from engine.services.versions import Versions
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
    def cutting(self) -> Cutting:
        """Versions to passages and vectors."""
        return Cutting(
            database=self.database,
            embedders=self.parts.embedder_of,
            chunkers=self.chunker_of,
            bill=self.ledger.bill_embedding,
            injection=self.settings.injection,
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
            cutting=self.cutting,
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
    def generation_builder(self) -> GenerationBuilder:
        """Who builds a collection anew beside itself."""
        recall = GenerationRecall(
            database=self.database,
            indexes=self.indexes,
            embedders=self.parts.embedder_of,
            search=HybridSearch(settings=self.settings.retrieval),
            ledger=self.ledger,
        )
        return GenerationBuilder(
            database=self.database,
            cutting=self.cutting,
            embedders=self.parts.embedder_of,
            indexes=self.indexes,
            spaces=self.spaces,
            recall=recall,
            switched=self._news.set,
        )

    @cached_property
    def generation_removal(self) -> GenerationRemoval:
        """Who removes generations out of use."""
        return GenerationRemoval(database=self.database, spaces=self.spaces)

    @cached_property
    def generations(self) -> Generations:
        """Changes of embedder, chunker or store."""
        planner = GenerationPlanner(database=self.database, configured=self.configured, parts=self.parts, cutting=self.cutting)
        return Generations(
            database=self.database,
            parts=self.parts,
            planner=planner,
            builder=self.generation_builder,
            removal=self.generation_removal,
        )

    @cached_property
    def archives(self) -> Archives:
        """Documents by the zip."""
        return Archives(
            database=self.database,
            take=self.library.upload,
            folder=self.settings.data_dir / "incoming",
            limits=self.settings.limits,
            ingestion=self.settings.ingestion,
        )

    @cached_property
    def keeping(self) -> Keeping:
        """What the facade hands on to."""
        return Keeping(
            generations=self.generations,
            sync=FolderSync(database=self.database, library=self.library),
            retention=self.retention,
            holds=LegalHolds(self.database),
            versions=self.versions,
            moving=Moving(database=self.database, wake=self.worker.wake),
            checks=self.upload_checks,
            bulk=self.bulk,
            archives=self.archives,
        )

    @cached_property
    def versions(self) -> Versions:
        """Which content of a document answers."""
        return Versions(database=self.database, blobs=self.blobs, wake=self.worker.wake)

    @cached_property
    def upload_checks(self) -> UploadChecks:
        """Forecasts of uploads."""
        return UploadChecks(database=self.database, quotas=self.quotas, configured=self.configured, settings=self.settings)

    @cached_property
    def bulk(self) -> Bulk:
        """One action on many documents."""
        actions: dict[BulkAction, Action] = {
            BulkAction.DELETE: self.library.delete,
            BulkAction.RESTORE: self.library.restore,
            BulkAction.RETRY: partial(self.library.reprocess, password=None),
            BulkAction.ENABLE: self.versions.enable,
            BulkAction.DISABLE: self.versions.disable,
        }
        return Bulk(database=self.database, actions=actions)

    @cached_property
    def retention(self) -> RetentionRules:
        """What removes what is too old."""
        return RetentionRules(database=self.database, trail=self.trail, forget=self.blobs.delete)

    def purges(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what removes what is out of date; each is called once in an hour."""
        return (*super().purges(), self.retention.run, self.versions.purge, self.generation_removal.purge)

    def ingesting_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background while the server serves; each runs until it is cancelled."""
        return (self.generation_builder.serve,)


def chunker(name: str, *, embedder: Embedder, overlap_tokens: int) -> Chunker:
    """Return a chunker that counts in the tokens of an embedder. Raises UnknownComponent, MissingDependency."""
    made: Chunker = registry.build(
        registry.CHUNKERS, "chunker", name, tokens=embedder.tokens, embedder=embedder, overlap_tokens=overlap_tokens
    )
    return made
