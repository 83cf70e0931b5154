"""The audit as admins use it: found, exported, checked, and removed when it is old enough."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.audit_views import AuditEntry, AuditFacets, AuditQuery, Retention, SavedView, SourceUse, Verification
from engine.cells import neutral_cell
from engine.database import audit_query
from engine.database.audit import record
from engine.database.audit_chain import head_of
from engine.database.audit_checkpoints import Checkpoint
from engine.database.audit_models import Audit, AuditHead
from engine.database.audit_sources import ASKED, SourceQuery, answer_details, sources
from engine.database.audit_verify import RETAIN, verify
from engine.database.columns import now
from engine.database.database import Database
from engine.errors import InputError, StoreError
from engine.services.accounts import require_role
from engine.services.audit_keeper import checkpoints_of
from engine.settings import Settings
from engine.types import Answer, Principal, Role

logger = logging.getLogger(__name__)

EXPORT_ROWS = 100_000
PAGE_ROWS = 1000
VIEWS = 50
OLDEST_DAYS = 36_500  # no audit is older, and no date is out of range
VIEW_NAME_CHARS = 80
EVERYTHING = AuditQuery()


class Trail:
    """What was recorded. Everything here is for admins; operators may check it, too."""

    def __init__(self, *, database: Database, key: bytes, settings: Settings, clock: Callable[[], datetime] = now) -> None:
        self._database = database
        self._key = key
        self._limits = settings.audit
        self._checkpoints = checkpoints_of(settings, key)
        self._clock = clock

    async def answered(
        self, session: AsyncSession, principal: Principal, object_: str, question: str, answer: Answer, **details: Any
    ) -> None:
        """Record an answer and what it was made of; the text of its question only where the settings allow it."""
        text = {"question": question} if self._limits.question_text else {}
        await record(session, principal, ASKED, object_, **answer_details(answer), **details, **text)

    # --- looking -----------------------------------------------------------------------------------------------------

    async def audit(
        self, principal: Principal, *, query: AuditQuery = EVERYTHING, limit: int = 200, before_seq: int | None = None
    ) -> list[AuditEntry]:
        """Return at most `limit` (and 1,000) matching entries, newest first, all older than `before_seq`.

        Raises AccessDenied unless the principal is an admin.
        """
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return await audit_query.found(session, query, limit=max(0, min(limit, PAGE_ROWS)), before_seq=before_seq)

    async def facets(self, principal: Principal) -> AuditFacets:
        """Return what occurs in the audit, for menus. Raises AccessDenied."""
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return await audit_query.facets(session)

    async def sources(
        self,
        principal: Principal,
        *,
        document_id: str = "",
        user: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[SourceUse]:
        """Return which documents fed which answer to whom, newest first, at most 10,000. Raises AccessDenied."""
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return await sources(session, SourceQuery(document_id=document_id, user=user, since=since, until=until))

    async def export(
        self, principal: Principal, *, query: AuditQuery = EVERYTHING, format: Literal["csv", "jsonl"] = "csv"
    ) -> bytes:
        """Return matching rows, oldest first, with their hashes. Cells of CSV are neutral to spreadsheets; UTF-8.

        Raises AccessDenied, and InputError for more than 100,000 rows or an unknown format.
        """
        require_role(principal, Role.ADMIN)
        if format not in _WRITERS:
            raise InputError(f"unknown format {format!r}", hint=f"known: {', '.join(_WRITERS)}")
        async with self._database.read() as session:
            rows = await audit_query.whole_rows(session, query, limit=EXPORT_ROWS + 1)
        if len(rows) > EXPORT_ROWS:
            raise InputError(f"more than {EXPORT_ROWS:,} rows match", hint="Export one period after the other.")
        data = await asyncio.to_thread(_WRITERS[format], rows)
        chosen = {name: value for name, value in asdict(query).items() if value}
        async with self._database.write() as session:
            await record(session, principal, "audit.export", rows=len(rows), format=format, filter=chosen)
        return data

    # --- checking ----------------------------------------------------------------------------------------------------

    async def verify(self, principal: Principal) -> Verification:
        """Check every row, the head and the checkpoints. Raises AccessDenied for analysts."""
        require_role(principal, Role.ADMIN, Role.OPERATOR)
        result = await self._verification()
        outcome = "success" if result.ok else "failure"
        try:
            async with self._database.write() as session:
                await record(session, principal, "audit.verify", outcome=outcome, rows=result.rows, first_bad=result.first_bad)
        except StoreError as error:  # what was found is worth more than the row about it
            logger.exception("a check of the audit was not recorded")
            problem = "; ".join(filter(None, (result.problem, f"this check could not be recorded ({error})")))
            return replace(result, ok=False, problem=problem)
        return result

    async def _verification(self) -> Verification:
        checkpoints, damage = await asyncio.to_thread(self._checkpoints.read)
        async with self._database.read() as session:
            return await verify(session, self._key, checkpoints, damage)

    @property
    def least_days(self) -> int:
        """How long every row is kept at least."""
        return self._limits.retention_days

    # --- removing ----------------------------------------------------------------------------------------------------

    async def retain(self, principal: Principal, *, older_than_days: int, apply: bool = False) -> Retention:
        """Remove, or without `apply` only count, what is older, in whole segments between two checkpoints.

        The row that records it holds the last hash and the count, so that a later check begins there. Raises AccessDenied;
        InputError for less time than `audit.retention_days`, or when the audit does not verify.
        """
        require_role(principal, Role.ADMIN)
        if older_than_days < self._limits.retention_days:
            raise InputError(
                f"the audit is kept for at least {self._limits.retention_days} days",
                hint="An operator can change audit.retention_days.",
            )
        if apply and not (result := await self._verification()).ok:
            raise InputError(f"the audit does not verify: {result.problem}", hint="Nothing is removed until it is explained.")
        checkpoints, _ = await asyncio.to_thread(self._checkpoints.read)
        limit = self._clock() - timedelta(days=min(older_than_days, OLDEST_DAYS))
        async with self._database.read() as session:
            first = await session.scalar(select(func.min(Audit.seq))) or 0
        # A checkpoint is younger than all rows that it saw.
        old = [one for one in checkpoints if one.at < limit and one.seq >= first]
        if not old:
            return Retention(
                older_than_days=older_than_days, applied=False, segments=0, rows=0, first_seq=first, last_seq=first - 1
            )
        async with self._database.write() if apply else self._database.read() as session:
            rows = await session.scalar(select(func.count()).select_from(Audit).where(Audit.seq <= old[-1].seq)) or 0
            plan = Retention(
                older_than_days=older_than_days,
                applied=apply,
                segments=len(old),
                rows=rows,
                first_seq=first,
                last_seq=old[-1].seq,
            )
            if apply:
                await _remove(session, principal, plan, old[-1])
        return plan

    # --- kept filters ------------------------------------------------------------------------------------------------

    async def views(self, principal: Principal) -> list[SavedView]:
        """Return the filters that this admin keeps. Raises AccessDenied."""
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return await audit_query.views(session, principal.user_id)

    async def save_view(self, principal: Principal, name: str, query: AuditQuery) -> None:
        """Keep a filter under a name, in place of one that had it. Raises AccessDenied, InputError."""
        require_role(principal, Role.ADMIN)
        name = " ".join(name.split())
        if not 1 <= len(name) <= VIEW_NAME_CHARS or not name.isprintable():
            raise InputError(f"a name has 1 to {VIEW_NAME_CHARS} printable characters", hint="Choose another name.")
        async with self._database.write() as session:
            kept = {view.name for view in await audit_query.views(session, principal.user_id)}
            if len(kept | {name}) > VIEWS:
                raise InputError(f"at most {VIEWS} filters are kept", hint="Delete one first.")
            await audit_query.save_view(session, principal.user_id, SavedView(name=name, query=query))

    async def delete_view(self, principal: Principal, name: str) -> None:
        """Forget a filter; quiet when there is none. Raises AccessDenied."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            await audit_query.delete_view(session, principal.user_id, name)


async def _remove(session: AsyncSession, principal: Principal, plan: Retention, upto: Checkpoint) -> None:
    await head_of(session, lock=True)
    found = await session.scalar(select(Audit.hash).where(Audit.seq == upto.seq))
    if found != upto.hash:
        raise InputError("the audit changed meanwhile", hint="Ask again.")
    guard = update(AuditHead).where(AuditHead.name == "audit")
    await session.execute(guard.values(deletable_to=upto.seq))
    await session.execute(delete(Audit).where(Audit.seq <= upto.seq))
    await session.execute(guard.values(deletable_to=0))
    await record(
        session,
        principal,
        RETAIN,
        rows=plan.rows,
        older_than_days=plan.older_than_days,
        first_seq=plan.first_seq,
        last_seq=upto.seq,
        last_hash=upto.hash,
        written=upto.rows,
    )


def _as_jsonl(rows: Sequence[Mapping[str, Any]]) -> bytes:
    lines = (json.dumps({**row, "at": row["at"].isoformat()}, ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.name for column in Audit.__table__.columns)
    for row in rows:
        shown = {**row, "at": row["at"].isoformat(), "details": json.dumps(row["details"], ensure_ascii=False)}
        writer.writerow(neutral_cell(value) if isinstance(value, str) else value for value in shown.values())
    return text.getvalue().encode()


_WRITERS: dict[str, Callable[[Sequence[Mapping[str, Any]]], bytes]] = {"csv": _as_csv, "jsonl": _as_jsonl}
