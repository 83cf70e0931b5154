"""The shape of the code: layers, sizes, one reader of the environment, nothing that loads foreign code."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.web.server.app_discovery import discover_asgi_app

from engine import registry

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"
LAYERS = {
    "__version__": 0, "documents": 0, "types": 0.3, "errors": 0, "correlation": 0, "faults": 0.2,
    "specs": 0.5,
    "sections": 0.8, "operations_views": 1, "ingestion_views": 1.2, "keeping_views": 1, "rate_limit": 1,
    "views": 1, "provider_views": 1, "access_views": 1, "audit_views": 1, "cells": 1, "protocols": 1, "registry": 1, "settings": 1, "words": 1, "sentences": 1, "tokens": 1,
    "vendors": 1.5,
    "loading": 2, "chunking": 2, "embedding": 2, "stores": 2, "retrieval": 2, "generation": 2, "security": 2,
    "database": 2, "evaluation": 2, "resilience": 2, "caching": 2, "monitoring": 2,
    "services": 3,
    "pipelines": 4,
    "chat": 5, "worker": 5, "worker_child": 5,
    "workbench": 6,
    "groundwork": 5.5, "foundation": 6, "checking": 6.2, "operating": 6.5, "ingesting": 6.8, "upholding": 6.9, "assembly": 7, "celery_app": 7.5,
    "testing": 8, "commands": 8,
    "__main__": 9,
}  # fmt: skip
VENDORS = ("torch", "transformers", "sentence_transformers", "numpy", "sqlalchemy", "faiss", "tantivy", "pypdfium2",
           "streamlit", "fastapi", "starlette", "pydantic", "openai", "chromadb",
           "google.genai", "google.generativeai", "ollama", "qdrant_client", "pinecone", "asyncpg", "httpx", "redis")  # fmt: skip
MAX_LINES = 300


def modules() -> list[Path]:
    return [path for path in sorted(ENGINE.rglob("*.py")) if "migrations" not in path.parts]


def part_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "engine":
                yield from (f"engine.{alias.name}" for alias in node.names)
            else:
                yield node.module


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_lower_layers_or_its_own_package(path: Path) -> None:
    own = part_of(name_of(path))
    if not own:
        return  # engine/__init__.py names the public parts and loads them on use
    assert own in LAYERS, f"{own!r} has no layer: give it one here and in ARCHITECTURE.md"
    for target in imports(path):
        part = part_of(target) if target.startswith("engine") else ""
        if part and part != own:
            assert LAYERS[part] < LAYERS[own], f"{name_of(path)} (layer {LAYERS[own]}) imports {target} (layer {LAYERS[part]})"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_the_engine_knows_no_screen_and_loads_no_foreign_code(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {target.split(".")[0] for target in imports(path)}
    assert not names & {"streamlit", "fastapi", "pickle", "marshal", "shelve"}
    if path.name != "settings.py":
        reads = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"}]
        assert not reads, "only engine/settings.py reads the environment"
    assert "trust_remote_code" not in path.read_text()
    # Of Python 3.11: it swallows a cancellation that comes as its result does, so that what was stopped goes on.
    assert "asyncio.wait_for(" not in path.read_text(), "use asyncio.timeout()"


@pytest.mark.parametrize(
    "path",
    [
        *modules(),
        *sorted((ROOT / "ui").rglob("*.py")),
        *sorted((ROOT / "pages").glob("*.py")),
        *sorted((ROOT / "api").glob("*.py")),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_are_small(path: Path) -> None:
    limit = 90 if path.parent.name == "pages" else MAX_LINES
    assert len(path.read_text().splitlines()) <= limit


@pytest.mark.parametrize("path", sorted((ROOT / "api").glob("*.py")), ids=lambda path: path.name)
def test_the_api_is_a_screen_of_its_own(path: Path) -> None:
    names = {target.split(".")[0] for target in imports(path)}
    assert not names & {"streamlit", "ui", "pages"}
    assert all(target.split(".")[1] in {"access_views", "audit_views", "ingestion_views", "operations_views", "errors", "security", "settings", "types", "views", "workbench"}
               for target in imports(path) if target.startswith("engine.")), "the API calls the facade and nothing below it"  # fmt: skip


def test_import_engine_is_quick_and_loads_no_vendor() -> None:
    code = f"import sys, engine; print([name for name in {VENDORS!r} if name in sys.modules])"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    assert done.stdout.strip() == "[]"
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert seconds - (time.perf_counter() - bare) < 0.5


@pytest.mark.parametrize("table", ["LOADERS", "CHUNKERS", "EMBEDDERS", "STORES", "GENERATORS", "RERANKERS"])
def test_every_row_of_the_registry_leads_to_a_class(table: str) -> None:
    for name, spec in getattr(registry, table).items():
        assert isinstance(spec.load(), type), name
        assert spec.label, f"{name} needs a label for the screens"


@pytest.mark.parametrize("script", ["app.py", "tests/ui/fake_app.py"])
def test_streamlit_finds_the_application_and_with_it_the_gate(script: str) -> None:
    """Streamlit looks for a call of st.App in the text of the file; without one it would serve a page that has no gate."""
    found = discover_asgi_app(ROOT / script)
    assert (found.is_asgi_app, found.app_name) == (True, "app")
