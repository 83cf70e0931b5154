"""Retention: rules that remove what is too old, once in an hour or when asked; each can be tried without removing anything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from engine.database import collections, documents, holds
from engine.database.audit import record
from engine.database.chat_models import Conversation
from engine.database.columns import now
from engine.database.database import Database, changed
from engine.database.ingestion_models import RetentionRuleRow
from engine.database.models import Collection, DocumentRow, Version, VersionState
from engine.database.removal import remove_content
from engine.errors import EngineError, InputError, NotFound
from engine.keeping_views import RetentionEffect, RetentionKind, RetentionRule
from engine.services.accounts import require_role
from engine.services.trail import Trail
from engine.types import Principal, Role

logger = logging.getLogger(__name__)

LONGEST_DAYS = 36_500
BATCH = 200  # of one transaction
EXAMPLES = 5
IN_COLLECTIONS = frozenset({RetentionKind.FILES, RetentionKind.VERSIONS})
_ITSELF = Principal(user_id="", name="retention", role=Role.ADMIN)  # when a rule acts by the clock

_Other = aliased(Version)


class _Old(NamedTuple):
    """What a rule names: the rows to count, their age, and which of them a hold keeps."""

    table: Any
    age: Any
    condition: ColumnElement[bool]
    held: ColumnElement[bool]


class RetentionRules:
    """The rules, what they would remove, and removing it."""

    def __init__(
        self, *, database: Database, trail: Trail, forget: Callable[[str], None], clock: Callable[[], datetime] = now
    ) -> None:
        """`forget(blob key)` removes an original that no row names any more; it is called in a thread."""
        self._database = database
        self._trail = trail
        self._forget = forget
        self._clock = clock

    async def rules(self, principal: Principal) -> list[RetentionRule]:
        """Return the rules. Raises AccessDenied."""
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return [await _info(session, row) for row in await _rows(session)]

    async def save(self, principal: Principal, rule: RetentionRule) -> RetentionRule:
        """Make a rule (no id) or change one. Raises InputError, NotFound, AccessDenied."""
        require_role(principal, Role.ADMIN)
        kind = RetentionKind(rule.kind) if rule.kind in set(RetentionKind) else None
        if kind is None:
            raise InputError("there is no such kind of rule", hint=f"known: {', '.join(RetentionKind)}")
        least = self._trail.least_days if kind is RetentionKind.AUDIT else 1
        if not least <= rule.days <= LONGEST_DAYS:
            raise InputError(f"a rule for {kind.value} takes {least} to {LONGEST_DAYS:,} days", hint="Choose another number.")
        if rule.collection_id and kind not in IN_COLLECTIONS:
            raise InputError(f"a rule for {kind.value} is for the whole workbench", hint="Leave the collection out.")
        async with self._database.write() as session:
            if rule.collection_id and await session.get(Collection, rule.collection_id) is None:
                raise NotFound("there is no such collection")
            row = await session.get(RetentionRuleRow, rule.id) if rule.id else RetentionRuleRow()
            if row is None:
                raise NotFound("there is no such rule", hint="Somebody may have removed it.")
            row.kind, row.collection_id, row.days = kind.value, rule.collection_id, rule.days
            row.enabled, row.changed_by, row.changed_at = rule.enabled, principal.name, self._clock()
            session.add(row)
            await session.flush()
            await record(
                session,
                principal,
                "retention.rule",
                row.id,
                kind=row.kind,
                days=row.days,
                collection=row.collection_id,
                enabled=row.enabled,
            )
            return await _info(session, row)

    async def delete(self, principal: Principal, rule_id: str) -> None:
        """Remove a rule; what it removed stays removed. Raises NotFound, AccessDenied."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            row = await session.get(RetentionRuleRow, rule_id)
            if row is None:
                raise NotFound("there is no such rule", hint="Somebody may have removed it.")
            await session.delete(row)
            await record(session, principal, "retention.rule", rule_id, kind=row.kind, change="removed")

    async def effects(self, principal: Principal, rule_id: str = "") -> list[RetentionEffect]:
        """Return what each rule, or this one, would remove now; nothing is removed. Raises NotFound, AccessDenied."""
        require_role(principal, Role.ADMIN)
        return [await self._effect(principal, rule) for rule in await self._chosen(rule_id, all_of_them=True)]

    async def apply(self, principal: Principal, rule_id: str = "") -> list[RetentionEffect]:
        """Remove what this rule, or every rule that is enabled, names; return what went. Raises NotFound, AccessDenied."""
        require_role(principal, Role.ADMIN)
        return [await self._applied(principal, rule) for rule in await self._chosen(rule_id, all_of_them=False)]

    async def run(self) -> None:
        """Apply every enabled rule; for the engine itself. One rule that fails never stops the others."""
        for rule in await self._chosen("", all_of_them=False):
            try:
                await self._applied(_ITSELF, rule)
            except EngineError as error:
                logger.warning("the retention rule for %s could not be applied: %s", rule.kind.value, error)

    async def _chosen(self, rule_id: str, *, all_of_them: bool) -> list[RetentionRule]:
        async with self._database.read() as session:
            rows = [row for row in await _rows(session) if row.id == rule_id or not rule_id]
            if rule_id and not rows:
                raise NotFound("there is no such rule", hint="Somebody may have removed it.")
            return [await _info(session, row) for row in rows if rule_id or all_of_them or row.enabled]

    async def _effect(self, principal: Principal, rule: RetentionRule) -> RetentionEffect:
        if rule.kind is RetentionKind.AUDIT:
            plan = await self._trail.retain(principal, older_than_days=rule.days)
            return RetentionEffect(rule=rule, count=plan.rows, held=0, oldest=None)
        old = self._old(rule)
        async with self._database.read() as session:
            number = select(func.count(), func.min(old.age)).select_from(old.table)
            count, oldest = (await session.execute(number.where(old.condition, ~old.held))).one()
            held, _ = (await session.execute(number.where(old.condition, old.held))).one()
            names = await self._examples(session, principal, rule, old)
        return RetentionEffect(rule=rule, count=count, held=held, oldest=oldest, examples=names)

    async def _examples(self, session: AsyncSession, principal: Principal, rule: RetentionRule, old: _Old) -> tuple[str, ...]:
        """Return names of some documents that the principal may see. Titles of chats are their owners' own."""
        if rule.kind is RetentionKind.CHATS:
            return ()
        readable = list(await collections.rights(session, principal))
        query = select(DocumentRow.name).select_from(old.table).where(old.condition, ~old.held)
        query = query.where(DocumentRow.collection_id.in_(readable)).order_by(old.age).limit(EXAMPLES)
        return tuple(await session.scalars(query))

    def _old(self, rule: RetentionRule) -> _Old:
        before = self._clock() - timedelta(days=rule.days)
        if rule.kind is RetentionKind.CHATS:
            return _Old(Conversation, Conversation.updated_at, Conversation.updated_at < before, holds.conversation_held())
        inside = DocumentRow.collection_id == rule.collection_id if rule.collection_id else DocumentRow.id.is_not(None)
        joined = Version.__table__.join(DocumentRow.__table__, DocumentRow.id == Version.document_id)
        if rule.kind is RetentionKind.VERSIONS:
            later = select(_Other.id).where(_Other.document_id == DocumentRow.id, _Other.number > Version.number).exists()
            former = (Version.state == VersionState.REPLACED) | ((Version.state == VersionState.FAILED) & later)
            condition = inside & former & (Version.updated_at < before)
            return _Old(joined, Version.updated_at, condition, holds.document_held())
        newest = select(func.max(_Other.created_at)).where(_Other.document_id == DocumentRow.id).scalar_subquery()
        condition = inside & DocumentRow.deleted_at.is_(None) & (newest < before)
        return _Old(DocumentRow, DocumentRow.created_at, condition, holds.document_held())

    async def _applied(self, principal: Principal, rule: RetentionRule) -> RetentionEffect:
        if rule.kind is RetentionKind.AUDIT:
            done = await self._trail.retain(principal, older_than_days=rule.days, apply=True)
            return RetentionEffect(rule=rule, count=done.rows, held=0, oldest=None)
        effect, count = await self._effect(principal, rule), 0
        step = {
            RetentionKind.CHATS: self._chats,
            RetentionKind.FILES: self._files,
            RetentionKind.VERSIONS: self._versions,
        }[rule.kind]
        while batch := await step(principal, rule):
            count += batch
        return RetentionEffect(rule=rule, count=count, held=effect.held, oldest=effect.oldest, examples=effect.examples)

    async def _chats(self, principal: Principal, rule: RetentionRule) -> int:
        old = self._old(rule)
        async with self._database.write() as session:
            await holds.fence(session)
            ids = list(await session.scalars(select(Conversation.id).where(old.condition, ~old.held).limit(BATCH)))
            # With the condition again: somebody may have gone on with one of them since.
            gone = delete(Conversation).where(Conversation.id.in_(ids), old.condition)
            number = await changed(session, gone) if ids else 0
            if number:
                await record(session, _by(principal), "retention.apply", rule.id, kind="chats", removed=number)
        return number

    async def _files(self, principal: Principal, rule: RetentionRule) -> int:
        """Delete like a person would: out of every answer at once, and for a day it can be undone."""
        old = self._old(rule)
        async with self._database.write() as session:
            await holds.fence(session)
            found = select(DocumentRow.id).where(old.condition, ~old.held).limit(BATCH).with_for_update(key_share=True)
            ids = list(await session.scalars(found))
            # Looked at again once nobody else can change them: a new version may have come in before.
            rows = list(await session.scalars(select(DocumentRow).where(DocumentRow.id.in_(ids), old.condition)))
            for row in rows:
                await documents.delete(session, row)
                await record(session, _by(principal), "document.delete", row.id, rule=rule.id)
            if rows:
                await record(session, _by(principal), "retention.apply", rule.id, kind="files", removed=len(rows))
        return len(rows)

    async def _versions(self, principal: Principal, rule: RetentionRule) -> int:
        old = self._old(rule)
        async with self._database.write() as session:
            await holds.fence(session)
            query = select(Version).select_from(old.table).where(old.condition, ~old.held).limit(BATCH)
            ids = {row.document_id for row in await session.scalars(query)}
            await session.execute(
                select(DocumentRow.id).where(DocumentRow.id.in_(ids)).order_by(DocumentRow.id).with_for_update(key_share=True)
            )
            # Looked at again once nobody else can change them: one of them may have been taken up again before.
            query = query.where(DocumentRow.id.in_(ids)).execution_options(populate_existing=True)
            rows = list(await session.scalars(query))
            keys = await remove_content(session, rows) if rows else []
            if rows:
                await record(session, _by(principal), "retention.apply", rule.id, kind="versions", removed=len(rows))
        for key in keys:
            await asyncio.to_thread(self._forget, key)
        return len(rows)


def _by(principal: Principal) -> Principal | None:
    return principal if principal.user_id else None


async def _rows(session: AsyncSession) -> list[RetentionRuleRow]:
    query = select(RetentionRuleRow).order_by(RetentionRuleRow.kind, RetentionRuleRow.collection_id, RetentionRuleRow.days)
    return list(await session.scalars(query))


async def _info(session: AsyncSession, row: RetentionRuleRow) -> RetentionRule:
    collection = await session.get(Collection, row.collection_id) if row.collection_id else None
    return RetentionRule(
        id=row.id,
        kind=RetentionKind(row.kind),
        days=row.days,
        collection_id=row.collection_id,
        collection=collection.name if collection else "",
        enabled=row.enabled,
        changed_by=row.changed_by,
        changed_at=row.changed_at,
    )
