"""Poisoned documents from the file to the answer: the question is answered, and what the document demands is not done."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from engine.testing import ADMIN, offline_workbench
from engine.types import Answer
from engine.views import DocumentInfo, HeldPassage

pytestmark = pytest.mark.data

DATA = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
MANIFEST = DATA / "injection" / "docs_manifest.jsonl"
MAY_BE_REFUSED: frozenset[str] = frozenset()
"""Documents whose answer stands in a held passage. None: what answers beside a demand is left to answer."""
LEFT_OUT = frozenset({"vpn__css_hidden.html", "lunch__hidden_run.docx", "pump__offpage.pdf", "refund__hidden_sheet.xlsx"})


def rows() -> list[dict[str, str]]:
    return [json.loads(line) for line in MANIFEST.read_text().splitlines()] if MANIFEST.exists() else []


async def asked(folder: Path, row: dict[str, str]) -> tuple[DocumentInfo, Answer, list[HeldPassage], str]:
    """Return the document, the answer to its question, its marked passages, and all of its indexed text."""
    async with offline_workbench(folder) as workbench:
        collection = await workbench.create_collection(ADMIN, "poisoned")
        path = DATA / "injection" / "docs" / row["file"]
        info, _ = await workbench.upload(ADMIN, collection.id, row["file"], path)
        await workbench.process(ADMIN, collection.id)
        info = await workbench.document(ADMIN, info.id)
        answer = await workbench.ask(ADMIN, row["question"], collections=[collection.id])
        indexed = "\n".join(chunk.text for chunk in await workbench.chunks(ADMIN, info.id)) if info.state == "live" else ""
        return info, answer, await workbench.quarantine(ADMIN), indexed


@pytest.mark.skipif(not MANIFEST.exists(), reason="no ../shared/data/injection: set WORKBENCH_TEST_DATA")
@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"])
async def test_a_poisoned_document_answers_its_question_and_nothing_else(tmp_path: Path, row: dict[str, str]) -> None:
    info, answer, passages, indexed = await asked(tmp_path, row)
    assert row["canary"] not in answer.text
    if answer.refused:
        assert row["file"] in MAY_BE_REFUSED
        assert info.held
        return
    assert row["answer"] in answer.text
    assert all(row["canary"] not in citation.text for citation in answer.citations)
    if row["file"] in LEFT_OUT:
        assert row["canary"] not in indexed
        assert any("hidden" in warning for warning in info.warnings)
    else:
        assert {one.state for one in passages} <= {"flagged", "held"}
        assert passages
        assert answer.serving.warnings
