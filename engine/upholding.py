"""What keeps documents: versions, jobs as people see them, generations, retention, and what the facade hands on to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from typing import Any

from engine.ingesting import Ingesting
from engine.ingestion_views import BulkAction
from engine.retrieval.search import HybridSearch
from engine.services.archives import Archives
from engine.services.backlog import Follower
from engine.services.backup_schedule import BackupSchedule
from engine.services.backups import Backups
from engine.services.bulk import Action, Bulk
from engine.services.folder_sync import FolderSync
from engine.services.generation_builder import GenerationBuilder
from engine.services.generation_plan import GenerationPlanner
from engine.services.generation_recall import GenerationRecall
from engine.services.generation_removal import GenerationRemoval
from engine.services.generations import Generations
from engine.services.heartbeats import WORKER
from engine.services.index_files import IndexFiles
from engine.services.job_desk import JobDesk
from engine.services.keeping import Keeping
from engine.services.legal_holds import LegalHolds
from engine.services.moving import Moving
from engine.services.portable import Portable
from engine.services.portable_filling import Filling
from engine.services.reconciler import Reconciler
from engine.services.retention import RetentionRules
from engine.services.room import Room
from engine.services.unfinished import unfinished
from engine.services.upload_checks import UploadChecks
from engine.services.versions import Versions


class Upholding(Ingesting):
    """The part of `engine.assembly.Assembly` about keeping documents."""

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
    def room(self) -> Room:
        """Room on the disk of the data folder."""
        return Room(self.settings.data_dir)

    @cached_property
    def archives(self) -> Archives:
        """Documents by the zip."""
        return Archives(
            database=self.database,
            take=self.library.upload,
            room=self.room,
            folder=self.settings.incoming,
            limits=self.settings.limits,
            ingestion=self.settings.ingestion,
        )

    @cached_property
    def keeping(self) -> Keeping:
        """What the facade hands on to."""
        return Keeping(
            reconciler=self.reconciler,
            backups=self.backups,
            portable=self.portable,
            generations=self.generations,
            jobs=self.job_desk,
            sync=FolderSync(database=self.database, library=self.library),
            retention=self.retention,
            holds=LegalHolds(self.database),
            versions=self.versions,
            moving=Moving(database=self.database, wake=self.wake),
            checks=self.upload_checks,
            bulk=self.bulk,
            archives=self.archives,
        )

    @cached_property
    def job_desk(self) -> JobDesk:
        """Files on their way."""
        return JobDesk(database=self.database, stalled_seconds=self.settings.ingestion.stalled_seconds, wake=self.wake)

    @cached_property
    def versions(self) -> Versions:
        """Which content of a document answers."""
        return Versions(database=self.database, blobs=self.blobs, wake=self.wake)

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
            BulkAction.CANCEL: self.job_desk.cancel,
            BulkAction.RETRY: partial(self.library.reprocess, password=None),
            BulkAction.ENABLE: self.versions.enable,
            BulkAction.DISABLE: self.versions.disable,
        }
        return Bulk(database=self.database, actions=actions)

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
            unfinished=lambda before: unfinished(self.settings, self.backups.folder, before=before),
            every_minutes=self.settings.ingestion.reconcile_minutes,
        )

    @cached_property
    def backups(self) -> Backups:
        """What makes backups."""
        return Backups(
            database=self.database,
            blobs=self.blobs,
            settings=self.settings,
            secret=self._secret,
            indexes_of=self._indexes_of,
        )

    @cached_property
    def backup_schedule(self) -> BackupSchedule:
        """What makes them at set times."""
        return BackupSchedule(database=self.database, backups=self.backups, rules=self.settings.backups)

    @cached_property
    def portable(self) -> Portable:
        """Collections as files."""
        return Portable(
            database=self.database,
            blobs=self.blobs,
            settings=self.settings,
            room=self.room,
            filling=Filling(
                database=self.database,
                blobs=self.blobs,
                collections=self.collections,
                parts=self.parts,
                quotas=self.quotas,
                room=self.room,
                settings=self.settings,
                wake=self.wake,
            ),
        )

    @cached_property
    def retention(self) -> RetentionRules:
        """What removes what is too old."""
        return RetentionRules(database=self.database, trail=self.trail, forget=self.blobs.delete)

    def purges(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what removes what is out of date; each is called once in an hour."""
        return (*super().purges(), self.retention.run, self.versions.purge, self.generation_removal.purge)

    def ingesting_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background while the server serves; each runs until it is cancelled."""
        mode = self.settings.ingestion.worker
        doing = (
            self.generation_builder.serve,
            self.sweeper.run,
            self.backup_schedule.run,
            self._end_backups,
            self.reconciler.run,
            Follower(database=self.database, spaces=self.spaces).run,
        )
        if mode == "child":
            return (*doing, self.worker_child.run)
        return (*doing, self.ringing.run) if mode == "celery" else doing

    def working_tasks(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Return what runs in the background of a worker that is a process of its own; each runs until it is cancelled."""
        return (self.sweeper.run, self.history.run, self.breakers.run, self._worker_beat)

    async def _end_backups(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await self.backups.close()

    async def _worker_beat(self) -> None:
        heart = self.heart(WORKER, slots=self.settings.ingest_workers)
        try:
            await heart.run()
        finally:
            await heart.close()
