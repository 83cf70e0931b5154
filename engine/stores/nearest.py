"""Exact results from a backend that only gives its nearest so many candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.protocols import Array
from engine.stores import filters
from engine.stores.ranking import SCORE_NOISE, ranked
from engine.types import Entry, Filter, Match

MARGIN = 16
WIDER = 4


class Candidates(NamedTuple):
    """What a backend found: entries (with metadata where a rest of the filter needs it) and their vectors as rows.

    `complete` says that nothing else matches what the backend was asked.
    """

    entries: Sequence[Entry]
    vectors: Array
    complete: bool


def nearest(ask: Callable[[int], Candidates], query: Array, *, k: int, rest: Filter = ()) -> list[Match]:
    """Return the `k` best entries that satisfy `rest`, the part of a filter that the backend cannot express.

    `ask(n)` gives the n nearest by the backend's own scores. They are scored again, and more are asked for while too few
    satisfy `rest` or a tie runs past the last one, where it could hide a smaller id.
    """
    n = k + MARGIN
    while True:
        found = ask(n)
        kept = [i for i, entry in enumerate(found.entries) if filters.matches(entry.id, entry.metadata, rest)]
        best = ranked([found.entries[i].id for i in kept], found.vectors[kept], query, k)
        if found.complete or (len(best) == k and float((found.vectors @ query).min()) < best[-1].score - SCORE_NOISE):
            return best
        n *= WIDER
