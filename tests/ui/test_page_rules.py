"""Rules that every page file keeps."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "pages").glob("*.py"))
SOURCES = [*PAGES, *sorted((ROOT / "ui").rglob("*.py")), ROOT / "app.py"]


def calls_open_page(statement):
    call = getattr(statement, "value", None)
    return isinstance(call, ast.Call) and getattr(call.func, "id", "") == "open_page"


def test_there_are_pages():
    assert {page.stem for page in PAGES} == {"chat", "documents", "providers", "users", "audit", "health", "upkeep", "account"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_opens_with_the_gate_and_stays_thin(page):
    source = page.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 90
    tree = ast.parse(source)
    imports_and_constants = (ast.Import, ast.ImportFrom)
    body = [
        one
        for one in tree.body[1:]
        if not isinstance(one, imports_and_constants)
        and not (isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant))
    ]
    assert calls_open_page(body[0]), f"{page.name} does something before open_page()"
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.For, ast.While, ast.Try, ast.FunctionDef))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_screen_renders_html_but_the_constant_style(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword):
            assert node.arg != "unsafe_allow_html"
        if isinstance(node, ast.Attribute) and node.attr in ("html", "iframe", "components"):
            assert path.name == "style.py"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_stop_and_rerun_signals_are_never_caught(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
            assert getattr(node.type, "id", "") not in ("Exception", "BaseException")
