"""Revision 0007 taken back and made again with rows in place, on each database: nothing is lost, and generations are filled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import func, select, text

from engine.database import access_models, ingestion_models, operations_models, provider_models  # noqa: F401 - fill the metadata
from engine.database.columns import Base
from engine.database.database import MIGRATIONS, Database
from engine.database.ingestion_models import LegalHoldRow
from engine.database.models import ChunkRow, Collection, DocumentRow, Job, PageRow, Snapshot, VectorRow, Version
from tests.servers.databases import SERVERS, database

KEPT = (Collection, DocumentRow, Version, PageRow, ChunkRow, VectorRow, Snapshot, Job)


@pytest.fixture(params=["sqlite", *SERVERS])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'workbench.db'}"
        return
    with database(request.param) as (found, _):
        yield found


async def moved(one: Database, revision: str) -> None:
    def run(connection: Any) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        (command.downgrade if revision == "0006" else command.upgrade)(config, revision)

    async with one._engine.execution_options(immediate=True).begin() as connection:
        await connection.run_sync(run)


async def counts(one: Database) -> list[int]:
    async with one.read() as session:
        return [await session.scalar(select(func.count()).select_from(table)) or 0 for table in KEPT]


async def fill(one: Database) -> None:
    async with one.write() as session:
        session.add(Collection(id="c", name="c", chunker="recursive", chunk_tokens=1, overlap_tokens=0, embedder="local",
                               model_id="m", dimension=1, created_by="u"))  # fmt: skip
        await session.flush()
        session.add(DocumentRow(id="d", collection_id="c", name="a.txt", created_by="u"))
        await session.flush()
        session.add(Version(id="v", document_id="d", collection_id="c", number=1, sha256="s", size_bytes=1, blob="b"))
        await session.flush()
        session.add_all(
            [
                PageRow(version_id="v", number=1, text="t" * 70_000),
                ChunkRow(
                    id="k", version_id="v", ordinal=0, page=1, start=0, end=1, text="t", vector_sha256="x", generation="c"
                ),
                VectorRow(model_id="m", text_sha256="x", data=b"1234"),
                Snapshot(collection_id="c", folder="f", seq=1, sha256="s", generation="c"),
                Job(id="j", version_id="v"),
                LegalHoldRow(kind="document", object_id="d"),
            ]
        )


async def test_the_revision_goes_back_and_forth_with_rows_in_place(url: str) -> None:
    one = Database(url, audit_key=b"k" * 32)
    await one.migrate()
    await fill(one)
    await moved(one, "0006")
    async with one.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM chunks")) == 1
    await moved(one, "head")
    assert await counts(one) == [1] * len(KEPT)
    async with one.read() as session:
        assert (await session.get_one(ChunkRow, "k")).generation == (await session.get_one(Collection, "c")).generation == "c"
        page = await session.get_one(PageRow, ("v", 1))
        assert (len(page.text), page.recognised, page.lines) == (70_000, False, [])
        assert await session.scalar(select(func.count()).select_from(LegalHoldRow)) == 0
        if not one.is_sqlite:
            found = await session.run_sync(
                lambda sync: compare_metadata(
                    MigrationContext.configure(sync.connection(), opts={"compare_type": True}), Base.metadata
                )
            )
            assert found == []
    await one.close()
