"""Does a new generation find what the present one finds? Questions asked of both, pages compared.

Half of the questions are what people really asked of the collection lately, as far as there are any; the others are sentences
of the documents. Chunks of two generations are different ones, so what is compared is where they stand: document and page.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from engine.database import content
from engine.database.chat_models import Conversation, MessageRow
from engine.database.database import Database
from engine.database.models import IN_INDEXES, ChunkRow, Collection, Version
from engine.errors import EngineError
from engine.protocols import Embedder
from engine.retrieval.search import HybridSearch
from engine.sentences import sentence_spans
from engine.services.indexes import Indexes
from engine.services.ledger import Call, Ledger

QUESTIONS = 50
BEST, AMONG = 3, 10  # how many pages of the present generation are looked for among how many of the new one
DEPTH = 60  # chunks, which lie on fewer pages
LEAST_CHARS, MOST_CHARS = 20, 400
CONVERSATIONS = 500

Place = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`recall`: share of the present generation's best pages that the new one finds; `own_*`: of sentences their own page."""

    questions: int
    recall: float | None
    own_before: float | None
    own_after: float | None

    def report(self) -> dict[str, object]:
        """Return what is kept beside the recall."""
        return {"own_before": self.own_before, "own_after": self.own_after, "best": BEST, "among": AMONG}


class GenerationRecall:
    """Asks both."""

    def __init__(
        self,
        *,
        database: Database,
        indexes: Indexes,
        embedders: Callable[[Collection], Awaitable[Embedder]],
        search: HybridSearch,
        ledger: Ledger,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._embedders = embedders
        self._search = search
        self._ledger = ledger

    async def measure(self, before: Collection, after: Collection) -> Measured:
        """Compare two generations of a collection. Raises ProviderError, StoreError.

        Where the present one cannot be asked (its embedder is gone, say), only the own pages of sentences are told.
        """
        sentences = await self._sentences(before)
        asked = await self._asked(before)
        questions = [*asked[: QUESTIONS // 2], *sentences]
        questions = list(dict(questions[:QUESTIONS]).items())
        new = await self._places(after, [text for text, _ in questions])
        try:
            old = await self._places(before, [text for text, _ in questions])
        except EngineError:  # a collection whose embedder is gone is the very one that needs another
            old = []
        own = [place for _, place in questions]
        shares = [len(set(one[:BEST]) & set(other)) / len(one[:BEST]) for one, other in zip(old, new, strict=False) if one]
        return Measured(
            questions=len(questions),
            recall=_mean(shares) if shares else _own(new, own),
            own_before=_own(old, own),
            own_after=_own(new, own),
        )

    async def _places(self, collection: Collection, questions: Sequence[str]) -> list[list[Place]]:
        """Return for each question the pages that are found, best first, at most `AMONG`."""
        embedder = await self._embedders(collection)
        indexes = [await self._indexes.current(collection)]
        started = time.perf_counter()
        vectors = await asyncio.to_thread(lambda: [embedder.embed_query(question) for question in questions])
        if collection.embedder != "local" and questions:
            tokens = await asyncio.to_thread(lambda: sum(embedder.tokens.count(question) for question in questions))
            elapsed = (time.perf_counter() - started) * 1000
            call = Call(
                provider=collection.embedder,
                model=collection.embedding_model,
                job="embedding",
                elapsed_ms=elapsed,
                input_tokens=tokens,
            )
            await self._ledger.note("", [call])
        found: list[list[Place]] = []
        for question, vector in zip(questions, vectors, strict=True):
            matches = await asyncio.to_thread(self._search.search, question, vector, indexes, k=DEPTH)
            async with self._database.read() as session:
                live = await content.live_chunks(session, [match.id for match in matches], [collection.id])
            chunks = [live[match.id][0] for match in matches if match.id in live]
            found.append(list(dict.fromkeys((chunk.document_id, chunk.page) for chunk in chunks))[:AMONG])
        return found

    async def _sentences(self, collection: Collection) -> list[tuple[str, Place | None]]:
        """Return sentences with where they stand, from passages all over the collection: ids of chunks are in no order."""
        query = (
            select(ChunkRow.text, Version.document_id, ChunkRow.page)
            .join(Version, Version.id == ChunkRow.version_id)
            .where(
                Version.collection_id == collection.id,
                ChunkRow.generation == collection.generation,
                ChunkRow.quarantine == "",
                IN_INDEXES,
            )
            .order_by(ChunkRow.id)
            .limit(QUESTIONS)
        )
        async with self._database.read() as session:
            rows = (await session.execute(query)).all()
        found: list[tuple[str, Place | None]] = []
        for text, document_id, page in rows:
            sentences = [" ".join(text[start:end].split())[:MOST_CHARS] for start, end in sentence_spans(text)]
            longest = max(sentences, key=len, default="")
            if len(longest) >= LEAST_CHARS:
                found.append((longest, (document_id, page)))
        return found

    async def _asked(self, collection: Collection) -> list[tuple[str, Place | None]]:
        """Return what people asked of this collection lately. It is asked again here and stored nowhere."""
        query = select(Conversation.id, Conversation.collections).order_by(Conversation.updated_at.desc()).limit(CONVERSATIONS)
        async with self._database.read() as session:
            ids = [one for one, scope in await session.execute(query) if list(scope) == [collection.id]][:QUESTIONS]
            asked = (MessageRow.conversation_id.in_(ids)) & (MessageRow.role == "user")
            texts = select(MessageRow.text).where(asked).order_by(MessageRow.created_at.desc()).limit(QUESTIONS)
            rows = list(await session.scalars(texts))
        return [(text[:MOST_CHARS], None) for text in dict.fromkeys(rows) if len(text.strip()) >= LEAST_CHARS]


def _own(found: Sequence[Sequence[Place]], own: Sequence[Place | None]) -> float | None:
    return _mean([place in places for places, place in zip(found, own, strict=False) if place is not None])


def _mean(values: Sequence[float | bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
