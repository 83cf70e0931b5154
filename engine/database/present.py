"""Which version a document is about now: the newest that was not replaced.

That is the one on its way, the one that failed, or the one that answers questions. After a rollback it is the version that
was taken up again, however many newer ones were put aside.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Subquery, case, func, select

from engine.database.models import Version, VersionState

PAST = (VersionState.REPLACED, VersionState.DELETED)


def present(collection_ids: Sequence[str], document_id: str | None = None) -> Subquery:
    """Return a row for each document of these collections.

    `document_id`, `n` (the number of its present version; where all are past, as of a document that was removed, of its
    newest) and `versions` (how many there are).
    """
    standing = func.max(case((Version.state.not_in(PAST), Version.number)))
    query = select(
        Version.document_id,
        func.coalesce(standing, func.max(Version.number)).label("n"),
        func.count().label("versions"),
    ).where(Version.collection_id.in_(collection_ids))
    if document_id is not None:
        query = query.where(Version.document_id == document_id)
    return query.group_by(Version.document_id).subquery()
