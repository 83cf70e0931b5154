"""Passages and the real embedder for the tests of generation."""

from __future__ import annotations

import pytest

from engine import registry
from engine.documents import Chunk
from engine.errors import MissingDependency
from engine.protocols import Embedder
from engine.types import Hit


def hit(
    text: str, *, id: str = "c1", start: int = 0, context: str = "", title: str = "", page: int = 1, score: float = 1.0
) -> Hit:
    chunk = Chunk(
        id=id,
        collection_id="k",
        document_id=f"d-{id}",
        document_name=f"{id}.pdf",
        version=1,
        version_id="v",
        ordinal=0,
        page=page,
        start=start,
        end=start + len(text),
        text=text,
        context=context,
        title=title,
    )
    return Hit(chunk=chunk, score=score)


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    try:
        return registry.build(registry.EMBEDDERS, "embedder", "local", threads=1)
    except MissingDependency as missing:
        pytest.skip(f"{missing}: {missing.hint}")
