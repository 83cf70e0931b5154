"""One deadline for a stream: a reader that is stopped is stopped, whenever it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.errors import ProviderTimeout
from engine.vendors.deadline import bounded


@pytest.mark.parametrize("ticks", range(12))
async def test_stopping_at_the_moment_a_piece_arrives_is_not_lost(ticks: int) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncIterator[int]:
        try:
            await arrived.wait()
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def read() -> list[int]:
        return [piece async for piece in bounded(pieces(), seconds=2, provider="p")]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    arrived.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert closed.is_set()


async def test_a_deadline_that_passes_closes_the_stream() -> None:
    closed = asyncio.Event()

    async def pieces() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.set()

    stream = bounded(pieces(), seconds=0.05, provider="p")
    assert await anext(stream) == 1
    with pytest.raises(ProviderTimeout, match="p gave no answer within"):
        await anext(stream)
    assert closed.is_set()
