"""What takes documents in: the library, the worker and its kinds, indexes."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path

from sqlalchemy import select

from engine import registry
from engine.database.database import Database
from engine.database.models import Collection
from engine.loading import preview, sandbox
from engine.loading.recognise import recognise
from engine.operating import Operating
from engine.pipelines.ingest import Ingest
from engine.pipelines.recognition import Recognition
from engine.protocols import Chunker, Embedder
from engine.retrieval.lexical import TantivyIndex
from engine.services.collections import Collections
from engine.services.cutting import Cutting
from engine.services.indexes import Indexes
from engine.services.job_sweeper import JobSweeper
from engine.services.library import Library
from engine.services.ringing import Ringing
from engine.services.server_lock import ServerLock
from engine.services.url_ingestion import UrlIngestion
from engine.stores.snapshot import fingerprint
from engine.vendors.celery import CeleryBell
from engine.worker import Worker
from engine.worker_child import WorkerChild


class Ingesting(Operating):
    """The part of `engine.assembly.Assembly` about documents."""

    async def chunker_of(self, collection: Collection) -> Chunker:
        """Return the chunker that a collection was made with; it counts in the tokens of the collection's embedder."""
        model = await self.parts.embedder_of(collection)
        return chunker(collection.chunker, embedder=model, overlap_tokens=collection.overlap_tokens)

    @cached_property
    def indexes(self) -> Indexes:
        """The projections of this process."""
        return self._indexes_of(self.database, self.settings.data_dir / "indexes")

    def _indexes_of(self, database: Database, folder: Path) -> Indexes:
        return Indexes(
            database,
            folder=folder,
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
            recognition=self._recognition,
            meter=self.meter,
        )

    @property
    def _recognition(self) -> Recognition:
        rules = self.settings.ingestion
        reader = partial(recognise, rules=rules, limits=self.settings.limits) if rules.ocr else None
        return Recognition(reader, max_pages=rules.ocr_max_pages)

    @cached_property
    def worker(self) -> Worker:
        """Who runs it."""
        return Worker(
            database=self.database,
            ingest=self.ingest,
            meter=self.meter,
            traces=self.traces,
            slots=self.settings.ingest_workers,
            rules=self.settings.ingestion,
            name=self.replica.process,
        )

    @cached_property
    def ringing(self) -> Ringing:
        """Who tells Celery's workers."""
        url, prefix = self.settings.ingestion.broker_url.get_secret_value(), self.settings.caching.prefix
        bell = CeleryBell(url, prefix=prefix, lease_seconds=self.settings.ingestion.stalled_seconds)
        return Ringing(database=self.database, bell=bell)

    @cached_property
    def worker_child(self) -> WorkerChild:
        """The worker beside this server."""
        return WorkerChild(self.settings)

    def wake(self) -> None:
        """Say that there may be a job. Workers that are processes of their own look into the database every second."""
        if self.settings.ingestion.worker == "inside":
            self.worker.wake()
        elif self.settings.ingestion.worker == "celery":
            self.ringing.wake()

    def _came_back(self) -> None:
        if self.settings.ingestion.worker == "celery":
            self.ringing.again()
        else:
            self.wake()

    @cached_property
    def sweeper(self) -> JobSweeper:
        """Who finds jobs whose worker is gone."""
        every = self.settings.ingestion.stalled_seconds / 3
        return JobSweeper(database=self.database, every_seconds=every, found=self._came_back)

    @cached_property
    def server_lock(self) -> ServerLock:
        """What keeps a second server out of the data folder."""
        return ServerLock(self.settings.data_dir)

    async def one_server_only(self) -> bool:
        """Whether something that is in use can have one writer only: SQLite, or an index in a file."""
        if self.database.is_sqlite:
            return True
        async with self.database.read() as session:
            stores = set(await session.scalars(select(Collection.store).distinct()))
        stores.add((await self.configured.current()).choices.store)
        return not all([await self.parts.on_a_server(store) for store in sorted(stores)])

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
            wake=self.wake,
        )

    @cached_property
    def urls(self) -> UrlIngestion:
        """Documents by their web address."""
        return UrlIngestion(database=self.database, library=self.library, rules=self.url_rules, limits=self.settings.egress)


def chunker(name: str, *, embedder: Embedder, overlap_tokens: int) -> Chunker:
    """Return a chunker that counts in the tokens of an embedder. Raises UnknownComponent, MissingDependency."""
    made: Chunker = registry.build(
        registry.CHUNKERS, "chunker", name, tokens=embedder.tokens, embedder=embedder, overlap_tokens=overlap_tokens
    )
    return made
