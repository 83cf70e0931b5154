"""Where a page may be cut: boundaries by rank, blocks to keep whole, and tables that go by rows."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from engine.chunking.outline import Outline
from engine.chunking.ruler import Ruler
from engine.documents import Block, Page
from engine.protocols import TokenCounter
from engine.sentences import sentence_spans

_PARAGRAPH = re.compile(r"\n[ \t]*(?=\n)\s*|\f")
_WORD = re.compile(r"\s+|(?<=[\u3000-\u303f\uff00-\uff0f\uff1a-\uff20\uff5b-\uff65])")
RANKS = ("paragraphs", "sentences", "lines", "words")
"""All kinds of boundaries, the best first. A heading stays with what follows, for only its start is a boundary."""
SHORTENED = " \u2026"


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a page that is split by itself. With `context`, it is a table whose pieces need their header."""

    start: int
    end: int
    context: str = ""


@dataclass(frozen=True)
class Layout:
    """One page, measured. Built for one call of `split` and not shared."""

    page: Page
    tokens: TokenCounter
    max_tokens: int
    ruler: Ruler = field(init=False)
    outline: Outline = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ruler", Ruler(self.page.text, self.tokens))
        object.__setattr__(self, "outline", Outline(self.page))

    @cached_property
    def sentences(self) -> list[int]:
        """Starts of sentences, list items, headings and table rows."""
        return self._outside([start for start, _ in sentence_spans(self.page.text)])

    @cached_property
    def paragraphs(self) -> list[int]:
        """Starts of paragraphs and of blocks."""
        starts = {match.end() for match in _PARAGRAPH.finditer(self.page.text)}
        return self._outside(sorted(starts | {one.start for one in self.page.blocks} | {one.end for one in self._whole}))

    @cached_property
    def lines(self) -> list[int]:
        """Starts of lines."""
        return self._outside([match.end() for match in re.finditer("\n", self.page.text)])

    @cached_property
    def words(self) -> list[int]:
        """Starts of words; after punctuation in scripts without spaces."""
        return self._outside([match.end() for match in _WORD.finditer(self.page.text)])

    def boundaries(self, ranks: Sequence[str]) -> Iterator[Sequence[int]]:
        """Yield the sorted boundaries of each rank in turn; those that are not asked for are not looked for."""
        for rank in ranks:
            yield getattr(self, rank)

    def region_list(self) -> list[Region]:
        """Return the page as regions in order, without gaps."""
        regions: list[Region] = []
        done = 0
        for block in self._split_tables:
            regions += [Region(done, block.start), Region(block.start, block.end, self._shortened(block.header))]
            done = block.end
        regions.append(Region(done, len(self.page.text)))
        return [region for region in regions if self.page.text[region.start : region.end].strip()]

    def keeps_whole(self, position: int) -> Block | None:
        """Return the table or code block, small enough for one piece, that a cut at `position` would part."""
        at = bisect_left(self._whole, position, key=lambda block: block.end)
        after = bisect_right(self._whole, position, key=lambda block: block.end)
        for block in self._whole[at : after + 1]:
            if block.start < position < block.end:
                return block
        return None

    def _outside(self, positions: list[int]) -> list[int]:
        return [position for position in positions if self.keeps_whole(position) is None] if self._whole else positions

    @cached_property
    def _whole(self) -> list[Block]:
        split = set(map(id, self._split_tables))
        kinds = [block for block in self.page.blocks if block.kind in {"table", "code"} and id(block) not in split]
        return [block for block in kinds if self.ruler.cost(block.start, block.end) <= self.max_tokens]

    @cached_property
    def _split_tables(self) -> list[Block]:
        tables = [block for block in self.page.blocks if block.kind == "table" and block.header.strip()]
        return [block for block in tables if not (self._has_header(block) and self._small(block))]

    def _small(self, block: Block) -> bool:
        return self.ruler.cost(block.start, block.end) <= self.max_tokens

    def _has_header(self, block: Block) -> bool:
        return self.page.text[block.start : block.end].lstrip().startswith(block.header.strip())

    def _shortened(self, header: str) -> str:
        """Return the header on one line, visibly cut where it has more than a third of the tokens of a piece."""
        header = header.strip()
        limit = self.max_tokens // 3
        if self.tokens.count(header) <= limit:
            return header
        ruler = Ruler(header, self.tokens)
        end = ruler.reach(0, limit - 2, len(header))
        while end > 1 and self.tokens.count(header[:end] + SHORTENED) > limit:
            end -= max(1, end // 8)
        return header[:end].rstrip() + SHORTENED
