"""Legal holds as admins work with them."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database import holds
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database, changed
from engine.database.ingestion_models import LegalHoldRow
from engine.database.models import Collection, DocumentRow, User
from engine.errors import InputError, NotFound
from engine.keeping_views import LegalHold
from engine.services.accounts import require_role
from engine.types import Principal, Role

REASON_CHARS = 500
_TABLES = {"collection": Collection, "document": DocumentRow, "user": User}


class LegalHolds:
    """What is kept whatever happens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, principal: Principal) -> list[LegalHold]:
        """Return every hold, those in force first. Raises AccessDenied."""
        require_role(principal, Role.ADMIN)
        async with self._database.read() as session:
            return [await _info(session, row) for row in await holds.all_holds(session)]

    async def set(self, principal: Principal, kind: str, object_id: str, reason: str) -> LegalHold:
        """Hold a "collection", a "document" or a "user" (with their chats). Raises InputError, NotFound, AccessDenied."""
        require_role(principal, Role.ADMIN)
        if kind not in holds.KINDS:
            raise InputError("only a collection, a document or a user can be held", hint="Choose one of them.")
        why = " ".join(reason.split())
        if not why or len(why) > REASON_CHARS or not why.isprintable():
            raise InputError("a hold needs a reason", hint=f"Up to {REASON_CHARS} characters; a case number, for instance.")
        async with self._database.write() as session:
            await holds.fence(session, setting=True)
            if await session.get(_TABLES[kind], object_id) is None:
                raise NotFound(f"there is no such {kind}")
            there = (LegalHoldRow.kind == kind) & (LegalHoldRow.object_id == object_id)
            if await session.scalar(select(LegalHoldRow.id).where(there, LegalHoldRow.released_at.is_(None)).limit(1)):
                raise InputError(f"this {kind} is held already", hint="Release that hold first to change its reason.")
            row = LegalHoldRow(kind=kind, object_id=object_id, reason=why, set_by=principal.name)
            session.add(row)
            await session.flush()
            await record(session, principal, "hold.set", object_id, kind=kind, reason=why)
            return await _info(session, row)

    async def release(self, principal: Principal, hold_id: str) -> None:
        """End a hold; what was deleted meanwhile, or is too old by a rule, goes at the next round. Raises NotFound."""
        require_role(principal, Role.ADMIN)
        async with self._database.write() as session:
            row = await session.get(LegalHoldRow, hold_id)
            open_one = (LegalHoldRow.id == hold_id) & LegalHoldRow.released_at.is_(None)
            values = {"released_at": now(), "released_by": principal.name}
            if row is None or not await changed(session, update(LegalHoldRow).where(open_one).values(**values)):
                raise NotFound("there is no such hold, or it was released already")
            await record(session, principal, "hold.release", row.object_id, kind=row.kind)


async def _info(session: AsyncSession, row: LegalHoldRow) -> LegalHold:
    found = await session.get(_TABLES[row.kind], row.object_id)
    return LegalHold(
        id=row.id,
        kind=row.kind,
        object_id=row.object_id,
        name=getattr(found, "name", "(gone)"),
        reason=row.reason,
        set_by=row.set_by,
        set_at=row.set_at,
        released_at=row.released_at,
    )
