"""The main job on real filings: ingest 17 PDFs, then ask their 29 questions.

    python benchmarks/main_job.py [--data FOLDER] [--keep FOLDER]

Prints pages/s, chunks/s and the ratio to the bare encoder on the same texts in the same run, peak memory, how often the gold page
is among the pages found and cited, and query latencies. Everything goes through the facade, as in the app.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from engine.assembly import Assembly
from engine.chunking.wording import searchable_text
from engine.settings import load_settings
from engine.types import Principal, Role

ME = Principal(user_id="bench", name="benchmark", role=Role.ADMIN)
SAMPLE = 1024


def default_data() -> Path:
    root = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    return root / "docs" / "financebench_dev"


def peak_mb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


async def ingest(assembly: Assembly, folder: Path) -> str:
    workbench = assembly.workbench
    collection = await workbench.create_collection(ME, "filings")
    embedder = assembly.parts.local()
    embedder.embed_query("warm up")
    files = sorted(folder.glob("*.pdf"))
    started = time.perf_counter()
    for file in files:
        await workbench.upload(ME, collection.id, file.name, file)
    await workbench.process(ME, collection.id)
    seconds = time.perf_counter() - started
    infos = await workbench.documents(ME, collection.id)
    pages, chunks = sum(info.pages for info in infos), sum(info.chunks for info in infos)
    print(f"ingest: {len(infos)} files, {pages} pages, {chunks} chunks in {seconds:.0f} s")
    print(f"        {pages / seconds:.1f} pages/s, {chunks / seconds:.1f} chunks/s; states {sorted({i.state for i in infos})}")
    print(
        f"        peak RSS {peak_mb(resource.RUSAGE_SELF):.0f} MB, of a parse process {peak_mb(resource.RUSAGE_CHILDREN):.0f} MB"
    )
    await against_bare_encoder(assembly, [info.id for info in infos], chunks / seconds)
    return collection.id


async def against_bare_encoder(assembly: Assembly, document_ids: list[str], rate: float) -> None:
    """The same texts through nothing but the model, on batches prepared beforehand; a sample of all lengths."""
    from benchmarks.embedding import bare, tensors

    embedder = assembly.parts.local()
    texts = []
    for document_id in document_ids:
        for chunk in await assembly.workbench.chunks(ME, document_id):
            texts.append(
                searchable_text(
                    document_name=chunk.document_name,
                    title=chunk.title,
                    section=chunk.section,
                    context=chunk.context,
                    text=chunk.text,
                    tokens=embedder.tokens,
                    max_tokens=embedder.max_tokens,
                )
            )
    sample = texts[:: max(1, len(texts) // SAMPLE)]
    prepared = tensors(embedder, sample)
    bert = embedder._loaded()[0].auto_model
    started = time.perf_counter()
    bare(bert, prepared)
    bare_rate = len(sample) / (time.perf_counter() - started)
    print(
        f"        bare encoder on {len(sample)} of the same texts: {bare_rate:.1f} chunks/s; ingest / bare = {rate / bare_rate:.2f}"
    )


async def ask_all(assembly: Assembly, collection_id: str, questions: list[dict]) -> None:
    workbench = assembly.workbench
    await workbench.ask(ME, "warm up", collections=[collection_id])
    found = dict.fromkeys((1, 3, 10), 0)
    cited = dict.fromkeys((1, 3, 10), 0)
    search_ms, ask_ms, refused = [], [], 0
    for row in questions:
        gold = {(f"{evidence['doc']}.pdf", evidence["page_index"] + 1) for evidence in row["evidence"]}
        started = time.perf_counter()
        hits = await workbench.search(ME, row["question"], collections=[collection_id], k=50)
        search_ms.append(1000 * (time.perf_counter() - started))
        started = time.perf_counter()
        answer = await workbench.ask(ME, row["question"], collections=[collection_id])
        ask_ms.append(1000 * (time.perf_counter() - started))
        refused += answer.refused
        pages = list(dict.fromkeys((hit.chunk.document_name, hit.chunk.page) for hit in hits))
        # What the reader is shown: the cited pages first, then the pages of the passages behind them.
        shown = [(one.document, one.page) for one in answer.citations] or [
            (hit.chunk.document_name, hit.chunk.page) for hit in answer.nearest
        ]
        shown = list(dict.fromkeys([*shown, *pages]))
        for k in found:
            found[k] += bool(gold & set(pages[:k]))
            cited[k] += bool(gold & set(shown[:k]))
    count = len(questions)
    print(f"questions: {count}, refused {refused}")
    print(
        "  gold page among the first k pages found:       "
        + ", ".join(f"@{k} {v}/{count} = {v / count:.2f}" for k, v in found.items())
    )
    print(
        "  gold page among the first k pages shown, cited first: "
        + ", ".join(f"@{k} {v}/{count} = {v / count:.2f}" for k, v in cited.items())
    )
    for name, values in (("search", search_ms), ("ask", ask_ms)):
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"  {name}: p50 {statistics.median(values):.0f} ms, p95 {p95:.0f} ms")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--keep", type=Path, help="use, or fill, this data folder instead of a temporary one")
    options = parser.parse_args()
    questions = [json.loads(line) for line in (options.data / "qa.jsonl").read_text().splitlines()]
    with tempfile.TemporaryDirectory() as temporary:
        assembly = Assembly(load_settings(data_dir=options.keep or Path(temporary)))
        async with assembly.opened(serve=False) as workbench:
            known = {one.name: one.id for one in await workbench.collections(ME)}
            collection_id = known.get("filings") or await ingest(assembly, options.data / "pdfs")
            await ask_all(assembly, collection_id, questions)


if __name__ == "__main__":
    asyncio.run(main())
