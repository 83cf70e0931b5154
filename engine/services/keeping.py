"""The part of the facade about keeping documents.

Jobs, versions, generations, backups, retention; `engine.workbench.Workbench` stands on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.archives import Archives
from engine.services.backups import Backups
from engine.services.bulk import Bulk
from engine.services.folder_sync import FolderSync
from engine.services.generations import Generations
from engine.services.job_desk import JobDesk
from engine.services.legal_holds import LegalHolds
from engine.services.moving import Moving
from engine.services.portable import Portable
from engine.services.reconciler import Reconciler
from engine.services.retention import RetentionRules
from engine.services.upload_checks import UploadChecks
from engine.services.versions import Versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """The parts that this part of the facade hands on to."""

    backups: Backups
    portable: Portable
    generations: Generations
    jobs: JobDesk
    reconciler: Reconciler
    sync: FolderSync
    retention: RetentionRules
    holds: LegalHolds
    versions: Versions
    moving: Moving
    checks: UploadChecks
    bulk: Bulk
    archives: Archives


class KeepingFacade:
    """Each part's own method is the facade's."""

    def __init__(self, keeping: Keeping) -> None:
        self.backup = keeping.backups.backup
        self.start_backup = keeping.backups.start_backup
        self.backups = keeping.backups.backups
        self.verify_backup = keeping.backups.verify_backup
        self.test_backup = keeping.backups.test_backup
        self.export_collection = keeping.portable.export_collection
        self.import_collection = keeping.portable.import_collection
        self.plan_generation = keeping.generations.plan
        self.start_generation = keeping.generations.start
        self.generations = keeping.generations.all
        self.cancel_generation = keeping.generations.cancel
        self.switch_generation = keeping.generations.switch
        self.revert_generation = keeping.generations.revert
        self.build_generation = keeping.generations.build
        self.jobs = keeping.jobs.jobs
        self.job_log = keeping.jobs.job_log
        self.cancel = keeping.jobs.cancel
        self.requeue = keeping.jobs.requeue
        self.tray = keeping.jobs.tray
        self.reconcile = keeping.reconciler.reconcile
        self.sync_folder = keeping.sync.sync
        self.retention_rules = keeping.retention.rules
        self.save_retention_rule = keeping.retention.save
        self.delete_retention_rule = keeping.retention.delete
        self.retention_effects = keeping.retention.effects
        self.apply_retention = keeping.retention.apply
        self.legal_holds = keeping.holds.all
        self.set_legal_hold = keeping.holds.set
        self.release_legal_hold = keeping.holds.release
        self.versions = keeping.versions.all
        self.activate_version = keeping.versions.activate
        self.sweep_versions = keeping.versions.purge
        self.disable_document = keeping.versions.disable
        self.enable_document = keeping.versions.enable
        self.move_document = keeping.moving.move
        self.check_upload = keeping.checks.check
        self.bulk = keeping.bulk.run
        self.upload_archive = keeping.archives.upload
        self.is_archive = keeping.archives.is_archive
