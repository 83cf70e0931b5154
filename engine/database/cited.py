"""What has become of the sources of an answer.

"current": the version that answers questions is the cited one, or has the same bytes (processed again, moved, disabled).
"changed": the document is there with other content, whether or not the cited version is kept. "removed": the document was
deleted, or its collection. "no access": it is in a collection that the reader may not read; nothing else is told of it then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.models import DocumentRow, Version, VersionState
from engine.database.present import PAST
from engine.types import Citation


async def states(session: AsyncSession, citations: Iterable[Citation], readable: Set[str]) -> dict[int, str]:
    """Return the number of each citation -> its state, for somebody who may read these collections."""
    cited = list(citations)
    ids = {one.document_id for one in cited}
    rows = {row.id: row for row in await session.scalars(select(DocumentRow).where(DocumentRow.id.in_(ids)))}
    versions: dict[str, list[Version]] = defaultdict(list)
    for version in await session.scalars(select(Version).where(Version.document_id.in_(ids)).order_by(Version.number)):
        versions[version.document_id].append(version)
    found: dict[int, str] = {}
    for one in cited:
        document = rows.get(one.document_id)
        if document is not None and document.collection_id not in readable:
            found[one.n] = "no access"
        elif document is None or document.deleted_at is not None:
            found[one.n] = "removed"
        else:
            found[one.n] = "current" if _same(versions[one.document_id], one.version) else "changed"
    return found


def _same(versions: list[Version], number: int) -> bool:
    standing = [row for row in versions if row.state not in PAST]
    live = next((row for row in standing if row.state == VersionState.LIVE), standing[-1] if standing else None)
    return live is not None and any(row.number == number and row.sha256 == live.sha256 for row in versions)
