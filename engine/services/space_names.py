"""Names under which the vectors of embedding spaces are kept."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.columns import new_id
from engine.database.ingestion_models import Generation
from engine.database.models import Collection, VectorRow
from engine.services.foreign_vectors import is_foreign
from engine.services.parts import same_space
from engine.types import Space

MODEL_ID_CHARS = 120


async def space_name(session: AsyncSession, found: Space) -> str:
    """Return the name that vectors of a space are kept under in SQL.

    Names of models are not enough: other weights may stand behind the same name. So a name is shared only by collections
    whose probe vectors agree, and another space gets a name of its own.
    """
    name = short_name(found.model_id)
    named = [
        *await session.scalars(select(Collection).where(Collection.model_id.startswith(name, autoescape=True))),
        *await session.scalars(select(Generation).where(Generation.model_id.startswith(name, autoescape=True))),
    ]
    for row in named:
        if is_foreign(row.model_id):
            continue
        if same_space(row.probe, found.probe) or (row.probe is None and row.model_id == found.model_id):
            return str(row.model_id)
    taken = await session.scalar(select(VectorRow.model_id).where(VectorRow.model_id == name).limit(1))
    other = taken or await session.scalar(select(Collection.id).where(Collection.model_id == name).limit(1))
    return name if not other or not found.probe else f"{name[: MODEL_ID_CHARS - 9]}~{new_id()[:8]}"


def short_name(model_id: str) -> str:
    """Return the name of a model as it fits a column."""
    # The column is part of a key, and a model's name may be a long path.
    digest = hashlib.sha256(model_id.encode()).hexdigest()[:16]
    return model_id if len(model_id) <= MODEL_ID_CHARS else f"{model_id[: MODEL_ID_CHARS - 17]}#{digest}"
