"""Vectors of questions: kept, exact, and never taken for those of another model."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select

from engine.database.models import Collection
from engine.testing import ADMIN, HashedWords
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.flows.test_ask import LEAVE
from tests.flows.test_providers import QUESTION, box, remote, upstream
from tests.upstreams.server import Upstream

__all__ = ["box", "remote", "upstream"]


async def row(workbench: Workbench, collection_id: str) -> Collection:
    async with workbench.database.read() as session:
        found = await session.scalar(select(Collection).where(Collection.id == collection_id))
    assert found is not None
    return found


async def test_a_question_is_embedded_and_billed_once(workbench: Workbench, remote: str, upstream: Upstream) -> None:
    await add(workbench, remote, "leave.txt", LEAVE)
    first = await workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense")
    calls, billed = len(upstream.calls), sum(one.calls for one in await workbench.usage(ADMIN) if one.user != "the system")
    second = await workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense")
    assert second == first  # the scores to the last bit
    assert len(upstream.calls) == calls
    assert sum(one.calls for one in await workbench.usage(ADMIN) if one.user != "the system") == billed == 1
    await workbench.search(ADMIN, f"{QUESTION} ", collections=[remote], mode="dense")
    assert len(upstream.calls) == calls + 1
    upstream.fail("503", times=5)  # what is known needs nobody
    assert await workbench.search(ADMIN, QUESTION, collections=[remote], mode="dense") == first


async def test_each_space_has_its_own_vectors(
    workbench: Workbench, handbook: str, remote: str, upstream: Upstream, embedder: HashedWords
) -> None:
    for collection in (remote, handbook):
        await add(workbench, collection, "leave.txt", LEAVE)
    kept = workbench._retriever._kept
    here, there = await row(workbench, handbook), await row(workbench, remote)
    await workbench.search(ADMIN, QUESTION, collections=[handbook])
    vector = await kept.get(here, QUESTION)
    assert vector is not None
    assert vector.dtype == np.float32
    assert np.array_equal(vector, embedder.embed_query(QUESTION))
    assert await kept.get(there, QUESTION) is None
    here.probe = b"\0" * len(here.probe or b"four")  # the same name for another model
    assert await kept.get(here, QUESTION) is None


@pytest.mark.parametrize("value", [b"", b"x" * 7, b"\0" * 512, b"\xff" * 512, np.ones(128, "<f4").tobytes()])
async def test_a_damaged_vector_is_none_and_is_forgotten(workbench: Workbench, handbook: str, value: bytes) -> None:
    kept, here = workbench._retriever._kept, await row(workbench, handbook)
    name = kept._name(here, QUESTION)
    await kept._cache.set(name, value, ttl=60)
    assert await kept.get(here, QUESTION) is None
    assert await kept._cache.get(name) is None
