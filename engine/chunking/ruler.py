"""Token positions of one page, counted once, and where a piece may end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import sub

from engine.protocols import TokenCounter
from engine.sentences import character_cut

CHARS_PER_TOKEN = 8
"""A token counts once more for every so many characters, gap before it included: unknown words and blanks are not free."""
MARGIN_TOKENS = 8
"""A slice that comes this close to its limit, or that parts a word, is counted again by itself."""


class Ruler:
    """Measures slices of one text by the tokens of the whole text: an estimate, since a slice can be tokenised otherwise."""

    def __init__(self, text: str, tokens: TokenCounter) -> None:
        self.text = text
        self._tokens = tokens
        offsets = tokens.offsets(text)
        self._ends = [end for _, end in offsets]
        lengths = map(sub, self._ends, [0, *self._ends])
        self._cost = [0, *accumulate([length // CHARS_PER_TOKEN or 1 for length in lengths])]

    def cost(self, start: int, end: int) -> int:
        """Return the estimated tokens of `text[start:end]`, and no fewer than its length explains."""
        counted = self._cost[bisect_left(self._ends, end)] - self._cost[bisect_right(self._ends, start)] + (end > start)
        return max(counted, (end - start) // CHARS_PER_TOKEN)

    def reach(self, start: int, budget: int, end: int) -> int:
        """Return the furthest position in (start, end] that `budget` tokens reach, past `start` in any case."""
        if self.cost(start, end) <= budget:
            return end
        first = bisect_right(self._ends, start)
        last = bisect_right(self._cost, self._cost[first] + max(1, budget)) - 1
        position = self._ends[last - 1] if last > first else start
        longest = start + max(1, budget) * CHARS_PER_TOKEN
        if position <= start or position > longest:
            position = longest
        return max(start + 1, character_cut(self.text, start, min(position, end)))

    def back(self, end: int, budget: int, start: int) -> int:
        """Return the first position in [start, end] from which at most `budget` tokens lead to `end`."""
        last = bisect_left(self._ends, end)
        first = bisect_left(self._cost, self._cost[last] - max(0, budget - 1))
        position = self._ends[first - 1] if first else start
        return max(start, min(end, max(position, end - budget * CHARS_PER_TOKEN)))

    def fits(self, start: int, end: int, *, limit: int, context: str = "") -> bool:
        """Whether `context` and `text[start:end]` have at most `limit` tokens, counted exactly where the estimate could err."""
        room = limit - (self._tokens.count(context) if context else 0)
        if self.cost(start, end) <= room - MARGIN_TOKENS and not (self._parts_word(start) or self._parts_word(end)):
            return True
        piece = self.text[start:end]
        return self._tokens.count(f"{context}\n{piece}" if context else piece) <= limit

    def _parts_word(self, position: int) -> bool:
        return 0 < position < len(self.text) and not (self.text[position - 1].isspace() or self.text[position].isspace())


def nearest(boundaries: Sequence[int], target: int, low: int, high: int) -> int | None:
    """Return the sorted boundary in [low, high] nearest to `target`, the later of two; None where there is none."""
    first, last = bisect_left(boundaries, low), bisect_right(boundaries, high)
    if first >= last:
        return None
    at = bisect_left(boundaries, target, first, last)
    around = [boundaries[i] for i in (at - 1, at) if first <= i < last]
    return min(around, key=lambda boundary: (abs(boundary - target), -boundary))
