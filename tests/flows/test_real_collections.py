"""Real collections and filings through the same commands and facade that people use; quality floors, never times."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.commands.evaluation import evaluate_collection
from engine.evaluation.beir import BeirCollection
from engine.settings import load_settings
from engine.testing import ADMIN, offline_workbench

pytestmark = pytest.mark.data


@pytest.mark.parametrize(("language", "floor"), [("zh", 0.90), ("ar", 0.90), ("en", 0.95)])
def test_word_search_serves_languages_with_and_without_spaces(
    test_data: Path, tmp_path: Path, language: str, floor: float
) -> None:
    collection = BeirCollection(path=test_data / "beir" / "xquad" / language)
    report = asyncio.run(evaluate_collection(load_settings(data_dir=tmp_path), collection, "test", "lexical"))
    assert report.quality.queries == 1190
    assert report.quality.ndcg_at_10 >= floor


def test_word_search_on_abstracts_is_on_a_par_with_published_bm25(test_data: Path, tmp_path: Path) -> None:
    collection = BeirCollection(path=test_data / "beir" / "scifact")
    report = asyncio.run(evaluate_collection(load_settings(data_dir=tmp_path), collection, "test", "lexical"))
    assert report.quality.ndcg_at_10 >= 0.68


async def test_a_real_filing_keeps_exact_offsets_and_shows_the_cited_page(test_data: Path, tmp_path: Path) -> None:
    name = "ULTABEAUTY_2023Q4_EARNINGS.pdf"
    async with offline_workbench(tmp_path) as workbench:
        collection = await workbench.create_collection(ADMIN, "filings")
        info, _ = await workbench.upload(ADMIN, collection.id, name, test_data / "docs" / "financebench_dev" / "pdfs" / name)
        await workbench.process(ADMIN, collection.id)
        info = await workbench.document(ADMIN, info.id)
        assert (info.state, info.pages, info.text_coverage) == ("live", 9, 1.0)
        for chunk in await workbench.chunks(ADMIN, info.id):
            page = await workbench.page(ADMIN, info.id, chunk.page)
            assert page.text[chunk.start : chunk.end] == chunk.text
        question = "What drove the reduction in SG&A expense as a percent of net sales?"
        hits = await workbench.search(ADMIN, question, collections=[collection.id], k=3)
        assert 2 in {hit.chunk.page for hit in hits}
        best = next(hit.chunk for hit in hits if hit.chunk.page == 2)
        image = await workbench.page_image(ADMIN, info.id, 2, highlight=[(best.start, best.end)])
        assert image is not None
        assert image.png.startswith(b"\x89PNG")
        assert image.boxes
