"""A real collection moved faiss -> pgvector -> chroma -> qdrant -> faiss: counts, checksums, overlap with exact search, time.

    python benchmarks/store_moves.py [--data FOLDER] [--keep FOLDER]

17 filings and a part of Cranfield, embedded once by the default model (about three minutes; with --keep the second run finds them). pgvector
is a real PostgreSQL, chroma its own server, qdrant the one in this process. After each move one question is asked in dense mode.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from benchmarks.main_job import ME, default_data
from engine.assembly import Assembly
from engine.settings import load_settings
from engine.types import Endpoint
from tests.servers import server_of

ABSTRACTS = 120
QUESTION = "What was the revenue of Ulta Beauty in the fourth quarter?"


async def filled(assembly: Assembly, data: Path) -> str:
    workbench = assembly.workbench
    collection_id = await workbench.collection_id(ME, "filings", create=True)
    for file in sorted((data / "pdfs").glob("*.pdf")):
        await workbench.upload(ME, collection_id, file.name, file)
    lines = (data.parents[1] / "beir" / "cranfield" / "corpus.jsonl").read_text().splitlines()
    texts = [f"{one['title']}\n\n{one['text']}" for one in map(json.loads, lines[:ABSTRACTS])]
    await workbench.upload(ME, collection_id, "cranfield.txt", "\n\n\n".join(texts).encode())
    await workbench.process(ME, collection_id)
    return collection_id


async def main(data: Path, folder: Path) -> None:
    with server_of("pgvector") as postgres, server_of("chroma_server") as chroma:
        assembly = Assembly(load_settings(data_dir=folder))
        async with assembly.opened(serve=False) as workbench:
            there = {one.name for one in await workbench.providers(ME)}
            for name, at in (("pgvector", postgres), ("chroma", chroma), ("qdrant", Endpoint())):
                if name in there:
                    await workbench.edit_provider(ME, name, base_url=at.base_url, key=at.api_key)
                else:
                    await workbench.add_provider(ME, name, name=name, base_url=at.base_url, key=at.api_key)
            collection_id = await filled(assembly, data)
            [info] = [one for one in await workbench.collections(ME) if one.id == collection_id]
            print(f"{info.documents} documents, {info.chunks} chunks; top 10 over 100 questions, against exact search in numpy")
            print("| move | in SQL | in the store | checksum | top-10 overlap | move, s | first question, ms | then, ms |")
            print("|---|---|---|---|---|---|---|---|")
            for to in ("pgvector", "chroma", "qdrant", "faiss"):
                report = await workbench.move_store(ME, collection_id, to)
                times = []
                for _ in range(6):
                    started = time.perf_counter()
                    await workbench.search(ME, QUESTION, collections=[collection_id], mode="dense")
                    times.append((time.perf_counter() - started) * 1000)
                same = "equal" if report.checksum == report.checksum_there else f"max {report.largest_difference:.1e}"
                print(
                    f"| {report.before} -> {report.after} | {report.entries} | {report.entries_there} | {same} "
                    f"| {report.overlap:.4f} | {report.seconds:.1f} | {times[0]:.0f} | {min(times[1:]):.0f} |"
                )
            print(f"back to {await workbench.revert_store(ME, collection_id)} by revert; forth again:", end=" ")
            print(await workbench.revert_store(ME, collection_id))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--keep", type=Path, help="keep the workbench in this folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(given.data, given.keep or Path(temporary)))
