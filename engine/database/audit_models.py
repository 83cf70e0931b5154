"""The tables of the audit: its chained rows, the head of the chain, and filters that admins keep."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from engine.database.columns import Base, now


class Audit(Base):
    """Who did what, when, with which outcome; written in the transaction of the change itself, never altered.

    `hash` covers all other columns, `prev_hash` is that of the row before. Rows from before the chain have neither.
    """

    __tablename__ = "audit"
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    actor_id: Mapped[str] = mapped_column(String(32), default="", index=True)
    actor: Mapped[str] = mapped_column(String(100), default="")
    session_id: Mapped[str] = mapped_column(String(32), default="")
    request_id: Mapped[str] = mapped_column(String(64), default="")
    action: Mapped[str] = mapped_column(String(60), index=True)
    object_type: Mapped[str] = mapped_column(String(40), default="")
    object: Mapped[str] = mapped_column(String(200), default="", index=True)
    outcome: Mapped[str] = mapped_column(String(10), default="success")
    reason: Mapped[str] = mapped_column(String(200), default="")
    ip: Mapped[str] = mapped_column(String(64), default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    prev_hash: Mapped[str] = mapped_column(String(64), default="")
    hash: Mapped[str] = mapped_column(String(64), default="")


class AuditHead(Base):
    """Where the chain ends: one row, whose lock is what writers queue for. `written` counts all rows ever chained.

    The trigger on `audit` lets rows up to `deletable_to` be deleted; retention sets it for the time of its transaction.
    """

    __tablename__ = "audit_head"
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    seq: Mapped[int]
    at: Mapped[datetime]
    hash: Mapped[str] = mapped_column(String(64))
    written: Mapped[int]
    deletable_to: Mapped[int]


class AuditView(Base):
    """A filter that one admin keeps under a name."""

    __tablename__ = "audit_views"
    user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    query: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)
