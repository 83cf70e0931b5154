"""Attacks that were really seen in comparable products, tried on this one. docs/attacks.md says which test answers which."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from engine.database.models import ChunkRow, Version
from engine.errors import AccessDenied, InputError, MissingSecret, NotFound, UnsupportedFile
from engine.generation.prompt import assemble, render_messages
from engine.settings import KNOWN_SECRETS, load_secrets, load_settings
from engine.testing import ADMIN, HashedWords, offline_workbench
from engine.types import Role
from engine.workbench import Workbench
from tests.fixtures.loading.tiny_files import HOSTILE
from tests.flows.conftest import add

ROOT = Path(__file__).resolve().parents[2]
FROM = {"ip": "127.0.0.1", "user_agent": "test"}
PARTS = ["..", ".", "", "/", "//", "\\", "..\\..", "%2e%2e", "%2e%2e%2f", "..%2f", "....//", "C:", "\\\\host\\share", "~", "~root", "\0", "\u202e",
         "\uff0e\uff0e", "\u2025", "..;", "con", "nul", "aux.txt", "a" * 4096, "\r\nSet-Cookie: a=b", "${HOME}", "$(id)", "`id`", "|id", "-rf", "file://"]  # fmt: skip
ENDS = ["x.txt", "../../x.txt", "/etc/cron.d/x.txt", "..\\x.txt", "%2fetc%2fx.txt", "x.txt\0.pdf", "x\u202etxt.exe"]
NAMES = [f"{part}/{end}" for part in PARTS for end in ENDS]


@pytest.fixture
async def workbench(tmp_path: Path) -> AsyncIterator[Workbench]:
    async with offline_workbench(tmp_path / "outside" / "data", limits={"parse_seconds": 20}) as made:
        yield made


async def test_no_file_name_leads_out_of_the_data_folder(workbench: Workbench, tmp_path: Path) -> None:
    """Path traversal: more than 200 hostile names, each taken as a name and nothing else."""
    assert len(NAMES) > 200
    collection = (await workbench.create_collection(ADMIN, "names")).id
    before = {path for path in tmp_path.rglob("*") if "data" not in path.parts}
    shown = []
    for number, name in enumerate(NAMES):
        info, _ = await workbench.upload(ADMIN, collection, name, f"text number {number}".encode())
        shown.append(info.name)
    assert {path for path in tmp_path.rglob("*") if "data" not in path.parts} == before
    blobs = {path.name for path in (tmp_path / "outside" / "data" / "blobs").rglob("*") if path.is_file()}
    assert len(blobs) == len(NAMES)
    assert not [name for name in blobs if "x" in name or "." in name.strip(".")]  # named by the server alone
    assert not [name for name in shown if not name.isprintable() or len(name) > 400 or ".." in name.split("/")]


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_a_bomb_fails_alone_within_limits(workbench: Workbench, name: str) -> None:
    """Decompression bombs, loops and nests: the file fails or is read, this process neither grows nor waits."""
    data, _ = HOSTILE[name]
    process = psutil.Process()
    collection = (await workbench.create_collection(ADMIN, "bombs")).id
    before, started = process.memory_info().rss, time.monotonic()
    if await workbench.is_archive(data):
        with pytest.raises(UnsupportedFile):
            await workbench.upload(ADMIN, collection, name, data)
        assert all(one.problem or one.document_id for one in await workbench.upload_archive(ADMIN, collection, name, data))
        await workbench.process(ADMIN, collection)
    else:
        info = await add(workbench, collection, name, data)
        assert info.state in ("failed", "live")
        assert info.state == "live" or (info.reason and info.hint)
    assert process.memory_info().rss - before < 100 << 20
    assert time.monotonic() - started < 60
    assert (await add(workbench, collection, "good.txt", "The quokka is a small wallaby.")).state == "live"


@pytest.mark.data
async def test_the_bombs_of_the_collection_fail_alone(workbench: Workbench, test_data: Path) -> None:
    process, collection = psutil.Process(), (await workbench.create_collection(ADMIN, "bombs")).id
    folder = test_data / "docs" / "loaders" / "hostile"
    before = process.memory_info().rss
    receipts = await workbench.upload_archive(ADMIN, collection, "a.zip", (folder / "path-traversal.zip").read_bytes())
    assert all(".." not in one.name for one in receipts)
    for name in ("bomb-2.5m-rows.xlsx", "page-tree-loop.pdf", "deep-nesting.html", "xxe.docx"):
        started = time.monotonic()
        info = await add(workbench, collection, name, (folder / name).read_bytes())
        assert time.monotonic() - started < 60, name
        assert info.state in ("failed", "live"), name
        assert info.state == "live" or info.reason, name
        for page in range(1, min(info.pages, 3) + 1):
            assert "root:" not in (await workbench.page(ADMIN, info.id, page)).text
    assert process.memory_info().rss - before < 100 << 20


@pytest.mark.parametrize("secret", [*sorted(KNOWN_SECRETS), "x" * 31, "a" * 64, "Changeme", "T0P-S3CR3T"])
def test_a_known_or_short_secret_starts_nothing(secret: str, tmp_path: Path) -> None:
    """Default secrets: published keys were copied into hundreds of installations of other products."""
    with pytest.raises(MissingSecret) as refusal:
        load_secrets(load_settings(data_dir=tmp_path, secret_key=secret))
    assert len(secret) < 10 or secret not in str(refusal.value)


def test_the_server_refuses_to_start_with_a_known_secret(tmp_path: Path) -> None:
    environment = os.environ | {"WORKBENCH_DATA_DIR": str(tmp_path), "WORKBENCH_SECRET_KEY": "your-secret-key"}
    done = subprocess.run(
        [sys.executable, "-m", "engine", "serve", "--port", "1"], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "your-secret-key" not in done.stdout + done.stderr
    assert "placeholder" in done.stderr


def test_two_installations_never_share_a_secret(tmp_path: Path) -> None:
    secrets = {load_secrets(load_settings(data_dir=tmp_path / name))["secret_key"].get_secret_value() for name in "ab"}
    assert len(secrets) == 2
    assert all(len(secret) >= 64 for secret in secrets)
    assert (tmp_path / "a" / "secrets.json").stat().st_mode & 0o077 == 0


async def test_there_is_no_default_user(tmp_path: Path) -> None:
    """admin/admin and its relatives open nothing, before the set-up and after it."""
    async with offline_workbench(tmp_path, serve=True) as fresh:
        for name, password in (("admin", "admin"), ("admin", "password"), ("admin", ""), ("root", "root"), ("", "")):
            with pytest.raises(AccessDenied):
                await fresh.sign_in(name, password, **FROM)
        assert await fresh.setup_needed()
        assert len(fresh.setup_token) >= 43


async def test_markup_of_a_template_engine_stays_text() -> None:
    """Template injection: questions and passages are joined, never rendered."""
    text = "{{7*7}} ${7*7} {0.__class__} %(name)s {% for x in y %} <%= 7*7 %> #{7*7}"
    prompt = assemble(text, [], history=(), count_tokens=len, budget_tokens=100_000)
    assert text in render_messages(prompt)[-1].text


async def test_a_template_in_a_document_stays_text(workbench: Workbench) -> None:
    collection = (await workbench.create_collection(ADMIN, "templates")).id
    await add(workbench, collection, "t.txt", "The result of the quokka formula is {{7*7}} and {0.__class__}.")
    answer = await workbench.ask(ADMIN, "What is the result of the quokka formula?", collections=[collection])
    assert "{{7*7}} and {0.__class__}" in answer.text
    assert "49" not in answer.text


async def test_a_line_break_in_a_name_makes_no_line_in_the_log(workbench: Workbench, caplog: pytest.LogCaptureFixture) -> None:
    """Log injection through user names, file names and questions."""
    caplog.set_level(logging.DEBUG)
    forged = "\r\n2026-01-01 ERROR forged entry"
    with pytest.raises(AccessDenied):
        await workbench.sign_in(f"eve{forged}", "a wrong password", ip="127.0.0.1", user_agent=f"agent{forged}")
    collection = (await workbench.create_collection(ADMIN, "logs")).id
    await add(workbench, collection, f"name{forged}.xyz", b"\x00\x01\x02\x03 no text at all \xff\xfe")
    with pytest.raises(InputError):
        await workbench.create_user(ADMIN, f"eve{forged}", "a long enough password", Role.ANALYST)
    lines = "\n".join(record.getMessage() for record in caplog.records).splitlines()
    assert not [line for line in lines if line.startswith("2026-01-01 ERROR forged")]
    for entry in await workbench.audit(ADMIN):
        assert "\n" not in entry.object + entry.actor + entry.ip


async def test_what_is_deleted_never_answers_again(tmp_path: Path) -> None:
    """Orphans: neither right after the deletion, nor after a restart, nor as vectors that nobody owns."""
    embedder = HashedWords()
    async with offline_workbench(tmp_path, embedder=embedder) as workbench:
        collection = (await workbench.create_collection(ADMIN, "orphans")).id
        info = await add(workbench, collection, "secret.txt", "The xylophone of Quetzalcoatl is hidden under the stairs.")
        await add(workbench, collection, "other.txt", "The lamp stands on the table.")
        await workbench.delete_document(ADMIN, info.id)
        assert await found(workbench, collection) == set()
    async with offline_workbench(tmp_path, embedder=embedder) as workbench:
        assert await found(workbench, collection) == set()
        await workbench.purge(older_than_seconds=0)
        assert await found(workbench, collection) == set()
        with pytest.raises(NotFound):
            await workbench.page(ADMIN, info.id, 1)
        async with workbench.database.read() as session:
            left = select(func.count()).select_from(ChunkRow).join(Version, Version.id == ChunkRow.version_id)
            assert await session.scalar(left.where(Version.document_id == info.id)) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "workbench.db"]
    assert not [path for path in files if b"Quetzalcoatl" in path.read_bytes()]


async def found(workbench: Workbench, collection: str) -> set[str]:
    hits = await workbench.search(ADMIN, "xylophone of Quetzalcoatl", collections=[collection], k=50)
    return {hit.chunk.document_name for hit in hits if "Quetzalcoatl" in hit.chunk.text}
