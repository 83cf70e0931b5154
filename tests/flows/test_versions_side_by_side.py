"""The same file from two processes at the same moment, and a collection that is deleted while a file comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from engine.errors import EngineError
from engine.testing import ADMIN, offline_workbench
from engine.views import UploadVerdict
from tests.servers.databases import SERVERS, database

TRIES = 10


@contextmanager
def address(server: str, folder: Path) -> Iterator[str]:
    if server == "sqlite":
        yield f"sqlite+aiosqlite:///{folder / 'shared.db'}"
        return
    with database(server) as (url, _):
        yield url


@pytest.mark.parametrize("server", ["sqlite", *SERVERS])
async def test_the_same_upload_to_two_workbenches_at_once_makes_one_document(server: str, tmp_path: Path) -> None:
    with address(server, tmp_path) as url:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(offline_workbench(tmp_path / "1", database_url=url))
            second = await stack.enter_async_context(offline_workbench(tmp_path / "2", database_url=url))
            shelf = (await first.create_collection(ADMIN, "shelf")).id
            for number in range(TRIES):
                same = f"The wombat digs {number} holes.".encode()
                sent = await asyncio.gather(*(one.upload(ADMIN, shelf, f"{number}.txt", same) for one in (first, second)))
                assert len({info.id for info, _ in sent}) == 1
                assert sorted(verdict for _, verdict in sent) == [UploadVerdict.ACCEPTED, UploadVerdict.DUPLICATE]
                name = f"of one name {number}.txt"
                sent = await asyncio.gather(
                    first.upload(ADMIN, shelf, name, same + b" One."), second.upload(ADMIN, shelf, name, same + b" Two.")
                )
                assert {info.id for info, _ in sent} == {sent[0][0].id}
                assert sorted(verdict for _, verdict in sent) == [UploadVerdict.ACCEPTED, UploadVerdict.NEW_VERSION]
            assert len(await first.documents(ADMIN, shelf)) == 2 * TRIES

            doomed = (await first.create_collection(ADMIN, "doomed")).id
            results = await asyncio.gather(
                first.upload(ADMIN, doomed, "a.txt", b"The emu runs."),
                second.delete_collection(ADMIN, doomed),
                return_exceptions=True,
            )
            assert results[1] is None
            assert results[0] is None or not isinstance(results[0], BaseException) or isinstance(results[0], EngineError)
            assert [one.name for one in await first.collections(ADMIN)] == ["shelf"]
