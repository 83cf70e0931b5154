"""A document goes to another collection: it keeps its id, its versions and their numbers.

An index finds what went away by the versions of its own collection, so those rows stay behind, empty, below a deleted document
that nobody sees; the document gets copies of them, which own the pages, passages and originals from then on.
"""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import documents
from engine.database.columns import now
from engine.database.database import next_sequence
from engine.database.ingestion_models import Cut, JobEventRow
from engine.database.models import ChunkRow, Collection, DocumentRow, Job, PageRow, Version, VersionState
from engine.services_free import chunk_id
