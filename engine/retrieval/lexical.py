"""Word search by tantivy: BM25 (Robertson & Zaragoza 2009) over the terms that engine.words makes.

No text of a user ever reaches tantivy's query parser: a query is built from term queries, so there is no syntax to break,
and a run of Chinese bigrams is a set of terms instead of the phrase that the parser would make of it.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tantivy
from tantivy import Occur, Query

from engine.errors import StoreError
from engine.types import Condition, Entry, Filter, Match, Scalar
from engine.words import terms

WRITER_BYTES = 30_000_000  # for one thread; tantivy's least is 15 MB
MARGIN = 16
SCORE_DIGITS = 4  # BM25 is summed in float32 in an order that depends on the segment
_SEPARATOR = "\x1f"


class TantivyIndex:
    """LexicalIndex in the folder `path`, which may be opened again later; None = a temporary folder until `close`.

    Searches may run beside each other and beside a change. A change costs one commit, so bring many entries per call.
    """

    def __init__(self, *, path: Path | None) -> None:
        self._changing = threading.Lock()
        self._own = tempfile.TemporaryDirectory(prefix="workbench-words-") if path is None else None
        self._path = path or Path(self._own.name if self._own else "")
        with _translated():
            self._path.mkdir(parents=True, exist_ok=True)
            self._index = tantivy.Index(_schema(), path=str(self._path))
            self._index.config_reader(reload_policy="manual")
            self._index.reload()
        self._schema = self._index.schema

    def upsert(self, entries: Sequence[Entry], texts: Sequence[str]) -> None:
        """See LexicalIndex. One commit for all; of entries with one id the last one counts. Raises StoreError."""
        if len(entries) != len(texts):
            raise StoreError(f"{len(entries)} entries came with {len(texts)} texts", hint="pass one text for each entry")
        last = {entry.id: (entry, text) for entry, text in zip(entries, texts, strict=True)}
        if not last:
            return
        with self._change(list(last)) as writer:
            for entry, text in last.values():
                writer.add_document(_document(entry, text))

    def delete(self, ids: Sequence[str]) -> None:
        """See LexicalIndex. Raises StoreError."""
        searcher = self._index.searcher()
        known = [one for one in ids if searcher.doc_freq("id", one)]
        if known:
            with self._change(known):
                pass

    def search(self, text: str, *, k: int, where: Filter = ()) -> list[Match]:
        """See LexicalIndex. Raises StoreError for an unknown filter operator."""
        conditions = [(Occur.Must, self._condition(condition)) for condition in where]
        words = Counter(terms(text))
        if not words or k < 1:
            return []
        wanted = Query.boolean_query([(Occur.Should, self._term(word, count)) for word, count in words.items()])
        query = Query.boolean_query([(Occur.Must, wanted), *conditions])
        with _translated():
            return self._best(query, k)

    def count(self) -> int:
        """See LexicalIndex."""
        return int(self._index.searcher().num_docs)

    def ids(self) -> list[str]:
        """See LexicalIndex. Raises StoreError."""
        searcher = self._index.searcher()
        with _translated():
            hits = searcher.search(Query.all_query(), max(1, int(searcher.num_docs)), count=False).hits
            return sorted(str(searcher.doc(address).get_first("id")) for _, address in hits)

    def save(self, path: Path) -> None:
        """See LexicalIndex. Not forced to the disk: whoever keeps the copy compares its fingerprint before use."""
        with self._changing, _translated():
            shutil.copytree(self._path, path, ignore=shutil.ignore_patterns(".*.lock"))

    def close(self) -> None:
        """See LexicalIndex. Waits for a change that is under way; between calls no lock is held."""
        with self._changing:
            if self._own is not None:
                self._own.cleanup()

    def _best(self, query: Query, k: int) -> list[Match]:
        searcher = self._index.searcher()
        fetch = k + MARGIN
        while True:
            hits = searcher.search(query, fetch, count=False).hits
            scores = [round(score, SCORE_DIGITS) for score, _ in hits]
            # A tie that runs past the last hit fetched could hide a smaller id: fetch on.
            if len(hits) < fetch or scores[-1] < scores[k - 1]:
                break
            fetch *= 4
        # Everything from the first hit on that ties with the k-th: reading more stored ids would cost time for nothing.
        kept = [i for i, score in enumerate(scores) if i < k or score == scores[k - 1]]
        found = [(-scores[i], str(searcher.doc(hits[i][1]).get_first("id"))) for i in kept]
        return [Match(id=one, score=-score) for score, one in sorted(found)[:k]]

    @contextmanager
    def _change(self, gone: Sequence[str]) -> Iterator[Any]:
        # A writer for each change: between changes no thread, no memory and no lock file is held.
        with self._changing, _translated():
            writer = self._index.writer(heap_size=WRITER_BYTES, num_threads=1)
            try:
                for one in gone:
                    writer.delete_documents_by_term("id", one)
                yield writer
                writer.commit()
            finally:
                writer.wait_merging_threads()
            self._index.reload()

    def _term(self, word: str, count: int) -> Query:
        term = Query.term_query(self._schema, "text", word, "freq")
        return term if count == 1 else Query.boost_query(term, float(count))

    def _condition(self, condition: Condition) -> Query:
        value = condition.value
        if condition.op == "in" and isinstance(value, tuple):
            query = Query.boolean_query([(Occur.Should, self._fact(condition.field, one)) for one in value])
        elif condition.op == "eq" and not isinstance(value, tuple):
            query = self._fact(condition.field, value)
        elif condition.op in ("gte", "lte") and not isinstance(value, tuple):
            query = self._range(condition.field, condition.op, value)
        elif condition.op in ("eq", "in", "gte", "lte"):
            query = Query.empty_query()
        else:
            raise StoreError(f"unknown filter operator {condition.op!r}", hint="known: eq, in, gte, lte")
        return Query.const_score_query(query, 0.0)

    def _fact(self, field: str, value: Scalar) -> Query:
        return Query.term_query(self._schema, "facts", _fact(field, value), "basic")

    def _range(self, field: str, op: str, value: Scalar) -> Query:
        # tantivy has range queries over number fields of the schema only, and the names of metadata are not known to it. The
        # terms of one field and kind are few (pages, dates), and their order is that of the values.
        bound = _fact(field, value)
        kind = _SEPARATOR.join(bound.split(_SEPARATOR, 2)[:2]) + _SEPARATOR
        known = [term for term, _ in self._index.searcher().terms_with_prefix("facts", kind)]
        inside = [term for term in known if (term >= bound if op == "gte" else term <= bound)]
        return Query.term_set_query(self._schema, "facts", inside)


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("facts", tokenizer_name="raw", index_option="basic")
    return builder.build()


def _document(entry: Entry, text: str) -> Any:
    document = tantivy.Document()
    document.add_text("id", entry.id)
    document.add_text("text", " ".join(terms(text)))
    for field, value in {**entry.metadata, "id": entry.id}.items():
        document.add_text("facts", _fact(field, value))
    return document


def _fact(field: str, value: Scalar) -> str:
    """Return one term that says field, kind and value, in the value's own order within a field and kind."""
    if isinstance(value, bool):
        return _SEPARATOR.join((field, "bool", str(int(value))))
    if isinstance(value, (int, float)):
        return _SEPARATOR.join((field, "number", _ordered(float(value))))
    return _SEPARATOR.join((field, "text", value))


def _ordered(number: float) -> str:
    """Return 16 hexadecimal digits that sort as the numbers do: the sign bit flipped, negative numbers inverted."""
    bits = int.from_bytes(struct.pack(">d", number + 0.0), "big")
    return f"{bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63):016x}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        raise StoreError(f"the word index failed: {error}", hint="build the index again from the database") from error
