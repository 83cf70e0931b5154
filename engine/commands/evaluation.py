"""`evaluate`: retrieval quality on a test collection in BEIR layout, by the parts and settings that answer questions."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import track

from engine import registry
from engine.assembly import Assembly
from engine.chunking.wording import PREFIX_TOKENS, searchable_text
from engine.commands.console import Mode, complain, errors, out, print_json
from engine.commands.library import AsJson
from engine.database import content
from engine.database.database import Database
from engine.documents import Document, Page
from engine.errors import ConfigError, EngineError, InputError
from engine.evaluation.beir import BeirCollection, Passage
from engine.evaluation.metrics import best_per_document
from engine.evaluation.report import RetrievalReport, latency_ms, retrieval_quality
from engine.ingesting import chunker as make_chunker
from engine.protocols import Array, Chunker, Embedder, LexicalIndex, VectorStore
from engine.provider_views import Choice
from engine.retrieval.lexical import TantivyIndex
from engine.retrieval.search import MODES, HybridSearch
from engine.settings import Settings, load_settings
from engine.types import Entry

DOCUMENTS_PER_BATCH = 500
DEPTH = 100  # documents ranked for a query, as Recall@100 asks


def evaluate(
    beir_dir: Annotated[Path, typer.Argument(help="Folder with corpus.jsonl, queries.jsonl and qrels/.")],
    split: Annotated[str, typer.Option(help="Which judgments.")] = "test",
    mode: Annotated[Mode | None, typer.Option(help="Which half; the setting when not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure nDCG@10, Recall@100, MRR@10, speed and memory. A document's rank is that of its best chunk.

    Vectors are kept in the data folder's cache, so a second run in another mode embeds nothing; it says so.
    """
    try:
        report = asyncio.run(evaluate_collection(load_settings(), BeirCollection(path=beir_dir), split, mode or ""))
    except EngineError as error:
        complain(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt:
        errors.print("Interrupted; what was embedded stays in the cache.")
        raise typer.Exit(1) from None
    if as_json:
        print_json(report.to_dict())
        return
    for name, value in (report.to_dict() | report.to_dict()["quality"]).items():
        if name != "quality":
            out.print(f"{name:22} {value:.4f}" if isinstance(value, float) else f"{name:22} {value}", markup=False)


@dataclass(slots=True)
class Indexed:
    """A collection in memory: the two indexes and which document each chunk is of."""

    vectors: VectorStore
    words: LexicalIndex
    owners: list[str]
    documents: int = 0
    embedded: int = 0
    seconds: float = 0.0


async def evaluate_collection(settings: Settings, collection: BeirCollection, split: str, mode: str) -> RetrievalReport:
    """Index the corpus in memory, ask every judged query, and score. Raises InputError, BrokenFile, ProviderError."""
    mode = mode or settings.retrieval.mode
    if mode not in MODES:
        raise InputError(f"unknown mode {mode!r}", hint=f"known modes: {', '.join(MODES)}")
    judgments = collection.judgments(split)
    assembly = Assembly(settings)
    try:
        await assembly.database.migrate()
        indexed = await _index(assembly, collection, mode)
        queries = {key: text for key, text in collection.queries().items() if key in judgments}
        search = HybridSearch(settings=settings.retrieval)
        embedder = await assembly.parts.embedder(Choice(provider=settings.embedder))
        rankings, seconds = await asyncio.to_thread(_ask_all, queries, search, embedder, indexed, mode)
    finally:
        await assembly.close()
    p50, p95 = latency_ms(seconds)
    if indexed.embedded < len(indexed.owners) and mode != "lexical":
        errors.print(f"{len(indexed.owners) - indexed.embedded} of {len(indexed.owners)} chunks came from the vector cache.")
    return RetrievalReport(
        collection=collection.name,
        split=split,
        mode=mode,
        quality=retrieval_quality(rankings, judgments),
        documents=indexed.documents,
        chunks=len(indexed.owners),
        documents_per_second=indexed.documents / indexed.seconds if indexed.seconds else 0.0,
        query_p50_ms=p50,
        query_p95_ms=p95,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


async def _index(assembly: Assembly, collection: BeirCollection, mode: str) -> Indexed:
    settings = assembly.settings
    embedder = await assembly.parts.embedder(Choice(provider=settings.embedder))
    chunker = make_chunker(settings.chunker, embedder=embedder, overlap_tokens=settings.overlap_tokens)
    store: VectorStore = registry.build(registry.STORES, "store", settings.store, dimension=embedder.dimension)
    indexed = Indexed(vectors=store, words=TantivyIndex(path=None), owners=[])
    if mode != "lexical":
        await asyncio.to_thread(embedder.embed_query, "warm up")  # loading the model is not part of docs/s
    started = time.perf_counter()
    for batch in track(list(_batched(collection.corpus())), description="indexing", console=errors, transient=True):
        texts = await asyncio.to_thread(_chunk_texts, batch, chunker, embedder, settings.chunk_tokens, indexed)
        entries = [Entry(id=f"{len(indexed.owners) - len(texts) + i:09d}") for i in range(len(texts))]
        if mode != "lexical":
            vectors = await _embedded(assembly.database, embedder, texts, indexed)
            await asyncio.to_thread(store.upsert, entries, vectors)
        if mode != "dense":
            await asyncio.to_thread(indexed.words.upsert, entries, texts)
    indexed.seconds = time.perf_counter() - started
    return indexed


def _batched(passages: Iterator[Passage]) -> Iterator[list[Passage]]:
    while batch := list(islice(passages, DOCUMENTS_PER_BATCH)):
        yield batch


def _chunk_texts(batch: list[Passage], chunker: Chunker, embedder: Embedder, chunk_tokens: int, indexed: Indexed) -> list[str]:
    texts: list[str] = []
    limit = min(chunk_tokens, embedder.max_tokens - PREFIX_TOKENS)
    for passage in batch:
        page = Page(number=1, text=(passage.text.strip() or passage.title).replace("\0", ""))
        document = Document(name="", media_type="text/plain", title=passage.title, pages=(page,))
        pieces = chunker.split(document, max_tokens=limit)
        for piece in pieces:
            text = searchable_text(
                document_name="",
                title=passage.title,
                section=piece.section,
                context=piece.context,
                text=piece.text,
                tokens=embedder.tokens,
                max_tokens=embedder.max_tokens,
            )
            texts.append(text)
            indexed.owners.append(passage.id)
        indexed.documents += 1
    return texts


async def _embedded(database: Database, embedder: Embedder, texts: list[str], indexed: Indexed) -> Array:
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
    by_key = dict(zip(keys, texts, strict=True))
    async with database.read() as session:
        missing = sorted(await content.missing_vectors(session, embedder.model_id, keys))
    if missing:
        vectors = await asyncio.to_thread(embedder.embed_documents, [by_key[key] for key in missing])
        indexed.embedded += len(missing)
        async with database.write() as session:
            await content.save_vectors(session, embedder.model_id, missing, np.asarray(vectors))
    async with database.read() as session:
        return await content.vectors(session, embedder.model_id, keys, dimension=embedder.dimension)


def _ask_all(
    queries: dict[str, str], search: HybridSearch, embedder: Embedder, indexed: Indexed, mode: str
) -> tuple[dict[str, list[str]], list[float]]:
    rankings: dict[str, list[str]] = {}
    seconds: list[float] = []
    pairs = [(indexed.vectors, indexed.words)]
    for key, text in queries.items():
        started = time.perf_counter()
        vector = embedder.embed_query(text) if mode != "lexical" else None
        # Several chunks of one document may be found, so more chunks than documents are asked for.
        matches = search.search(text, vector, pairs, k=3 * DEPTH, mode=mode)
        seconds.append(time.perf_counter() - started)
        rankings[key] = best_per_document((indexed.owners[int(one.id)], one.score) for one in matches)[:DEPTH]
    return rankings, seconds
