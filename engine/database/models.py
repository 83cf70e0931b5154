"""The tables. SQL is the truth; every index is a projection that catches up from it by `live_seq` and `dead_seq`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from engine.database.columns import Base, LongText, Real, new_id, now


class VersionState(StrEnum):
    """How far a version has come. It moves last in each step, so a crash repeats the step and loses nothing."""

    STORED = "stored"
    PARSED = "parsed"
    CHUNKED = "chunked"
    EMBEDDED = "embedded"
    LIVE = "live"
    FAILED = "failed"
    REPLACED = "replaced"
    DELETED = "deleted"


class Counter(Base):
    """Named counters that only grow; "sequence" orders what goes live and what goes away."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[int] = mapped_column(Integer)


class User(Base):
    """Somebody who may sign in. Names are stored in lower case; an empty hash matches no password (invited, not yet here).

    `totp_step` is the last time step whose code was accepted: no code works twice.
    """

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20))
    must_change: Mapped[bool] = mapped_column(default=False)
    sealed_totp: Mapped[str | None] = mapped_column(String(300))
    totp_confirmed: Mapped[bool] = mapped_column(default=False)
    totp_step: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    disabled_at: Mapped[datetime | None]


class Session(Base):
    """A sign-in. Only the SHA-256 of its token is stored."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_seen_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    ip: Mapped[str] = mapped_column(String(64), default="")
    user_agent: Mapped[str] = mapped_column(String(300), default="")
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str] = mapped_column(String(32), default="")
    reason: Mapped[str] = mapped_column(String(100), default="")


class Collection(Base):
    """A set of documents that share a chunker, an embedding space, a store and permissions.

    `embedder` and `store` are names of providers; `space` names its vectors in a store that keeps them itself. `generation`
    says which chunks of its versions are in force: changing how a collection is cut or embedded makes others beside them.
    """

    __tablename__ = "collections"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    description: Mapped[str] = mapped_column(LongText, default="")
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
    store: Mapped[str] = mapped_column(String(40), default="faiss")
    space: Mapped[str] = mapped_column(String(32), default="")
    previous_store: Mapped[str] = mapped_column(String(40), default="")
    previous_space: Mapped[str] = mapped_column(String(32), default="")
    generation: Mapped[str] = mapped_column(String(32))
    created_by: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)

    def __init__(self, **columns: Any) -> None:
        """Make a row; its first generation is called like the collection."""
        columns.setdefault("id", new_id())
        columns.setdefault("generation", columns["id"])
        super().__init__(**columns)


class Grant(Base):
    """What one user may do with one collection."""

    __tablename__ = "grants"
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    right: Mapped[str] = mapped_column("access_right", String(10))


class DocumentRow(Base):
    """A named document of a collection.

    Its content is in versions; one of them is live. A disabled one is kept out of answers.
    """

    __tablename__ = "documents"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(500))
    created_by: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class Version(Base):
    """One content of a document. In an index while `live_seq` is set and greater than `dead_seq`.

    `error` is the class of `engine.errors` that it failed with, "" when it was stopped or failed for nothing known.
    `replaces`: once it is live, the content of the former versions is to be removed.
    A purged version keeps its row (without pages and chunks) as the tombstone that projections and old citations need.
    """

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("document_id", "number"),
        Index("ix_versions_live", "collection_id", "live_seq"),
        Index("ix_versions_dead", "collection_id", "dead_seq"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int]
    blob: Mapped[str] = mapped_column(String(40))
    media_type: Mapped[str] = mapped_column(String(120), default="")
    title: Mapped[str] = mapped_column(String(500), default="")
    sealed_password: Mapped[str | None] = mapped_column(LongText)
    state: Mapped[str] = mapped_column(String(20), default=VersionState.STORED.value)
    reason: Mapped[str] = mapped_column(LongText, default="")
    hint: Mapped[str] = mapped_column(LongText, default="")
    error: Mapped[str] = mapped_column(String(40), default="")
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    pages: Mapped[int] = mapped_column(default=0)
    pages_with_text: Mapped[int] = mapped_column(default=0)
    chunks: Mapped[int] = mapped_column(default=0)
    live_seq: Mapped[int | None]
    dead_seq: Mapped[int | None]
    source: Mapped[str] = mapped_column(String(500), default="")
    replaces: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


IN_INDEXES = Version.live_seq > func.coalesce(Version.dead_seq, 0)
"""The SQL condition of a version that answers questions; one that never went live has no `live_seq` and fails it."""


class PageRow(Base):
    """The text of one page, as parsed: what all offsets count in.

    `recognised`: read from its picture. `lines` are then where: [start, end, left, top, right, bottom], 0..1 of the page.
    """

    __tablename__ = "pages"
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(LongText)
    section: Mapped[list[Any]] = mapped_column(default=list)
    blocks: Mapped[list[Any]] = mapped_column(default=list)
    has_image: Mapped[bool] = mapped_column(default=False)
    recognised: Mapped[bool] = mapped_column(default=False)
    lines: Mapped[list[Any]] = mapped_column(default=list)


class ChunkRow(Base):
    """A chunk of a version as one generation cuts it.

    `vector_sha256` is the key of its vector, `quarantine` a state of `engine.database.quarantine`.
    """

    __tablename__ = "chunks"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), index=True)
    ordinal: Mapped[int]
    page: Mapped[int]
    start: Mapped[int] = mapped_column("start_char")
    end: Mapped[int] = mapped_column("end_char")
    text: Mapped[str] = mapped_column(LongText)
    section: Mapped[list[Any]] = mapped_column(default=list)
    context: Mapped[str] = mapped_column(LongText, default="")
    generation: Mapped[str] = mapped_column(String(32), default="")
    recognised: Mapped[bool] = mapped_column(default=False)
    vector_sha256: Mapped[str] = mapped_column(String(64), index=True)
    suspicion: Mapped[float] = mapped_column(Real, default=0.0)
    findings: Mapped[list[Any]] = mapped_column(default=list)
    quarantine: Mapped[str] = mapped_column(String(10), default="", index=True)
    decided_by: Mapped[str] = mapped_column(String(100), default="")


class VectorRow(Base):
    """An embedding, kept by model and text hash so that nothing is embedded twice. Little-endian float32."""

    __tablename__ = "vectors"
    model_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    text_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes]


class Snapshot(Base):
    """The saved state of a collection's local indexes: it is used only when the files have exactly this SHA-256."""

    __tablename__ = "snapshots"
    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    folder: Mapped[str] = mapped_column(String(80))
    generation: Mapped[str] = mapped_column(String(32), default="")
    seq: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))


class Job(Base):
    """A piece of ingestion work. Leased: a worker that dies is replaced when its lease ends.

    `done` of `total` units (pages, passages) of `stage`, which began at `stage_at`; its worker claimed it at `started_at`.
    """

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), unique=True)
    state: Mapped[str] = mapped_column(String(10), default="queued", index=True)
    progress: Mapped[float] = mapped_column(Real, default=0.0)
    attempts: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str] = mapped_column(String(64), default="")
    lease_until: Mapped[datetime | None]
    worker: Mapped[str] = mapped_column(String(60), default="")
    stage: Mapped[str] = mapped_column(String(20), default="")
    stage_at: Mapped[datetime | None]
    done: Mapped[int] = mapped_column("units_done", default=0)
    total: Mapped[int] = mapped_column("units_total", default=0)
    started_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now, index=True)
