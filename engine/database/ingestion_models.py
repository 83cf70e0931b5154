"""The tables behind ingestion at scale: logs of jobs, generations, sources, backups, retention and legal holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from engine.database.columns import Base, LongText, Real, new_id, now


class JobEventRow(Base):
    """A line of a job's log. `text` holds nothing of the document."""

    __tablename__ = "job_events"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=now)
    stage: Mapped[str] = mapped_column(String(20), default="")
    level: Mapped[str] = mapped_column(String(10), default="info")
    text: Mapped[str] = mapped_column(String(500), default="")


class Generation(Base):
    """How a collection is, was, or will be cut, embedded and stored. Columns as in `Collection`.

    `owner` and `lease_until` are the lease of whoever builds it.
    """

    __tablename__ = "generations"
    __table_args__ = (UniqueConstraint("collection_id", "number"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), index=True)
    chunker: Mapped[str] = mapped_column(String(40))
    chunk_tokens: Mapped[int]
    overlap_tokens: Mapped[int]
    embedder: Mapped[str] = mapped_column(String(40))
    model_id: Mapped[str] = mapped_column(String(120))
    dimension: Mapped[int]
    embedding_model: Mapped[str] = mapped_column(String(200), default="")
    probe: Mapped[bytes | None]
    normalised: Mapped[bool] = mapped_column(default=True)
    max_tokens: Mapped[int] = mapped_column(default=0)
    store: Mapped[str] = mapped_column(String(40))
    space: Mapped[str] = mapped_column(String(32), default="")
    documents_total: Mapped[int] = mapped_column(default=0)
    documents_done: Mapped[int] = mapped_column(default=0)
    chunks: Mapped[int] = mapped_column(default=0)
    recall: Mapped[float | None] = mapped_column(Real)
    questions: Mapped[int] = mapped_column(default=0)
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    reason: Mapped[str] = mapped_column(LongText, default="")
    hint: Mapped[str] = mapped_column(LongText, default="")
    started_by: Mapped[str] = mapped_column(String(100), default="")
    started_at: Mapped[datetime] = mapped_column(default=now)
    switched_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    owner: Mapped[str] = mapped_column(String(64), default="")
    lease_until: Mapped[datetime | None]


class Cut(Base):
    """A version as one generation has it: how many chunks. Without a row the generation does not have the version yet."""

    __tablename__ = "cuts"
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True)
    generation: Mapped[str] = mapped_column(String(32), primary_key=True, index=True)
    chunks: Mapped[int] = mapped_column(default=0)
    embedded: Mapped[bool] = mapped_column(default=False)


class Source(Base):
    """Where a document comes from, so that it can be looked at again: a file of a synchronised folder, or a web address.

    `root` is the folder ("" for an address), `location` the path below it or the address.
    """

    __tablename__ = "sources"
    __table_args__ = (Index("ix_sources_collection_root", "collection_id", "root"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    document_id: Mapped[str] = mapped_column(String(32), index=True)
    root: Mapped[str] = mapped_column(String(500), default="")
    location: Mapped[str] = mapped_column(LongText)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    modified_ns: Mapped[int] = mapped_column(BigInteger, default=0)
    etag: Mapped[str] = mapped_column(String(300), default="")
    seen_at: Mapped[datetime] = mapped_column(default=now)


class Backup(Base):
    """A backup that this installation made. `name` is the file's, in the folder of backups or wherever it was asked for."""

    __tablename__ = "backups"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(500))
    scheduled: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(10), default="running")
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    documents: Mapped[int] = mapped_column(default=0)
    rows: Mapped[int] = mapped_column("row_count", default=0)
    files: Mapped[int] = mapped_column(default=0)
    encrypted: Mapped[bool] = mapped_column(default=False)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    started_at: Mapped[datetime] = mapped_column(default=now, index=True)
    ended_at: Mapped[datetime | None]
    tested_at: Mapped[datetime | None]
    test_ok: Mapped[bool | None]
    detail: Mapped[str] = mapped_column(LongText, default="")


class RetentionRuleRow(Base):
    """See `engine.ingestion_views.RetentionRule`."""

    __tablename__ = "retention_rules"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(20))
    collection_id: Mapped[str] = mapped_column(String(32), default="")
    days: Mapped[int]
    enabled: Mapped[bool] = mapped_column(default=True)
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime] = mapped_column(default=now)


class LegalHoldRow(Base):
    """See `engine.ingestion_views.LegalHold`. Released ones stay, as a record."""

    __tablename__ = "legal_holds"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(20))
    object_id: Mapped[str] = mapped_column(String(32), index=True)
    reason: Mapped[str] = mapped_column(String(500), default="")
    set_by: Mapped[str] = mapped_column(String(100), default="")
    set_at: Mapped[datetime] = mapped_column(default=now)
    released_by: Mapped[str] = mapped_column(String(100), default="")
    released_at: Mapped[datetime | None]
