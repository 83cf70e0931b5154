"""Jobs, versions, generations and what happens to many documents at once, of the workbench in memory."""

import asyncio
import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.errors import EngineError, InputError, NotFound
from engine.ingestion_views import (
    BulkAction,
    BulkResult,
    FileReceipt,
    JobEvent,
    JobInfo,
    JobState,
    OnDuplicate,
    Tray,
    UploadForecast,
    VersionInfo,
)
from engine.keeping_views import GenerationChange, GenerationInfo, GenerationPlan, GenerationState

LATER = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ENDED = (JobState.FAILED, JobState.CANCELLED, JobState.DONE)


class FakeIngestion:
    """Whatever a test puts into `stored_jobs`, `stored_versions` and `stored_generations` is what screens see."""

    def start_ingestion(self):
        self.stored_jobs, self.stored_events, self.stored_versions, self.stored_generations = {}, {}, {}, []
        self.bulks, self.uploaded_as, self.checked, self.planned = [], [], [], []
        self.trays = 0

    def job(self, name, state=JobState.RUNNING, stage="embed", **more):
        """Put a job for the document of that name."""
        one = next(one for one in self.stored_documents.values() if one.name == name)
        fields = {
            "version": one.version, "progress": 0.62, "done": 310, "total": 500, "rate": 12.4, "eta_seconds": 95.0,
            "elapsed_seconds": 64.0, "attempts": 1, "worker": "w-1", "reason": "", "hint": "", "created_at": LATER,
        }  # fmt: skip
        self.stored_jobs[one.id] = JobInfo(
            document_id=one.id, document=one.name, collection_id=one.collection_id, state=state, stage=stage, **fields | more
        )
        self.stored_events[one.id] = [
            JobEvent(at=LATER, version=1, stage="parse", level="info", text="212 pages read in 8.4 s"),
            JobEvent(at=LATER, version=1, stage="recognise", level="warning", text="page 7: hardly legible, 41 % sure"),
        ]
        return self.stored_jobs[one.id]

    async def jobs(self, p, collection_id=None):
        return [one for one in self.stored_jobs.values() if collection_id in (None, one.collection_id)]

    async def job_log(self, p, document_id):
        return self.stored_events.get(document_id, [])

    async def tray(self, p):
        self.trays += 1
        jobs = tuple(self.stored_jobs.values())
        count = {state: sum(one.state is state for one in jobs) for state in JobState}
        working = sum(count[state] for state in (JobState.QUEUED, JobState.RESTING, JobState.RUNNING))
        times = [one.eta_seconds for one in jobs if one.eta_seconds]
        return Tray(working=working, total=len(jobs), failed=count[JobState.FAILED], stalled=count[JobState.STALLED],
                    eta_seconds=max(times, default=None), jobs=jobs)  # fmt: skip

    async def cancel(self, p, document_id):
        one = await self.document(p, document_id)
        if document_id not in self.stored_jobs or self.stored_jobs[document_id].state in ENDED:
            raise InputError(f"{one.name} is not being processed", hint="there is nothing to cancel")
        self.stored_jobs[document_id] = replace(self.stored_jobs[document_id], state=JobState.CANCELLED)
        self.stored_documents[document_id] = replace(one, state="failed", reason="processing was cancelled", hint="")

    async def requeue(self, p, document_id):
        self.stored_jobs[document_id] = replace(self.stored_jobs[document_id], state=JobState.QUEUED, reason="", hint="")
        one = await self.document(p, document_id)
        self.stored_documents[document_id] = replace(one, state="stored", reason="", hint="", progress=0.0)

    # --- uploads

    async def check_upload(self, p, collection_id, files):
        self.checked.append([one.name for one in files])
        return [self._forecast(collection_id, one) for one in files]

    def _forecast(self, collection_id, file):
        here = [one for one in self.stored_documents.values() if one.collection_id == collection_id and one.state != "deleted"]
        same = next((one for one in here if one.sha256 == file.sha256), None)
        named = next((one for one in here if one.name == file.name), None)
        problem = f"{file.name} is a program, which no loader reads" if file.name.endswith(".exe") else ""
        return UploadForecast(
            name=file.name, size_bytes=file.size_bytes, same_as=same.name if same else "", same_as_id=same.id if same else "",
            same_name_id=named.id if named else "", kind="PDF", problem=problem, hint="Upload PDF or text." if problem else "",
            chunks=None if problem else 120, seconds=None if problem else 42.0, cost_usd=None if problem else 0.0031,
        )  # fmt: skip

    async def is_archive(self, data):
        return zipfile.is_zipfile(io.BytesIO(data))

    async def upload_archive(self, p, collection_id, name, data, *, on_duplicate=OnDuplicate.ASK):
        receipts = []
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inside in archive.namelist():
                try:
                    one, verdict = await self.upload(p, collection_id, f"{name}/{inside}", archive.read(inside))
                    receipts.append(FileReceipt(name=one.name, document_id=one.id, verdict=verdict))
                except EngineError as error:
                    receipts.append(FileReceipt(name=f"{name}/{inside}", problem=str(error), hint=error.hint))
        return receipts

    # --- versions

    async def versions(self, p, document_id):
        one = await self.document(p, document_id)
        made = VersionInfo(
            number=one.version, state=one.state, active=True, sha256=one.sha256, size_bytes=one.size_bytes, pages=one.pages,
            chunks=one.chunks, reason=one.reason, source="upload", created_at=one.created_at, can_activate=False,
        )  # fmt: skip
        return self.stored_versions.setdefault(document_id, [made])

    def older_version(self, document_id):
        """Give a document a second version, which is the active one now."""
        first = asyncio.run(self.versions(None, document_id))[0]
        newer = replace(first, number=2, pages=8, chunks=15, created_at=LATER)
        self.stored_versions[document_id] = [newer, replace(first, active=False, state="replaced", can_activate=True)]
        self.stored_documents[document_id] = replace(self.stored_documents[document_id], version=2, versions=2, pages=8)

    async def activate_version(self, p, document_id, number):
        self.stored_versions[document_id] = [
            replace(one, active=one.number == number, can_activate=one.number != number)
            for one in self.stored_versions[document_id]
        ]
        self.stored_documents[document_id] = replace(self.stored_documents[document_id], version=number)
        return self.stored_documents[document_id]

    async def disable_document(self, p, document_id):
        self.stored_documents[document_id] = replace(await self.document(p, document_id), disabled=True)

    async def enable_document(self, p, document_id):
        self.stored_documents[document_id] = replace(await self.document(p, document_id), disabled=False)

    async def move_document(self, p, document_id, collection_id):
        other = self.stored_collections[collection_id]
        one = replace(await self.document(p, document_id), collection_id=other.id, collection=other.name)
        self.stored_documents[document_id] = one
        return one

    async def bulk(self, p, action, document_ids):
        self.bulks.append((action, list(document_ids)))
        does = {
            BulkAction.DELETE: self.delete_document, BulkAction.RESTORE: self.restore_document, BulkAction.RETRY: self.reprocess,
            BulkAction.CANCEL: self.cancel, BulkAction.ENABLE: self.enable_document, BulkAction.DISABLE: self.disable_document,
        }  # fmt: skip
        results = []
        for key in document_ids:
            name = self.stored_documents[key].name
            try:
                await does[action](p, key)
                results.append(BulkResult(document_id=key, document=name))
            except EngineError as error:
                results.append(BulkResult(document_id=key, document=name, problem=str(error), hint=error.hint))
        return results

    # --- generations

    def generation(self, number, state, **more):
        """Put a generation of the first collection."""
        fields = {
            "embedder": "local", "embedding_model": "all-MiniLM-L6-v2", "chunker": "recursive", "chunk_tokens": 256,
            "overlap_tokens": 32, "store": "faiss", "documents_done": 3, "documents_total": 3, "chunks": 36, "recall": None,
            "questions": 0, "reason": "", "hint": "", "started_by": "admin", "started_at": LATER, "switched_at": None,
        }  # fmt: skip
        collection = next(iter(self.stored_collections))
        made = GenerationInfo(id=f"g-{number}", collection_id=collection, number=number, state=state, **fields | more)
        self.stored_generations.insert(0, made)
        return made

    async def generations(self, p, collection_id):
        return [one for one in self.stored_generations if one.collection_id == collection_id]

    async def plan_generation(self, p, collection_id, change):
        self.planned.append(change)
        if change == GenerationChange():
            raise InputError("nothing would be different", hint="choose another model, method or store first")
        documents = [one for one in self.stored_documents.values() if one.collection_id == collection_id]
        before = GenerationChange(embedder="local", embedding_model="all-MiniLM-L6-v2", chunker="recursive", chunk_tokens=256,
                                  overlap_tokens=32, store="faiss")  # fmt: skip
        return GenerationPlan(
            collection_id=collection_id, before=before, after=replace(before, embedder=change.embedder or before.embedder),
            documents=len(documents), pages=18, chunks_before=36, chunks_after=52, tokens=13_400, seconds=190.0, cost_usd=0.27,
            warnings=("broken.pdf was never read and stays as it is.",),
        )  # fmt: skip

    async def start_generation(self, p, collection_id, change, *, switch=True):
        number = max((one.number for one in self.stored_generations), default=1) + 1
        return self.generation(number, GenerationState.BUILDING, embedder=change.embedder or "local", documents_done=1,
                               eta_seconds=120.0, questions=0)  # fmt: skip

    def _turn(self, generation_id, **changes):
        self.stored_generations = [
            replace(one, **changes) if one.id == generation_id else one for one in self.stored_generations
        ]
        found = [one for one in self.stored_generations if one.id == generation_id]
        if not found:
            raise NotFound("there is no such generation")
        return found[0]

    async def cancel_generation(self, p, generation_id):
        self._turn(generation_id, state=GenerationState.CANCELLED)

    async def switch_generation(self, p, generation_id):
        for one in self.stored_generations:
            if one.state is GenerationState.LIVE:
                self._turn(one.id, state=GenerationState.FORMER, revertible_until=LATER + timedelta(days=7))
        self._turn(generation_id, state=GenerationState.LIVE, switched_at=LATER)

    async def revert_generation(self, p, collection_id):
        former = next(one for one in self.stored_generations if one.state is GenerationState.FORMER)
        live = next(one for one in self.stored_generations if one.state is GenerationState.LIVE)
        self._turn(live.id, state=GenerationState.FORMER, revertible_until=former.revertible_until)
        return self._turn(former.id, state=GenerationState.LIVE, revertible_until=None, switched_at=live.switched_at)
