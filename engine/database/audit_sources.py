"""Which documents fed which answer to whom: from the citations of messages, and from the audit where there is no message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, String, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from engine.audit_views import SourceUse
from engine.database.audit_models import Audit
from engine.database.chat_models import CitationRow, Conversation, MessageRow
from engine.database.models import DocumentRow, User
from engine.types import Answer

MAX_ROWS = 10_000
ASKED = "question.ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuery:
    """Which uses are asked for; what is left empty filters nothing. `user` is a name or an id."""

    document_id: str = ""
    user: str = ""
    since: datetime | None = None
    until: datetime | None = None


def answer_details(answer: Answer) -> dict[str, Any]:
    """Return what the audit keeps of an answer: ids and counts, no text."""
    return {
        "documents": sorted({citation.document_id for citation in answer.citations}),
        "sources": sorted({(one.document_id, one.version, one.page) for one in answer.citations}),
        "refused": answer.refused,
        "provider": answer.provider,
        "model": answer.model,
        "failed": [{"provider": one.provider, "model": one.model} for one in answer.serving.outages],
        **({"cached": answer.serving.cached_at} if answer.serving.cached_at else {}),
    }


async def sources(session: AsyncSession, query: SourceQuery) -> list[SourceUse]:
    """Return the newest uses that match, newest first, at most MAX_ROWS."""
    uses = [*await _in_conversations(session, query), *await _elsewhere(session, query)]
    return sorted(uses, key=lambda use: (use.at, use.message_id, use.document_id, use.page), reverse=True)[:MAX_ROWS]


async def _in_conversations(session: AsyncSession, query: SourceQuery) -> list[SourceUse]:
    question = aliased(MessageRow)
    user = func.coalesce(User.name, Conversation.user_id)
    statement = (
        select(
            MessageRow.created_at.label("at"),
            user.label("user"),
            MessageRow.id.label("message_id"),
            func.coalesce(question.id, "").label("question_id"),
            CitationRow.document_id,
            CitationRow.document,
            CitationRow.version,
            CitationRow.page,
        )
        .distinct()
        .select_from(CitationRow)
        .join(MessageRow, MessageRow.id == CitationRow.message_id)
        .join(Conversation, Conversation.id == MessageRow.conversation_id)
        .outerjoin(
            question,
            (question.conversation_id == MessageRow.conversation_id) & (question.position == MessageRow.position - 1),
        )
        .outerjoin(User, User.id == Conversation.user_id)
        .where(*_period(query, MessageRow.created_at))
        .order_by(MessageRow.created_at.desc())
        .limit(MAX_ROWS)
    )
    if query.document_id:
        statement = statement.where(CitationRow.document_id == query.document_id)
    if query.user:
        statement = statement.where(or_(user == query.user, Conversation.user_id == query.user))
    return [SourceUse(**row) for row in (await session.execute(statement)).mappings()]


async def _elsewhere(session: AsyncSession, query: SourceQuery) -> list[SourceUse]:
    """Questions outside of conversations, and in conversations that were deleted since."""
    kept = select(CitationRow.message_id).where(CitationRow.message_id == Audit.object).exists()
    statement = (
        select(Audit.at, Audit.actor, Audit.object, Audit.details)
        .where(Audit.action == ASKED, Audit.outcome == "success", ~kept, *_period(query, Audit.at))
        .order_by(Audit.seq.desc())
        .limit(MAX_ROWS)
    )
    if query.document_id:  # an id of 32 hexadecimal characters is nothing else by chance
        statement = statement.where(cast(Audit.details, String).contains(query.document_id, autoescape=True))
    if query.user:
        statement = statement.where(or_(Audit.actor == query.user, Audit.actor_id == query.user))
    rows = (await session.execute(statement)).mappings().all()
    uses = [use for row in rows for use in _uses(row) if query.document_id in {"", use.document_id}]
    ids = sorted({use.document_id for use in uses})
    names: dict[str, str] = {}
    for start in range(0, len(ids), 500):  # databases bound how many values one statement may have
        part = select(DocumentRow.id, DocumentRow.name).where(DocumentRow.id.in_(ids[start : start + 500]))
        names |= {found: name for found, name in await session.execute(part)}
    return [
        SourceUse(
            at=use.at, user=use.user, message_id=use.message_id, question_id=use.question_id, document_id=use.document_id,
            document=names.get(use.document_id, ""), version=use.version, page=use.page,
        )
        for use in uses
    ]  # fmt: skip


def _uses(row: RowMapping) -> Iterator[SourceUse]:
    for document_id, version, page in row["details"].get("sources", ()):
        yield SourceUse(
            at=row["at"], user=row["actor"], message_id=row["object"], question_id=row["object"],
            document_id=document_id, document="", version=version, page=page,
        )  # fmt: skip


def _period(query: SourceQuery, column: Any) -> list[ColumnElement[bool]]:
    since = [column >= query.since] if query.since else []
    return [*since, *([column < query.until] if query.until else [])]
