"""What every loader of the registry promises, on tiny files of each type, in this process and through the sandbox."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path

import psutil
import pytest

from engine import registry
from engine.documents import Document
from engine.errors import EngineError, InputError, PasswordNeeded
from engine.loading.detect import detect
from engine.loading.sandbox import parse
from engine.protocols import Loader
from engine.sections import Limits
from tests.fixtures.loading.tiny_files import HOSTILE, HOSTILE_LIMITS, TINY

DATA = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
FILES = DATA / "docs" / "loaders"
IMAGES = {kind for kind in TINY if kind.startswith("image/")}
# Which of them have no place for headings or tables.
WITH_HEADINGS = (
    set(TINY) - IMAGES - {"text/plain", "text/csv", "application/x-ndjson"} - {kind for kind in TINY if "spreadsheet" in kind}
)
WITH_TABLES = set(TINY) - IMAGES - {"application/pdf", "text/plain", "text/x-source"}


@pytest.fixture(params=sorted(registry.LOADERS))
def kind(request) -> str:
    return request.param


@pytest.fixture
def path(kind, tmp_path) -> Path:
    name, data = TINY[kind]
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def load(kind: str, path: Path) -> Document:
    loader = registry.build(registry.LOADERS, "loader", kind)
    assert isinstance(loader, Loader)
    return loader.load(path, name="given name")


def attempt(path: Path, name: str, *, limits: Limits, **options) -> Document | EngineError:
    """Return the document, or the error that says why there is none; anything else fails the test."""
    try:
        return parse(path, name=name, limits=limits, **options)
    except EngineError as error:
        return error


def check(document: Document) -> None:
    assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
    for page in document.pages:
        assert not re.search("[\0\r\ud800-\udfff]", page.text)
        done = 0
        for block in page.blocks:
            assert done <= block.start < block.end <= len(page.text)
            assert block.kind in {"heading", "table", "code"}
            assert (block.kind == "heading") == (1 <= block.level <= 6)
            done = block.end


def blocks(document: Document, kind: str) -> list[str]:
    return [page.text[one.start : one.end] for page in document.pages for one in page.blocks if one.kind == kind]


def test_detected_by_content_whatever_the_name(kind, path):
    assert detect(path, name=path.name) == kind
    if not kind.startswith("text/") or kind == "text/html":
        assert detect(path, name="wrong.xyz") == kind


def test_text_blocks_and_metadata(kind, path):
    document = load(kind, path)
    check(document)
    assert document.name == "given name"
    assert document.media_type == kind
    text = "\n".join(page.text for page in document.pages)
    if kind in IMAGES:
        assert [(page.text, page.has_image) for page in document.pages] == [("", True)]
        return
    assert "Revenue" in text
    assert document.text_coverage > 0


def test_same_bytes_same_document(kind, path):
    assert load(kind, path) == load(kind, path)


@pytest.mark.parametrize("kind", sorted(WITH_HEADINGS), indirect=True)
def test_headings_are_found(kind, path):
    assert any("Results" in heading for heading in blocks(load(kind, path), "heading"))


@pytest.mark.parametrize("kind", sorted(WITH_TABLES), indirect=True)
def test_tables_have_rows_as_lines_and_a_header(kind, path):
    document = load(kind, path)
    (table,) = blocks(document, "table")
    lines = [line for line in table.split("\n") if "---" not in line]
    assert [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines] == [
        ["Region", "Revenue"],
        ["North", "1200 kEUR"],
        ["South", "950 kEUR"],
    ]
    headers = [one.header for page in document.pages for one in page.blocks if one.kind == "table"]
    assert [cell.strip() for cell in headers[0].strip("|").split("|")] == ["Region", "Revenue"]


def test_sandbox_gives_the_same_document(kind, path):
    assert parse(path, name="given name", media_type=kind, limits=Limits()) == load(kind, path)


def test_an_empty_file_is_no_crash(kind, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    found = attempt(tmp_path / "empty", "empty", media_type=kind, limits=Limits())
    assert found.hint if isinstance(found, InputError) else found.text_coverage == 0


def test_half_a_file_is_text_or_a_clear_error(kind, path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = attempt(path, "half", media_type=kind, limits=Limits())
    if isinstance(found, Document):
        check(found)
    else:
        assert isinstance(found, InputError)
        assert found.hint


def test_noise_in_the_middle_is_text_or_a_clear_error(kind, path):
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 4, len(data) * 3 // 4, 7):
        data[place] = place * 37 % 256
    path.write_bytes(bytes(data))
    found = attempt(path, "noise", media_type=kind, limits=Limits())
    if isinstance(found, Document):
        check(found)
    else:
        assert isinstance(found, InputError)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_end_in_the_right_error(name, tmp_path):
    data, right = HOSTILE[name]
    (tmp_path / name).write_bytes(data)
    before = psutil.Process().memory_info().rss
    found = attempt(tmp_path / name, name, limits=Limits(**HOSTILE_LIMITS))
    if isinstance(found, Document):
        assert "" in right
        assert "root:" not in "".join(page.text for page in found.pages)
    else:
        assert type(found).__name__ in right
        assert found.hint
    assert psutil.Process().memory_info().rss - before < 100 << 20


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def rows() -> list[dict]:
    index = FILES / "expected.jsonl"
    return [json.loads(line) for line in index.read_text().splitlines()] if index.exists() else []


@pytest.mark.data
@pytest.mark.skipif(not FILES.exists(), reason="no ../shared/data/docs/loaders: set WORKBENCH_TEST_DATA")
@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"][-60:])
def test_wild_and_hostile_files(row):
    path = FILES / row["file"]
    before = psutil.Process().memory_info().rss
    limits = Limits(parse_seconds=row["max_seconds"], parse_memory_mb=row["max_rss_mb"])
    found = attempt(path, path.name, limits=limits)
    if isinstance(found, Document):
        check_row(row, found, row["expect"])
    else:
        assert found.hint
        assert row["expect"] != "text", found
        assert row["expect"] != "password" or isinstance(found, PasswordNeeded)
    if row["expect"] == "password":
        check_row(row, parse(path, name=path.name, password=row["password"], limits=limits), "text")
    assert psutil.Process().memory_info().rss - before < 100 << 20


def check_row(row: dict, document: Document, expect: str) -> None:
    check(document)
    text = "\n".join(page.text for page in document.pages)
    assert not any(probe in text for probe in row["must_not_contain"])
    if expect == "no_text":
        assert document.text_coverage == 0
        return
    assert expect in {"text", "either"}
    found = words(text)
    assert [probe for probe in row["must_contain"] if words(probe) not in found] == []
    if expect == "text":
        assert document.text_coverage > 0
    if row["pages"] and expect == "text":
        assert len(document.pages) == row["pages"]
