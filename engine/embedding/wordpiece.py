"""Token positions of the local model, straight from `tokenizer.json`: chunking needs no torch."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SEGMENT_CHARS = 4_000
_SPACE = re.compile(r"\s")


class WordPieceTokens:
    """A TokenCounter over a `tokenizer.json`, read on first use. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None

    def count(self, text: str) -> int:
        """Return the number of tokens of `text` without special tokens."""
        return sum(map(len, self.ids(list(self._texts(text)))))

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Return (start, end) character offsets of each token of `text`, in order.

        Tokens can share a character (a Hangul syllable is split into its letters).
        """
        found: list[tuple[int, int]] = []
        begin = 0
        segments = list(self._texts(text))
        for segment, encoding in zip(segments, self._loaded().encode_batch(segments, add_special_tokens=False), strict=True):
            found += [(begin + start, begin + end) for start, end in encoding.offsets] if begin else encoding.offsets
            begin += len(segment)
        return found

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text without special tokens, uncut."""
        return [list(encoding.ids) for encoding in self._loaded().encode_batch_fast(list(texts), add_special_tokens=False)]

    @staticmethod
    def _texts(text: str) -> Iterator[str]:
        # The tokenizer slows down on one long text; a word never spans whitespace, so cutting there changes no token.
        begin = 0
        while len(text) - begin > SEGMENT_CHARS:
            space = _SPACE.search(text, begin + SEGMENT_CHARS)
            if space is None:
                break
            yield text[begin : space.end()]
            begin = space.end()
        yield text[begin:]

    def _loaded(self) -> Tokenizer:
        if self._tokenizer is None:
            with self._lock:
                if self._tokenizer is None:
                    from tokenizers import Tokenizer

                    tokenizer = Tokenizer.from_file(str(self._path))
                    # The file asks for 128 tokens, padded: neither is wanted where positions are counted.
                    tokenizer.no_truncation()
                    tokenizer.no_padding()
                    self._tokenizer = tokenizer
        return self._tokenizer
