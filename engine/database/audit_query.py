"""Reading the audit: by filter, newest first; what occurs in it; filters that admins keep."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from engine.audit_views import AuditEntry, AuditFacets, AuditQuery, SavedView
from engine.database.audit_models import Audit, AuditView

FACET_VALUES = 200
_ENTRY = tuple(column for column in Audit.__table__.columns if column.name not in {"prev_hash", "hash"})
_SEARCHED = (Audit.actor, Audit.action, Audit.object, Audit.reason, Audit.ip, Audit.request_id)


async def found(session: AsyncSession, query: AuditQuery, *, limit: int, before_seq: int | None = None) -> list[AuditEntry]:
    """Return the newest entries that match, newest first, all older than `before_seq`."""
    older = [] if before_seq is None else [Audit.seq < before_seq]
    statement = select(*_ENTRY).where(*conditions(query), *older).order_by(Audit.seq.desc()).limit(limit)
    return [AuditEntry(**row) for row in (await session.execute(statement)).mappings()]


async def whole_rows(session: AsyncSession, query: AuditQuery, *, limit: int) -> list[dict[str, Any]]:
    """Return matching rows with everything that their hash covers, oldest first."""
    statement = select(Audit.__table__).where(*conditions(query)).order_by(Audit.seq).limit(limit)
    return [dict(row) for row in (await session.execute(statement)).mappings()]


def conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    """Return what a row must meet."""
    parts: list[ColumnElement[bool]] = []
    if query.since:
        parts.append(Audit.at >= query.since)
    if query.until:
        parts.append(Audit.at < query.until)
    if query.actor:
        parts.append(or_(Audit.actor == query.actor, Audit.actor_id == query.actor))
    if query.action.endswith("."):
        parts.append(Audit.action.startswith(query.action, autoescape=True))
    elif query.action:
        parts.append(Audit.action == query.action)
    if query.object:
        parts.append(or_(Audit.object == query.object, Audit.object_type == query.object))
    if query.outcome:
        parts.append(Audit.outcome == query.outcome)
    if query.ip:
        parts.append(Audit.ip == query.ip)
    if query.text:
        # Details are stored as JSON, where other letters than English ones are escaped.
        escaped = json.dumps(query.text)[1:-1]
        parts.append(
            or_(
                *(column.icontains(query.text, autoescape=True) for column in _SEARCHED),
                cast(Audit.details, String).icontains(escaped, autoescape=True),
            )
        )
    return parts


async def facets(session: AsyncSession) -> AuditFacets:
    """Return what occurs, for menus."""

    async def values(column: InstrumentedAttribute[str]) -> tuple[str, ...]:
        statement = select(column).where(column != "").distinct().order_by(column).limit(FACET_VALUES)
        return tuple(await session.scalars(statement))

    return AuditFacets(
        actors=await values(Audit.actor),
        actions=await values(Audit.action),
        outcomes=await values(Audit.outcome),
        object_types=await values(Audit.object_type),
    )


async def views(session: AsyncSession, user_id: str) -> list[SavedView]:
    """Return the filters that a user keeps, by name."""
    rows = await session.scalars(select(AuditView).where(AuditView.user_id == user_id).order_by(AuditView.name))
    return [SavedView(name=row.name, query=_query(row.query)) for row in rows]


async def save_view(session: AsyncSession, user_id: str, view: SavedView) -> None:
    """Keep a filter under its name, in place of one that had it."""
    values = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(view.query).items()}
    await session.merge(AuditView(user_id=user_id, name=view.name, query=values))


async def delete_view(session: AsyncSession, user_id: str, name: str) -> None:
    """Forget a filter; quiet when there is none."""
    await session.execute(delete(AuditView).where(AuditView.user_id == user_id, AuditView.name == name))


def _query(values: dict[str, Any]) -> AuditQuery:
    times = {name: datetime.fromisoformat(values[name]) for name in ("since", "until") if values[name]}
    return AuditQuery(**{**values, **times})
