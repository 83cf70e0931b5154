"""The seams of the engine. A backend is one class that satisfies one of these; nothing else is needed.

Pure CPU seams (loaders, chunkers, local models, in-process indexes) are plain functions, run by callers in a thread or a
child process; seams that wait for somebody else are async. Constructors are cheap and offline.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

from engine.documents import Document, Piece
from engine.types import Delta, Entry, Filter, Hit, Match, Prompt, Space

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
else:
    Array = Any


@runtime_checkable
class Loader(Protocol):
    """File -> document. Runs inside a child process that bounds memory and time; see `engine.loading.sandbox`."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        r"""Return the pages of the file at `path`; `name` is metadata only and never opened.

        The text has no NUL characters and "\n" line ends. The same bytes give the same document.
        Raises BrokenFile, PasswordNeeded, FileTooLarge, UnsupportedFile. A file without text is *not* an error here: its
        pages come back empty, and the caller decides.
        """
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """Where the tokens of a text begin and end, in the vocabulary of one embedder. Thread-safe."""

    def count(self, text: str) -> int:
        """Return the number of tokens of `text` without special tokens; 0 for the empty text."""
        ...

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Return (start, end) character offsets of each token of `text`, in order."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Texts -> unit vectors in one space. Thread-safe; safe to call from several threads at once."""

    @property
    def model_id(self) -> str:
        """Name of the vector space: equal ids mean comparable vectors. Part of every cache key."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector. A remote model is asked the first time: call it in a thread. Raises ProviderError."""
        ...

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text are read, without special tokens; what is beyond would be ignored."""
        ...

    @property
    def tokens(self) -> TokenCounter:
        """The tokenizer that `max_tokens` counts in."""
        ...

    def embed_documents(self, texts: Sequence[str]) -> Array:
        """Return float32 of shape (len(texts), dimension), unit rows, in input order; (0, dimension) for no texts.

        A batch gives the same vectors as one by one (within 1e-4). Raises ProviderError.
        """
        ...

    def embed_query(self, text: str) -> Array:
        """Return float32 of shape (dimension,), unit length, to be compared with rows of `embed_documents`."""
        ...

    def discover(self) -> Space:
        """Return the space that this embedder makes, found by embedding `PROBE_TEXT` now. Raises ProviderError."""
        ...

    def models(self) -> list[str]:
        """Return the embedding models to choose from now, sorted; [] where nobody can tell. Raises ProviderError."""
        ...

    def close(self) -> None:
        """Release connections. Idempotent."""
        ...


@runtime_checkable
class Chunker(Protocol):
    """Document -> pieces. Deterministic, thread-safe, does not change its input."""

    def split(self, document: Document, *, max_tokens: int) -> list[Piece]:
        """Return pieces in reading order; `page.text[start:end] == text` exactly, none crosses a page.

        No piece (with its `context`) has more than `max_tokens` tokens, whitespace at the ends of a piece is not kept, and
        every character that is not whitespace lies in at least one piece. A document without text gives [].
        """
        ...


class VectorSearch(Protocol):
    """What searching needs of a vector index."""

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """See VectorStore."""
        ...


@runtime_checkable
class VectorStore(Protocol):
    """One vector index: the vectors of one collection in one embedding space, under the name `space`.

    Metadata values are str, int, float or bool. Searches may run at the same time as each other and beside a change; what a
    call changed is seen by every later call of the same process. Blocking: call it in a thread. Every method may raise
    StoreError when a store that is a server cannot be reached. A space that was never written is an empty index.
    """

    def upsert(self, entries: Sequence[Entry], vectors: Array) -> None:
        """Add or replace by id. Idempotent; inputs are not changed. Raises DimensionMismatch, StoreError."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id; unknown ids are ignored."""
        ...

    def search(self, vector: Array, *, k: int, where: Filter = ()) -> list[Match]:
        """Return the `k` nearest entries that satisfy `where`, by falling cosine, ties by rising id.

        The filter acts *inside* the search: k results come back whenever k entries match. Fewer entries: fewer matches.
        An empty index gives []. Raises DimensionMismatch.
        """
        ...

    def count(self) -> int:
        """Return the number of entries."""
        ...

    def ids(self) -> list[str]:
        """Return all ids, sorted."""
        ...

    def fetch(self, ids: Sequence[str]) -> Array:
        """Return float32 of shape (len(ids), dimension): the vectors as stored. Raises StoreError for an unknown id."""
        ...

    def drop(self) -> None:
        """Remove the whole space, also from disk or server; the next upsert begins an empty one. Idempotent."""
        ...

    def close(self) -> None:
        """Release what only this object holds. Idempotent."""
        ...


@runtime_checkable
class SnapshotStore(VectorStore, Protocol):
    """A vector index that lives in this process: a change is atomic to searches, and snapshots save time at the start."""

    def save(self, path: Path) -> None:
        """Write a snapshot folder that `load` restores exactly. A crash in between leaves the old snapshot readable."""
        ...

    def load(self, path: Path) -> None:
        """Replace the content by the snapshot at `path`. Raises StoreError when it is missing or damaged."""
        ...


@runtime_checkable
class LexicalIndex(Protocol):
    """Word search over one collection, by BM25."""

    def upsert(self, entries: Sequence[Entry], texts: Sequence[str]) -> None:
        """Add or replace by id, visible to searches when the call returns. Idempotent."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove by id; unknown ids are ignored."""
        ...

    def search(self, text: str, *, k: int, where: Filter = ()) -> list[Match]:
        """Return up to `k` entries that share a word with `text`, by falling BM25, ties by rising id.

        Any text is a valid query: there is no query syntax to break or to abuse. No known word gives [].
        """
        ...

    def count(self) -> int:
        """Return the number of entries."""
        ...

    def ids(self) -> list[str]:
        """Return all ids, rising."""
        ...

    def save(self, path: Path) -> None:
        """Copy the files of the index to the new folder `path`, in a state that opens again. Raises StoreError."""
        ...

    def close(self) -> None:
        """Release files and locks."""
        ...


@runtime_checkable
class Generator(Protocol):
    """Prompt -> streamed answer text with [n] markers that refer to `prompt.passages[n - 1]`."""

    @property
    def provider(self) -> str:
        """The registry name of this generator."""
        ...

    @property
    def model(self) -> str:
        """The model that answers."""
        ...

    @property
    def context_tokens(self) -> int:
        """How many tokens of prompt it reads; the prompt is assembled within this budget."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of `text`, or a stated over-estimate where the vendor has no tokenizer."""
        ...

    def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the answer in pieces; the last one carries `usage`. Closing the iterator stops the work upstream.

        One deadline (`Endpoint.timeout_seconds`) bounds the whole answer; nothing is tried twice in here.
        Raises ProviderError.
        """
        ...

    async def models(self) -> list[str]:
        """Return the names of the models to choose from now, sorted; [] where nobody can tell. Raises ProviderError."""
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Question and hits -> a better order. Blocking: call it in a thread. Thread-safe."""

    @property
    def model(self) -> str:
        """The model that judges."""
        ...

    def score(self, question: str, hits: Sequence[Hit]) -> list[float]:
        """Return a relevance for each hit in 0..1, higher is better, in input order. Raises ProviderError."""
        ...

    def close(self) -> None:
        """Release the model. Idempotent."""
        ...


class Meter(Protocol):
    """Where numbers go. Thread-safe, never raises, takes microseconds. Names and labels: `engine.monitoring.catalogue`."""

    def timed(self, metric: str, labels: Sequence[str], seconds: float, *, ok: bool = True) -> None:
        """Note one duration."""
        ...

    def counted(self, metric: str, labels: Sequence[str] = (), amount: float = 1.0) -> None:
        """Add to a counter."""
        ...

    def gauged(self, metric: str, labels: Sequence[str], value: float) -> None:
        """Set what something is now."""
        ...


class SharedStates(Protocol):
    """What processes tell each other of breakers: id -> (until, reason), the ones that are open; times are Unix seconds."""

    async def publish(self, breaker_id: str, seconds: float, reason: str) -> None:
        """Tell the others that a breaker is open for `seconds`; 0 takes it back. Does nothing when nobody can be told."""
        ...

    async def opened(self) -> dict[str, tuple[float, str]]:
        """Return what the others told; {} when nobody can be asked."""
        ...
