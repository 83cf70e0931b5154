"""Token positions of the local model, straight from `tokenizer.json`: chunking needs no torch."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from engine.embedding.checksum import check

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CACHED_WORDS = 200_000
CACHED_CHARS = 64
# BERT never joins what these part, so words can be tokenised one by one; Han characters are words of their own.
_WORD = re.compile(r"[\u4e00-\u9fff]|[^ \t\n\r\u4e00-\u9fff]+")
Offsets: TypeAlias = list[tuple[int, int]]


class WordPieceTokens:
    """A TokenCounter over a `tokenizer.json`, read on first use. Thread-safe.

    The first use raises CorruptModel when the file has another SHA-256.
    """

    def __init__(self, path: Path, *, sha256: str) -> None:
        self._path = path
        self._sha256 = sha256
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None
        self._cache: dict[str, Offsets] = {}

    def count(self, text: str) -> int:
        """Return the number of tokens of `text` without special tokens."""
        words = _WORD.findall(text)
        return sum(map(len, map(self._known(words).__getitem__, words)))

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Return (start, end) character offsets of each token of `text`, in order.

        Tokens can share a character (a Hangul syllable is split into its letters).
        """
        known = self._known(_WORD.findall(text))
        found: list[tuple[int, int]] = []
        for match in _WORD.finditer(text):
            begin = match.start()
            for start, end in known[match.group()]:
                found.append((begin + start, begin + end))
        return found

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text without special tokens, uncut."""
        return [list(encoding.ids) for encoding in self._loaded().encode_batch_fast(list(texts), add_special_tokens=False)]

    def _known(self, words: list[str]) -> dict[str, Offsets]:
        """Return the offsets of (at least) these words; texts repeat theirs, and looking up is faster than tokenising."""
        known = self._cache
        if len(known) > CACHED_WORDS:
            known = self._cache = {}
        missing = list(set(words).difference(known))
        if not missing:
            return known
        encodings = self._loaded().encode_batch(missing, add_special_tokens=False)
        new: dict[str, Offsets] = {word: encoding.offsets for word, encoding in zip(missing, encodings, strict=True)}
        known.update((word, offsets) for word, offsets in new.items() if len(word) <= CACHED_CHARS)
        return known if len(max(missing, key=len)) <= CACHED_CHARS else {**known, **new}

    def _loaded(self) -> Tokenizer:
        if self._tokenizer is None:
            with self._lock:
                if self._tokenizer is None:
                    from tokenizers import Tokenizer

                    check(self._path, sha256=self._sha256)
                    tokenizer = Tokenizer.from_file(str(self._path))
                    # The file asks for 128 tokens, padded: neither is wanted where positions are counted.
                    tokenizer.no_truncation()
                    tokenizer.no_padding()
                    self._tokenizer = tokenizer
        return self._tokenizer
