"""A workbench for each test, and short ways to fill it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.testing import ADMIN, HashedWords, offline_workbench
from engine.views import DocumentInfo
from engine.workbench import Workbench
from tests.fixtures.loading.tiny_pdf import pdf


@pytest.fixture
def embedder() -> HashedWords:
    return HashedWords()


@pytest.fixture
async def workbench(tmp_path: Path, embedder: HashedWords) -> AsyncIterator[Workbench]:
    async with offline_workbench(tmp_path, embedder=embedder) as workbench:
        yield workbench


@pytest.fixture
async def handbook(workbench: Workbench) -> str:
    """The id of an empty collection."""
    return (await workbench.create_collection(ADMIN, "handbook")).id


async def add(workbench: Workbench, collection_id: str, name: str, text: str | bytes) -> DocumentInfo:
    """Upload, process, and return the document as it stands then."""
    data = text.encode() if isinstance(text, str) else text
    info, _ = await workbench.upload(ADMIN, collection_id, name, data)
    await workbench.process(ADMIN, collection_id)
    return await workbench.document(ADMIN, info.id)


@pytest.fixture
def two_page_pdf() -> bytes:
    """A PDF whose second page has no text."""
    return pdf([[(72, 700, "Holidays: every employee has thirty days of paid leave.")], []])
