"""The tables of conversations: threads, messages, and what they cite."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from engine.database.columns import Base, LongText, new_id, now


class Conversation(Base):
    """A thread of questions by one user over chosen collections."""

    __tablename__ = "conversations"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(String(32), index=True)
    title: Mapped[str] = mapped_column(String(200), default="")
    collections: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class MessageRow(Base):
    """One turn. An assistant's turn carries the sentences, the trace and what was searched for."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("conversation_id", "position"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    role: Mapped[str] = mapped_column(String(10))
    text: Mapped[str] = mapped_column(LongText, default="")
    state: Mapped[str] = mapped_column(String(10), default="done")
    error: Mapped[str] = mapped_column(LongText, default="")
    hint: Mapped[str] = mapped_column(LongText, default="")
    refused: Mapped[bool] = mapped_column(default=False)
    query: Mapped[str] = mapped_column(LongText, default="")
    provider: Mapped[str] = mapped_column(String(40), default="")
    model: Mapped[str] = mapped_column(String(120), default="")
    input_tokens: Mapped[int] = mapped_column(default=0)
    output_tokens: Mapped[int] = mapped_column(default=0)
    sentences: Mapped[list[Any]] = mapped_column(default=list)
    nearest: Mapped[list[Any]] = mapped_column(default=list)
    trace: Mapped[dict[str, Any]] = mapped_column(default=dict)
    serving: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class CitationRow(Base):
    """What a message cited, word for word. Written once; no foreign key to the document, for it outlives it."""

    __tablename__ = "citations"
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chunk_id: Mapped[str] = mapped_column(String(36))
    document_id: Mapped[str] = mapped_column(String(32), index=True)
    document: Mapped[str] = mapped_column(String(500))
    version: Mapped[int]
    page: Mapped[int]
    start: Mapped[int] = mapped_column("start_char")
    end: Mapped[int] = mapped_column("end_char")
    text: Mapped[str] = mapped_column(LongText)
    score: Mapped[float]
    section: Mapped[list[Any]] = mapped_column(default=list)
    context: Mapped[str] = mapped_column(LongText, default="")
    recognised: Mapped[bool] = mapped_column(default=False)
