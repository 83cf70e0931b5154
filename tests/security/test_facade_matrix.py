"""Who may call what: the whole facade against a table that people read."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.services.permits import PERMITS
from engine.testing import offline_workbench
from tests.security.facade import ARGUMENTS, matrix, methods, written


async def test_every_method_of_the_facade_has_arguments_and_a_row(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        names = methods(workbench)
    missing = [name for name in names if name not in ARGUMENTS]
    assert not missing, f"add to ARGUMENTS in tests/security/facade.py: {', '.join(missing)}"
    rows = written()
    missing = [name for name in names if name not in rows]
    assert not missing, f"run `python -m tests.security.facade` and look at the rows of: {', '.join(missing)}"
    gone = [name for name in rows if name not in names]
    assert not gone, f"remove from facade_matrix.csv: {', '.join(gone)}"


@pytest.mark.timeout(600)
async def test_everybody_may_do_what_the_table_says_and_nothing_else() -> None:
    expected = written()
    found = await matrix([name for name in expected if name in ARGUMENTS])
    wrong = [
        f"{name} as {who}: {result}, but the table says {expected[name][who]}"
        for name, row in found.items()
        for who, result in row.items()
        if result != expected[name][who]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_lets_a_preview_change_nothing_and_read_no_conversation() -> None:
    rows = written()
    allowed = {name for name, row in rows.items() if row["preview of owner"].startswith("allowed")}
    readable = {
        "collections",
        "documents",
        "document",
        "page",
        "chunks",
        "page_image",
        "waiting",
        "search",
        "groups",
        "quarantine",
        "note_denied",
        "jobs",
        "job_log",
        "tray",
        "versions",
    }
    assert allowed == readable
    assert not [name for name, row in rows.items() if "changed" in " ".join(row.values())]


def test_a_key_does_nothing_that_its_scope_does_not_name() -> None:
    for name, row in written().items():
        for scope in ("read", "ask", "write", "admin"):
            if row[f"key {scope}"].startswith("allowed"):
                assert scope in PERMITS[name].scopes, name
